"""What the parser returns: groups of keys with the place each was written at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from neurosim.specs import Origin

Value = float | bool | str | tuple[float | bool | str, ...] | None
"""A value of a params file: a number, true or false, a text, an array, or NULL."""


@dataclass(frozen=True)
class Entry:
    """The value of a key and where it was written; line 0 where it came from no file."""

    value: Value
    file: str
    line: int

    @property
    def where(self) -> str:
        """``file:line``."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Group:
    """``kind "name" = { entries };`` as written at a line of a file."""

    kind: str
    name: str
    entries: Mapping[str, Entry]
    file: str
    line: int

    @property
    def title(self) -> str:
        """``kind "name"``, for messages."""
        return f'{self.kind} "{self.name}"'

    def where(self, key: str | None = None) -> str:
        """Return ``file:line`` of a key, or of the group where the key was not written."""
        entry = self.entries.get(key or "")
        if entry is not None:
            return entry.where
        return f"{self.file}:{self.line}" if self.line else self.file

    def get(self, key: str, default: Value = None) -> Value:
        """Return the value of a key, or `default` where it was not written."""
        entry = self.entries.get(key)
        return default if entry is None else entry.value

    @property
    def origin(self) -> Origin:
        """Where the group and its keys were written."""
        lines = {key: (entry.file, entry.line) for key, entry in self.entries.items()}
        return Origin(self.file, self.line, lines)


@dataclass(frozen=True)
class Sweep:
    """``ParameterSweep "group":key = { values };``."""

    group: str
    key: str
    values: tuple[Value, ...]
    file: str
    line: int


@dataclass(frozen=True)
class Parsed:
    """A params file as written: its groups, its sweeps, and what is worth a note."""

    groups: tuple[Group, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    notes: tuple[str, ...] = field(default=())
