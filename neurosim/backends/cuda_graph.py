"""Launches of a step recorded once as a CUDA graph, so that the host has one call a step to make.

Launched one by one, a kernel takes the host some fifty microseconds, most of it spent on arguments
that never change; small networks then wait for the host. A graph keeps them on the device.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from neurosim.backends.cuda_device import SIMULATED


def _driver() -> Any:
    """The driver of numba-cuda; None where numba brings its own, which has no graphs."""
    if SIMULATED:
        return None
    try:
        from numba.cuda.cudadrv.driver import binding, driver
    except ImportError:
        return None
    return driver if hasattr(binding, "CUstreamCaptureMode") else None


class Graph:
    """A sequence of launches that is made of single launches first, and is one call from then on.

    Kernels are compiled and loaded by their first launch, which a graph must not hold, so the
    first call launches them; the second records them.

    Parameters
    ----------
    launches : sequence of callable
        Each takes the stream. Their arguments must never change.
    record : bool
        False for launches that wait for the device, such as those that are timed.
    """

    def __init__(self, launches: Sequence[Callable[[Any], None]], record: bool = True) -> None:
        self._launches = tuple(launches)
        self._warm = False
        self._recorded: Any = None
        self._driver: Any = _driver() if record else None

    def __call__(self, stream: Any) -> None:
        if self._warm and self._driver is not None and self._recorded is None:
            self._recorded = self._record(stream)
        if self._recorded is not None:
            self._driver.cuGraphLaunch(self._recorded, int(stream))
            return
        self._launch(stream)
        self._warm = True

    def _launch(self, stream: Any) -> None:
        for launch in self._launches:
            launch(stream)

    def _record(self, stream: Any) -> Any:
        from numba.cuda.cudadrv.driver import binding

        driver, handle = self._driver, int(stream)
        # Relaxed: numba may free memory of earlier work while it launches.
        mode = binding.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
        driver.cuStreamBeginCapture(handle, mode)
        try:
            self._launch(stream)
        finally:
            graph = driver.cuStreamEndCapture(handle)
        recorded = driver.cuGraphInstantiate(graph, 0)
        driver.cuGraphDestroy(graph)
        weakref.finalize(self, driver.cuGraphExecDestroy, recorded).atexit = False
        return recorded
