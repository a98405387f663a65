"""What single neurons of a layer answer to: which faces, and how much more than to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes
from matplotlib.ticker import MaxNLocator

from neurosim.plotting.style import (
    GREY,
    INK,
    REST,
    TARGET,
    WIDTH,
    new_figure,
    share,
    sheet,
    sheet_size,
    styled,
)

#: Faces in a row of averages.
COLUMNS = 8


def weighted_means(activity: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """Average picture of each neuron: every picture counts as much as the neuron answers to it.

    Parameters
    ----------
    activity : array (image, unit)
        Not negative.
    pictures : array (image, y, x, feature)

    Returns
    -------
    array (unit, y, x, feature)
        0 for a neuron that is never active.
    """
    total = activity.sum(axis=0)
    flat = activity.T @ pictures.reshape(len(pictures), -1)
    flat = flat / np.where(total > 0, total, 1)[:, None]
    return flat.reshape(len(total), *pictures.shape[1:])


@styled
def average_faces(
    averages: np.ndarray, overall: np.ndarray, labels: Sequence[str], columns: int = COLUMNS
) -> Figure:
    """Average picture of each neuron, and under it what sets it apart from the average of all.

    Parameters
    ----------
    averages : array (neuron, y, x, 1 or 3)
        As :func:`weighted_means` gives them, of pictures in 0..1.
    overall : array (y, x, 1 or 3)
        The mean of all pictures.
    labels : sequence of str
        A text for each neuron.
    columns : int
        Neurons in a row.

    Returns
    -------
    Figure
    """
    apart = averages - overall
    largest = max(float(np.abs(apart).max()), 1e-30)
    between = np.ones((len(averages), 1, *overall.shape[1:]))
    pairs = np.concatenate([averages, between, 0.5 + 0.5 * apart / largest], axis=1)
    columns = min(columns, len(pairs))
    width = min(WIDTH, 1.2 * columns)
    ny, nx = pairs.shape[1:3]
    figure = new_figure(sheet_size(ny, nx, len(pairs), columns, True, width)[2] + 0.2, width)
    sheet(figure.subplots(), pairs, columns, labels, width)
    return figure


@styled
def radial(
    means: Sequence[np.ndarray],
    deviations: Sequence[np.ndarray],
    titles: Sequence[str],
    marked: int | None = None,
    label: str = "",
) -> Figure:
    """Mean activity of every neuron around a circle, a circle for each class.

    The neurons stand clockwise from the top in the order given.

    Parameters
    ----------
    means, deviations : sequence of array (unit,)
        Mean and standard deviation over the images of each class; mean ± deviation is
        shaded, cut at 0.
    titles : sequence of str
        One for each class.
    marked : int, optional
        Place in the order of a neuron to point at.
    label : str
        What is said of it.

    Returns
    -------
    Figure
    """
    figure = new_figure(5.1)
    colors = [TARGET, REST, *[GREY] * len(means)]
    top = 1.05 * max(float((m + s).max()) for m, s in zip(means, deviations, strict=True))
    angle = 2 * np.pi * np.arange(len(means[0]) + 1) / len(means[0])
    for number, (mean, deviation, title) in enumerate(zip(means, deviations, titles, strict=True)):
        ax = figure.add_subplot(1, len(means), number + 1, projection="polar")
        assert isinstance(ax, PolarAxes)
        color = colors[number]
        # The circle closes where it began.
        mean, deviation = (np.append(values, values[0]) for values in (mean, deviation))
        low, high = np.clip(mean - deviation, 0, None), mean + deviation
        ax.fill_between(angle, low, high, color=color, alpha=0.25, lw=0, label="± 1 std")
        ax.plot(angle, mean, color=color, lw=0.9, label="mean")
        ax.set_theta_zero_location("N")
        ax.set_theta_direction(-1)
        ax.set_rlabel_position(202)
        rings = MaxNLocator(4).tick_values(0, top)
        ax.set(xticks=[], yticks=[ring for ring in rings if 0 < ring < top], ylim=(0, top))
        ax.tick_params(axis="y", labelsize=8.5, labelcolor=GREY)
        ax.grid(True)
        ax.spines["polar"].set_color("#d5d5d5")
        ax.set_title(title, loc="center", color=color, pad=18)
        ax.legend(loc="lower left", bbox_to_anchor=(-0.08, -0.08))
        if marked is not None:
            ax.plot([angle[marked]] * 2, [0, top], color=INK, lw=0.9, ls=(0, (3, 2)))
            ax.plot(angle[marked], mean[marked], "o", color=color, mec=INK, ms=6)
            ax.text(angle[marked], 1.03 * top, label, ha="center", va="bottom", fontsize=9)
    return figure


@dataclass(frozen=True)
class Answers:
    """Activity of one neuron in the images of one set.

    Attributes
    ----------
    title : str
    activity : array (image,)
    target : bool array (image,)
        Which images show the target.
    """

    title: str
    activity: np.ndarray
    target: np.ndarray


@styled
def neuron_activity(
    sets: Sequence[Answers], threshold: float | None, target: str, others: str = "others"
) -> Figure:
    """Activity of one neuron over all images of several sets, a row for each set.

    Parameters
    ----------
    sets : sequence of Answers
    threshold : float, optional
        Activity at or above which it says "target"; a dashed line.
    target, others : str
        What the images show.

    Returns
    -------
    Figure
    """
    figure = new_figure(1.95 * len(sets) + 0.4)
    grid = figure.subplots(len(sets), 3, squeeze=False, sharey=True, width_ratios=[1.1, 3, 0.9])
    top = max(float(one.activity.max()) for one in sets)
    top = max(top, threshold or 0) * 1.04 or 1.0
    for row, one in zip(grid, sets, strict=True):
        groups = ((one.target, TARGET), (~one.target, REST))
        for number, (chosen, color) in enumerate(groups):
            _dots(row[number], one.activity[chosen], color)
            _shares(row[2], one.activity[chosen], top, color, number)
        row[0].set(ylabel="activity", ylim=(-0.03 * top, top))
        # It runs on over the next axes, whose own empty title keeps the height for it.
        row[1].set_title(" ")
        row[0].annotate(
            one.title, (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points",
            fontsize=11, weight="bold",
        ).set_in_layout(False)  # fmt: skip
        row[2].xaxis.set_major_locator(MaxNLocator(2))
        row[2].xaxis.set_major_formatter(lambda value, _: share(value))
        for ax in row:
            if threshold is not None:
                ax.axhline(threshold, color=INK, lw=1, ls=(0, (4, 2)))
    for ax, name, color in zip(grid[-1], (target, others), (TARGET, REST), strict=False):
        ax.set_xlabel(f"images of {name}", color=color)
    grid[-1, 2].set_xlabel("of the images")
    return figure


def _shares(ax: Axes, values: np.ndarray, top: float, color: str, line: int) -> None:
    """How the answers are spread; those that are 0 would dwarf all others and are told in words."""
    if not len(values):
        return
    answers, bins = values[values > 0], np.linspace(0, top, 25).tolist()
    weights = np.full(len(answers), 1 / len(values))
    ax.hist(
        answers, bins, weights=weights, orientation="horizontal", color=color, alpha=0.55
    )  # fmt: skip
    text = f"{share(1 - len(answers) / len(values))} silent"
    ax.text(
        1, 0.97 - 0.15 * line, text, transform=ax.transAxes, color=color, ha="right", va="top",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
        fontsize=9,
    )  # fmt: skip


def _dots(ax: Axes, values: np.ndarray, color: str) -> None:
    """A dot for each image, in their order; thousands of them are stored as a picture."""
    ax.plot(
        np.arange(1, len(values) + 1), values, "o", ms=2.6, color=color, alpha=0.65, mew=0,
        rasterized=len(values) > 500,
    )  # fmt: skip
    ax.set_xlim(0, len(values) + 1)
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))


@styled
def two_ways(
    x: np.ndarray, y: np.ndarray, xlabel: str, ylabel: str, marked: Mapping[int, str]
) -> Figure:
    """Mean response of each neuron to one class by two ways, such as by face and by name.

    Parameters
    ----------
    x, y : array (unit,)
    xlabel, ylabel : str
    marked : mapping of int to str
        Neurons to name, with the text.

    Returns
    -------
    Figure
    """
    figure = new_figure(4.2, 4.8)
    ax = figure.subplots()
    rest = np.setdiff1d(np.arange(len(x)), list(marked))
    ax.plot(x[rest], y[rest], "o", ms=4, color=REST, alpha=0.6, mew=0, rasterized=len(x) > 1000)
    for unit, text in marked.items():
        ax.plot(x[unit], y[unit], "D", ms=7, color=TARGET, mec=INK)
        ax.annotate(text, (x[unit], y[unit]), (7, 4), textcoords="offset points", fontsize=9.5)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.margins(0.08)
    ax.locator_params(nbins=6)
    ax.grid(True)
    return figure
