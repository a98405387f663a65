"""Linear classifiers of pixels: their worst case is known exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import neurosim
from attack.luminance import Luminance

#: Readouts of ``neurosim analyze --baselines`` that read pixels.
READOUTS = ("pixels", "pca-128", "pca-512")


class LinearClassifier:
    """``score = weights · pixels + bias`` (a ``Differentiable``).

    Parameters
    ----------
    weights : ndarray
        ``(y, x, 3)``, per grey level.
    bias : float
    name : str
    """

    def __init__(self, weights: np.ndarray, bias: float, name: str = "linear") -> None:
        self.weights, self.bias, self.name = np.asarray(weights, np.float64), bias, name

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Score of each image, float64 ``(image,)``."""
        return self.representation(images) @ self.weights.ravel() + self.bias

    def representation(self, images: np.ndarray) -> np.ndarray:
        """The pixels, ``(image, value)``."""
        return images.reshape(len(images), -1)

    def gradient(self, images: np.ndarray) -> np.ndarray:
        """The weights, for each image."""
        return np.broadcast_to(self.weights, images.shape).astype(np.float32)

    def worst_margins(self, images: np.ndarray, target: np.ndarray, epsilon: float) -> np.ndarray:
        """The least margin that valid pixels within ``epsilon`` of each image can have.

        Each value moves against the margin as far as the budget and 0 to 255 allow.
        """
        y = np.where(target, 1.0, -1.0).reshape(-1, 1, 1, 1)
        downhill = -np.sign(y * self.weights)
        moved = np.clip(images + epsilon * downhill, 0, 255)
        return y.ravel() * self.scores(moved)


class PixelReadout:
    """The support vector machine on pixels of an analysis (a ``Differentiable``).

    Parameters
    ----------
    run : path
        Output folder of a run that ``neurosim analyze --baselines`` has been through.
    readout : {"pixels", "pca-128", "pca-512"}
    name : str
        For tables.

    Raises
    ------
    neurosim.RequestError
        The analysis has no such readout.
    """

    def __init__(self, run: str | Path, readout: str = "pixels", name: str = "pixels") -> None:
        analysis = neurosim.open_analysis(run)
        if readout not in READOUTS or readout not in analysis.readouts:
            raise neurosim.RequestError(
                f'{run}: no readout "{readout}" of pixels; there may be {", ".join(READOUTS)}, '
                "once `neurosim analyze RUN --baselines` has made them"
            )
        found = analysis.readouts[readout]
        self.name = name
        self._weights = (found.weights / found.scale).astype(np.float64)
        self._bias = found.bias - float(self._weights @ found.center) - found.threshold
        feed = neurosim.Coder(run).feed
        # Readouts of pixels are of images that are not whitened, without the mean image then.
        mean = None if feed.fit.whitens else feed.mean
        self.luminance = Luminance(mean, feed.fit.normalizeLuminanceFlag)

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Score of each image, float64 ``(image,)``."""
        return self.representation(images) @ self._weights + self._bias

    def representation(self, images: np.ndarray) -> np.ndarray:
        """Pixels as the network sees them, but not whitened, ``(image, value)``."""
        return self.luminance.forward(images).reshape(len(images), -1)

    def gradient(self, images: np.ndarray) -> np.ndarray:
        """Gradient of each score by its image, float32 ``(image, y, x, 3)``, per grey level."""
        through = np.broadcast_to(self._weights.reshape(images.shape[1:]), images.shape)
        return self.luminance.pullback(images, through).astype(np.float32)
