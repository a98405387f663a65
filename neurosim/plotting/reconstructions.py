"""Pictures beside what the levels of the network make of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from neurosim.analysis.selectivity import correlation
from neurosim.plotting.style import WIDTH, bare, new_figure, rgb, styled


def likeness(images: np.ndarray, others: np.ndarray) -> list[str]:
    """Correlation over the pixels of each pair of images, as texts; of a flat image nothing."""
    found = correlation(*(x.reshape(len(x), -1).astype(np.float64) for x in (images, others)))
    return ["" if np.isnan(r) else f"r {r:.2f}" for r in found]


def same_contrast(images: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Images with the mean and the standard deviation of others.

    Parameters
    ----------
    images, like : array (image, y, x, feature)
    """
    axes = (1, 2, 3)
    spread = images.std(axis=axes, keepdims=True)
    flat = images - images.mean(axis=axes, keepdims=True)
    wanted = like.std(axis=axes, keepdims=True)
    return flat / np.where(spread > 0, spread, 1) * wanted + like.mean(axis=axes, keepdims=True)


@styled
def picture_table(
    rows: Sequence[np.ndarray],
    names: Sequence[str],
    headings: Sequence[str] = (),
    under: Sequence[Sequence[str]] = (),
) -> Figure:
    """Pictures in a table: a row for each thing that is shown, a column for each image.

    Parameters
    ----------
    rows : sequence of array (columns, y, x, 1 or 3)
        In 0..1; rows may differ in the size of their pictures.
    names : sequence of str
        Stands at the left of each row.
    headings : sequence of str
        Stands over each column.
    under : sequence of sequence of str
        For each row a text under each picture, such as its error; empty for none.

    Returns
    -------
    Figure
    """
    columns = len(rows[0])
    side = min(1.25, (WIDTH - 1.5) / columns)
    heights = [side * row.shape[1] / row.shape[2] for row in rows]
    texts = 0.2 * sum(1 for texts in under if texts)
    figure = new_figure(sum(heights) + 0.08 * len(rows) + texts + 0.3, side * columns + 1.5)
    pads = {"w_pad": 0.02, "h_pad": 0.02, "wspace": 0, "hspace": 0}
    figure.get_layout_engine().set(**pads)  # type: ignore[union-attr]
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for r, (row, name) in enumerate(zip(rows, names, strict=True)):
        for c in range(columns):
            ax = bare(grid[r, c])
            ax.imshow(rgb(row[c]))
            if r == 0 and headings:
                ax.set_title(headings[c], loc="center", fontsize=9, weight="normal")
            if under and under[r]:
                ax.set_xlabel(under[r][c], fontsize=8.5, labelpad=2)
        grid[r, 0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10)
    return figure
