"""Model and Groups -> TEXT: the echo that says a run with nothing left to defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from neurosim.paramfile.groups import Group
from neurosim.specs import Model, literal


def write_model(model: Model) -> str:
    """Return the params text of a model: every key that is read, in file order.

    Parsing the text gives the same model again.

    Examples
    --------
    >>> from neurosim.specs import HyPerCol, gather
    >>> write_model(gather([HyPerCol(name="column", nx=8, ny=8)])).splitlines()[0]
    'HyPerCol "column" = {'
    """
    specs = (model.column, *model.objects)
    return "\n".join(_group(spec.kind, spec.name, spec.effective()) for spec in specs)


def write_groups(groups: Iterable[Group]) -> str:
    """Return the params text of groups, with the keys they were given and no others."""
    return "\n".join(
        _group(group.kind, group.name, {key: e.value for key, e in group.entries.items()})
        for group in groups
    )


def _group(kind: str, name: str, values: Mapping[str, Any]) -> str:
    """Return one group; an empty array says what its absence says, and is left out."""
    shown = {key: literal(value) for key, value in values.items() if value != ()}
    lines = [f"    {key:<35} = {text};" for key, text in shown.items()]
    return "\n".join([f'{kind} "{name}" = {{', *lines, "};", ""])
