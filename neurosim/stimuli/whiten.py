"""Whitening of pictures, as the retina does it: fine gratings raised, broad ones lowered."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

#: Of the largest gain; what is passed on by less than this share of it is not brought back.
LEAST = 0.02


@lru_cache(maxsize=8)
def gains(ny: int, nx: int, exponent: float, cutoff: float) -> NDArray[np.float64]:
    """Factor of each grating of a picture, ``(y, x)``.

    ``(2 f)^exponent exp(-(f / cutoff)^4)``, f in cycles per pixel: at exponent 1 the filter of
    Olshausen and Field (1997), which flattens the spectrum of natural images. Gratings are those
    of the discrete cosine transform, for which a picture goes on mirrored beyond its edges.

    Parameters
    ----------
    ny, nx : int
        Size of the picture.
    exponent : float
        0: gratings keep their size.
    cutoff : float
        Cycles per pixel; 0: none.
    """
    y, x = np.arange(ny) / (2 * ny), np.arange(nx) / (2 * nx)
    frequency = np.hypot(y[:, None], x[None])
    found = (2 * frequency) ** exponent
    if cutoff > 0:
        found *= np.exp(-((frequency / cutoff) ** 4))
    found.setflags(write=False)
    return found


def whitened(picture: NDArray, exponent: float, cutoff: float) -> NDArray[np.float64]:
    """A picture ``(..., y, x, feature)`` with its gratings at their :func:`gains`, each feature
    by itself; float64.

    Linear, and its own transpose: the gradient by a picture is the whitened gradient by the
    whitened one.
    """
    gain = gains(*picture.shape[-3:-1], exponent, cutoff)
    # So that of a flat picture no rounding is left, which would be normalised to noise.
    level = np.asarray(picture[..., :1, :1, :], np.float64)
    return _scaled(picture - level, gain) + gain[0, 0] * level


def coloured(picture: NDArray, exponent: float, cutoff: float) -> NDArray[np.float64]:
    """What was whitened, but for gratings that whitening all but takes away: these stay away."""
    gain = gains(*picture.shape[-3:-1], exponent, cutoff)
    kept = gain > LEAST * gain.max()
    return _scaled(picture, np.where(kept, 1 / np.where(kept, gain, 1), 0))


def _scaled(picture: NDArray, gain: NDArray[np.float64]) -> NDArray[np.float64]:
    axes = (-3, -2)
    spectrum = dctn(np.asarray(picture, np.float64), axes=axes, norm="ortho")
    return idctn(spectrum * gain[:, :, None], axes=axes, norm="ortho")
