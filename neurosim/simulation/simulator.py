"""Steps a bound plan; knows no layer kind and no file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from neurosim.backends.base import Backend
from neurosim.plan.operators import Operator, Plan, Schedule
from neurosim.simulation.clock import Clock, Segment
from neurosim.simulation.convergence import Convergence
from neurosim.simulation.divergence import EnergyWatch, check_potentials

#: Seconds of uninterrupted work between two looks at signals and progress.
RESPONSE = 0.25
#: Most values of one probe in an uninterrupted stretch; bounds what probes hold in memory.
LONGEST = 1 << 16
#: Operators that make buffers anew from what a checkpoint holds.
DERIVING = ("rearrange", "gram", "winograd_weights")


@dataclass(frozen=True)
class Stimulus:
    """A layer filled from outside.

    ``frames(display)`` gives the values ``(batch, y, x, feature)`` of display
    number ``display``; a new one starts at each step of ``when``.
    """

    frame: str
    activity: str
    when: Schedule
    frames: Callable[[int], np.ndarray]

    def display(self, step: int) -> int:
        """Number of the display that is on at ``step``."""
        if step < self.when.first or self.when.every == 0:
            return 0
        return (step - self.when.first) // self.when.every


class Observer(Protocol):
    """Something that looks at the simulation at certain steps."""

    def next_step(self, step: int) -> int | None:
        """The next step after ``step`` at which to look; None for never."""

    def observe(self, simulator: Simulator) -> None:
        """Look; called after the step it asked for, or the first one beyond it."""


Recorded = Callable[[int, dict[str, np.ndarray]], None]


class Simulator:
    """Drives one plan on one backend.

    Parameters
    ----------
    plan : Plan
    backend : Backend
        Freshly made; the simulator allocates its buffers.
    stimuli : iterable of Stimulus
    observers : iterable of Observer
    recorded : callable, optional
        Receives ``(first step, {probe: values (steps, batch, ...)})`` after
        each stretch.
    convergence : Convergence, optional
        Ends presentations early.
    energies : mapping, optional
        Probes watched for growth without bound, and the growth that is too much.
    """

    def __init__(
        self,
        plan: Plan,
        backend: Backend,
        stimuli: Iterable[Stimulus] = (),
        *,
        recorded: Recorded | None = None,
        convergence: Convergence | None = None,
        energies: Mapping[str, float] | None = None,
    ) -> None:
        self.plan, self.backend = plan, backend
        self.stimuli = list(stimuli)
        self.observers: list[Observer] = []
        self.recorded = recorded
        self.convergence = convergence
        self.watches = [
            EnergyWatch(n, plan.nbatch, growth) for n, growth in (energies or {}).items()
        ]
        self.between: Callable[[Simulator], None] | None = None
        self.step = 0
        self.executed = 0
        self.stop_requested = False
        self._changed = True
        self._restored = False
        self._complete = True
        self._clock = Clock(plan.step, [op.when for op in plan.learn])
        self._handles: dict[tuple[int, ...], int] = {}
        self._probes = {c.buffer: name for name, c in plan.probes.items()}
        self._diverged = [n for n in plan.buffers if n.endswith(":diverged")]
        self._seconds_per_step = RESPONSE
        backend.allocate(plan)

    def start(self, values: Iterable[tuple[str, np.ndarray]]) -> None:
        """Write the values before the first step, and show the first frames."""
        for name, value in values:
            self.backend.write(name, value)
        for stimulus in self.stimuli:
            self.backend.write(stimulus.activity, stimulus.frames(0))
        self._run(self.plan.start, 0, 1)
        self.step = 0
        measured = tuple(op for op in self.plan.step if op.kind in ("norm", "stats"))
        names = tuple(op.target for op in measured)
        if measured and self.recorded:
            values_now = self.backend.run(self.backend.bind(measured, names), 0, 1)
            self.recorded(0, {self._probes[n]: v for n, v in values_now.items()})

    def write(self, buffer: str, values: np.ndarray) -> None:
        """Set a buffer between two steps."""
        self.backend.write(buffer, values)
        self._changed = True

    def overwrite(self, values: Iterable[tuple[str, np.ndarray]]) -> None:
        """Replace some starting values, then normalise and rearrange weights again."""
        for name, value in values:
            self.write(name, value)
        self._run(tuple(op for op in self.plan.start if op.kind != "copy"), 0, 1)

    def restore(
        self,
        step: int,
        values: Iterable[tuple[str, np.ndarray]],
        bookkeeping: Mapping[str, Any],
    ) -> None:
        """Go on from the saved buffers of a checkpoint."""
        for name, value in values:
            self.backend.write(name, value)
        self._run(tuple(op for op in self.plan.start if op.kind in DERIVING), 0, 1)
        self.step = step
        self._changed = bookkeeping.get("changed", True)
        self._restored = True
        if self.convergence and "convergence" in bookkeeping:
            self.convergence.load(bookkeeping["convergence"])

    def bookkeeping(self) -> dict[str, Any]:
        """What a checkpoint must hold besides buffers."""
        convergence = self.convergence.saved() if self.convergence else {}
        return {"convergence": convergence, "changed": self._changed}

    def saved(self) -> Iterable[tuple[str, np.ndarray]]:
        """Every buffer that a checkpoint holds."""
        self.backend.sync()
        for buffer in self.plan.buffers.values():
            if buffer.saved:
                yield buffer.name, self.backend.read(buffer.name)

    def run(self, last_step: int) -> None:
        """Step until ``last_step`` or until a stop is requested.

        A stop may come one step later, so that every buffer is up to date.
        """
        while self.step < last_step and not (self.stop_requested and self._complete):
            dues = [observer.next_step(self.step) for observer in self.observers]
            self._stretch(last_step, [due for due in dues if due is not None])
            for observer, due in zip(self.observers, dues, strict=True):
                if due is not None and due <= self.step:
                    observer.observe(self)
            if self.between:
                self.between(self)

    def _stretch(self, last_step: int, dues: list[int]) -> None:
        """One uninterrupted stretch, then learning and checks."""
        began = time.perf_counter()
        limit = min([last_step, *dues])
        longest = max(1, LONGEST // self.plan.nbatch)
        allowed = max(1, min(longest, int(RESPONSE / max(self._seconds_per_step, 1e-9))))
        if self.convergence:
            allowed = min(allowed, self.convergence.steps_to_look(self.step))
        if self.stop_requested:
            limit = self.step + 1
        first, last = self.step + 1, min(limit, self.step + allowed)
        segment = self._clock.segment(first, max(first, last))
        for stimulus in self.stimuli:
            if stimulus.when.fires(segment.first):
                frames = stimulus.frames(stimulus.display(segment.first))
                self.backend.write(stimulus.frame, frames)
                self._new_image()
        self._complete = segment.last == limit or self._looked_at(segment.last)
        values = self._advance(segment)
        self.step = segment.last
        self.executed += segment.steps
        self._learn()
        self._after(segment.first, values, last_step)
        spent = (time.perf_counter() - began) / segment.steps
        self._seconds_per_step = max(spent, 0.5 * self._seconds_per_step)

    def _looked_at(self, step: int) -> bool:
        """Whether a step must leave every buffer up to date, besides what observers ask for.

        So learning finds them, and whoever is left with the state when the next
        input cannot be read, or when a presentation ends early.
        """
        learns = any(op.when.fires(step) for op in self.plan.learn)
        shows = any(stimulus.when.fires(step + 1) for stimulus in self.stimuli)
        return learns or shows or self.convergence is not None

    def _new_image(self) -> None:
        for watch in self.watches:
            watch.restart()
        if self.convergence:
            self.convergence.restart()

    def _advance(self, segment: Segment) -> dict[str, np.ndarray]:
        """Run a segment: its first step may follow a change, a look its last one."""
        parts: list[tuple[tuple[Operator, ...], int]] = []
        for step in dict.fromkeys((segment.first, segment.first + 1, segment.last)):
            if step > segment.last:
                continue
            changed, seen = self._changed, step == segment.last and self._complete
            places = {"every", "first" if changed else "rest"}
            places |= {"renew"} if changed or self._restored else set()
            places |= {"last"} if changed or seen else set()
            places |= {"last_rest"} if seen and not changed else set()
            self._changed = self._restored = False
            operators = tuple(op for op in segment.operators if op.at in places)
            if not parts or parts[-1][0] != operators:
                parts.append((operators, step))
        ends = [first - 1 for _, first in parts[1:]] + [segment.last]
        found = [
            self._run(operators, first, end - first + 1)
            for (operators, first), end in zip(parts, ends, strict=True)
        ]
        if len(found) == 1:
            return found[0]
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    def _run(self, operators: tuple[Operator, ...], first: int, steps: int) -> dict:
        if not operators:
            return {}
        key = tuple(id(op) for op in operators)
        handle = self._handles.get(key)
        if handle is None:
            in_step = any(op is operators[0] for op in self.plan.step)
            record = tuple(self._probes) if in_step else ()
            handle = self._handles[key] = self.backend.bind(operators, record)
        return self.backend.run(handle, first, steps)

    def _learn(self) -> None:
        due = tuple(op for op in self.plan.learn if op.when.fires(self.step))
        self._run(due, self.step, 1)
        self._changed |= bool(due)

    def _after(self, first: int, values: dict[str, np.ndarray], last_step: int) -> None:
        """Checks of the stretch, delivery of probe values, early ends."""
        named = {self._probes[n]: v for n, v in values.items()}
        for flag in self._diverged:
            check_potentials(flag.removesuffix(":diverged"), self.backend.read(flag))
        for watch in self.watches:
            watch.look(named[watch.probe], first)
        if self.recorded:
            self.recorded(first, named)
        if self.convergence:
            settled = self.convergence.follow(named[self.convergence.probe], self.step)
            latest = min(self._clock.undisturbed(self.step), last_step)
            self.step = max(self.step, min(settled, latest))
