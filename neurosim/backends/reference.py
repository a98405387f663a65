"""The definition: plain numpy in float64, slow and obvious."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neurosim.backends.base import Backend
from neurosim.backends.reference_connections import CONNECTIONS
from neurosim.backends.reference_layers import LAYERS
from neurosim.backends.reference_learning import LEARNING
from neurosim.backends.reference_probes import PROBES
from neurosim.backends.reference_solver import SOLVERS
from neurosim.backends.reference_winograd import WINOGRAD
from neurosim.errors import NeurosimError
from neurosim.plan.operators import Operator, Plan

Arrays = dict[str, np.ndarray]
Kernel = Callable[[Operator, Arrays, int], None]

KERNELS: dict[str, Kernel] = {**CONNECTIONS, **LAYERS, **LEARNING, **PROBES, **SOLVERS, **WINOGRAD}


class ReferenceBackend(Backend):
    """Runs each operator over the whole batch with numpy in float64."""

    name = "reference"

    def __init__(self) -> None:
        self.arrays: Arrays = {}
        self._bound: list[tuple[list[tuple[Operator, Kernel]], tuple[str, ...]]] = []

    def allocate(self, plan: Plan) -> None:
        self._nbatch = plan.nbatch
        kinds = {"real": np.float64, "float64": np.float64, "int64": np.int64}
        self.arrays = {b.name: np.zeros(b.shape, kinds[b.dtype]) for b in plan.buffers.values()}

    def write(self, buffer: str, values: np.ndarray) -> None:
        self.arrays[buffer][...] = values

    def read(self, buffer: str) -> np.ndarray:
        return self.arrays[buffer].copy()

    def bind(self, operators: tuple[Operator, ...], record: tuple[str, ...]) -> int:
        missing = sorted({op.kind for op in operators} - KERNELS.keys())
        if missing:
            raise NeurosimError(f"the reference backend has no kernel for {', '.join(missing)}")
        bound = [(op, self.timed(op, KERNELS[op.kind], self._nbatch)) for op in operators]
        self._bound.append((bound, record))
        return len(self._bound) - 1

    def run(self, handle: int, first_step: int, steps: int) -> Arrays:
        operators, record = self._bound[handle]
        kept = {n: np.empty((steps, *self.arrays[n].shape)) for n in record}
        for k in range(steps):
            for op, kernel in operators:
                kernel(op, self.arrays, first_step + k)
            for name, values in kept.items():
                values[k] = self.arrays[name]
        return kept

    def sync(self) -> None:
        """Nothing is ever under way."""
