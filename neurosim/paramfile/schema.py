"""Groups -> Model: kinds and keys are known, values have their type and range."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from neurosim.errors import ParamsError
from neurosim.paramfile.groups import Group, Value
from neurosim.paramfile.oldkeys import (
    KIND_RENAMES,
    NEUTRAL,
    ambiguous,
    modern_groups,
    modern_names,
    our_keys,
    petavision,
    untriggered,
)
from neurosim.specs import (
    COMPACT,
    KINDS,
    HyPerCol,
    Model,
    Spec,
    build,
    conditions,
    gather,
    literal,
)


@dataclass
class Report:
    """What was found on the way: errors to raise together, ignored keys to tell in one note."""

    lenient: bool = False
    errors: list[str] = field(default_factory=list)
    ignored: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def ignore(self, group: Group, key: str) -> None:
        """Remember a key that has no effect."""
        self.ignored.setdefault(key, []).append(group.name)

    def unknown(self, message: str) -> None:
        """Remember a key that no version has: an error, or a note where that is asked for."""
        (self.notes if self.lenient else self.errors).append(message)

    def raise_errors(self) -> None:
        """Raise all errors as one."""
        if self.errors:
            raise ParamsError("\n".join(self.errors))

    def ignored_note(self) -> str:
        """Return the note on keys without effect, or nothing."""
        if not self.ignored:
            return ""
        items = [
            f"{key} ({names[0] if len(names) == 1 else f'{len(names)} groups'})"
            for key, names in sorted(self.ignored.items(), key=lambda item: item[0].lower())
        ]
        return f"ignored, for they have no effect where they stand: {', '.join(items)}"


def build_model(groups: Sequence[Group], report: Report, file: str = "") -> Model:
    """Return the model that plain groups declare, with every default filled in.

    Parameters
    ----------
    groups
        As parsed and expanded.
    report
        Collects notes and ignored keys.
    file
        Where to say that a HyPerCol is missing.

    Raises
    ------
    ParamsError
        Names every unknown kind, unknown key and wrong value, each with file and line.
    """
    check_kinds(groups, report)
    report.raise_errors()
    report.notes += ambiguous(groups)
    groups = modern_groups(groups)
    specs = [spec for group in groups if (spec := build_spec(group, report)) is not None]
    columns = [group for group in groups if group.kind == "HyPerCol"]
    if not columns:
        where = groups[0].where() if groups else f"{file or '<text>'}:1"
        report.errors.append(
            f'{where}: no HyPerCol; a params file starts with HyPerCol "column" = '
            "{ nx = 64; ny = 64; stopTime = 400; };"
        )
    for extra in columns[1:]:
        report.errors.append(
            f"{extra.where()}: {extra.title}: a second HyPerCol; the first is at "
            f"{columns[0].where()}"
        )
    report.raise_errors()
    model = gather(specs, {group.name: group.origin for group in groups})
    _refuse_unused(model.column, groups, report)
    return model


def check_kinds(groups: Iterable[Group], report: Report) -> None:
    """Add one error that names every group whose kind is not supported."""
    strange = [g for g in groups if KIND_RENAMES.get(g.kind, g.kind) not in {**KINDS, **COMPACT}]
    if not strange:
        return
    _, old = petavision()
    lines = []
    for group in strange:
        near = get_close_matches(group.kind, [*KINDS, *COMPACT], 1)
        cure = "PetaVision has it, neurosim does not" if group.kind in old else "no such kind"
        guess = f'; did you mean "{near[0]}"?' if near and group.kind not in old else ""
        lines.append(f"{group.where()}: {group.title}: {cure}{guess}")
    report.errors.append("\n".join(lines))


def build_spec(group: Group, report: Report) -> Spec | None:
    """Return the spec of one group, or None after adding its errors to the report."""
    kind = KINDS.get(group.kind) or COMPACT[group.kind]
    values, written = _known_values(group, report)
    spec, problems = build(kind, group.name, values)
    for key, message in problems:
        where = group.where(written.get(key))
        report.errors.append(f"{where}: {group.title}: {message}")
    if spec is not None:
        dropped = [key for key in values if key not in spec.model_fields_set]
        for key in (*spec.unread(), *dropped):
            report.ignore(group, written[key])
    return spec


def _known_values(group: Group, report: Report) -> tuple[dict[str, Value], dict[str, str]]:
    """Return the values of known keys by today's names, and how each name was written."""
    known = conditions(KINDS.get(group.kind) or COMPACT[group.kind])
    names = modern_names(group) if group.kind in KINDS else {key: key for key in group.entries}
    values: dict[str, Value] = {}
    written: dict[str, str] = {}
    for key, new in names.items():
        silenced = new.startswith("trigger") and untriggered(group)
        if new in known and not silenced:
            values[new] = group.entries[key].value
            written[new] = key
        elif problem := _changes_numbers(group, key):
            report.unknown(problem)
        elif key in petavision()[0]:
            report.ignore(group, key)
        else:
            report.unknown(f"{group.where(key)}: {group.title}: {_unknown(key, known)}")
    return values, written


def _changes_numbers(group: Group, key: str) -> str:
    """Return what is wrong with an old key whose value neurosim cannot honour, or nothing."""
    neutral, cure = NEUTRAL.get(key, (None, ""))
    value = group.get(key)
    if neutral is None or not isinstance(value, float | bool) or float(value) == neutral:
        return ""
    shown = literal(bool(neutral) if isinstance(value, bool) else neutral)
    return (
        f"{group.where(key)}: {group.title}: {key} = {literal(value)} has a meaning in some "
        f"PetaVision versions that neurosim does not have; set it to {shown} and {cure}"
    )


def _unknown(key: str, known: Mapping[str, object]) -> str:
    """Return what is wrong with an unknown key, and the likely cure."""
    owners = our_keys().get(key)
    if owners:
        return f'unknown key "{key}" here; it belongs to {", ".join(owners)}'
    near = get_close_matches(key, list(known), 1) or get_close_matches(key, list(our_keys()), 1)
    return f'unknown key "{key}"' + (f'; did you mean "{near[0]}"?' if near else "")


def _refuse_unused(column: HyPerCol, groups: Sequence[Group], report: Report) -> None:
    """Raise an error for ignored keys where the column asks for that."""
    if not column.errorOnUnusedParam:
        return
    report.errors += [
        f'{group.where(key)}: {group.title}: key "{key}" has no effect, and '
        "errorOnUnusedParam = true"
        for group in groups
        for key in group.entries
        if group.name in report.ignored.get(key, ())
    ]
    report.raise_errors()
