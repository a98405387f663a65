"""Deep sparse coding with a linear readout, as a classifier that can be attacked.

Scores come from the engine itself: the code of an image by the run's newest checkpoint, read by
the support vector machine of ``neurosim analyze``. Gradients go back through the readout, every
sparse code and the normalisation of the image down to the pixels, by one of two ways: through
the fixed point (:mod:`attack.fixed_point`) or through unrolled dynamics (:mod:`attack.unrolled`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

import neurosim
from attack.luminance import Luminance
from attack.pathway import Stage, pathway
from attack.unrolled import Unrolled

Way = Literal["implicit", "unrolled"]
WAYS: tuple[Way, ...] = ("implicit", "unrolled")
#: Images whose gradients are computed side by side.
BLOCK = 32


@dataclass(frozen=True)
class LinearReadout:
    """``score = weights · code + bias``, 0 at the threshold that was chosen on train."""

    weights: np.ndarray
    bias: float

    @classmethod
    def of(cls, readout: Any) -> LinearReadout:
        """That of an analysis."""
        weights = (readout.weights / readout.scale).astype(np.float64)
        bias = readout.bias - float(weights @ readout.center) - readout.threshold
        return cls(weights, bias)


class DeepSparseCoding:
    """A trained network and the readout of its top level (a ``Differentiable``).

    Parameters
    ----------
    run : path
        Output folder of a run that ``neurosim analyze`` has been through.
    way : {"implicit", "unrolled"}
        How gradients are found.
    name : str
        For tables.
    steps : int
        Of the unrolled dynamics.
    batch : int, optional
        Images coded side by side; as trained by default.
    threads : int, optional
        Cores to use; all by default.
    readout : {"top-face", "top-augmented"}
        Of the analysis: learned from one look at each training image, or from several; either
        decides on one.

    Raises
    ------
    neurosim.RunFileError
        The run has no checkpoint, or has not been analysed.
    neurosim.RequestError
        An unknown way, a network through which no gradient is known, or no such readout.
    """

    def __init__(
        self, run: str | Path, way: Way = "implicit", name: str = "dsc", steps: int = 60,
        batch: int | None = None, threads: int | None = None, readout: str = "top-face",
    ) -> None:  # fmt: skip
        if way not in WAYS:
            raise neurosim.RequestError(f'no gradient "{way}"; there are {", ".join(WAYS)}')
        self.name, self.way, self.steps = name, way, steps
        analysis = neurosim.open_analysis(run)
        if readout not in analysis.readouts:
            raise neurosim.RequestError(
                f'{run}: its analysis has no readout "{readout}"; "top-augmented" is made by '
                "`neurosim analyze RUN --zoom 0.9 --zoom 1.1`"
            )
        self.coder = neurosim.Coder(run, batch=batch, threads=threads)
        self.top, decoder = analysis.layer, neurosim.Decoder(run, threads)
        self.readout = LinearReadout.of(analysis.readouts[readout])
        self.stages = pathway(self.coder.experiment, decoder, self.top, self.coder.input)
        self._levels = [level.name for stage in self.stages for level in stage.circuit.levels]
        self.luminance = _luminance(self.coder)

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Score of each image, float64 ``(image,)``; 0 or more says "target"."""
        return self.representation(images) @ self.readout.weights + self.readout.bias

    def representation(self, images: np.ndarray) -> np.ndarray:
        """Code of the top level, float32 ``(image, unit)``."""
        return self._codes(images)[self.top].reshape(len(images), -1)

    def gradient(self, images: np.ndarray) -> np.ndarray:
        """Gradient of each score by its image, float32 ``(image, y, x, 3)``, per grey level."""
        parts = []
        for first in range(0, len(images), BLOCK):
            block = images[first : first + BLOCK]
            pull = self._fixed_point if self.way == "implicit" else self._unrolled
            by_input = pull(block)
            parts.append(self.luminance.pullback(block, by_input).astype(np.float32))
        return np.concatenate(parts) if parts else np.zeros(images.shape, np.float32)

    def _codes(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return self.coder.code(np.asarray(images, np.float32) / 255, self._levels)

    def _by_top(self, count: int) -> np.ndarray:
        """Gradient of the score by the code at the top: the same for all images."""
        level = self.stages[-1].circuit.levels[-1]
        return np.tile(self.readout.weights.reshape(1, *level.dictionary.shape), (count, 1, 1, 1))

    def _fixed_point(self, images: np.ndarray) -> np.ndarray:
        """Gradient by the input layer, around the codes that the engine settled to."""
        codes = self._codes(images)
        gradient = self._by_top(len(images))
        for index in reversed(range(len(self.stages))):
            stage = self.stages[index]
            settled = [codes[level.name] for level in stage.circuit.levels]
            gradient = stage.circuit.pullback(settled, gradient)
            gradient = _through(stage, self.stages[index - 1], codes, gradient)
        return gradient

    def _unrolled(self, images: np.ndarray) -> np.ndarray:
        """Gradient by the input layer, back through dynamics that start from silence."""
        below = self.luminance.forward(images).astype(np.float32)
        passes: list[Unrolled] = []
        codes: dict[str, np.ndarray] = {}
        for stage in self.stages:
            if stage.pool is not None:
                below = stage.pool.apply(below).astype(np.float32)
            passes.append(Unrolled(stage.circuit, below, self.steps))
            named = zip(stage.circuit.levels, passes[-1].codes, strict=True)
            codes |= {level.name: code for level, code in named}
            below = passes[-1].codes[-1]
        gradient = self._by_top(len(images))
        for index in reversed(range(len(self.stages))):
            gradient = passes[index].pullback(gradient)
            stage = self.stages[index]
            gradient = _through(stage, self.stages[index - 1], codes, gradient)
        return gradient


def _through(
    stage: Stage, lower: Stage, codes: dict[str, np.ndarray], gradient: np.ndarray
) -> np.ndarray:
    """From the input of a stage down through its pool, where it has one."""
    if stage.pool is None:
        return gradient
    return stage.pool.pullback(codes[lower.circuit.levels[-1].name], gradient)


def _luminance(coder: neurosim.Coder) -> Luminance:
    """The normalisation of the input layer, with its gradient."""
    feed = coder.feed
    found = Luminance(feed.mean, feed.fit.normalizeLuminanceFlag, feed.fit.whitened)
    noise = np.random.default_rng(0).integers(0, 256, (2, *feed.shape[1:])).astype(np.float32)
    if not np.allclose(found.forward(noise), coder.shown(noise / 255), atol=1e-4):
        raise neurosim.RequestError(
            f'"{coder.input}" shifts, mirrors, inverts or rescales its images; gradients are known '
            "for images of the layer's size, less the mean image, at mean 0 and deviation 1"
        )
    return found
