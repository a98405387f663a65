"""The values a plan is made of: buffers, schedules and operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Role = Literal["state", "scratch", "weights", "momentum", "probe", "stimulus"]
DType = Literal["real", "float64", "int64"]
#: Which steps of an uninterrupted stretch an operator belongs to; see :class:`Operator`.
Place = Literal["every", "first", "rest", "renew", "last", "last_rest"]


@dataclass(frozen=True)
class Buffer:
    """One array of a plan.

    Attributes
    ----------
    name : str
        ``object:what``, such as ``V1:V`` (membrane potential), ``V1:A``
        (activity), ``V1:G`` (summed input), ``V1ToFaceError:W`` (weights).
    shape : tuple of int
        ``(batch, y, x, feature)`` for layers, ``(arbor, kernel, y, x,
        feature)`` for weights, ``(batch, ...)`` for probes.
    dtype : {"real", "float64", "int64"}
        ``real`` is the precision the run was asked for.
    role : str
        ``state``, ``weights``, ``momentum`` and ``probe`` buffers are saved in
        checkpoints; ``scratch`` and ``stimulus`` are made again.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType = "real"
    role: Role = "scratch"

    @property
    def saved(self) -> bool:
        return self.role in ("state", "weights", "momentum", "probe")


@dataclass(frozen=True)
class Schedule:
    """The steps at which something happens: ``first, first + every, ...``.

    ``every == 0`` means once. Steps count from 1.
    """

    first: int = 1
    every: int = 1

    def fires(self, step: int) -> bool:
        """Whether ``step`` belongs to the schedule."""
        if step < self.first:
            return False
        return step == self.first if self.every == 0 else (step - self.first) % self.every == 0

    def next(self, step: int) -> int | None:
        """First step of the schedule at or after ``step``; None when there is none."""
        if step <= self.first:
            return self.first
        if self.every == 0:
            return None
        return step + (self.first - step) % self.every

    def shifted(self, offset: int) -> Schedule:
        """The schedule of something that happens ``offset`` steps earlier."""
        first = self.first - offset
        if self.every and first < 1:
            first += -(-(1 - first) // self.every) * self.every
        return Schedule(first, self.every)

    @property
    def always(self) -> bool:
        return self.first <= 1 and self.every == 1

    def __str__(self) -> str:
        if self.always:
            return "every step"
        if self.every == 0:
            return f"step {self.first}"
        return f"step {self.first}, then every {self.every}"


ALWAYS = Schedule(1, 1)


#: How the plan is printed.
PLACES: dict[Place, str] = {
    "first": "after a change from outside",
    "rest": "unless after a change from outside",
    "renew": "after a change from outside or a restart",
    "last": "after a change from outside, before a look",
    "last_rest": "before a look, unless after a change from outside",
}


@dataclass(frozen=True)
class Operator:
    """One piece of work on buffers; a backend turns it into a callable.

    Attributes
    ----------
    kind : str
        What is done; the key under which backends hold their kernels.
    name : str
        The layer, connection or probe it was made for.
    reads, sets, incs, updates : tuple of str
        Buffers read only, overwritten, added to, and read and overwritten.
    scalars : mapping
        Constants of the operator.
    when : Schedule
        The steps at which it runs.
    at : str
        Fused plans leave out what nobody looks at between two interruptions:
        ``first`` runs in a step after buffers were written from outside or
        weights have changed, ``rest`` in all others, ``renew`` after such a
        change or when a checkpoint was taken up; ``last`` after such a change and
        in a step after which someone may look, ``last_rest`` in the latter only.
    """

    kind: str
    name: str
    reads: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    incs: tuple[str, ...] = ()
    updates: tuple[str, ...] = ()
    scalars: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    when: Schedule = ALWAYS
    at: Place = "every"

    @property
    def target(self) -> str:
        """The buffer it writes first."""
        return self.writes[0]

    @property
    def writes(self) -> tuple[str, ...]:
        """All buffers it changes."""
        return self.sets + self.incs + self.updates

    @property
    def steady(self) -> bool:
        """Whether it runs in every step."""
        return self.when.always and self.at == "every"

    def __str__(self) -> str:
        parts = [f"{self.kind:<16} {self.name:<22}"]
        for label in ("reads", "sets", "incs", "updates"):
            names = getattr(self, label)
            if names:
                parts.append(f"{label} {', '.join(names)}")
        if not self.when.always:
            parts.append(f"[{self.when}]")
        if self.at != "every":
            parts.append(f"[{PLACES[self.at]}]")
        return "  ".join(parts)


@dataclass(frozen=True)
class ProbeColumns:
    """How the values of a probe are recorded: names of its columns, when."""

    buffer: str
    kind: str
    columns: tuple[str, ...]
    when: Schedule


@dataclass(frozen=True)
class Plan:
    """Buffers and ordered operators of a network: a printable value.

    Attributes
    ----------
    buffers : mapping
        By name.
    start : tuple of Operator
        Run once before the first step, after values are written.
    step : tuple of Operator
        One time step for one batch element, in order. Elements are
        independent of each other here.
    learn : tuple of Operator
        Weight updates at the end of a step; these see the whole batch.
    probes : mapping
        Probe name to the buffer that holds its value.
    layers : mapping
        Layer name to the names of its (potential, activity) buffers.
    """

    nbatch: int
    buffers: Mapping[str, Buffer]
    start: tuple[Operator, ...]
    step: tuple[Operator, ...]
    learn: tuple[Operator, ...]
    probes: Mapping[str, ProbeColumns]
    layers: Mapping[str, tuple[str, str]]

    def describe(self) -> str:
        """The plan as text, one operator a line."""
        lines = ["buffers"]
        for b in self.buffers.values():
            lines.append(f"  {b.name:<28} {'x'.join(map(str, b.shape)):<20} {b.dtype} {b.role}")
        for slot in ("start", "step", "learn"):
            lines.append(slot)
            lines += [f"  {op}" for op in getattr(self, slot)]
        return "\n".join(lines)
