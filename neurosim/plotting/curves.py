"""How a run went: energy, errors and activity over its presentations, and within one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from neurosim.plotting.style import COLORS, MARKERS, log_scale, new_figure, styled

#: Lines of more points are drawn without markers.
FEW = 40


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Running mean (n,) over at most ``width`` values, fewer at the ends."""
    if width < 2:
        return values
    kernel = np.ones(width)
    total = np.convolve(values, kernel, "same")
    return total / np.convolve(np.ones(len(values)), kernel, "same")


@styled
def learning_curves(
    panels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]],
    xlabel: str,
    ylabel: str,
    percent: bool = False,
) -> Figure:
    """Several quantities over the presentations of a run, on logarithmic axes.

    Parameters
    ----------
    panels : mapping of str to mapping of str to (array (n,), array (n,))
        By title of a panel and by name of a quantity: images shown, values. With many
        points a running mean is drawn over the faint values.
    xlabel, ylabel : str
        With units.
    percent : bool
        Values are shares in 0..1, shown in percent.

    Returns
    -------
    Figure
    """
    figure = new_figure(2.7 * len(panels) + 0.4)
    axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        # The legend has the order in which the curves end.
        for number, (name, (x, y)) in enumerate(
            sorted(curves.items(), key=lambda item: -item[1][1][-1])
        ):
            _curve(ax, x, y, number, name)
        ax.set_ylabel(ylabel)
        ax.set_title(title)
        log_scale(ax, np.concatenate([y for _, y in curves.values()]), percent)
        ax.grid(axis="y")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes[-1].set(xlabel=xlabel, xlim=(0, None))
    axes[-1].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return figure


def _curve(ax: Axes, x: np.ndarray, y: np.ndarray, number: int, name: str) -> None:
    """One quantity: its few values, or the running mean of its many."""
    color = COLORS[number % len(COLORS)]
    dashes = "-" if number < len(COLORS) else "--"
    if len(x) > FEW:
        ax.plot(x, y, color=color, alpha=0.25, lw=0.8)
        ax.plot(x, smooth(y, len(y) // 25), dashes, color=color, label=name)
    else:
        marker = MARKERS[number % len(MARKERS)]
        ax.plot(x, y, dashes, color=color, marker=marker, ms=4, label=name)


@styled
def settling(
    time: np.ndarray, energies: Sequence[np.ndarray], names: Sequence[str], ylabel: str = "energy"
) -> Figure:
    """The energy within single presentations: how the code of an image settles.

    Parameters
    ----------
    time : array (steps,)
        Since the presentation began, in simulated time.
    energies : sequence of array (steps, batch)
        Of each presentation; the mean over the batch is drawn, and its range shaded.
    names : sequence of str
        What each presentation is called.

    Returns
    -------
    Figure
    """
    figure = new_figure(3.0)
    ax = figure.subplots()
    for number, (values, name) in enumerate(zip(energies, names, strict=True)):
        color = COLORS[number % len(COLORS)]
        _band(ax, time, values, color)
        ax.plot(time, values.mean(axis=1), color=color, label=name)
    ax.set(xlabel="time since the image appeared (ms)", ylabel=ylabel)
    ax.grid(axis="y")
    ax.margins(x=0.01)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _band(ax: Axes, x: np.ndarray, values: np.ndarray, color: str) -> None:
    """From the smallest to the largest of a batch."""
    if values.shape[1] > 1:
        ax.fill_between(x, values.min(axis=1), values.max(axis=1), color=color, alpha=0.15, lw=0)
