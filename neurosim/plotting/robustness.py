"""How little, or how much, an alteration of the images changes the codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from neurosim.plotting.style import LIGHT, MARKERS, SETS, TARGET, bare, new_figure, rgb, styled


@dataclass(frozen=True)
class Coded:
    """One image and the codes of its versions.

    Attributes
    ----------
    title : str
    pictures : mapping of str to array (y, x, 1 or 3)
        The image and its altered versions, in 0..1; the first is the original.
    codes : mapping of str to array (unit,)
        Activity of the layer for each of them.
    """

    title: str
    pictures: Mapping[str, np.ndarray]
    codes: Mapping[str, np.ndarray]


@styled
def compared_codes(images: Sequence[Coded], units: int = 40, marked: int | None = None) -> Figure:
    """Activity of a layer for a few images, before and after they were altered.

    Parameters
    ----------
    images : sequence of Coded
    units : int
        So many neurons, those most active in any version of an image.
    marked : int, optional
        A neuron whose number is set in bold.

    Returns
    -------
    Figure
    """
    figure = new_figure(3.1 * len(images))
    parts = figure.subfigures(len(images), 1, squeeze=False)[:, 0]
    for part, one in zip(parts, images, strict=True):
        names = list(one.codes)
        left, right = part.subfigures(1, 2, width_ratios=[0.17, 1])
        for ax, name in zip(left.subplots(len(names), 1, squeeze=False)[:, 0], names, strict=True):
            bare(ax).imshow(rgb(one.pictures[name]))
            ax.set_title(name, loc="center", fontsize=8.5, weight="normal", pad=2)
        ax = right.subplots()
        all_codes = np.array([one.codes[name] for name in names])
        strongest = np.argsort(-all_codes.max(axis=0), kind="stable")[:units]
        strongest = strongest[all_codes.max(axis=0)[strongest] > 0]
        order = strongest[np.argsort(-all_codes[0, strongest], kind="stable")]
        x = np.arange(len(order))
        ax.bar(x, all_codes[0, order], color=LIGHT, width=0.8, label=names[0])
        for number, name in enumerate(names[1:]):
            ax.plot(
                x, all_codes[number + 1, order], MARKERS[number % len(MARKERS)], label=name,
                color=SETS[(number + 1) % len(SETS)], ms=4.5, mfc="none", mew=1.3,
            )  # fmt: skip
        ax.set_xticks(x, [str(unit) for unit in order], rotation=90, fontsize=8)
        for text in ax.get_xticklabels():
            if marked is not None and text.get_text() == str(marked):
                text.set_fontweight("bold")
                text.set_color(TARGET)
        ax.set(ylabel="activity", xlabel="neuron", xlim=(-0.8, max(len(order), 1) - 0.2))
        ax.set_title(one.title)
        ax.legend(loc="upper right")
    return figure


@styled
def distances(rows: Mapping[str, Mapping[str, float]], alterations: Sequence[str]) -> Figure:
    """Representation distance of each layer under each alteration.

    Parameters
    ----------
    rows : mapping of str to mapping of str to float
        By layer, then by alteration: mean absolute change of the activity over its
        mean standard deviation.
    alterations : sequence of str
        Their order.

    Returns
    -------
    Figure
    """
    figure = new_figure(0.24 * len(rows) * len(alterations) + 1.1)
    ax = figure.subplots()
    height = 0.8 / len(alterations)
    for number, name in enumerate(alterations):
        y = np.arange(len(rows)) - 0.4 + height * (number + 0.5)
        values = [row.get(name, np.nan) for row in rows.values()]
        ax.barh(y, values, 0.86 * height, color=SETS[(number + 1) % len(SETS)], label=name)
        for place, value in zip(y, values, strict=True):
            if np.isfinite(value):
                ax.text(value, place, f" {value:.3f}", va="center", fontsize=9)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.tick_params(axis="y", length=0)
    ax.set(xlabel="representation distance (standard deviations)", ylim=(len(rows) - 0.5, -0.5))
    ax.margins(x=0.12)
    ax.grid(axis="x")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
