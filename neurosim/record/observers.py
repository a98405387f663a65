"""What is written while a simulation runs: activities, inputs, probe values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from neurosim.record.writer import RunWriter


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


class ProbeRecorder:
    """Takes probe values stretch by stretch and writes those that are due.

    Parameters
    ----------
    due : dict
        Per probe, whether a step is recorded.
    """

    def __init__(self, writer: RunWriter, due: dict[str, Callable[[int], bool]], dt: float) -> None:
        self._writer, self._due, self._dt = writer, due, dt

    def __call__(self, first: int, values: dict[str, np.ndarray]) -> None:
        for name, rows in values.items():
            steps = np.arange(first, first + len(rows))
            kept = np.array([self._due[name](int(s)) for s in steps])
            if kept.any():
                self._writer.append_probes(name, steps[kept] * self._dt, rows[kept])
