"""What tools for trials share: their command line, and what they found, in a file and a table."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import neurosim

#: What each trial found, by its name: a row for each time it was made.
Found = Mapping[str, Sequence[Mapping[str, float]]]
#: Sets of images of every trial: to learn a readout from, to measure on, and the same altered.
SETS = ("train", "validation", "altered")


def make_trials(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    names: Iterable[str],
    work: Callable[[argparse.Namespace], None],
) -> int:
    """Read the command line and do its work; the exit status. What is wrong is told in one line."""
    for name in SETS:
        parser.add_argument(f"--{name}", required=True, type=Path, metavar="IMAGES")
    parser.add_argument("--target", required=True, metavar="CLASS")
    parser.add_argument("--trial", action="append", choices=names, help="only this one; repeat")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    try:
        work(parser.parse_args(arguments))
    except neurosim.NeurosimError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def read_trials(file: Path) -> dict[str, dict]:
    """What was kept; nothing where there is no file."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if not all({"trial", "found"} <= row.keys() for row in kept.values()):
            raise ValueError("not what trials keep")
    except (ValueError, AttributeError) as error:
        raise neurosim.RequestError(f"{file}: is damaged ({error}); remove it") from None
    return kept


def write_trials(file: Path, kept: Mapping[str, dict]) -> None:
    """Keep what was found."""
    replace_file(file, json.dumps(kept, indent=1) + "\n")


def replace_file(path: Path, text: str) -> None:
    """Replace a file once the new one is whole."""
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def trial_row(kept: dict[str, dict], name: str, trial: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial has found so far, to be added to; nothing where the trial was another."""
    if kept.get(name, {}).get("trial") != trial:
        kept[name] = {"trial": trial, "found": {}}
    return kept[name]["found"]


def rows_of(kept: Mapping[str, dict], names: Iterable[str]) -> Found:
    """What is told: trials that were made, in this order."""
    every = {name: list(kept.get(name, {}).get("found", {}).values()) for name in names}
    return {name: rows for name, rows in every.items() if rows}


def trial_page(
    title: str, command: str, told: str, measures: Mapping[str, str], rows: Found
) -> str:
    """A page in Markdown: for each trial the mean of each measure, and its deviation."""
    lines = [f"# {title}", "", f"Written by `{command}`; do not edit.", "", told, ""]
    lines.append("| trial | times | " + " | ".join(measures.values()) + " |")
    lines.append("| --- |" + " ---: |" * (1 + len(measures)))
    for name, times in rows.items():
        cells = [_told([row[key] for row in times if key in row]) for key in measures]
        lines.append(f"| {name} | {len(times)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def place(path: Path) -> str:
    """A path without where it is on this machine."""
    return path.name if path.is_absolute() else str(path)


def _told(values: list[float]) -> str:
    """Mean, and deviation (of a sample) where there are several; a dash for a new measure."""
    if not values:
        return "–"
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"
