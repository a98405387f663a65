"""Text rendered to grey images: what the name layer shows."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import RequestError

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

# Liberation Sans and Arimo have the widths of Arial, letter by letter.
_FILES = ("Arial.ttf", "arial.ttf", "LiberationSans-Regular.ttf", "Arimo-Regular.ttf")
_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts")
_SMALLEST = 6.0


@lru_cache(maxsize=1)
def _font_file() -> str | None:
    """Return the file of Arial or of a font with its metrics, or None."""
    from PIL import ImageFont

    for name in _FILES:
        try:
            return str(ImageFont.truetype(name, 20).path)
        except OSError:
            pass
        for folder in _FOLDERS:
            found = sorted(Path(folder).expanduser().rglob(name))
            if found:
                return str(found[0])
    return None


@lru_cache(maxsize=64)
def _font(points: float) -> FreeTypeFont:
    from PIL import ImageFont

    file = _font_file()
    if file is not None:
        return ImageFont.truetype(file, points)
    font = ImageFont.load_default(points)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RequestError("Pillow was built without FreeType; install its binary wheel")
    return font


def font_name() -> str:
    """Return family and style of the font in use, e.g. ``"Arial Regular"``."""
    return " ".join(part for part in _font(20).getname() if part)


def render_text(
    text: str, width: int = 128, height: int = 16, points: float = 20
) -> NDArray[np.float32]:
    """Render one line of text, white on black, from the left edge.

    Letters with their descenders are centred vertically; where they are higher than
    the image (20 points in 16 pixels), the descenders are cut. Underscores become
    blanks, and the bundled font writes letters without accents. A text wider than
    the image is drawn smaller, down to 6 points, and narrowed beyond that.

    Parameters
    ----------
    text
        Any text; blank text gives a black image.
    width, height
        Pixels; default 128 x 16.
    points
        Height of the font in pixels per em; default 20.

    Returns
    -------
    ndarray
        float32 ``(height, width)``, 0 background to 1 ink.

    Raises
    ------
    RequestError
        A size is not positive.
    """
    if width < 1 or height < 1 or points <= 0:
        raise RequestError(
            f"a name of {width} x {height} pixels at {points} points; all must be positive"
        )
    words = " ".join(text.replace("_", " ").split())
    if _font_file() is None:
        plain = unicodedata.normalize("NFKD", words)
        words = "".join(letter for letter in plain if not unicodedata.combining(letter))
    if not words:
        return np.zeros((height, width), np.float32)
    from PIL import Image, ImageDraw

    font = _font(points)
    length = font.getlength(words)
    if length > width and points > _SMALLEST:
        # Whole steps of a quarter point keep the number of cached fonts small.
        points = max(_SMALLEST, np.floor(4 * points * width / length) / 4)
        font = _font(points)
        length = font.getlength(words)
    canvas = Image.new("L", (max(width, int(np.ceil(length))), height), 0)
    top, bottom = font.getbbox("Hg", anchor="ls")[1::2]
    baseline = -top + max(0, round((height - (bottom - top)) / 2))
    left = max(0, -font.getbbox(words, anchor="ls")[0])
    ImageDraw.Draw(canvas).text((left, baseline), words, fill=255, font=font, anchor="ls")
    if canvas.width > width:
        canvas = canvas.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(canvas, np.float32) / np.float32(255)
