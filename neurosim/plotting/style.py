"""How all figures look: colours that colour-blind readers tell apart, sizes, saving."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from io import BytesIO
from typing import Any, ParamSpec

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

P = ParamSpec("P")

#: Width of a figure that fills the page, inches.
WIDTH = 9.6
#: Pixels per inch of PNG files.
DPI = 130
#: In percent; the page holds sheets of pictures as WebP, a third of their size as PNG.
WEBP_QUALITY = 90

INK = "#222222"
GREY = "#6e6e6e"
LIGHT = "#d5d5d5"
#: Okabe and Ito's colours, those that show on white, in the order of use.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
#: Originals, then their alterations: colours that mean no class.
SETS = (INK, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
#: What is looked for, and all the rest.
TARGET, REST = COLORS[1], COLORS[0]

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10.5,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "image.cmap": "cividis",
    "image.interpolation": "nearest",
    "svg.fonttype": "path",
    # Without a salt, names inside an SVG differ from one call to the next.
    "svg.hashsalt": "neurosim",
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make a function draw in the style of the report, whatever the reader's own settings."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return wrapper


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of some inches that keeps its parts from overlapping."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)  # type: ignore[union-attr,call-arg]
    return figure


def fix_layout(figure: Figure) -> None:
    """Find the places of a figure's parts once, and not again for each file it is written to."""
    with matplotlib.style.context(["default", STYLE]):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")


def encode(figure: Figure, ending: str, about: Mapping[str, Any] | None = None) -> bytes:
    """A figure as a file's bytes, the same for the same figure.

    Parameters
    ----------
    figure : Figure
    ending : {"png", "svg", "webp"}
    about : mapping of str to str, optional
        ``Title``, ``Description``, ``Source``: kept inside PNG and SVG.
    """
    buffer = BytesIO()
    # A date would make two reports of one run differ.
    plain = {"png": {"Software": None}, "svg": {"Date": None}}
    options: dict[str, Any] = {"pil_kwargs": {"quality": WEBP_QUALITY}}
    if ending in plain:
        options = {"metadata": {**plain[ending], **(about or {})}}
    with matplotlib.style.context(["default", STYLE]):
        figure.savefig(buffer, format=ending, dpi=DPI, **options)
    return buffer.getvalue()


def log_scale(ax: Axes, values: np.ndarray, percent: bool = False) -> None:
    """Make the y axis logarithmic, with round numbers at its ticks however short it is.

    Parameters
    ----------
    ax : Axes
    values : array
        What is drawn; only positive values count.
    percent : bool
        Shares in 0..1, written in percent.
    """
    positive = values[values > 0]
    decades = np.log10(positive.max() / positive.min()) if positive.size else 0.0
    steps = (1,) if decades > 4 else (1, 2, 5) if decades > 0.7 else (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=steps, numticks=10))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(lambda value, _: share(value) if percent else f"{value:g}")


def bare(ax: Axes) -> Axes:
    """Take ticks and frame from the axes of pictures; returns them."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def centred(images: np.ndarray) -> np.ndarray:
    """Signed images as pictures: 0 is mid grey, the largest magnitude of each is black or white.

    Parameters
    ----------
    images : array (n, y, x, 1 or 3)

    Returns
    -------
    array (n, y, x, 1 or 3)
        In 0..1.
    """
    largest = np.abs(images).max(axis=(1, 2, 3), keepdims=True)
    return 0.5 + 0.5 * images / np.where(largest > 0, largest, 1)


def rgb(image: np.ndarray) -> np.ndarray:
    """A picture (y, x, 1 or 3) in 0..1 with three channels; what lies outside is clipped."""
    if image.shape[-1] not in (1, 3):
        # No colours: how strong a pixel is over its channels, as a grey.
        image = image.mean(axis=-1, keepdims=True)
    return np.clip(np.broadcast_to(image, (*image.shape[:-1], 3)), 0, 1)


def sheet_size(
    ny: int, nx: int, count: int, columns: int, labelled: bool = False, width: float = WIDTH
) -> tuple[int, int, float]:
    """Pixels between pictures of a sheet, pixels of room under each, and its height in inches.

    Parameters
    ----------
    ny, nx : int
        Size of a picture.
    count, columns : int
        Pictures in all, and in a row.
    labelled : bool
        Whether a line of text stands under each.
    width : float
        Of the sheet, inches.
    """
    space = int(np.clip(round(0.15 * (ny * nx) ** 0.5), 1, 5))
    per_inch = columns * (nx + space) / width
    room = max(space, round(0.24 * per_inch)) if labelled else space
    return space, room, -(-count // columns) * (ny + room) / per_inch


def sheet(
    ax: Axes,
    pictures: Sequence[np.ndarray] | np.ndarray,
    columns: int,
    labels: Sequence[str] = (),
    width: float = WIDTH,
) -> Axes:
    """Show pictures in rows, as one image.

    Parameters
    ----------
    ax : Axes
    pictures : sequence of array (y, x, 1 or 3)
        In 0..1, all of one size.
    columns : int
        Pictures in a row.
    labels : sequence of str
        Stands under each picture; none by default.
    width : float
        Of the axes, inches.

    Returns
    -------
    Axes
    """
    ny, nx = pictures[0].shape[:2]
    space, room, _ = sheet_size(ny, nx, len(pictures), columns, bool(labels), width)
    rows = -(-len(pictures) // columns)
    canvas = np.ones((rows * (ny + room), columns * (nx + space) - space, 3))
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        top, left = row * (ny + room), column * (nx + space)
        canvas[top : top + ny, left : left + nx] = rgb(picture)
        if labels:
            ax.text(
                left + nx / 2 - 0.5, top + ny + 0.12 * room, labels[number],
                ha="center", va="top", fontsize=8.5,
            )  # fmt: skip
    ax.imshow(canvas)
    return bare(ax)


def counted(number: int, thing: str) -> str:
    """A number of things.

    >>> counted(1, "neuron"), counted(1200, "neuron")
    ('1 neuron', '1,200 neurons')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def share(value: float) -> str:
    """A share in percent, with the digits it needs.

    >>> share(0.5), share(0.0312), share(0.00041), share(0)
    ('50 %', '3.1 %', '0.041 %', '0 %')
    """
    percent = 100 * value
    if percent == 0 or percent >= 9.95:
        return f"{percent:.0f} %"
    return f"{percent:.2g} %"
