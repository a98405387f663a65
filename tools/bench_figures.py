"""Figures of the results: scaling curves, energy gaps, times side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

Result = dict[str, Any]
#: Units of the axes of the scaling curves.
LABELS = {
    "batch": "batch (images)",
    "features": "features",
    "image side": "image side (pixels)",
    "threshold": "threshold",
    "levels": "levels",
    "threads": "threads (batch 16)",
    "active": "active fraction of V1 (%)",
}


def draw(result: Result, folder: Path) -> list[Path]:
    """Write a PNG for each case that has one; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    makers = {"curves": _curves, "solution": _gaps, "v1": _times, "dense": _times, "paper": _times}
    for name, make in makers.items():
        case = result["cases"].get(name)
        if case and case["rows"]:
            figure = make(case)
            path = folder / f"{name}.png"
            figure.savefig(path, dpi=130, bbox_inches="tight", metadata={"Software": None})
            plt.close(figure)
            drawn.append(path)
    return drawn


def _curves(case: dict[str, Any]) -> Any:
    """A panel an axis; the threshold is shown by the active fraction it leaves."""
    axes = list(dict.fromkeys(row["axis"] for row in case["rows"]))
    columns = min(3, len(axes))
    lines = -(-len(axes) // columns)
    figure, panels = plt.subplots(
        lines, columns, figsize=(3.6 * columns, 3.0 * lines), squeeze=False, layout="constrained",
        sharey=True,
    )  # fmt: skip
    for panel, axis in zip(panels.flat, axes, strict=False):
        rows = [r for r in case["rows"] if r["axis"] == axis]
        for name in dict.fromkeys(r["contestant"] for r in rows):
            mine = [r for r in rows if r["contestant"] == name]
            x = [
                100 * max(r["active"]["V1"], 1e-5) if axis == "threshold" else r["value"]
                for r in mine
            ]
            y = [r["ms"]["median"] for r in mine]
            ends = [[r["ms"][end] for r in mine] for end in ("min", "max")]
            panel.plot(x, y, "o-", label=name, markersize=4)
            panel.fill_between(x, *ends, alpha=0.2)
        panel.set(xscale="log", yscale="log")
        panel.set_xlabel(LABELS["active" if axis == "threshold" else axis])
        ticks = [] if axis == "threshold" else sorted({r["value"] for r in rows})
        plain_ticks(panel.xaxis)
        if ticks:
            panel.set_xticks(ticks, [f"{t:g}" for t in ticks])
            panel.minorticks_off()
        panel.grid(alpha=0.3)
    for panel in list(panels.flat)[len(axes) :]:
        panel.set_visible(False)
    for panel in panels[:, 0]:
        panel.set_ylabel("ms per image and step")
    panels.flat[0].legend(fontsize=8)
    return figure


def plain_ticks(axis: Any) -> None:
    """Numbers 1, 2, 5, 10, ... on a log axis, not powers of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _gaps(case: dict[str, Any]) -> Any:
    """Relative energy gap against steps."""
    figure, panel = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, gaps in case["facts"]["tracks"].items():
        shown = [max(g, 1e-7) for g in gaps]
        panel.plot(range(1, len(shown) + 1), shown, label=name, linewidth=1.2)
    for gap in (1e-2, 1e-3):
        panel.axhline(gap, color="grey", linewidth=0.7, linestyle=":")
    panel.set(xscale="log", yscale="log", xlabel="steps", ylabel="relative energy gap")
    panel.set_ylim(1e-6, 10)
    panel.legend(fontsize=8)
    panel.grid(alpha=0.3)
    return figure


def _times(case: dict[str, Any]) -> Any:
    """Median times with their ranges, on a log axis."""
    rows = case["rows"][::-1]
    names = [
        f"{r['contestant']} ({r['threads']} core{'s' * (r['threads'] > 1)}, batch {r['images']})"
        for r in rows
    ]
    medians = [r["ms"]["median"] for r in rows]
    low = [m - r["ms"]["min"] for m, r in zip(medians, rows, strict=True)]
    high = [r["ms"]["max"] - m for m, r in zip(medians, rows, strict=True)]
    figure, panel = plt.subplots(figsize=(8, 0.35 * len(rows) + 1), layout="constrained")
    for at, row in enumerate(rows):
        colour = "tab:blue" if row["contestant"].startswith("neurosim") else "grey"
        ends = [[low[at]], [high[at]]]
        panel.errorbar(medians[at], at, xerr=ends, fmt="o", color=colour, capsize=3)
    panel.set_yticks(range(len(rows)), names)
    panel.set(xscale="log", xlabel=case["unit"])
    plain_ticks(panel.xaxis)
    panel.tick_params(axis="y", labelsize=8)
    panel.grid(alpha=0.3, axis="x")
    return figure
