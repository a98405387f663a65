"""Numba's CUDA simulator without its host threads: the same kernels, a hundred times faster.

The simulator starts a thread of the host for each of a block's and polls them all. Here the kernel
becomes a generator that yields where it synchronises, and the threads of a block take turns from
barrier to barrier. Blocks and threads may run in the opposite order: what a kernel leaves must not
depend on it. A barrier that only some threads of a block reach is an error.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np


class _Yields(ast.NodeTransformer):
    """Turns ``cuda.syncthreads()`` into ``yield``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        called = node.func
        return ast.Yield() if getattr(called, "attr", "") == "syncthreads" else node


@cache
def as_generator(kernel: Callable[..., None]) -> Callable[..., Iterator[None]]:
    """The kernel as a function whose calls yield at each barrier."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kernel)))
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    function.decorator_list = []
    _Yields().visit(function)
    names = kernel.__code__.co_freevars
    made = ast.parse(f"def make({', '.join(names)}):\n    return {function.name}")
    made.body[0].body.insert(0, function)  # type: ignore[attr-defined]
    space = kernel.__globals__
    local: dict[str, Any] = {}
    exec(compile(ast.fix_missing_locations(made), inspect.getfile(kernel), "exec"), space, local)
    return local["make"](*(cell.cell_contents for cell in kernel.__closure__ or ()))


def _together(work: Callable[[], Iterator[None]], places: list[tuple[Any, Any]]) -> None:
    """Run the threads of a block from barrier to barrier."""
    thread: Any = threading.current_thread()
    running = [work() for _ in places]
    while running:
        waiting = []
        for generator, (block, index) in zip(running, places, strict=True):
            thread.blockIdx, thread.threadIdx = block, index
            try:
                next(generator)
            except StopIteration:
                continue
            waiting.append(generator)
        assert len(waiting) in (0, len(places)), "a barrier that not all threads of a block reach"
        running = waiting


def quicken(backwards: bool = False) -> None:
    """Replace how the simulator runs the blocks of a kernel, in this process.

    Parameters
    ----------
    backwards : bool
        Blocks and the threads in them run in the opposite order.
    """
    from numba import types
    from numba.cuda.simulator import kernel
    from numba.cuda.simulator.kernelapi import Dim3, FakeCUDAShared
    from numba.np import numpy_support

    wrapped = kernel.FakeWithinKernelCUDAArray
    order = -1 if backwards else 1

    def run(self: Any, grid_point: tuple[int, ...], *args: Any) -> None:
        if backwards:
            grid_point = tuple(n - 1 - i for n, i in zip(self._grid_dim, grid_point, strict=True))
        plain = [a._item._ary if isinstance(a, wrapped) else a for a in args]
        block = Dim3(*grid_point)
        places = [(block, Dim3(*point)) for point in np.ndindex(*self._block_dim)][::order]
        if "syncthreads" in self._f.__code__.co_names:
            generator = as_generator(self._f)
            _together(lambda: generator(*plain), places)
            return
        thread: Any = threading.current_thread()
        for thread.blockIdx, thread.threadIdx in places:
            self._f(*plain)

    def array(self: Any, shape: Any, dtype: Any, **_: Any) -> np.ndarray:
        line = inspect.currentframe().f_back.f_lineno  # type: ignore[union-attr]
        if line not in self._allocations:
            real = numpy_support.as_dtype(dtype) if isinstance(dtype, types.Type) else dtype
            self._allocations[line] = np.empty(shape, real)
        return self._allocations[line]

    kernel.BlockManager.run = run
    FakeCUDAShared.array = array
