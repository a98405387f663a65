"""What the atoms of a dictionary look like, and how much each is used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurosim.plotting.style import (
    COLORS,
    GREY,
    WIDTH,
    centred,
    log_scale,
    new_figure,
    sheet,
    sheet_size,
    styled,
)


def columns_for(ny: int, nx: int) -> int:
    """How many pictures of a size stand well in a row.

    >>> columns_for(8, 8), columns_for(22, 22), columns_for(64, 64), columns_for(16, 128)
    (16, 12, 8, 4)
    """
    if nx > 2 * ny:
        return 4
    return 16 if nx <= 16 else 12 if nx <= 40 else 8


def most_used(use: np.ndarray, count: int) -> np.ndarray:
    """Numbers of the most used atoms, the most used first; those never used are left out.

    Parameters
    ----------
    use : array (atoms,)
        How often, or how much, each is active.
    count : int
        At most so many.
    """
    order = np.argsort(-use, kind="stable")[:count]
    return order[use[order] > 0]


@styled
def dictionary(
    atoms: np.ndarray,
    use: np.ndarray | None = None,
    labels: Sequence[str] = (),
    columns: int | None = None,
    use_label: str = "images with\nthe atom active",
    shown: np.ndarray | None = None,
) -> Figure:
    """Atoms as pictures, with how much all atoms of the dictionary are used below them.

    Parameters
    ----------
    atoms : array (n, y, x, 1 or 3)
        The atoms to show, decoded to pixels, in the order to show them; 0 becomes mid
        grey, the largest magnitude of each atom black or white.
    use : array (all atoms,), optional
        Share in 0..1 of each atom of the dictionary; drawn sorted, on a log scale.
    labels : sequence of str
        A text under each picture.
    columns : int, optional
        Pictures in a row.
    use_label : str
        What ``use`` is a share of.
    shown : array of int, optional
        Which atoms of ``use`` the pictures are; marked in the curve.

    Returns
    -------
    Figure
    """
    ny, nx = atoms.shape[1:3]
    columns = min(columns or columns_for(ny, nx), len(atoms))
    # A few pictures are not blown up to the width of the page.
    width = min(WIDTH, columns * (2.4 if nx > 2 * ny else 1.2))
    height = sheet_size(ny, nx, len(atoms), columns, bool(labels), width)[2]
    figure = new_figure(height + (2.0 if use is not None else 0.2))
    if use is None:
        sheet(figure.subplots(), centred(atoms), columns, labels, width)
        return figure
    top, bottom = figure.subplots(2, 1, height_ratios=[height, 1.6])
    sheet(top, centred(atoms), columns, labels, width)
    _use_curve(bottom, use, shown)
    bottom.set_ylabel(use_label)
    return figure


def _use_curve(ax: Axes, use: np.ndarray, shown: np.ndarray | None) -> None:
    """Use of all atoms, the most used first, and how many are never active."""
    order = np.argsort(-use, kind="stable")
    used = use[order] > 0
    rank = np.arange(1, len(use) + 1)
    ax.plot(rank[used], use[order][used], color=COLORS[0])
    if shown is not None:
        places = np.flatnonzero(np.isin(order, shown) & used)
        ax.plot(rank[places], use[order][places], "o", color=COLORS[1], ms=3, label="shown")
        ax.legend(loc="upper right")
    dead = int(np.count_nonzero(~used))
    if dead:
        ax.axvspan(len(use) - dead + 0.5, len(use) + 0.5, color="#eeeeee", lw=0)
        inside = dead > 0.15 * len(use)
        # Beside the band it stands below the curve, left of where that falls to it.
        ax.text(
            len(use) - (dead / 2 if inside else dead + 0.03 * len(use)), 0.5 if inside else 0.15,
            f"{dead} never active", transform=ax.get_xaxis_transform(),
            ha="center" if inside else "right", va="center", color=GREY,
        )  # fmt: skip
    ax.set(
        xlabel=f"the {len(use)} atoms, by use", xlim=(0.5, len(use) + 0.5)
    )  # fmt: skip
    log_scale(ax, use, percent=True)
