"""The public functions, by the names users call them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.analysis.results import Analysis, open_analysis
from neurosim.coding.codes import Codes
from neurosim.coding.encode import encode as _encode
from neurosim.coding.network import Settings
from neurosim.errors import RequestError
from neurosim.experiment import Experiment, load

# Imported now, for a first import of the modules "run" and "sweep" later on would
# hide the functions of the same names.
from neurosim.record.reader import Run
from neurosim.record.reader import open_run as _open_run
from neurosim.run import run_experiment
from neurosim.sweep import SweepRow, run_sweep

__all__ = ["Simulation", "analyze", "encode", "open_analysis", "open_run", "run", "sweep"]


def run(
    params: str | Path | Experiment,
    output: str | Path | None = None,
    overrides: Any = (),
    **options: Any,
) -> Run:
    """Run a params file to its stopTime and open its results.

    Parameters
    ----------
    params : path or Experiment
        What to run.
    output : path, optional
        Output folder; the file's outputPath by default.
    overrides : mapping or iterable of str
        As in :func:`load`.
    **options
        ``backend`` ("auto"), ``dtype`` ("float32"), ``threads`` (all cores),
        ``resume`` and ``overwrite`` (False), ``progress`` (a callable, none);
        see :func:`neurosim.run.run_experiment`.

    Returns
    -------
    Run
        As :func:`open_run` gives it.

    Raises
    ------
    RequestError
        The request or an input is wrong; nothing has been written.
    NeurosimError
        The run could not go on: it diverged, the disk is full, ...

    Examples
    --------
    >>> import neurosim
    >>> results = neurosim.run("params/lca_patch.params", "output/first", {"column.stopTime": 80})
    >>> results.finished, results.layers["V1"].activity.shape
    (True, (2, 1, 16, 16, 64))
    >>> results.close()
    """
    experiment = params if isinstance(params, Experiment) else load(params)
    if overrides:
        experiment = experiment.override(overrides)
    return open_run(run_experiment(experiment, output, **options).output)


def open_run(path: str | Path) -> Run:
    """Open the results of a run, also while it goes on or after a crash.

    Parameters
    ----------
    path : path
        The output folder, or ``run.h5`` in it.

    Returns
    -------
    Run
        Layers, probes, inputs and checkpoints by name; read lazily.

    Raises
    ------
    RunFileError
        No run is there, or its file is damaged.

    Examples
    --------
    >>> import neurosim
    >>> with neurosim.open_run("output/first") as results:
    ...     codes = results.layers["V1"].activity[-1]     # numpy (batch, y, x, feature)
    ...     sparse = results.layers["V1"].sparse(-1)      # scipy CSR (batch, units)
    ...     energy = results.probes["Energy"].value       # numpy (time, batch)
    >>> codes.shape, sparse.shape, energy.shape
    ((1, 16, 16, 64), (1, 16384), (80, 1))
    """
    return _open_run(path)


def sweep(
    params: str | Path | Experiment,
    points: Sequence[Mapping[str, Any]],
    output: str | Path | None = None,
    **options: Any,
) -> list[SweepRow]:
    """Run a params file at several settings.

    Parameters
    ----------
    params : path or Experiment
        The file all points start from.
    points : sequence of mapping
        Overrides of each run.
    output : path, optional
        Folder of the sweep; the file's outputPath by default. Point ``i`` goes
        to ``paramsweep_<i>`` in it; one that is finished there is not run again.
    **options
        ``jobs`` (1), ``backend``, ``dtype``, ``threads``, ``overwrite``; see
        :func:`neurosim.sweep.run_sweep`. A script that uses ``jobs`` must call
        this under ``if __name__ == "__main__":``.

    Returns
    -------
    list of SweepRow
        ``settings``, ``output``, ``results`` (last value of each probe) and
        ``error`` of each run.

    Examples
    --------
    >>> import neurosim
    >>> brief = neurosim.load("params/lca_patch.params", {"column.stopTime": 40})
    >>> points = [{"V1.VThresh": t} for t in (0.05, 0.2)]
    >>> rows = neurosim.sweep(brief, points, "output/thresholds")
    >>> rows[1].results["Energy"] > rows[0].results["Energy"]
    True
    """
    experiment = params if isinstance(params, Experiment) else load(params)
    return run_sweep(experiment, points, output, **options)


def encode(
    run: str | Path,
    images: str | Path,
    *,
    shown: str = "face",
    layers: Sequence[str] = (),
    name: str | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> Codes:
    """Code each image of a set once with a trained network, learning off.

    The newest undamaged checkpoint of the run is used, with the mean image of its training.
    Every presentation begins from the same state, so that a code depends on its image alone.
    What is not shown is missing from the network, not blank. The codes stay in
    ``RUN/codes/<set>-<shown>``: a set that did not change is not coded again, and one that was
    interrupted goes on.

    Parameters
    ----------
    run : path
        Output folder of the trained run.
    images : path
        A folder with one folder per class, or whatever else an ``inputPath`` takes.
    shown : {"face", "name", "both"}
        The images, their classes' names (each coded once), or both.
    layers : sequence of str
        Whose activity to keep, sparse; the level at the top by default.
    name : str, optional
        Of the set; that of its folder by default.
    settings : Settings, optional
        Steps per image, batch size, solver and so on; as trained by default. See
        :class:`neurosim.Settings`.
    **options
        ``backend``, ``dtype``, ``threads`` as in :func:`run`; ``report``, called with the name
        of the coded set and a :class:`neurosim.run.Progress`.

    Returns
    -------
    Codes
        ``codes.dense("P1")`` is (image, unit); ``codes.names``, ``codes.labels``,
        ``codes.energy``. Use it in a ``with`` block or call ``close``.

    Raises
    ------
    RunFileError
        The run has no checkpoint.
    RequestError
        The images cannot be read, or what is asked for does not fit the network.
    """
    return _encode(run, images, shown=shown, layers=layers, name=name, settings=settings, **options)


def analyze(
    run: str | Path,
    validation: str | Path | None = None,
    *,
    altered: Sequence[str | Path] = (),
    target: str | None = None,
    layer: str | None = None,
    baselines: bool = False,
    **options: Any,
) -> Analysis:
    """Find out what the codes of a trained network know, and write ``RUN/analysis.h5``.

    Codes the training images, the validation images and their altered versions (:func:`encode`).
    Neurons, thresholds and readouts are chosen on training images and reported on the others.

    Parameters
    ----------
    run : path
        Output folder of the trained run.
    validation : path, optional
        Images to report on, one folder per class. Without it a quarter of the training images is
        held out (with ``"synthetic-faces"``, its own validation pictures are taken).
    altered : sequence of path
        Altered versions of the validation images, with the same file names.
    target : str, optional
        The class to look for; by default the one a neuron answers to best on train.
    layer : str, optional
        The level to analyse; the one at the top by default.
    baselines : bool
        Also read out pixels, principal components, the pooled first level, random weights.
    **options
        ``train`` (images, those of the run by default), ``calibration`` (images that the network
        has not learned from: readouts learn from these too, and choose thresholds by them),
        ``random`` (another run as the random network), ``zooms`` (factors:
        learn from looks enlarged by each, mirrored too; decide by one, and by the mean of all),
        ``seed``, ``backend``, ``threads``, ``report``, ``tell``, ``settings`` (:class:`Settings`).

    Returns
    -------
    Analysis
        As :func:`open_analysis` gives it.

    Raises
    ------
    RunFileError
        The run has no checkpoint.
    RequestError
        No such class, or sets that do not belong together; nothing has been coded.
    """
    from neurosim.analysis.analyze import analyze as _analyze  # and with it scikit-learn

    return _analyze(
        run,
        validation=validation,
        altered=altered,
        target=target,
        layer=layer,
        baselines=baselines,
        **options,
    )


class Simulation:
    """A network in memory, to step, look at and change; writes no file.

    Parameters
    ----------
    params : path or Experiment
    backend, dtype, threads
        As in :meth:`Experiment.simulator`.

    Examples
    --------
    >>> import neurosim
    >>> net = neurosim.Simulation("params/lca_patch.params")
    >>> net.run(100).step
    100
    >>> net.activity("V1").shape
    (1, 16, 16, 64)
    >>> energy = net.energy("Energy")
    >>> bool(energy[-1] < energy[0])
    True
    >>> net.set_potential("V1", 0 * net.potential("V1"))
    """

    def __init__(
        self,
        params: str | Path | Experiment,
        backend: str = "auto",
        dtype: str = "float32",
        threads: int | None = None,
    ) -> None:
        self.experiment = params if isinstance(params, Experiment) else load(params)
        self.probes: dict[str, list[np.ndarray]] = {}
        self._simulator = self.experiment.simulator(
            backend, dtype, threads, recorded=self._recorded
        )
        self.experiment.start(self._simulator)

    def _recorded(self, first: int, values: dict[str, np.ndarray]) -> None:
        if first > 0:
            for name, rows in values.items():
                self.probes.setdefault(name, []).extend(rows)

    @property
    def step(self) -> int:
        """Steps done."""
        return self._simulator.step

    def run(self, steps: int = 1) -> Simulation:
        """Do some steps; returns itself."""
        self._simulator.run(self.step + steps)
        return self

    def activity(self, layer: str) -> np.ndarray:
        """Activity of a layer, ``(batch, y, x, feature)``; a copy."""
        return self._simulator.backend.read(self._buffers(layer)[1])

    def potential(self, layer: str) -> np.ndarray:
        """Membrane potential of a layer, ``(batch, y, x, feature)``; a copy."""
        return self._simulator.backend.read(self._buffers(layer)[0])

    def weights(self, connection: str) -> np.ndarray:
        """Weights, ``(arbor, kernel, y, x, feature)``; a copy."""
        return self._simulator.backend.read(self._weights(connection))

    def set_weights(self, connection: str, weights: np.ndarray) -> None:
        """Replace weights; they are normalised as at the start of a run.

        Parameters
        ----------
        weights : array
            As :meth:`weights` gives them.
        """
        name = self._weights(connection)
        self._simulator.overwrite([(name, self._fitting(name, weights))])

    def set_potential(self, layer: str, potential: np.ndarray) -> None:
        """Replace the membrane potential of a layer, ``(batch, y, x, feature)``."""
        name = self._buffers(layer)[0]
        self._simulator.write(name, self._fitting(name, potential))

    def energy(self, probe: str) -> np.ndarray:
        """Values of a probe at each step so far, ``(steps, batch)``."""
        if probe not in self.probes:
            raise RequestError(f'no values of a probe "{probe}"; there are {list(self.probes)}')
        return np.array(self.probes[probe])

    def _fitting(self, buffer: str, values: np.ndarray) -> np.ndarray:
        """Values of the very shape of a buffer."""
        array, shape = np.asarray(values), self.experiment.plan.buffers[buffer].shape
        if array.shape != shape:
            raise RequestError(f'"{buffer}" is {shape}, but the new values are {array.shape}')
        return array

    def _buffers(self, layer: str) -> tuple[str, str]:
        layers = self.experiment.plan.layers
        if layer not in layers:
            raise RequestError(f'no layer "{layer}"; there are {", ".join(layers)}')
        return layers[layer]

    def _weights(self, connection: str) -> str:
        name = f"{connection}:W"
        if name not in self.experiment.plan.buffers:
            raise RequestError(f'connection "{connection}" has no weights of its own')
        return name
