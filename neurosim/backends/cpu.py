"""Numba and BLAS on the host: images side by side on the cores."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from neurosim.backends.base import Backend
from neurosim.backends.cpu_connections import CONNECTIONS
from neurosim.backends.cpu_lateral import Stretch, bind_stretch
from neurosim.backends.cpu_layers import LAYERS
from neurosim.backends.cpu_learning import LEARNING
from neurosim.backends.cpu_local import LOCAL_CONNECTIONS
from neurosim.backends.cpu_probes import PROBES
from neurosim.backends.cpu_scatter import LARGE_WEIGHTS_BYTES
from neurosim.backends.cpu_solver import SOLVERS
from neurosim.backends.cpu_tile import Call, Scratch, Tile
from neurosim.backends.cpu_winograd import WINOGRAD, WINOGRAD_WEIGHTS
from neurosim.errors import RequestError
from neurosim.network import PatchGeometry
from neurosim.plan.operators import Operator, Plan

BINDERS = {**CONNECTIONS, **LOCAL_CONNECTIONS, **LAYERS, **PROBES, **SOLVERS, **WINOGRAD}
WEIGHTS = {**LEARNING, **WINOGRAD_WEIGHTS}
#: Large weights that serve fewer units of an image are read once for all images of a
#: thread, not once per image.
FEW_UNITS = 32
#: Bytes of the buffers of images that are stepped together where they are small, so
#: that calls are few and all stays in a core's cache.
SMALL_IMAGES_BYTES = 1 << 20


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_few_runs(
    operators: Sequence[Operator], special: Callable[[Operator], bool]
) -> list[Operator]:
    """The operators in an order with the same results, special ones side by side if possible."""
    waiting = list(operators)
    ordered: list[Operator] = []
    wanted = False
    while waiting:
        for i, op in enumerate(waiting):
            if special(op) == wanted and not any(_depends(op, before) for before in waiting[:i]):
                ordered.append(waiting.pop(i))
                break
        else:
            wanted = not wanted
    return ordered


def _depends(op: Operator, before: Operator) -> bool:
    """Whether an operator must stay behind one before it."""
    touched = {*op.reads, *op.writes}
    return any(n in touched for n in before.writes) or any(n in op.writes for n in before.reads)


@dataclass(frozen=True)
class _Group:
    """Images that run all steps together: by the calls of one step, or all at once."""

    images: slice
    calls: list[Call]
    stretch: Stretch | None


@dataclass(frozen=True)
class _Bound:
    """Prepared operators: each thread's groups of images, one after the other, or the batch."""

    threads: list[list[_Group]]
    batch: list[tuple[int, Callable[[int, int], None], Callable[[], None]]]
    record: tuple[str, ...]


class CpuBackend(Backend):
    """Runs many steps of one image before the next, so that it stays in cache.

    Parameters
    ----------
    dtype : {"float32", "float64"}
    threads : int, optional
        At most this many cores; all that are there by default.
    """

    name = "cpu"
    on_host = True

    def __init__(self, dtype: str = "float32", threads: int | None = None) -> None:
        if dtype not in ("float32", "float64"):
            raise RequestError(f'dtype "{dtype}"; it must be "float32" or "float64"')
        if threads is not None and threads < 1:
            raise RequestError(f"threads = {threads}; it must be at least 1")
        self.dtype = np.dtype(dtype)
        self.threads = threads or available_cores()
        self.arrays: dict[str, np.ndarray] = {}
        self._bound: list[_Bound] = []
        self._pool = ThreadPoolExecutor(self.threads)
        self._blas = ThreadpoolController()

    def allocate(self, plan: Plan) -> None:
        kinds: dict[str, Any] = {"real": self.dtype, "float64": np.float64, "int64": np.int64}
        self.arrays = {b.name: np.zeros(b.shape, kinds[b.dtype]) for b in plan.buffers.values()}
        self._nbatch = plan.nbatch
        self._scratch = [Scratch(self.dtype) for _ in range(min(self.threads, plan.nbatch))]

    def write(self, buffer: str, values: np.ndarray) -> None:
        self.arrays[buffer][...] = values

    def read(self, buffer: str) -> np.ndarray:
        return self.arrays[buffer].copy()

    def bind(self, operators: tuple[Operator, ...], record: tuple[str, ...]) -> int:
        threads: list[list[_Group]] = []
        batch = []
        if any(self._per_batch(op) for op in operators):
            for op in operators:
                kernels, part, after = WEIGHTS[op.kind](op, self.arrays)
                part, after = self.timed(op, part, counted=False), self.timed(op, after)
                batch.append((kernels, part, after))
        else:
            edges = np.linspace(0, self._nbatch, len(self._scratch) + 1).astype(int).tolist()
            small = max(1, SMALL_IMAGES_BYTES // self._bytes_per_image(operators))
            together = any(self._serves_all_images(op) for op in operators)
            for scratch, first, last in zip(self._scratch, edges[:-1], edges[1:], strict=True):
                step = max(1, last - first) if together else small
                groups = [slice(i, min(i + step, last)) for i in range(first, last, step)]
                threads.append([self._group(operators, g, small, scratch, record) for g in groups])
        self._bound.append(_Bound(threads, batch, record))
        return len(self._bound) - 1

    def _group(
        self,
        operators: tuple[Operator, ...],
        images: slice,
        small: int,
        scratch: Scratch,
        record: tuple[str, ...],
    ) -> _Group:
        stretch = bind_stretch(operators, Tile(self.arrays, images, scratch, self.dtype))
        if stretch is None or record:
            return _Group(images, self._calls(operators, images, small, scratch), None)
        timed = self.timed(operators[0], stretch, images.stop - images.start)
        return _Group(images, [], timed)

    def _calls(
        self, operators: tuple[Operator, ...], images: slice, small: int, scratch: Scratch
    ) -> list[Call]:
        """Calls of one step of a group of images.

        Operators that read large weights take all images at once; those between
        them take few at a time, one after the other, while these are in cache.
        """
        calls: list[Call] = []
        parts = [
            slice(i, min(i + small, images.stop)) for i in range(images.start, images.stop, small)
        ]
        ordered = in_few_runs(operators, self._serves_all_images)
        for alone, run in itertools.groupby(ordered, lambda op: not self._serves_all_images(op)):
            members = list(run)
            for part in parts if alone else [images]:
                tile = Tile(self.arrays, part, scratch, self.dtype)
                n = part.stop - part.start
                calls += [self.timed(op, BINDERS[op.kind](op, tile), n) for op in members]
        return calls

    def _bytes_per_image(self, operators: tuple[Operator, ...]) -> int:
        """Size of what operators touch of one image."""
        names = {name for op in operators for name in (*op.reads, *op.writes)}
        arrays = (self.arrays[n] for n in names if not n.endswith((":W", ":D")))
        return max(1, sum(a.nbytes for a in arrays) // self._nbatch)

    def _per_batch(self, op: Operator) -> bool:
        """Whether an operator works on weights, which have no batch axis."""
        return op.kind in WEIGHTS and (op.kind != "copy" or op.target.endswith(":W"))

    def _serves_all_images(self, op: Operator) -> bool:
        """Whether an operator reads many weights for few units of one image."""
        if op.kind == "gather_winograd":
            return self.arrays[op.reads[1]].nbytes > LARGE_WEIGHTS_BYTES
        if op.kind == "residual":
            count = len(op.scalars["coefficients"])
            weights = op.reads[count + 1 :: 2]
            parts = list(zip(op.scalars["patches"], weights, strict=True))
        elif op.kind in ("gather", "gather_local", "scatter"):
            parts = [(op.scalars, op.reads[1])]
        else:
            return False
        return any(self._large_for_few(scalars["geometry"], name) for scalars, name in parts)

    def _large_for_few(self, geometry: PatchGeometry, weights: str) -> bool:
        few = not geometry.shared or geometry.y.coarse * geometry.x.coarse < FEW_UNITS
        return few and self.arrays[weights].nbytes > LARGE_WEIGHTS_BYTES

    def run(self, handle: int, first_step: int, steps: int) -> dict[str, np.ndarray]:
        bound = self._bound[handle]
        kept = {n: np.empty((steps, *self.arrays[n].shape)) for n in bound.record}
        if bound.batch:
            self._run_batch(bound)
            return kept
        pairs = [(self.arrays[n], kept[n]) for n in bound.record]

        def work(groups: list[_Group]) -> None:
            for group in groups:
                if group.stretch is not None:
                    group.stretch(first_step, steps)
                    continue
                images = group.images
                views = [(source[images], values[:, images]) for source, values in pairs]
                for k in range(steps):
                    for call in group.calls:
                        call(first_step + k)
                    for source, values in views:
                        values[k] = source

        # One image on several cores is left to the threads of the matrix product.
        blas = self.threads if len(bound.threads) == 1 else 1
        with self._blas.limit(limits=blas, user_api="blas"):
            if len(bound.threads) == 1:
                work(bound.threads[0])
            else:
                list(self._pool.map(work, bound.threads))
        return kept

    def _run_batch(self, bound: _Bound) -> None:
        """Learning: the kernels of each weight are divided among the threads."""
        for kernels, part, after in bound.batch:
            edges = np.linspace(0, kernels, min(self.threads, kernels) + 1).astype(int)
            list(self._pool.map(part, edges[:-1].tolist(), edges[1:].tolist()))
            after()

    def sync(self) -> None:
        """Every run returns when its work is done."""
