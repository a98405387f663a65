"""One picture: read, turned upright, cut, resized."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosim.data.duplicates import THUMBNAIL
from neurosim.data.settings import DataSettings
from neurosim.errors import StimulusError
from neurosim.stimuli.decode import decode_image
from neurosim.stimuli.sources import FrameSource, ImageFiles

_ORIENTATION = 0x0112  # EXIF: how a camera was held


def read_picture(source: FrameSource, index: int, settings: DataSettings) -> NDArray[np.uint8]:
    """Return a picture as it will be written.

    Parameters
    ----------
    source
        Image files or drawn faces.
    index
        Of the picture.
    settings
        Its ``crop`` and ``size``.

    Returns
    -------
    ndarray
        uint8 ``(size, size, 3)``. Grey becomes three equal channels, transparency is
        dropped, 16 bits become 8.

    Raises
    ------
    StimulusError
        Naming the file that cannot be used, and why.
    """
    if isinstance(source, ImageFiles):
        path = source.paths[index]
        raw = _upright(decode_image(path), path)
    else:
        raw = source.read(index)
    return _resized(_colours(_cut(raw, settings), source.names[index]), settings.size)


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the grey thumbnail by which near-duplicates are found."""
    from PIL import Image

    side = THUMBNAIL, THUMBNAIL
    return np.asarray(Image.fromarray(pixels).convert("L").resize(side, Image.Resampling.LANCZOS))


def _upright(raw: NDArray, path: object) -> NDArray:
    """Turn a photograph as its camera says."""
    from PIL import Image

    with Image.open(str(path)) as image:
        turn = image.getexif().get(_ORIENTATION, 1)
    if turn in (5, 6, 7, 8):
        raw = raw.swapaxes(0, 1)
    if turn in (2, 3, 6, 7):
        raw = raw[:, ::-1]
    if turn in (3, 4, 7, 8):
        raw = raw[::-1]
    return raw


def _cut(raw: NDArray, settings: DataSettings) -> NDArray:
    height, width = raw.shape[:2]
    left, top, right, bottom = settings.box
    x0, x1 = _edges(left, right, width)
    y0, y1 = _edges(top, bottom, height)
    if settings.crop != "none":
        side = min(x1 - x0, y1 - y0)
        x0, y0 = x0 + (x1 - x0 - side) // 2, y0 + (y1 - y0 - side) // 2
        x1, y1 = x0 + side, y0 + side
    return raw[y0:y1, x0:x1]


def _edges(low: float, high: float, length: int) -> tuple[int, int]:
    """First pixel and the one after the last; at least one."""
    first = min(round(low * length), length - 1)
    return first, max(round(high * length), first + 1)


def _colours(raw: NDArray, name: str) -> NDArray[np.uint8]:
    """uint8 ``(y, x, 3)``."""
    if raw.dtype == np.uint16:
        raw = (raw.astype(np.uint32) + 128) // 257
    elif raw.dtype.kind == "f":
        if raw.min() < 0 or raw.max() > 1:
            raise StimulusError(
                f"{name}: its pixels are numbers from {raw.min():g} to {raw.max():g}; they must be "
                "within 0 to 1, or whole numbers of 8 or 16 bits"
            )
        raw = np.rint(raw * 255)
    colours = raw[:, :, :1] if raw.shape[2] < 3 else raw[:, :, :3]
    return np.broadcast_to(colours, (*raw.shape[:2], 3)).astype(np.uint8)


def _resized(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    from PIL import Image

    if pixels.shape[:2] == (size, size):
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))
