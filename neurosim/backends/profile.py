"""Where the time of a run goes: seconds of each operator, beside what the machine could do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from neurosim.plan.operators import Operator, Plan
from neurosim.plan.work import Work, operator_work

#: Seconds spent on each of the two measurements of the machine.
MEASURING = 0.1


@dataclass(frozen=True)
class Ceiling:
    """What one core does at best, in operations and bytes a second."""

    flops: float
    bytes: float


@dataclass(frozen=True)
class OperatorTime:
    """Time and work of an operator in a run.

    Attributes
    ----------
    kind, name : str
        Of the operator; those of the same kind and name are one entry.
    calls : int
        How often it was called; a call may serve one image or many.
    seconds : float
        Summed over the cores.
    flops, bytes : float
        Multiplications and additions, at the activity at the end, and bytes
        read and written.
    """

    kind: str
    name: str
    calls: int
    seconds: float
    flops: float
    bytes: float

    def bound(self, ceiling: Ceiling) -> tuple[str, float]:
        """Which limit binds, "sgemm" or "copy", and the seconds it leaves."""
        limits = {"sgemm": self.flops / ceiling.flops, "copy": self.bytes / ceiling.bytes}
        binds = max(limits, key=lambda name: limits[name])
        return binds, limits[binds]


class _Cell:
    """Time of one bound operator; calls of several threads add to it."""

    def __init__(self, op: Operator) -> None:
        self.op, self.lock = op, Lock()
        self.seconds, self.calls, self.images = 0.0, 0, 0
        self.first, self.timings = 0.0, 0

    def add(self, spent: float, counted: int, images: int) -> None:
        """Add a call, or several that were one."""
        with self.lock:
            self.first = self.first if self.timings else spent
            self.timings += 1
            self.seconds += spent
            self.calls += counted
            self.images += images

    @property
    def steady(self) -> float:
        """Seconds of all calls, as if the first, which loads the kernel, were like the others."""
        if self.timings < 2:
            return self.seconds
        return (self.seconds - self.first) * self.timings / (self.timings - 1)


class Profile:
    """Times the operators of one simulator; made before it, read after it ran.

    Examples
    --------
    >>> import neurosim
    >>> from neurosim.backends.profile import Profile
    >>> experiment, profile = neurosim.load("params/lca_patch.params"), Profile()
    >>> simulator = experiment.start(experiment.simulator("cpu", profile=profile))
    >>> simulator.run(20)
    >>> slowest = profile.operators()[0]
    >>> slowest.calls, slowest.seconds > 0
    (20, True)
    """

    def __init__(self) -> None:
        self._cells: dict[int, _Cell] = {}
        self._plan: Plan | None = None
        self._read: Callable[[str], np.ndarray] | None = None
        self.cores = 1
        self.on_host = True

    def attach(self, plan: Plan, backend: Any) -> None:
        """Time the operators of a plan on a backend that has not bound them yet."""
        self._plan, self._read = plan, backend.read
        self.cores = max(1, min(getattr(backend, "threads", 1), plan.nbatch))
        self.on_host = backend.name != "cuda"
        backend.profile = self

    def timed(self, op: Operator, call: Any, images: int = 0, counted: bool = True) -> Any:
        """A call that does the same and adds its time to an operator's.

        A call of many steps returns their number and counts as so many calls.

        Parameters
        ----------
        images : int
            How many images a call serves.
        counted : bool
            False for a part of a call.
        """
        cell = self._cells.setdefault(id(op), _Cell(op))

        def timed_call(*arguments: Any) -> Any:
            began = time.perf_counter()
            result = call(*arguments)
            spent = time.perf_counter() - began
            steps = result if isinstance(result, int) else 1
            cell.add(spent, counted * steps, images * steps)
            return result

        return timed_call

    def operators(self) -> list[OperatorTime]:
        """Of every step and of learning, the slowest first."""
        if self._plan is None or self._read is None:
            return []
        active: dict[str, float] = {}
        found: dict[tuple[str, str], OperatorTime] = {}
        for op in (*self._plan.step, *self._plan.learn):
            cell = self._cells.get(id(op))
            if cell is None or not cell.calls:
                continue
            work = operator_work(op, self._plan.buffers)
            for name, _ in work.sparse:
                if name not in active:
                    values = self._read(name)
                    active[name] = np.count_nonzero(values) / values.size
            new = _entry(cell, work, active)
            old = found.get((op.kind, op.name))
            found[op.kind, op.name] = new if old is None else _joined(old, new)
        return sorted(found.values(), key=lambda entry: -entry.seconds)


def _entry(cell: _Cell, work: Work, active: dict[str, float]) -> OperatorTime:
    times = cell.calls if work.per_batch else cell.images
    return OperatorTime(
        cell.op.kind,
        cell.op.name,
        cell.calls,
        cell.steady,
        times * work.flops(active),
        times * work.bytes + cell.calls * work.call_bytes,
    )


def _joined(a: OperatorTime, b: OperatorTime) -> OperatorTime:
    return OperatorTime(
        a.kind,
        a.name,
        a.calls + b.calls,
        a.seconds + b.seconds,
        a.flops + b.flops,
        a.bytes + b.bytes,
    )


def measure_ceiling() -> Ceiling:
    """Matrix product and copy of one core, measured in less than half a second."""
    a = np.ones((512, 512), np.float32)
    product = np.empty_like(a)
    source, target = np.ones(2**22, np.float32), np.ones(2**22, np.float32)
    with threadpool_limits(1, user_api="blas"):
        flops = _best(lambda: np.dot(a, a, out=product), 2.0 * len(a) ** 3)
    return Ceiling(flops, _best(lambda: np.copyto(target, source), 2.0 * source.nbytes))


def _best(go: Callable[[], object], amount: float) -> float:
    """Highest rate within the time for it; others use the machine too."""
    fastest, ends = float("inf"), time.perf_counter() + MEASURING
    while True:
        began = time.perf_counter()
        go()
        now = time.perf_counter()
        fastest = min(fastest, now - began)
        if now > ends:
            return amount / fastest
