"""Enlarging, shrinking and placing a frame, with PetaVision's sampling rules."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Window = tuple[int, int]


def sample_positions(inputs: int, outputs: int) -> NDArray[np.float32]:
    """Return where each of ``outputs`` samples lies among ``inputs`` pixels.

    Corner pixels map to corner pixels. A single output sample, for which that
    rule has no answer, lies at the first pixel.
    """
    if outputs == 1:
        return np.zeros(1, np.float32)
    # float32 as PetaVision: which pixel a sample falls on depends on its rounding.
    step = np.float32(inputs - 1) / np.float32(outputs - 1)
    return step * np.arange(outputs, dtype=np.float32)


def nearest_taps(inputs: int, outputs: int, window: Window) -> list[tuple[NDArray, NDArray]]:
    """Return the one (index, weight) pair per output sample of ``nearestneighbor``."""
    positions = sample_positions(inputs, outputs)[window[0] : window[1]]
    index = np.clip(np.rint(positions).astype(np.intp), 0, inputs - 1)
    return [(index, np.ones(len(index), np.float32))]


def bicubic_taps(inputs: int, outputs: int, window: Window) -> list[tuple[NDArray, NDArray]]:
    """Return the four (index, weight) pairs per output sample of bicubic convolution.

    The kernel has a = -1. Beyond the first pixel the image is mirrored without
    it, beyond the last one with it.
    """
    positions = sample_positions(inputs, outputs)[window[0] : window[1]]
    floor = np.floor(positions)
    fraction = positions - floor
    taps = []
    for offset in (2, 1, 0, -1):
        index = np.abs(floor.astype(np.intp) + offset)
        index = np.where(index >= inputs, 2 * inputs - index - 1, index)
        taps.append((np.clip(index, 0, inputs - 1), _cubic(fraction - np.float32(offset))))
    return taps


def _cubic(x: NDArray[np.float32]) -> NDArray[np.float32]:
    x = np.abs(x)
    near = 1 + x * x * (x - 2)
    far = 4 + x * (x * (5 - x) - 8)
    return np.where(x < 1, near, np.where(x < 2, far, 0)).astype(np.float32)


def resample(
    image: NDArray[np.float32], size: tuple[int, int], rows: Window, cols: Window, method: str
) -> NDArray[np.float32]:
    """Return rows and columns of ``image`` resized to ``size``.

    Parameters
    ----------
    image
        float32 ``(y, x, feature)``.
    size
        ``(height, width)`` of the whole resized image.
    rows, cols
        Half-open ranges of it that are wanted.
    method
        ``"bicubic"`` or ``"nearestneighbor"``.
    """
    taps = bicubic_taps if method == "bicubic" else nearest_taps
    vertical = taps(image.shape[0], size[0], rows)
    horizontal = taps(image.shape[1], size[1], cols)
    down = np.zeros((rows[1] - rows[0], *image.shape[1:]), np.float32)
    for index, weight in vertical:
        down += weight[:, None, None] * image[index]
    out = np.zeros((len(down), cols[1] - cols[0], image.shape[2]), np.float32)
    for index, weight in horizontal:
        out += weight[None, :, None] * down[:, index]
    return out


def anchored(anchor: str, smaller: int, bigger: int) -> int:
    """Return where ``smaller`` starts in ``bigger``: 0, the middle, or the end.

    ``anchor`` is the letter of that axis: ``t`` or ``l``, ``c``, ``b`` or ``r``.
    Negative when ``smaller`` is in fact the bigger one.
    """
    if anchor in "tl":
        return 0
    return bigger // 2 - smaller // 2 if anchor == "c" else bigger - smaller


def place(
    image: NDArray[np.float32], height: int, width: int, top: int, left: int
) -> NDArray[np.float32]:
    """Return zeros ``(height, width, feature)`` with ``image`` at ``(top, left)``, clipped."""
    h, w = image.shape[:2]
    out = np.zeros((height, width, image.shape[2]), np.float32)
    y0, y1 = max(top, 0), min(top + h, height)
    x0, x1 = max(left, 0), min(left + w, width)
    if y0 < y1 and x0 < x1:
        out[y0:y1, x0:x1] = image[y0 - top : y1 - top, x0 - left : x1 - left]
    return out


def fit_size(
    image: NDArray[np.float32],
    height: int,
    width: int,
    anchor: tuple[str, str],
    shift: tuple[int, int],
) -> NDArray[np.float32]:
    """Grow, translate and crop to ``(height, width)`` without resampling.

    Content that the translation moves off the (grown) image is lost before the
    crop, as in PetaVision.
    """
    h, w = image.shape[:2]
    if not (height < h and width < w):
        image = place(
            image, height, width, anchored(anchor[0], h, height), anchored(anchor[1], w, width)
        )
        h, w = height, width
    if shift != (0, 0):
        image = place(image, h, w, *shift)
    top, left = anchored(anchor[0], height, h), anchored(anchor[1], width, w)
    return place(image, height, width, -top, -left) if (h, w) != (height, width) else image


def rescale(
    image: NDArray[np.float32],
    height: int,
    width: int,
    anchor: tuple[str, str],
    adjustment: str,
    method: str,
) -> NDArray[np.float32]:
    """Resize with the aspect ratio kept, then crop or pad to ``(height, width)``."""
    h, w = image.shape[:2]
    ratios = np.float32(height) / np.float32(h), np.float32(width) / np.float32(w)
    factor = max(ratios) if adjustment == "crop" else min(ratios)
    tall = max(1, int(np.rint(factor * np.float32(h))))
    wide = max(1, int(np.rint(factor * np.float32(w))))
    top, left = anchored(anchor[0], height, tall), anchored(anchor[1], width, wide)
    rows = (max(top, 0), max(top, 0) + min(height, tall))
    cols = (max(left, 0), max(left, 0) + min(width, wide))
    image = resample(image, (tall, wide), rows, cols, method)
    if image.shape[:2] == (height, width):
        return image
    top, left = anchored(anchor[0], tall, height), anchored(anchor[1], wide, width)
    return place(image, height, width, max(top, 0), max(left, 0))


def zoomed(image: NDArray[np.float32], zoom: float, method: str) -> NDArray[np.float32]:
    """Return the middle ``1 / zoom`` of an image, at the image's size.

    Parameters
    ----------
    image
        float32 ``(y, x, feature)``.
    zoom
        Above 1 the border is cut; below 1 the edge pixels are repeated around the image.
    method
        As for :func:`resample`.
    """
    size = image.shape[:2]
    for axis in (0, 1):
        whole = image.shape[axis]
        wanted = max(1, round(whole / zoom))
        start = (whole - wanted) // 2
        index = np.clip(np.arange(start, start + wanted), 0, whole - 1)
        image = np.take(image, index, axis=axis)
    return resample(image, size, (0, size[0]), (0, size[1]), method)
