"""From pixels to what an input layer shows, and back with a gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Takes images ``(image, y, x, feature)`` to as many of the same size.
Filter = Callable[[np.ndarray], np.ndarray]


class Luminance:
    """Whitens, takes the mean image off and brings to mean 0 and standard deviation 1.

    What the keys of whitening, ``subtractMean`` and ``normalizeLuminanceFlag`` of an ImageLayer
    do.

    Parameters
    ----------
    mean : ndarray or None
        Mean image ``(y, x, 3)``, in 0 to 1; None takes nothing off.
    normalize : bool
        Whether each image is brought to mean 0 and standard deviation 1 over all its values.
    whitened : callable, optional
        A linear filter of images that is its own transpose; none by default.
    """

    def __init__(
        self, mean: np.ndarray | None, normalize: bool, whitened: Filter | None = None
    ) -> None:
        self.mean = 0.0 if mean is None else np.asarray(mean, np.float64)
        self.normalize = normalize
        self._filter: Filter = whitened or (lambda images: images)

    def forward(self, images: np.ndarray) -> np.ndarray:
        """Images ``(image, y, x, 3)`` in grey levels as the layer shows them, float64."""
        centred, deviation = self._centred(images)
        return centred / deviation

    def pullback(self, images: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Gradient per grey level, from that by what the layer shows; float64, of one shape.

        With ``x = (p - mean p) / σ``, the gradient by ``p`` is ``(g - mean g - x mean(g x)) / σ``.
        """
        g = np.asarray(gradient, np.float64)
        if not self.normalize:
            return self._filter(g) / 255
        centred, deviation = self._centred(images)
        shown, axes = centred / deviation, (1, 2, 3)
        along = (g * shown).mean(axis=axes, keepdims=True)
        found = (g - g.mean(axis=axes, keepdims=True) - shown * along) / deviation
        return self._filter(found) / 255

    def _centred(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images less their mean, and the deviation of each; a flat image is 0 over infinity."""
        unit = self._filter(np.asarray(images, np.float64) / 255) - self.mean
        if not self.normalize:
            return unit, np.ones((len(unit), 1, 1, 1))
        centred = unit - unit.mean(axis=(1, 2, 3), keepdims=True)
        deviation = centred.std(axis=(1, 2, 3), keepdims=True)
        return centred, np.where(deviation > 0, deviation, np.inf)
