"""The reference of all kinds and keys, from the fields themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from inspect import get_annotations
from typing import get_args

from pydantic_core import PydanticUndefined

from neurosim.specs import column, compact, connections, layers, probes
from neurosim.specs.base import Spec, allowed, conditions, literal, metadata
from neurosim.specs.registry import COMPACT, KINDS

_PARTS = (
    ("Column", column),
    ("Layers", layers),
    ("Connections", connections),
    ("Probes", probes),
    ("Compact form", compact),
)
#: A class with fewer keys is written out wherever it is used.
_WORTH_A_SECTION = 3
_COLUMNS = ("key", "value", "default", "unit", "meaning", "read when")
_HEAD = """# Groups and their keys

One section per keyword; keys that several kinds share stand once, at the head of their part. A
default *required* must be given wherever the key is read. Under "read when" are conditions on other
keys of the group; where they do not hold, the key has no effect. Times are in the unit of `dt`. A
flag is true if it is not 0; `infinity` is the largest float32.
"""


def markdown_reference() -> str:
    """Return a Markdown reference: a section per kind, and one per set of shared keys.

    Examples
    --------
    >>> markdown_reference().splitlines()[0]
    '# Groups and their keys'
    """
    sections = [_HEAD]
    for title, module in _PARTS:
        kinds = [{**KINDS, **COMPACT}[name] for name in module.__all__]
        sections.append(f"## {title}\n")
        if len(kinds) > 1:
            sections.append(" · ".join(_link(kind) for kind in kinds) + "\n")
        shared = dict.fromkeys(
            owner for kind in kinds for owner in _linked(kind) if owner not in kinds
        )
        sections += [_section(owner, _own_keys(owner)) for owner in shared]
        sections += [_section(kind, _written_out(kind)) for kind in kinds]
    return "\n".join(sections)


def linked_keys(kind: type[Spec]) -> dict[type[Spec], tuple[str, ...]]:
    """Return the keys of a kind that stand in other sections, by the class these are about."""
    keys: dict[type[Spec], tuple[str, ...]] = {}
    for name in conditions(kind):
        owner = _owner(kind, name)
        if owner is not kind and _has_section(owner):
            keys[owner] = (*keys.get(owner, ()), name)
    return keys


def _owner(kind: type[Spec], name: str) -> type[Spec]:
    """Return the class, of a kind and its bases, that declares a key last."""
    return next(base for base in _bases(kind) if name in get_annotations(base))


def _bases(kind: type[Spec]) -> Iterator[type[Spec]]:
    return (base for base in kind.__mro__ if issubclass(base, Spec) and base is not Spec)


def _own_keys(kind: type[Spec]) -> list[str]:
    return [name for name in conditions(kind) if _owner(kind, name) is kind]


def _has_section(kind: type[Spec]) -> bool:
    return kind.__name__ in KINDS or len(_own_keys(kind)) >= _WORTH_A_SECTION


def _linked(kind: type[Spec]) -> list[type[Spec]]:
    """Return the classes whose sections hold keys of a kind, the most general first."""
    return [base for base in reversed(list(_bases(kind))) if base in linked_keys(kind)]


def _written_out(kind: type[Spec]) -> list[str]:
    """Return the keys of a kind that no other section holds."""
    elsewhere = {name for names in linked_keys(kind).values() for name in names}
    return [name for name in conditions(kind) if name not in elsewhere]


def _title(kind: type[Spec]) -> str:
    """Return the heading of a section: the keyword, or what shared keys are about."""
    if kind.__name__ in {**KINDS, **COMPACT}:
        return kind.__name__
    return re.split("[:,.]", kind.__doc__ or kind.__name__)[0]


def _link(kind: type[Spec]) -> str:
    title = _title(kind)
    return f"[{title}](#{title.lower().replace(' ', '-')})"


def _section(kind: type[Spec], keys: list[str]) -> str:
    """Return heading, description, links to shared keys, and the table of the others."""
    parts = [f"### {_title(kind)}\n", f"{kind.__doc__}\n"]
    if kind.__name__ in {**KINDS, **COMPACT} and _linked(kind):
        links = ", ".join(_link_with_exceptions(kind, owner) for owner in _linked(kind))
        parts.append(f"Keys: {links}{', and' if keys else '.'}\n")
    if keys:
        parts.append(_table([_row(kind, name) for name in keys]))
    return "\n".join(parts)


def _link_with_exceptions(kind: type[Spec], owner: type[Spec]) -> str:
    """Return the link to shared keys, with those of them that this kind has in another way."""
    missing = [k for k in _own_keys(owner) if k not in linked_keys(kind)[owner]]
    but = f" (but {', '.join(f'`{k}`' for k in missing)})" if missing else ""
    return _link(owner) + but


def _table(rows: list[list[str]]) -> str:
    """Return a table without the columns that are empty."""
    used = [i for i in range(len(_COLUMNS)) if i < 3 or any(row[i] for row in rows)]
    lines: Iterable[list[str]] = [list(_COLUMNS), ["---"] * len(_COLUMNS), *rows]
    return "\n".join("| " + " | ".join(line[i] for i in used) + " |" for line in lines) + "\n"


def _row(kind: type[Spec], name: str) -> list[str]:
    """Return the cells of one key."""
    info = kind.model_fields[name]
    extra = metadata(info)
    required = extra["needed"] or info.default is PydanticUndefined
    default = "*required*" if required else f"`{_default(info.default)}`"
    when = " and ".join(str(condition) for condition in extra["when"])
    return [
        f"`{name}`",
        allowed(kind, name),
        default,
        extra["unit"],
        info.description or "",
        when,
    ]


def _default(value: object) -> str:
    """Return a default as it is written; choices and arrays included."""
    return literal(value) if not get_args(value) else str(value)
