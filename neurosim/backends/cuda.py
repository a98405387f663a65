"""Numba on a CUDA device: all buffers resident, a whole stretch of steps without the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import cuda

from neurosim.backends.base import Backend
from neurosim.backends.cuda_connections import CONNECTIONS
from neurosim.backends.cuda_device import SIMULATED, THREADS, Device, Launch
from neurosim.backends.cuda_graph import Graph
from neurosim.backends.cuda_layers import LAYERS
from neurosim.backends.cuda_learning import LEARNING
from neurosim.backends.cuda_local import LOCAL_CONNECTIONS
from neurosim.backends.cuda_probes import PROBES
from neurosim.backends.cuda_rescale import RESCALING
from neurosim.backends.cuda_solver import SOLVERS
from neurosim.backends.cuda_winograd import WINOGRAD
from neurosim.errors import NeurosimError, RequestError
from neurosim.plan.operators import Operator, Plan

Binder = Callable[[Operator, Device], list[Launch]]

BINDERS: dict[str, Binder] = {
    **CONNECTIONS,
    **LOCAL_CONNECTIONS,
    **LAYERS,
    **LEARNING,
    **PROBES,
    **RESCALING,
    **SOLVERS,
    **WINOGRAD,
}
#: Operators that ask which step it is.
TIMED = ("guard", "timescale", "solver_interrupt")
#: Steps whose probe values are kept on the device before the host fetches them.
STEPS_KEPT = 4 if SIMULATED else 256


@cuda.jit(cache=True)
def set_clock(clock, step):
    clock[0], clock[1] = step, 0


@cuda.jit(cache=True)
def end_step(clock, probes, kept):
    """Keep the values of all probes and advance the clock; one block."""
    row = clock[1] * probes.size
    for i in range(cuda.threadIdx.x, probes.size, cuda.blockDim.x):
        kept[row + i] = probes[i]
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        clock[0] += 1
        clock[1] += 1


@dataclass(frozen=True)
class _Bound:
    """Launches of one step, and what to keep of it."""

    step: Graph
    record: tuple[str, ...]
    timed: bool


class CudaBackend(Backend):
    """Runs every operator over the whole batch, one kernel after the other on one stream.

    Parameters
    ----------
    dtype : {"float32", "float64"}

    Raises
    ------
    RequestError
        An unknown precision, or too little memory on the device.
    """

    name = "cuda"

    def __init__(self, dtype: str = "float32") -> None:
        if dtype not in ("float32", "float64"):
            raise RequestError(f'dtype "{dtype}"; it must be "float32" or "float64"')
        self.dtype = np.dtype(dtype)
        self._device = Device(self.dtype)
        self._operators: dict[int, tuple[Operator, list[Launch]]] = {}
        self._bound: list[_Bound] = []

    def allocate(self, plan: Plan) -> None:
        self._device.allocate(plan)
        size = self._device.probes.size * STEPS_KEPT
        self._kept = self._device.scratch("kept", size, np.float64)
        self._end = Launch(
            end_step, (1,), THREADS, (self._device.clock, self._device.probes, self._kept)
        )

    def write(self, buffer: str, values: np.ndarray) -> None:
        target = self._device.array(buffer)
        shaped = np.broadcast_to(values, self._device.shapes[buffer])
        flat = np.ascontiguousarray(shaped, target.dtype).reshape(-1)
        self._device.staging.write(target, flat)

    def read(self, buffer: str) -> np.ndarray:
        source = self._device.array(buffer)
        values = np.empty(source.size, source.dtype)
        self._device.staging.read(source, values)
        return values.reshape(self._device.shapes[buffer])

    def bind(self, operators: tuple[Operator, ...], record: tuple[str, ...]) -> int:
        missing = sorted({op.kind for op in operators} - BINDERS.keys())
        if missing:
            raise NeurosimError(f"the CUDA backend has no kernel for {', '.join(missing)}")
        launches: list[Callable[[Any], None]] = []
        for op in operators:
            if self.profile:
                launches.append(self.timed(op, self._awaited(op), self._device.nbatch))
            else:
                launches += self._launches(op)
        timed = bool(record) or any(op.kind in TIMED for op in operators)
        if timed:
            launches.append(self._end)
        step = Graph(launches, record=not self.profile)
        self._bound.append(_Bound(step, record, timed))
        return len(self._bound) - 1

    def _launches(self, op: Operator) -> list[Launch]:
        """Launches of an operator; its tables are made once, in however many sequences it is."""
        if id(op) not in self._operators:
            self._operators[id(op)] = op, BINDERS[op.kind](op, self._device)
        return self._operators[id(op)][1]

    def _awaited(self, op: Operator) -> Callable[[Any], None]:
        """An operator as one call that returns when its work is done."""
        launches = self._launches(op)

        def call(stream: Any) -> None:
            for launch in launches:
                launch(stream)
            stream.synchronize()

        return call

    def run(self, handle: int, first_step: int, steps: int) -> dict[str, np.ndarray]:
        """Run a prepared sequence ``steps`` times.

        Nothing is read or written by the host before the last step, but for the
        values of probes once every STEPS_KEPT steps. The step number is counted on the
        device, so the launches of a step are the same ones, with the same
        arguments, at every step.
        """
        bound, device = self._bound[handle], self._device
        kept = {n: np.empty((steps, *device.shapes[n])) for n in bound.record}
        for done in range(0, steps, STEPS_KEPT):
            rows = min(STEPS_KEPT, steps - done)
            if bound.timed:
                Launch(set_clock, (1,), 1, (device.clock, first_step + done))(device.stream)
            for _ in range(rows):
                bound.step(device.stream)
            if bound.record:
                self._fetch(kept, done, rows)
        return kept

    def _fetch(self, kept: dict[str, np.ndarray], done: int, rows: int) -> None:
        """Take over the values of the last ``rows`` steps."""
        width = self._device.probes.size
        values = np.empty(rows * width)
        self._device.staging.read(self._kept, values)
        table = values.reshape(rows, width)
        for name, array in kept.items():
            part = table[:, self._device.probe_places[name]]
            array[done : done + rows] = part.reshape(rows, *array.shape[1:])

    def sync(self) -> None:
        self._device.stream.synchronize()
