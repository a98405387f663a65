"""What linear classifiers read from the codes: their weights and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from neurosim.plotting.style import (
    GREY,
    INK,
    LIGHT,
    MARKERS,
    REST,
    SETS,
    TARGET,
    new_figure,
    styled,
)


@styled
def svm_weights(weights: np.ndarray, marked: int | None = None, named: int = 5) -> Figure:
    """Weights of a linear classifier, by neuron and sorted.

    Parameters
    ----------
    weights : array (unit,)
        Positive ones speak for the target.
    marked : int, optional
        A neuron to point at.
    named : int
        How many of the largest magnitude are told by number.

    Returns
    -------
    Figure
    """
    figure = new_figure(3.4)
    left, right = figure.subplots(1, 2, width_ratios=[2.6, 1], sharey=True)
    units = np.arange(len(weights))
    left.vlines(units, 0, weights, color=np.where(weights > 0, TARGET, REST), lw=1.0)
    largest = float(np.abs(weights).max()) or 1.0
    told = list(np.argsort(-np.abs(weights), kind="stable")[:named])
    if marked is not None:
        left.plot(marked, weights[marked], "o", color=TARGET, mec=INK, ms=7, zorder=3)
        told = [marked, *[unit for unit in told if unit != marked]]
    for unit in told:
        up = weights[unit] >= 0
        left.annotate(
            str(unit), (unit, weights[unit]), (0, 5 if up else -5), textcoords="offset points",
            ha="center", va="bottom" if up else "top", fontsize=9,
            weight="bold" if unit == marked else "normal",
        )  # fmt: skip
    order = np.argsort(-weights, kind="stable")
    right.fill_between(units, 0, weights[order], where=weights[order] >= 0, color=TARGET, lw=0)
    right.fill_between(units, 0, weights[order], where=weights[order] <= 0, color=REST, lw=0)
    if marked is not None:
        place = int(np.flatnonzero(order == marked)[0])
        right.plot(place, weights[marked], "o", color=TARGET, mec=INK, ms=7)
    left.set(xlabel="neuron", ylabel="weight", xlim=(-0.02 * len(weights), 1.02 * len(weights)))
    left.set_ylim(-1.22 * largest, 1.22 * largest)
    right.set(xlabel="neurons, by weight")
    for ax in (left, right):
        ax.axhline(0, color=GREY, lw=0.8)
    return figure


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@styled
def scores(
    rows: Mapping[str, Mapping[str, Interval]],
    sets: Sequence[str],
    xlabel: str = "balanced accuracy (0.5: chance)",
    chance: float = 0.5,
    strong: Sequence[str] = (),
) -> Figure:
    """Scores of several classifiers in several sets, with their intervals.

    Parameters
    ----------
    rows : mapping of str to mapping of str to Interval
        By classifier, then by set; what is missing is left out.
    sets : sequence of str
        The order, and the colours, of the sets.
    xlabel : str
    chance : float
        What guessing gives; a dashed line where the axis comes so low.
    strong : sequence of str
        Classifiers whose names are set in bold.

    Returns
    -------
    Figure
    """
    figure = new_figure(0.17 * len(rows) * (len(sets) + 1) + 1.0)
    ax = figure.subplots()
    step = 1 / (len(sets) + 1)
    for number, name in enumerate(sets):
        found = [(r, row[name]) for r, row in enumerate(rows.values()) if name in row]
        if not found:
            continue
        y = np.array([r for r, _ in found]) + step * (number + 1) - 0.5
        value = np.array([one.value for _, one in found])
        low = np.array([one.low for _, one in found])
        high = np.array([one.high for _, one in found])
        ax.errorbar(
            value, y, xerr=np.clip([value - low, high - value], 0, None),
            fmt=MARKERS[number % len(MARKERS)], color=SETS[number % len(SETS)], ms=5.5,
            elinewidth=1.3, capsize=2.5, label=name,
        )  # fmt: skip
    if ax.get_xlim()[0] < chance:
        ax.axvline(chance, color=GREY, lw=1, ls=(0, (4, 2)))
    for r in range(1, len(rows)):
        ax.axhline(r - 0.5, color=LIGHT, lw=0.7)
    ax.set_yticks(range(len(rows)), list(rows))
    for text in ax.get_yticklabels():
        text.set_fontsize(10)
        if text.get_text() in strong:
            text.set_fontweight("bold")
    ax.tick_params(axis="y", length=0)
    ax.set(xlabel=xlabel, ylim=(len(rows) - 0.5, -0.5))
    ax.grid(axis="x")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
