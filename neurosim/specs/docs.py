"""The reference of all kinds and keys, from the fields themselves."""

from __future__ import annotations

from typing import get_args

from pydantic_core import PydanticUndefined

from neurosim.specs.base import Spec, allowed, conditions, literal, metadata
from neurosim.specs.registry import COMPACT, KINDS


def markdown_reference() -> str:
    """Return a Markdown reference: one section per kind, one table row per key.

    Examples
    --------
    >>> markdown_reference().splitlines()[0]
    '# Groups and their keys'
    """
    sections = ["# Groups and their keys\n"]
    sections += [_section(kind) for kind in (*KINDS.values(), *COMPACT.values())]
    return "\n".join(sections)


def _section(kind: type[Spec]) -> str:
    """Return heading, description and table of one kind."""
    rows = [_row(kind, name) for name in conditions(kind)]
    head = "| key | value | default | unit | meaning | read when |\n|---|---|---|---|---|---|"
    return f"## {kind.__name__}\n\n{kind.__doc__}\n\n" + "\n".join([head, *rows]) + "\n"


def _row(kind: type[Spec], name: str) -> str:
    """Return the table row of one key."""
    info = kind.model_fields[name]
    extra = metadata(info)
    required = extra["needed"] or info.default is PydanticUndefined
    default = "required" if required else f"`{_default(info.default)}`"
    when = " and ".join(str(condition) for condition in extra["when"])
    words = [f"`{name}`", allowed(kind, name), default, extra["unit"], info.description, when]
    return "| " + " | ".join(word or "" for word in words) + " |"


def _default(value: object) -> str:
    """Return a default as it is written; choices and arrays included."""
    return literal(value) if not get_args(value) else str(value)
