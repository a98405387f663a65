"""A params file, from its path or text to its model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from neurosim.errors import ParamsError, RequestError
from neurosim.paramfile.expand import expand
from neurosim.paramfile.groups import Group, Sweep, Value
from neurosim.paramfile.oldkeys import without_watchers
from neurosim.paramfile.parser import parse_text, read_text
from neurosim.paramfile.schema import Report, build_model
from neurosim.paramfile.sweep import (
    apply_overrides,
    missing_values,
    read_overrides,
    readable_sweeps,
    split_overrides,
    sweep_overrides,
)
from neurosim.specs import Model


@dataclass(frozen=True)
class Loaded:
    """A params file, read and checked.

    Attributes
    ----------
    model
        Every group with every default filled in.
    groups
        The groups as written, overrides applied.
    expanded_groups
        The same after compact groups were replaced by plain ones.
    source_text
        The text of the file itself, without what it includes.
    notes
        What a user should hear about, once per run.
    sweeps
        The overrides of each run a ParameterSweep asks for; empty without one.
    """

    model: Model
    groups: tuple[Group, ...]
    expanded_groups: tuple[Group, ...]
    source_text: str
    notes: tuple[str, ...] = ()
    sweeps: tuple[Mapping[str, Value], ...] = ()


def load_model(
    path: str | Path,
    overrides: Mapping[str, Value] | Iterable[str] = (),
    lenient: bool = False,
) -> Loaded:
    """Read a params file.

    Parameters
    ----------
    path
        The file.
    overrides
        New values, as ``{"V1.VThresh": 0.02}`` or as texts ``"V1.VThresh=0.02"``.
    lenient
        Tell of unknown keys in a note instead of refusing them.

    Raises
    ------
    ParamsError
        The file is wrong; ``file:line: kind "name": what, what is allowed``.
    RequestError
        An override names no group or no key.
    """
    return load_text(read_text(path), str(path), overrides, lenient)


def load_text(
    text: str,
    filename: str = "<text>",
    overrides: Mapping[str, Value] | Iterable[str] = (),
    lenient: bool = False,
) -> Loaded:
    """Read the text of a params file; like :func:`load_model` otherwise."""
    parsed = parse_text(text, filename)
    report = Report(lenient)
    written = without_watchers(parsed.groups, report.notes)
    sweeps = readable_sweeps(parsed, report.notes)
    runs = sweep_overrides(sweeps)
    changes = {**missing_values(written, runs), **read_overrides(overrides)}
    early, late = split_overrides(written, changes)
    groups = apply_overrides(written, early)
    expanded = apply_overrides(expand(groups, report), late)
    model = build_model(expanded, report, filename)
    _check_sweeps(sweeps, groups, expanded)
    notes = [*parsed.notes, *report.notes, report.ignored_note()]
    return Loaded(
        model,
        groups,
        expanded,
        text,
        tuple(note for note in notes if note),
        runs,
    )


def parse_model(text: str, filename: str = "<text>") -> Model:
    """Return the model that the text of a params file declares.

    Examples
    --------
    >>> parse_model('HyPerCol "column" = { nx = 64; ny = 64; };').column.nx
    64
    """
    return load_text(text, filename).model


def _check_sweeps(
    sweeps: Sequence[Sweep], groups: Sequence[Group], expanded: Sequence[Group]
) -> None:
    """Raise an error for a sweep of what does not exist."""
    for sweep in sweeps:
        target = {f"{sweep.group}.{sweep.key}": sweep.values[0] if sweep.values else None}
        early, late = split_overrides(groups, target)
        try:
            apply_overrides(groups, early)
            apply_overrides(expanded, late)
        except RequestError as error:
            raise ParamsError(f"{sweep.file}:{sweep.line}: ParameterSweep: {error}") from None
