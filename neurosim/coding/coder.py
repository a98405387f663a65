"""Codes images that are in memory: no folder is read, no file written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neurosim.checkpointing import warm_start
from neurosim.coding.network import Settings, coding_model, display_steps
from neurosim.coding.trained import Trained, open_trained
from neurosim.errors import RequestError
from neurosim.experiment import Experiment, loads
from neurosim.network import image_input, top_level
from neurosim.paramfile import write_model
from neurosim.record import layout
from neurosim.simulation.fresh import FreshStart
from neurosim.stimuli.fit import FitSpec, fit_frame
from neurosim.stimuli.sources import to_unit


class ArrayFeed:
    """Images of an array as an input layer shows them, a batch at each display.

    Parameters
    ----------
    fit : FitSpec
        How an image becomes the layer.
    shape : tuple of int
        ``(batch, y, x, feature)`` of the layer.
    mean : ndarray, optional
        Mean image to subtract, ``(y, x, feature)``.
    """

    def __init__(
        self, fit: FitSpec, shape: tuple[int, int, int, int], mean: np.ndarray | None
    ) -> None:
        self.fit, self.shape, self.mean = fit, shape, mean
        self.images = np.zeros(shape, np.float32)

    def frames(self, display: int) -> np.ndarray:
        """The images as the layer shows them, ``(batch, y, x, feature)``."""
        return np.stack([self.shown(image) for image in self.images])

    def shown(self, image: np.ndarray) -> np.ndarray:
        """One image ``(y, x, channel)`` as the layer shows it."""
        return fit_frame(image, self.fit, *self.shape[1:], mean=self.mean)


class Coder:
    """Codes images that are in memory with a trained network, learning off.

    What :func:`neurosim.encode` does for a folder, for arrays and without files: the newest
    undamaged checkpoint of the run, the mean image of its training, every presentation from
    the same state, names missing.

    Parameters
    ----------
    run : path
        Output folder of the trained run.
    steps : int, optional
        Steps per image; as trained by default.
    batch : int, optional
        Images that are coded side by side; as trained by default.
    backend, dtype, threads
        As in :func:`neurosim.run`.

    Attributes
    ----------
    experiment : Experiment
        The network that codes.
    input, top : str
        The layer that shows the images, and the level at the top.

    Raises
    ------
    RunFileError
        The run has no checkpoint.
    RequestError
        The network has not one layer that shows images, or not one level at the top.

    Examples
    --------
    >>> import neurosim, numpy as np
    >>> coder = neurosim.Coder("output/halle_berry")             # doctest: +SKIP
    >>> faces = np.zeros((10, 64, 64, 3), np.uint8)
    >>> coder.code(faces)["P1"].shape                            # doctest: +SKIP
    (10, 1, 1, 512)
    """

    def __init__(
        self,
        run: str | Path | Trained,
        steps: int | None = None,
        batch: int | None = None,
        backend: str = "auto",
        dtype: str = "float32",
        threads: int | None = None,
    ) -> None:
        trained = run if isinstance(run, Trained) else open_trained(run)
        settings = Settings(steps=steps, nbatch=batch)
        self.input, self.top = image_input(trained.network), top_level(trained.network)
        self.experiment = _experiment(trained, settings, self.top)
        self._steps = display_steps(trained.network, settings)
        start = warm_start(self.experiment)
        assert start is not None
        shape = self.experiment.plan.buffers[f"{self.input}:A"].shape
        spec = self.experiment.network.layers[self.input].spec
        fit = FitSpec(**{key: getattr(spec, key) for key in FitSpec.__dataclass_fields__})
        mean = start.means.get(self.input) if spec.subtractMean else None
        self.feed = ArrayFeed(fit, (shape[0], *shape[1:]), mean)  # type: ignore[arg-type]
        self._simulator = self.experiment.simulator(
            backend,
            dtype,
            threads,
            feeds={self.input: self.feed},  # type: ignore[dict-item]
        )
        self.experiment.start(self._simulator)
        (when,) = self.experiment.displays()
        self._again = FreshStart(self._simulator, when)
        start.into(self._simulator)

    @property
    def batch(self) -> int:
        """Images that are coded side by side."""
        return self.feed.shape[0]

    def code(self, images: np.ndarray, layers: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """Activity of layers for each image.

        Parameters
        ----------
        images : ndarray
            ``(image, y, x)`` or ``(image, y, x, channel)``; uint8 and uint16 of their full range,
            floats from 0 to 1.
        layers : sequence of str
            The level at the top by default.

        Returns
        -------
        dict of str to ndarray
            By layer: ``(image, y, x, feature)``, in the precision of the coder.

        Raises
        ------
        RequestError
            The array is of another shape, or not finite; no such layer.
        StimulusError
            The images do not fit the input layer.
        """
        unit, wanted = self._checked(images), tuple(layers) or (self.top,)
        backend, plan = self._simulator.backend, self._simulator.plan
        for name in wanted:
            if name not in plan.layers:
                raise RequestError(
                    f'no layer "{name}" where images are shown; there are {", ".join(plan.layers)}'
                )
        found: dict[str, list[np.ndarray]] = {
            name: [np.zeros((0, *plan.buffers[plan.layers[name][1]].shape[1:]), np.float32)]
            for name in wanted
        }
        for first in range(0, len(unit), self.batch):
            block = unit[first : first + self.batch]
            self.feed.images = block[np.minimum(np.arange(self.batch), len(block) - 1)]
            self._again.observe(self._simulator)
            self._simulator.run(self._simulator.step + self._steps)
            for name in wanted:
                found[name].append(backend.read(plan.layers[name][1])[: len(block)].copy())
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def shown(self, images: np.ndarray) -> np.ndarray:
        """Images as the input layer shows them, float32 ``(image, y, x, feature)``.

        Parameters
        ----------
        images : ndarray
            As for :meth:`code`.
        """
        unit = self._checked(images)
        parts = [self.feed.shown(image) for image in unit]
        return np.stack(parts) if parts else np.zeros((0, *self.feed.shape[1:]), np.float32)

    def _checked(self, images: np.ndarray) -> np.ndarray:
        """Images in 0..1, ``(image, y, x, channel)``."""
        array = np.asarray(images)
        if array.ndim not in (3, 4) or array.dtype.kind not in "uf":
            raise RequestError(
                f"images of shape {array.shape} and type {array.dtype}; give (image, y, x) or "
                "(image, y, x, channel), as uint8, uint16 or floats from 0 to 1"
            )
        unit = to_unit(array if array.ndim == 4 else array[..., None])
        if not np.isfinite(unit).all():
            raise RequestError("some pixels are not finite numbers")
        return unit


def _experiment(trained: Trained, settings: Settings, top: str) -> Experiment:
    """The network that codes, its images still to come."""
    checkpoint = f"{layout.CHECKPOINT_FOLDER}/{trained.checkpoint.path.name}"
    model = coding_model(trained.network, settings, (top,), checkpoint, "in memory")
    column = model.column.replace(checkpointWrite=False, stopTime=model.column.dt)
    return loads(write_model(model.replace(column)), trained.folder)
