"""Puts a report together: every part there is material for, on one page."""

from __future__ import annotations

import platform
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Any

from neurosim.plotting.material import Material, gather
from neurosim.plotting.of_alteration import alteration_section
from neurosim.plotting.of_analysis import (
    completion_section,
    lead,
    neuron_section,
    score_section,
)
from neurosim.plotting.of_run import (
    dictionary_section,
    learning_section,
    network_section,
    reconstruction_section,
)
from neurosim.plotting.page import Page, Section, check_replaceable, write_page

REPORT = "report"


def make_report(run: str | Path, output: str | Path | None = None) -> Path:
    """Write the report of a run; see :func:`neurosim.plotting.report`."""
    material = gather(run)
    with material.run:
        folder = Path(output) if output is not None else material.folder / REPORT
        # Told before the work, not after it.
        check_replaceable(folder)
        return write_page(folder, make_page(material))


def make_page(material: Material) -> Page:
    """All parts of the report that there is material for."""
    found = material.analysis
    made: list[Section | None] = [network_section(material)]
    if found is not None:
        made += [
            score_section(material, found),
            neuron_section(material, found),
            completion_section(material, found),
            alteration_section(material, found),
        ]
    made += [
        learning_section(material),
        reconstruction_section(material),
        dictionary_section(material),
    ]
    sections = [section for section in made if section is not None]
    title = f"neurosim report: {material.folder.resolve().name}"
    return Page(
        title=title,
        source=_source(material),
        lead=_lead(material),
        facts=_facts(material),
        sections=sections,
        missing=material.missing,
        params=material.experiment.effective_text,
    )


def _source(material: Material) -> str:
    """Run, weights, seed and command, in a line."""
    step = f", weights after step {material.trained.checkpoint.step:,}" if material.trained else ""
    seed = material.network.model.column.randomSeed
    return f"neurosim report {shlex.quote(str(material.folder))}; seed {seed}{step}"


def _lead(material: Material) -> list[str]:
    """What the run was, in a sentence."""
    levels = ", ".join(material.levels) or "no level"
    when = material.course
    shown = f" It saw {len(when.starts) * when.nbatch:,} images." if when else ""
    state = "" if material.run.finished else " The run has not come to its end."
    found = lead(material.analysis) if material.analysis else []
    return [f"A sparse coding network of {levels} over {', '.join(material.inputs)}.{shown}{state}",
            *found]  # fmt: skip


def _facts(material: Material) -> list[tuple[str, str]]:
    """Where it comes from and how to make it again."""
    attrs = material.run.attrs
    column = material.network.model.column
    folder = shlex.quote(str(material.folder))
    facts = [("run", str(material.folder.resolve()))]
    for name, recorded in material.run.inputs.items():
        spec: Any = material.network.layers[name].spec
        classes = f", {len(recorded.classes)} classes" if recorded.classes else ""
        facts.append(
            (f"images of {name}", f"{spec.inputPath}: {len(recorded.source):,} images{classes}")
        )
    if material.trained is not None:
        facts.append(("weights", f"checkpoint after step {material.trained.checkpoint.step:,}"))
    facts += [
        ("seed", str(column.randomSeed)),
        ("time", f"{material.experiment.steps:,} steps of dt = {column.dt:g} ms, batches of "
                 f"{column.nbatch}"),
        ("computed by", "neurosim {neurosim_version}, backend {backend}, {dtype}, {threads} "
                        "threads, begun {created}".format(**attrs)),
        ("drawn by", f"neurosim {version('neurosim')}, matplotlib {version('matplotlib')}, numpy "
                     f"{version('numpy')}, Python {platform.python_version()}"),
        ("params", f"SHA-256 {attrs.get('params_sha256')}"),
        ("run again", f"neurosim show {folder} --stage specs > again.params && neurosim run "
                      "again.params -o again (relative paths of inputs start at the folder of the "
                      "params file)"),
        ("this report", f"neurosim report {folder}"),
    ]  # fmt: skip
    return facts
