"""Numba and BLAS on the host: images side by side on the cores."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from neurosim.backends.base import Backend
from neurosim.backends.cpu_connections import CONNECTIONS
from neurosim.backends.cpu_layers import LAYERS
from neurosim.backends.cpu_learning import LEARNING
from neurosim.backends.cpu_local import LOCAL_CONNECTIONS
from neurosim.backends.cpu_probes import PROBES
from neurosim.backends.cpu_tile import Call, Scratch, Tile
from neurosim.errors import RequestError
from neurosim.plan.operators import Operator, Plan

BINDERS = {**CONNECTIONS, **LOCAL_CONNECTIONS, **LAYERS, **PROBES}
#: Weights beyond a core's cache that serve few units of an image are read once for
#: all images of a thread, not once per image.
LARGE_WEIGHTS_BYTES = 1 << 20
FEW_UNITS = 32


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class _Bound:
    """Prepared operators: calls of each tile with its recordings, or of the whole batch."""

    tiles: list[list[tuple[list[Call], slice]]]
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
        tiles: list[list[tuple[list[Call], slice]]] = []
        batch = []
        if any(self._per_batch(op) for op in operators):
            batch = [LEARNING[op.kind](op, self.arrays) for op in operators]
        else:
            for thread, slices in enumerate(self._tiles(operators)):
                bound = []
                for images in slices:
                    tile = Tile(self.arrays, images, self._scratch[thread], self.dtype)
                    bound.append(([BINDERS[op.kind](op, tile) for op in operators], images))
                tiles.append(bound)
        self._bound.append(_Bound(tiles, batch, record))
        return len(self._bound) - 1

    def _per_batch(self, op: Operator) -> bool:
        """Whether an operator works on weights, which have no batch axis."""
        return op.kind in LEARNING and (op.kind != "copy" or op.target.endswith(":W"))

    def _tiles(self, operators: tuple[Operator, ...]) -> list[list[slice]]:
        """Images of each thread: one by one, or together where weights are large."""
        threads = len(self._scratch)
        edges = np.linspace(0, self._nbatch, threads + 1).astype(int)
        together = any(self._reads_large_weights(op) for op in operators)
        tiles = []
        for start, end in itertools.pairwise(edges):
            step = int(end - start) if together else 1
            tiles.append([slice(i, min(i + step, int(end))) for i in range(start, end, step)])
        return tiles

    def _reads_large_weights(self, op: Operator) -> bool:
        """Whether a drive reads many weights for few units of one image."""
        if op.kind not in ("gather", "gather_local"):
            return False
        g = op.scalars["geometry"]
        few = not g.shared or g.y.coarse * g.x.coarse < FEW_UNITS
        return few and self.arrays[op.reads[1]].nbytes > LARGE_WEIGHTS_BYTES

    def run(self, handle: int, first_step: int, steps: int) -> dict[str, np.ndarray]:
        bound = self._bound[handle]
        kept = {n: np.empty((steps, *self.arrays[n].shape)) for n in bound.record}
        if bound.batch:
            self._run_batch(bound)
            return kept
        pairs = [(self.arrays[n], kept[n]) for n in bound.record]

        def work(tiles: list[tuple[list[Call], slice]]) -> None:
            for calls, images in tiles:
                views = [(source[images], values[:, images]) for source, values in pairs]
                for k in range(steps):
                    for call in calls:
                        call(first_step + k)
                    for source, values in views:
                        values[k] = source

        # One image on several cores is left to the threads of the matrix product.
        blas = self.threads if len(bound.tiles) == 1 else 1
        with self._blas.limit(limits=blas, user_api="blas"):
            if len(bound.tiles) == 1:
                work(bound.tiles[0])
            else:
                list(self._pool.map(work, bound.tiles))
        return kept

    def _run_batch(self, bound: _Bound) -> None:
        """Learning: the kernels of each weight are divided among the threads."""
        for kernels, part, after in bound.batch:
            edges = np.linspace(0, kernels, min(self.threads, kernels) + 1).astype(int)
            list(self._pool.map(part, edges[:-1].tolist(), edges[1:].tolist()))
            after()

    def sync(self) -> None:
        """Every run returns when its work is done."""
