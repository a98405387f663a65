"""Whether a CUDA device can be used, found out without importing numba.cuda where there is none."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from functools import cache
from typing import Any

DRIVERS = ("nvcuda.dll",) if sys.platform == "win32" else ("libcuda.so.1", "libcuda.so")
CURE = (
    'install an NVIDIA driver and pip install "neurosim[cuda]" on a machine with a CUDA device, or '
    "take --backend cpu"
)


def simulated() -> bool:
    """Whether numba is asked to simulate a device."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def driver_present() -> bool:
    """Whether the library of the NVIDIA driver can be loaded; takes no time where it is missing."""
    for name in DRIVERS:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False


def _launch_something() -> None:
    """Compile and run a kernel: numba may know a device and still fail to make code for it."""
    from numba import cuda

    def nothing(array: Any) -> None:
        array[0] = 0

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a single thread leaves most of a device idle
        cuda.jit(nothing)[1, 1](cuda.device_array(1))
    cuda.synchronize()


@cache
def cuda_problem() -> str:
    """What keeps a CUDA device from being used; empty when one can be."""
    if not simulated() and not driver_present():
        return "the NVIDIA driver was not found"
    try:
        from numba import cuda

        if not cuda.is_available():
            error = cuda.cuda_error()
            return f"{error}".strip().split("\n")[0] if error else "the CUDA toolkit was not found"
        _launch_something()
    except Exception as error:  # whatever a driver or a library of the wrong version comes up with
        return f"{type(error).__name__}: {error}".split("\n")[0]
    return ""
