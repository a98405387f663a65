"""Overrides of single keys, from the command line or from ParameterSweep groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

from neurosim.errors import ParamsError, RequestError
from neurosim.paramfile.groups import Entry, Group, Parsed, Sweep, Value
from neurosim.paramfile.oldkeys import KEY_RENAMES, KIND_RENAMES, our_keys, petavision
from neurosim.paramfile.parser import parse_value
from neurosim.specs import COMPACT, KINDS, conditions

Overrides = Mapping[str, Value]
"""Values by ``group.key``."""


def sweep_overrides(sweeps: Sequence[Sweep]) -> tuple[dict[str, Value], ...]:
    """Return the overrides of each run that the ParameterSweep groups of a file ask for.

    Run i takes value i of every sweep.

    Raises
    ------
    ParamsError
        Sweeps of unequal length, an empty one, or two of the same key; with both lines.
    """
    runs: list[dict[str, Value]] = []
    seen: dict[str, Sweep] = {}
    for sweep in sweeps:
        target = f"{sweep.group}.{sweep.key}"
        where = f'{sweep.file}:{sweep.line}: ParameterSweep "{sweep.group}":{sweep.key}'
        if not sweep.values:
            raise ParamsError(f"{where}: has no values")
        if target in seen:
            raise ParamsError(f"{where}: is swept twice, first at line {seen[target].line}")
        if runs and len(runs) != len(sweep.values):
            first = next(iter(seen.values()))
            raise ParamsError(
                f"{where}: has {len(sweep.values)} values, but the sweep at "
                f"{first.file}:{first.line} has {len(runs)}; all sweeps need as many"
            )
        runs = runs or [{} for _ in sweep.values]
        seen[target] = sweep
        for run, value in zip(runs, sweep.values, strict=True):
            run[target] = value
    return tuple(runs)


def readable_sweeps(parsed: Parsed, notes: list[str]) -> tuple[Sweep, ...]:
    """Return the sweeps by the names their keys have today.

    A sweep of a PetaVision key that nothing here reads is left out and told in a note.
    """
    by_name = {group.name: group for group in parsed.groups}
    kept = []
    for sweep in parsed.sweeps:
        group = by_name.get(sweep.group)
        kind = KINDS.get(KIND_RENAMES.get(group.kind, group.kind)) if group else None
        known = conditions(kind) if kind else {}
        new = KEY_RENAMES.get(sweep.key, "") if sweep.key not in known else sweep.key
        if kind and new not in known and sweep.key in petavision()[0]:
            where = f'{sweep.file}:{sweep.line}: ParameterSweep "{sweep.group}":{sweep.key}'
            notes.append(f"{where}: left out, for the key has no effect")
        else:
            kept.append(replace(sweep, key=new) if new in known else sweep)
    return tuple(kept)


def missing_values(groups: Sequence[Group], runs: Sequence[Overrides]) -> dict[str, Value]:
    """Return the first run's values of the keys that a file gives only in its sweeps."""
    values: dict[str, Value] = {}
    for group in groups if runs else ():
        kind = KINDS.get(KIND_RENAMES.get(group.kind, group.kind)) or COMPACT.get(group.kind)
        for key in conditions(kind) if kind else ():
            target = f"{group.name}.{key}"
            if target in runs[0] and key not in group.entries:
                values[target] = runs[0][target]
    return values


def read_overrides(overrides: Overrides | Iterable[str]) -> dict[str, Value]:
    """Return overrides by ``group.key``, from a mapping or from texts ``group.key=value``.

    A text in a mapping is a text; after ``=`` it is read as in a params file, and what is
    no value there is taken as a text, so that paths need no quotes.

    Raises
    ------
    RequestError
        A text that is not of that form.
    """
    if isinstance(overrides, Mapping):
        return {target: _plain(value) for target, value in overrides.items()}
    read: dict[str, Value] = {}
    for text in overrides:
        target, equal, value = text.partition("=")
        if not equal or "." not in target:
            raise RequestError(f'--set {text}: give Group.key=value, as in "V1.VThresh=0.02"')
        read[target.strip()] = _typed(value.strip(), target.strip())
    return read


def _plain(value: object) -> Value:
    """Return a Python value as the value of a params file."""
    if isinstance(value, list | tuple):
        return tuple(v for v in map(_plain, value) if isinstance(v, float | bool | str))
    if value is None or isinstance(value, bool | str):
        return value
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise RequestError(f"{value!r} is no number, text, flag or array of these") from None


def _typed(text: str, target: str) -> Value:
    """Return the value a text means after ``=``."""
    try:
        return parse_value(text, f"--set {target}")
    except ParamsError:
        return text


def split_overrides(
    groups: Sequence[Group], overrides: Overrides
) -> tuple[dict[str, Value], dict[str, Value]]:
    """Return the overrides of written groups, and those left for generated ones."""
    by_name = {group.name: group for group in groups}
    early: dict[str, Value] = {}
    late: dict[str, Value] = {}
    for target, value in overrides.items():
        name, _, key = target.rpartition(".")
        group = by_name.get(name)
        compact = group is not None and group.kind in COMPACT
        mine = group is not None and (not compact or key in conditions(COMPACT[group.kind]))
        (early if mine else late)[target] = value
    return early, late


def apply_overrides(groups: Sequence[Group], overrides: Overrides) -> tuple[Group, ...]:
    """Return groups with some values changed.

    Parameters
    ----------
    groups
        As parsed.
    overrides
        New values by ``group.key``.

    Raises
    ------
    RequestError
        No such group, or no such key in its kind; names the nearest.
    """
    changed = {group.name: group for group in groups}
    for target, value in overrides.items():
        name, _, key = target.rpartition(".")
        group = changed.get(name)
        if group is None:
            raise RequestError(f'{target}: no group "{name}"{_nearest(name, changed)}')
        modern = KIND_RENAMES.get(group.kind, group.kind)
        kind = KINDS.get(modern) or COMPACT.get(modern)
        known = {*group.entries, *(conditions(kind) if kind else ())}
        if key not in known:
            raise RequestError(
                f'{target}: {group.title} has no key "{key}"{_nearest(key, known or our_keys())}'
            )
        entry = Entry(value, f"--set {target}", 0)
        changed[name] = replace(group, entries={**group.entries, key: entry})
    return tuple(changed.values())


def _nearest(name: str, names: Iterable[str]) -> str:
    """Return the question after a near name, or nothing."""
    near = get_close_matches(name, list(names), 1, 0.5)
    return f'; did you mean "{near[0]}"?' if near else ""
