"""What is written while a simulation runs: activities, inputs, probe values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from neurosim.errors import RunFailedError
from neurosim.network import Network
from neurosim.plan import Plan
from neurosim.plan.operators import Schedule
from neurosim.plan.probes import STATS
from neurosim.plan.schedules import layer_schedule
from neurosim.record.writer import RunWriter
from neurosim.stimuli.feeds import Feed, ImageFeed


class LayerObserver:
    """Writes the activity of a layer every ``write_step``, from ``first_time`` on.

    Parameters
    ----------
    name : str
        The layer.
    buffers : (str, str)
        Names of its potential and activity buffers.
    first_time, write_step : float
        In simulated time.
    dt : float
        Simulated time per step.
    potential : bool
        Write the potential too.
    """

    def __init__(
        self,
        writer: RunWriter,
        name: str,
        buffers: tuple[str, str],
        first_time: float,
        write_step: float,
        dt: float,
        potential: bool,
    ) -> None:
        self._writer, self._name, self._buffers = writer, name, buffers
        self._first, self._every, self._dt = first_time / dt, write_step / dt, dt
        self._potential = potential

    def next_step(self, step: int) -> int | None:
        """The first step after ``step`` whose frame is due."""
        if self._every <= 0:
            return None
        count = max(0, int(np.floor((step - self._first) / self._every + 1e-9)) + 1)
        due = int(np.ceil(self._first + count * self._every - 1e-9))
        return due if due > step else step + 1

    def observe(self, simulator: Any) -> None:
        """Write one frame."""
        v, a = self._buffers
        potential = simulator.backend.read(v) if self._potential else None
        activity = simulator.backend.read(a)
        self._writer.append_layer(self._name, simulator.step * self._dt, activity, potential)


class InputObserver:
    """Writes which frame each batch element is shown, at each display."""

    def __init__(
        self,
        writer: RunWriter,
        name: str,
        first: int,
        every: int,
        indices: Callable[[int], np.ndarray],
        dt: float,
    ) -> None:
        self._writer, self._name, self._dt = writer, name, dt
        self._first, self._every, self._indices = first, every, indices

    def next_step(self, step: int) -> int | None:
        """The first step after ``step`` at which a display starts."""
        if step < self._first:
            return self._first
        if self._every == 0:
            return None
        return step + self._every - (step - self._first) % self._every

    def observe(self, simulator: Any) -> None:
        """Write the frame numbers of the display that began last."""
        step = simulator.step
        display = (step - self._first) // self._every if self._every else 0
        began = self._first + display * self._every
        self._writer.append_input(self._name, began * self._dt, self._indices(display))


def observers(
    writer: RunWriter, network: Network, plan: Plan, feeds: Mapping[str, Feed]
) -> list[LayerObserver | InputObserver]:
    """Observers of all layers and inputs that are recorded, each at its own times."""
    dt = network.model.column.dt
    found: list[LayerObserver | InputObserver] = []
    for name, node in network.layers.items():
        spec = node.spec
        if spec.writeStep > 0:
            first = max(0.0, spec.initialWriteTime)
            potential = writes_potential(spec)
            buffers = plan.layers[name]
            found.append(LayerObserver(writer, name, buffers, first, spec.writeStep, dt, potential))
    for name, feed in feeds.items():
        if isinstance(feed, ImageFeed):
            when = layer_schedule(network, name)
            assert when is not None
            found.append(InputObserver(writer, name, when.first, when.every, feed.indices, dt))
    return found


def writes_potential(spec: Any) -> bool:
    """Whether a layer's potential is written beside its activity."""
    return bool(getattr(spec, "writePotential", False))


@dataclass(frozen=True)
class Requirement:
    """A RequireAllZeroActivityProbe: the layer it watches, and when a failure ends the run."""

    probe: str
    layer: str
    fatal: bool
    immediate: bool

    def failure(self, step: int, stats: np.ndarray) -> str:
        """What is wrong at ``step``, from the probe's columns (batch, column)."""
        active = stats[:, STATS.index("nnz")]
        element = int(np.argmax(active > 0))
        return (
            f'RequireAllZeroActivityProbe "{self.probe}": layer "{self.layer}" is active at step '
            f"{step}: {int(active[element])} neurons of batch element {element}"
        )


class ProbeRecorder:
    """Takes probe values stretch by stretch, checks requirements and writes what is due.

    Until :meth:`open` gives it a file it keeps the values, those before the first step.

    Attributes
    ----------
    last : dict
        Values of the newest stretch, (steps, batch, ...) by probe.
    failures : dict
        First failure of each requirement that lets the run go on.
    """

    def __init__(self, network: Network, plan: Plan) -> None:
        probes: Mapping[str, Any] = network.model.probes
        self._dt = network.model.column.dt
        self._when = {name: partial(_due, c.when) for name, c in plan.probes.items()}
        self._kept = {name for name, spec in probes.items() if spec.textOutputFlag}
        self._required = [
            Requirement(name, s.targetLayer, s.exitOnFailure, s.immediateExitOnFailure)
            for name, s in probes.items()
            if s.kind == "RequireAllZeroActivityProbe"
        ]
        self._writer: RunWriter | None = None
        self._waiting: list[tuple[int, dict[str, np.ndarray]]] = []
        self.last: dict[str, np.ndarray] = {}
        self.failures: dict[str, str] = {}

    def open(self, writer: RunWriter) -> None:
        """Write what has waited, and all that comes, to a file."""
        self._writer = writer
        waiting, self._waiting = self._waiting, []
        for first, values in waiting:
            self(first, values)

    def __call__(self, first: int, values: dict[str, np.ndarray]) -> None:
        """Take the values ``(steps, batch, ...)`` of the steps from ``first`` on."""
        self.last = values
        if self._writer is None:
            self._waiting.append((first, values))
            return
        end, message = self._check(first, values)
        for name in self._kept & values.keys():
            rows = values[name][: end - first]
            steps = np.arange(first, end)
            kept = np.array([self._when[name](int(s)) for s in steps])
            if kept.any():
                self._writer.append_probes(name, steps[kept] * self._dt, rows[kept])
        if message:
            raise RunFailedError(message)

    def end(self) -> list[str]:
        """Failures that do not matter to the exit status; raises for one that does."""
        fatal = {r.probe for r in self._required if r.fatal}
        failed = [text for probe, text in self.failures.items() if probe in fatal]
        if failed:
            raise RunFailedError("\n".join(failed))
        return list(self.failures.values())

    def _check(self, first: int, values: dict[str, np.ndarray]) -> tuple[int, str]:
        """The step up to which the run is good, and why it goes no further."""
        end = first + max((len(rows) for rows in values.values()), default=0)
        message = ""
        for required in self._required:
            rows = values.get(required.probe, np.empty(0))
            for step, stats in enumerate(rows, first):
                active = (stats[:, STATS.index("nnz")] > 0).any()
                if not active or not self._when[required.probe](step):
                    continue
                if required.fatal and required.immediate:
                    if step < end:
                        end, message = step + 1, required.failure(step, stats)
                else:
                    self.failures.setdefault(required.probe, required.failure(step, stats))
                break
        return end, message


def _due(when: Schedule, step: int) -> bool:
    """Whether a probe's value of a step is recorded; step 0 only without a trigger."""
    return when.always if step == 0 else when.fires(step)
