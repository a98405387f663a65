"""The comparison as one page, figures and tables."""

from __future__ import annotations

import base64
import csv
import re
import shutil
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from compare_dcn import figures
from compare_dcn.comparison import (
    ADVERSARIAL,
    FIGURE_5,
    NOISE,
    Comparison,
    white_box_set,
)
from compare_dcn.credibility import attacks_on_models, checks

Row = list[str]

STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; }
td, th { padding: .25em .7em; border-bottom: 1px solid #ccc; text-align: right; }
td:first-child, th:first-child { text-align: left; }
img { max-width: 100%; } figcaption { color: #444; } figure { margin: 1em 0 2em; }
"""


def figure_5(comparison: Comparison) -> list[Row]:
    """Accuracies on original, attacked, noisy and filtered images: a row for each model."""
    sets = [name for name in FIGURE_5 if name in comparison.sets]
    rows = [["model", "what", *sets]]
    for model, what in comparison.results["models"].items():
        cells = [f"{comparison.accuracy(name, model)[1]:.3f}" for name in sets]
        rows.append([model, what, *cells])
    return rows


def training(comparison: Comparison) -> list[Row]:
    """What the conv nets learned from, how well they do on all validation images, what it cost."""
    rows = [
        [
            "net", "train images", "epoch", "accuracy", "balanced", "ROC area",
            "seconds per image and step", "peak memory, GB",
        ]
    ]  # fmt: skip
    for name, r in comparison.results.get("training", {}).items():
        seconds = r["seconds_per_image"]
        rows.append(
            [
                name, f"{r['train']['target']} + {r['train']['others']}", str(r["epoch"]),
                f"{r['accuracy']:.3f}", f"{r['balanced_accuracy']:.3f}", f"{r['roc_area']:.3f}",
                f"{seconds:.2f}" if seconds else "", f"{r['peak_memory_gb']:.1f}",
            ]
        )  # fmt: skip
    return rows


def table_1(comparison: Comparison) -> list[Row]:
    """How far alterations move the last hidden layer: a row for each model."""
    sets = [name for name in FIGURE_5 if name in comparison.results["distances"]]
    rows = [["model", *sets]]
    for model in comparison.results["models"]:
        values = [comparison.results["distances"][name].get(model, np.nan) for name in sets]
        rows.append([model, *(f"{value:.3f}" for value in values)])
    return rows


def transfer_rows(comparison: Comparison) -> list[Row]:
    """Every attacked set against every model, in one long table."""
    models = list(comparison.results["models"])
    rows = [["made on", "method", "largest change", *models]]
    for source, method, budget in attacks_on_models(comparison):
        name = white_box_set(source, method, budget)
        cells = [f"{comparison.accuracy(name, model)[1]:.3f}" for model in models]
        rows.append([source, method, f"{budget:g}", *cells])
    return rows


def costs(comparison: Comparison) -> list[Row]:
    """What each attack cost."""
    rows = [["set", "method", "seconds", "seconds per image", "mean change", "queries per image"]]
    for name in comparison.sets[1:]:
        p = comparison.parameters(name)
        each = p["seconds"] / max(p["images"], 1)
        rows.append(
            [
                name, p["method"], f"{p['seconds']:.0f}", f"{each:.2f}", f"{p['mean_change']:.2f}",
                str(p.get("queries_per_image", "")),
            ]
        )  # fmt: skip
    return rows


def write_report(comparison: Comparison) -> Path:
    """Write ``report/`` in the folder of a comparison; returns its page.

    Parameters
    ----------
    comparison : Comparison
        On which at least one model was scored.
    """
    folder = comparison.folder / "report"
    folder.mkdir(exist_ok=True)
    tables = {
        "training": training(comparison),
        "accuracies": figure_5(comparison),
        "distances": table_1(comparison),
        "transfer": transfer_rows(comparison),
        "costs": costs(comparison),
    }
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
    pictures = _pictures(comparison, folder)
    page = folder / "index.html"
    page.write_text(_page(comparison, tables, pictures), "utf-8")
    return page


def write_results(comparison: Comparison, folder: Path, command: str) -> Path:
    """Write ``results.md`` into a folder, with the figures that show no photographs.

    Parameters
    ----------
    comparison : Comparison
        Whose report has been written.
    folder : Path
    command : str
        What wrote it, for the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = sorted((comparison.folder / "report").glob("*.png"), key=_by_budget)
    kept = [path for path in drawn if path.stem != "samples"]
    for path in kept:
        shutil.copyfile(path, folder / path.name)
    target = comparison.is_target
    parts = [
        "# Conv nets and deep sparse coding under attack: results\n\n"
        f"Written by `{command}`; do not "
        f"edit.\n\n{target.sum()} images of {comparison.target}, {(~target).sum()} of others. "
        "Balanced accuracies, of images rounded to 8 bits; budgets in grey levels of 255.\n"
    ]
    for title, rows in {
        "Training of the conv nets": training(comparison),
        "Figure 5": figure_5(comparison),
        "Table 1: change of the last hidden layer": table_1(comparison),
        "Every attack against every model": transfer_rows(comparison),
        "Can it be believed?": check_rows(comparison),
        "What the attacks cost": costs(comparison),
    }.items():
        lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        parts.append(f"## {title}\n\n{body}\n")
    parts.append("\n".join(f"![{path.stem}]({path.name})" for path in kept) + "\n")
    page = folder / "results.md"
    page.write_text("\n".join(parts), "utf-8")
    return page


def _by_budget(path: Path) -> tuple[str, float]:
    """Figures by name, and those of one kind by their budget."""
    kind, _, budget = path.stem.rpartition("-")
    number = re.fullmatch(r"[\d.]+", budget)
    return (kind, float(budget)) if number else (path.stem, 0.0)


def check_rows(comparison: Comparison) -> list[Row]:
    """The checks as a table."""
    rows = [["model", "what ought to hold", "holds", "found"]]
    found = checks(comparison)
    return rows + [[m, c.what, "yes" if c.holds else "NO", c.found] for m, c in found]


def _pictures(comparison: Comparison, folder: Path) -> list[tuple[Path, str]]:
    """Draw what there is; each figure with its caption."""
    models = list(comparison.results["models"])
    sets = attacks_on_models(comparison)
    drawn = [
        (
            figures.save(figures.accuracies(comparison, models), folder / "accuracies.png"),
            "Figure 5 of Springer et al. 2018: balanced accuracy of each model on the original "
            "images, under the paper's attack, under noise as large, and after a low-pass filter. "
            "0.5 is chance.",
        )
    ]
    if comparison.results["distances"]:
        figure = figures.distances(comparison, models)
        caption = "Table 1: how far alterations move the last hidden layer of each model."
        drawn.append((figures.save(figure, folder / "distances.png"), caption))
    for method in dict.fromkeys(m for _, m, _ in sets):
        sources = list(dict.fromkeys(s for s, m, _ in sets if m == method))
        budgets = sorted({b for _, m, b in sets if m == method})
        if len(sources) > 1:
            figure = figures.against_budget(comparison, models, sources, method, budgets)
            caption = (
                f"Accuracy against the budget of the attack ({method}). Solid: the model attacks "
                "itself; dashed: images made on another model."
            )
            drawn.append((figures.save(figure, folder / f"budget-{method}.png"), caption))
        for budget in budgets:
            at = [s for s, m, b in sets if (m, b) == (method, budget)]
            if len(at) < 2:
                continue
            figure = figures.transfer(comparison, models, at, method, budget)
            caption = f"Transfer of {method} attacks: rows made on, columns shown to."
            path = folder / f"transfer-{method}-{budget:g}.png"
            drawn.append((figures.save(figure, path), caption))
    shown = [name for name in (ADVERSARIAL, NOISE, "low-pass") if name in comparison.sets]
    shown += [white_box_set(s, m, b) for s, m, b in sets if b == max(x[2] for x in sets)][:1]
    if shown:
        figure = figures.samples(comparison, shown[:4])
        caption = "Figure 1: images, altered images and what was added."
        drawn.append((figures.save(figure, folder / "samples.png"), caption))
    return drawn


def _page(
    comparison: Comparison, tables: dict[str, list[Row]], pictures: Sequence[tuple[Path, str]]
) -> str:
    target = comparison.is_target
    original = comparison.results["images"]
    parts = [
        "<h1>Deep sparse coding and conv nets under attack</h1>",
        f"<p>{target.sum()} images of {escape(comparison.target)} and {(~target).sum()} of others, "
        f"from {escape(original)}; accuracies are balanced (the mean of both kinds), of images "
        "rounded to 8 bits. Budgets are grey levels of 255.</p>",
    ]
    for path, caption in pictures:
        data = base64.b64encode(path.read_bytes()).decode()
        parts.append(
            f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )
    titles = {
        "training": "Training of the conv nets",
        "accuracies": "Balanced accuracies (figure 5)",
        "distances": "Change of the last hidden layer (table 1)",
        "transfer": "Every attack against every model",
        "costs": "What the attacks cost",
    }
    for name, rows in tables.items():
        parts += [f"<h2>{titles[name]}</h2>", _table(rows)]
    parts += ["<h2>Can it be believed?</h2>", _table(check_rows(comparison))]
    head = f'<meta charset="utf-8"><title>Comparison</title><style>{STYLE}</style>'
    return f"<!doctype html><html><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def _table(rows: list[Row]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:]
    )
    return f"<table><tr>{head}</tr>{body}</table>"
