"""What operators bound to a CUDA device share: buffers, scratch memory, launches, transfers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numba
import numpy as np
from numba import cuda
from numba.cuda.cudadrv.driver import CudaAPIError

from neurosim.errors import RequestError
from neurosim.plan.operators import Plan

SIMULATED = bool(numba.config.ENABLE_CUDASIM)
#: Threads of a block: of elementwise kernels, and of those that reduce. A power of two.
THREADS = 4 if SIMULATED else 256
#: Blocks of an elementwise launch for each multiprocessor; each thread then loops.
BLOCKS_PER_PROCESSOR = 1 if SIMULATED else 16
#: Bytes of one piece of a transfer, and pieces under way at a time.
PIECE_BYTES = 1 << 12 if SIMULATED else 8 << 20
PIECES = 2
#: Buffers start at multiples of this many numbers, so that rows of them can be read in one go.
ALIGNMENT = 32
OUT_OF_MEMORY = 2


@dataclass(frozen=True)
class Launch:
    """A kernel with its grid and arguments, which never change once it is bound."""

    kernel: Any
    grid: tuple[int, ...]
    block: int | tuple[int, ...]
    arguments: tuple[Any, ...]

    def __call__(self, stream: Any) -> None:
        self.kernel[self.grid, self.block, stream](*self.arguments)


for _name in ("numba.core.config", "numba.cuda.core.config"):
    # Launches that are small because their work is small need no warning.
    if _name in sys.modules:
        vars(sys.modules[_name])["CUDA_LOW_OCCUPANCY_WARNINGS"] = 0


# The built-in numba.cuda compiles no min and max of two numbers.
@cuda.jit(device=True)
def smaller(a, b):
    return b if b < a else a


@cuda.jit(device=True)
def larger(a, b):
    return b if b > a else a


def device_function(equation: Any) -> Any:
    """An equation in plain Python for the device; its min and max are those above."""
    names = {**equation.__globals__, "min": smaller, "max": larger}
    return cuda.jit(device=True)(FunctionType(equation.__code__, names, equation.__name__))


@cuda.jit(cache=True)
def fill(target, value):
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(start, target.size, cuda.blockDim.x * cuda.gridDim.x):
        target[i] = value


def guarded(allocate: Callable[[], Any], needed: int) -> Any:
    """The result of ``allocate``, or a message that tells how much memory is missing.

    Raises
    ------
    RequestError
        The device has too little memory left.
    """
    try:
        return allocate()
    except (CudaAPIError, MemoryError) as error:
        code = getattr(error, "code", OUT_OF_MEMORY if isinstance(error, MemoryError) else 0)
        if int(code) != OUT_OF_MEMORY:
            raise
        raise too_large(needed) from None


def too_large(needed: int) -> RequestError:
    """The message for a network that does not fit."""
    free = cuda.current_context().get_memory_info()[0]
    left = "" if free == float("inf") else f" and has {free / 2**20:,.0f} MiB left"
    return RequestError(
        f"the CUDA device must hold {needed / 2**20:,.1f} MiB more{left}; lower nbatch, use "
        "--dtype float32, or take --backend cpu"
    )


class Staging:
    """Pinned host memory through which arrays travel in pieces.

    While one piece is on its way over the bus the host fills or empties another.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._slots = [cuda.pinned_array(PIECE_BYTES, np.uint8) for _ in range(PIECES)]
        self._events = [cuda.event() for _ in range(PIECES)]

    def _pieces(self, size: int, itemsize: int) -> list[tuple[int, slice]]:
        step = PIECE_BYTES // itemsize
        return [
            (i % PIECES, slice(first, min(first + step, size)))
            for i, first in enumerate(range(0, size, step))
        ]

    def _slot(self, slot: int, piece: slice, dtype: np.dtype) -> np.ndarray:
        return self._slots[slot].view(dtype)[: piece.stop - piece.start]

    def write(self, target: Any, values: np.ndarray) -> None:
        """Copy host values, flat, to a flat array of the device."""
        for slot, piece in self._pieces(values.size, values.itemsize):
            host = self._slot(slot, piece, values.dtype)
            self._events[slot].synchronize()
            host[...] = values[piece]
            target[piece].copy_to_device(host, stream=self._stream)
            self._events[slot].record(self._stream)

    def read(self, source: Any, values: np.ndarray) -> None:
        """Copy a flat array of the device to host values of its size."""
        pieces = self._pieces(values.size, values.itemsize)

        def ask(slot: int, piece: slice) -> None:
            host = self._slot(slot, piece, values.dtype)
            source[piece].copy_to_host(host, stream=self._stream)
            self._events[slot].record(self._stream)

        for slot, _ in pieces[:PIECES]:
            self._events[slot].synchronize()
        for slot, piece in pieces[:PIECES]:
            ask(slot, piece)
        for i, (slot, piece) in enumerate(pieces):
            self._events[slot].synchronize()
            values[piece] = self._slot(slot, piece, values.dtype)
            if i + PIECES < len(pieces):
                ask(*pieces[i + PIECES])


class Device:
    """Buffers of one plan on the device, scratch memory and sizes of launches.

    Parameters
    ----------
    dtype : numpy dtype
        Precision of ``real`` buffers.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.real: Any = numba.float32 if dtype == np.float32 else numba.float64
        self.stream = cuda.stream()
        self.staging = Staging(self.stream)
        device = cuda.current_context().device
        self.processors = int(getattr(device, "MULTIPROCESSOR_COUNT", 2))
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._arrays: dict[str, Any] = {}
        self._scratch: dict[str, Any] = {}
        #: Step number and row of the records of the step under way.
        self.clock = cuda.to_device(np.zeros(2, np.int64))

    def allocate(self, plan: Plan) -> None:
        """Make all buffers of a plan, zeroed; those of probes side by side."""
        recorded = list(dict.fromkeys(c.buffer for c in plan.probes.values()))
        names = [*recorded, *(n for n in plan.buffers if n not in recorded)]
        kinds: dict[str, Any] = {"real": self.dtype, "float64": np.float64, "int64": np.int64}
        self.shapes = {n: plan.buffers[n].shape for n in names}
        self.nbatch = plan.nbatch
        places: dict[str, tuple[str, int, int]] = {}
        sizes = dict.fromkeys(kinds, 0)
        for name in names:
            kind = plan.buffers[name].dtype
            size = int(np.prod(self.shapes[name]))
            places[name] = (kind, sizes[kind], sizes[kind] + size)
            step = 1 if name in recorded else ALIGNMENT
            sizes[kind] += -(-size // step) * step
        needed = sum(n * np.dtype(kinds[kind]).itemsize for kind, n in sizes.items())
        if needed > cuda.current_context().get_memory_info()[0]:
            raise too_large(needed)
        pools = {k: self._new(max(1, n), kinds[k], needed) for k, n in sizes.items()}
        for pool in pools.values():
            Launch(fill, *self.flat(pool.size), (pool, pool.dtype.type(0)))(self.stream)
        self._arrays = {n: pools[kind][first:end] for n, (kind, first, end) in places.items()}
        width = max((places[n][2] for n in recorded), default=0)
        self.probes = pools["float64"][: max(1, width)]
        self.probe_places = {n: slice(*places[n][1:]) for n in recorded}

    def _new(self, size: int, dtype: Any, needed: int = 0) -> Any:
        needed = needed or size * np.dtype(dtype).itemsize
        return guarded(lambda: cuda.device_array(size, dtype), needed)

    def array(self, name: str) -> Any:
        """A buffer, flat."""
        return self._arrays[name]

    def part(self, name: str, index: int) -> Any:
        """One entry along the first axis of a buffer, flat; such as the weights of an arbor."""
        size = int(np.prod(self.shapes[name][1:]))
        return self._arrays[name][index * size : (index + 1) * size]

    def images(self, name: str) -> tuple[int, int]:
        """Number of images of a buffer and numbers of each."""
        shape = self.shapes[name]
        return shape[0], int(np.prod(shape[1:]))

    def constant(self, value: float) -> Any:
        """A number in the precision of the run, so that kernels stay in it."""
        return self.dtype.type(value)

    def upload(self, values: np.ndarray, dtype: Any = np.int32) -> Any:
        """A table on the device, flat; never empty."""
        flat = np.ascontiguousarray(values, dtype).reshape(-1)
        flat = flat if flat.size else np.zeros(1, dtype)
        return guarded(lambda: cuda.to_device(flat, stream=self.stream), flat.nbytes)

    def scratch(self, use: str, size: int, dtype: Any = None) -> Any:
        """Work memory, flat; operators run one after the other and may share it by use."""
        block = self._scratch.get(use)
        if block is None or block.size < size:
            dtype = self.dtype if dtype is None else dtype
            block = self._scratch[use] = self._new(max(1, size), dtype)
        return block

    def borrow(self, name: str, shape: tuple[int, ...], use: str) -> None:
        """Name a buffer that the plan leaves to the backend; it lies in work memory."""
        size = int(np.prod(shape))
        self.shapes[name] = shape
        self._arrays[name] = self.scratch(use, size)[:size]

    def flat(self, size: int) -> tuple[tuple[int], int]:
        """Grid and block of a kernel that loops over ``size`` elements."""
        blocks = min(-(-size // THREADS), self.processors * BLOCKS_PER_PROCESSOR)
        return (max(1, blocks),), THREADS

    def by_image(self, images: int, size: int) -> tuple[tuple[int, int], int]:
        """Grid and block of a kernel that loops over the elements of each image."""
        blocks = min(-(-size // THREADS), -(-self.processors * BLOCKS_PER_PROCESSOR // images))
        return (max(1, blocks), min(images, 65535)), THREADS
