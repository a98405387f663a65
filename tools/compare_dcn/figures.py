"""Figures of the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from compare_dcn.comparison import FIGURE_5, ORIGINAL, Comparison, white_box_set

#: Colours that colour-blind readers tell apart (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#000000", "#999999")
#: As many as have no factor in common with the number of colours: a pair comes again after 88.
MARKERS = "osD^vPX*<>h"
#: Factor by which perturbations are shown larger.
MAGNIFIED = 8


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG."""
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
    return path


def look(index: int) -> dict[str, Any]:
    """Colour and marker of a line: no two of a figure are alike."""
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}


def accuracies(comparison: Comparison, models: Sequence[str]) -> Figure:
    """Figure 5: balanced accuracy of each model on the original and the altered images."""
    sets = [name for name in FIGURE_5 if name in comparison.sets]
    figure, axes = plt.subplots(figsize=(1.4 * len(models) + 3, 4))
    width = 0.8 / len(sets)
    for index, name in enumerate(sets):
        values = [comparison.accuracy(name, model)[1] for model in models]
        at = np.arange(len(models)) + (index - (len(sets) - 1) / 2) * width
        axes.bar(at, values, width, label=name, color=COLOURS[index])
    axes.axhline(0.5, color="0.5", lw=0.8, ls=":")
    axes.set(xticks=range(len(models)), ylim=(0, 1), ylabel="balanced accuracy")
    axes.set_xticklabels(models, rotation=20, ha="right")
    axes.legend(ncols=3, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def against_budget(
    comparison: Comparison, models: Sequence[str], sources: Sequence[str], method: str,
    budgets: Sequence[float],
) -> Figure:  # fmt: skip
    """Accuracy against the budget, a panel for each attacked model, a line for each source."""
    columns = min(3, len(models))
    rows = -(-len(models) // columns)
    figure, panels = plt.subplots(
        rows, columns, figsize=(4 * columns, 3.2 * rows), sharex=True, sharey=True, squeeze=False
    )
    for panel, model in zip(panels.flat, models, strict=False):
        for index, source in enumerate(sources):
            own = source == model
            points = [(0.0, comparison.accuracy(ORIGINAL, model)[1])]
            points += [
                (b, comparison.accuracy(white_box_set(source, method, b), model)[1])
                for b in budgets
            ]
            known = [(b, a) for b, a in points if not np.isnan(a)]
            if len(known) > 1:
                style = {"lw": 2.5, "ls": "-"} if own else {"lw": 1.2, "ls": "--"}
                panel.plot(*zip(*known, strict=True), **look(index), **style, ms=5)
        panel.set_title(f"attacked images shown to {model}", fontsize=9)
        panel.axhline(0.5, color="0.5", lw=0.8, ls=":")
        panel.set(ylim=(-0.03, 1.03))
    for panel in panels[-1]:
        panel.set_xlabel("largest change, grey levels of 255")
    for panel in panels[:, 0]:
        panel.set_ylabel("balanced accuracy")
    for panel in panels.flat[len(models) :]:
        panel.set_visible(False)
    figure.tight_layout()
    keys = [Line2D([], [], **look(i), ls="--", label=source) for i, source in enumerate(sources)]
    figure.legend(
        handles=keys, ncols=min(4, len(keys)), loc="upper center", bbox_to_anchor=(0.5, 0),
        title="made on (solid: on the model itself)",
    )  # fmt: skip
    return figure


def transfer(
    comparison: Comparison, models: Sequence[str], sources: Sequence[str], method: str,
    budget: float,
) -> Figure:  # fmt: skip
    """The transfer matrix at one budget: rows made on, columns shown to."""
    values = np.array(
        [
            [comparison.accuracy(white_box_set(source, method, budget), m)[1] for m in models]
            for source in sources
        ]
    )
    figure, axes = plt.subplots(figsize=(0.9 * len(models) + 2.5, 0.6 * len(sources) + 2))
    image = axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            colour = "white" if value < 0.6 else "black"
            text = "" if np.isnan(value) else f"{value:.2f}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(models)), models, rotation=30, ha="right")
    axes.set_yticks(range(len(sources)), sources)
    axes.set(xlabel="shown to", ylabel="made on")
    axes.set_title(f"balanced accuracy, largest change {budget:g} of 255", fontsize=10)
    figure.colorbar(image, ax=axes, label="balanced accuracy")
    return figure


def samples(comparison: Comparison, sets: Sequence[str], count: int = 4) -> Figure:
    """Figure 1: images, altered versions, and what was added, magnified."""
    original = comparison.images(ORIGINAL)
    rows = np.concatenate(
        [np.flatnonzero(kind)[: count // 2] for kind in (original.target, ~original.target)]
    )
    altered = [comparison.images(name) for name in sets]
    figure, panels = plt.subplots(
        len(rows), 1 + 2 * len(sets), figsize=(1.5 * (1 + 2 * len(sets)), 1.6 * len(rows)),
        squeeze=False,
    )  # fmt: skip
    for line, row in zip(panels, rows, strict=True):
        before = original.pixels[row]
        line[0].imshow(before / 255)
        for index, images in enumerate(altered):
            change = images.pixels[row] - before
            line[1 + 2 * index].imshow(images.pixels[row] / 255)
            line[2 + 2 * index].imshow(np.clip(0.5 + MAGNIFIED * change / 255, 0, 1))
    titles = ["original"]
    for name in sets:
        titles += [name, f"added, × {MAGNIFIED}"]
    for panel, title in zip(panels[0], titles, strict=True):
        panel.set_title(title, fontsize=7)
    for panel in panels.flat:
        panel.set(xticks=[], yticks=[])
    figure.tight_layout()
    return figure


def distances(comparison: Comparison, models: Sequence[str]) -> Figure:
    """Table 1 as bars: how far each alteration moves the last hidden layer."""
    sets = [name for name in FIGURE_5 if name in comparison.results["distances"]]
    figure, axes = plt.subplots(figsize=(1.4 * len(models) + 2, 3.4))
    width = 0.8 / max(len(sets), 1)
    for index, name in enumerate(sets):
        found = comparison.results["distances"][name]
        values = [found.get(model, np.nan) for model in models]
        at = np.arange(len(models)) + (index - (len(sets) - 1) / 2) * width
        axes.bar(at, values, width, label=name, color=COLOURS[(index + 1) % 8])
    axes.set_xticks(range(len(models)), models, rotation=20, ha="right")
    axes.set_ylabel("change of the last hidden layer\n(mean absolute, over its mean deviation)")
    axes.legend(fontsize=8)
    return figure
