"""One image file to an array of its stored values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import StimulusError

if TYPE_CHECKING:
    from PIL.Image import Image

_KINDS = "png jpg jpeg bmp tga gif tif tiff ppm pgm pbm pnm webp"
IMAGE_SUFFIXES = frozenset(f".{kind}" for kind in _KINDS.split())

# 8192 x 8192: a larger header is a mistake or an attack on memory.
MAX_PIXELS = 2**26

_DIRECT = {"L", "LA", "RGB", "RGBA"}
_WIDE = {"I;16", "I;16L", "I;16B", "I;16N", "I"}


def problem_with(path: Path) -> str | None:
    """Return why ``path`` cannot be an input file, or None: missing, a folder, empty."""
    try:
        if path.is_dir():
            return "is a folder; expected a file"
        if not path.exists():
            return "no such file"
        if path.stat().st_size == 0:
            return "is empty (0 bytes)"
    except (OSError, ValueError) as error:
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    return None


def decode_image(path: Path) -> NDArray:
    """Decode an image file.

    Palettes become RGB (RGBA where they have transparency), other colour spaces
    RGB. Colour PNGs with 16 bits per channel are read at 8 bits; grey ones keep 16.

    Parameters
    ----------
    path
        PNG, JPEG, BMP, TGA, GIF (first frame), TIFF, PNM or WebP.

    Returns
    -------
    ndarray
        ``(y, x, channel)``, 1 to 4 channels: uint8 or uint16 of full range, or
        float32 as stored.

    Raises
    ------
    StimulusError
        Naming the file and what is wrong with it.
    """
    problem = problem_with(path)
    if problem:
        raise StimulusError(f"{path}: {problem}")
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise StimulusError(
                    f"{path}: {width} x {height} pixels; at most {MAX_PIXELS} are accepted"
                )
            pixels = _pixels(image)
    except UnidentifiedImageError:
        raise StimulusError(
            f"{path}: is no image of a known kind, it starts with {_start(path)!r}; expected PNG, "
            "JPEG, BMP, TGA, GIF, TIFF, PNM or WebP"
        ) from None
    except StimulusError:
        raise
    except Exception as error:  # decoders of damaged files raise nearly anything
        reason = str(error).strip() or type(error).__name__
        raise StimulusError(f"{path}: is damaged or truncated ({reason})") from error
    if 0 in pixels.shape:
        raise StimulusError(f"{path}: the image has no pixels")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise StimulusError(f"{path}: some pixels are not finite numbers")
    return pixels


def _pixels(image: Image) -> NDArray:
    if image.mode in _WIDE:
        values = np.asarray(image)
        return np.clip(values, 0, 65535).astype(np.uint16)[:, :, None]
    if image.mode == "F":
        return np.asarray(image, np.float32)[:, :, None]
    if image.mode not in _DIRECT:
        clear = "transparency" in image.info or image.mode in ("PA", "RGBa", "La")
        mode = "L" if image.mode == "1" else "RGBA" if clear else "RGB"
        image = image.convert(mode)
    values = np.asarray(image)
    return values[:, :, None] if values.ndim == 2 else values


def _start(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(8)
