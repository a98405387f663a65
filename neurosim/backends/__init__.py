"""Operators to callables, on the host or a device."""

from __future__ import annotations

from neurosim.backends.base import Backend
from neurosim.backends.presence import CURE, cuda_problem, driver_present, simulated
from neurosim.errors import RequestError

BACKENDS = ("auto", "cpu", "cuda", "reference")


def choose_backend(
    name: str = "auto", dtype: str = "float32", threads: int | None = None
) -> Backend:
    """Make a backend by name; ``auto`` takes a CUDA device where one can be used, else the CPU.

    Parameters
    ----------
    name : {"auto", "cpu", "cuda", "reference"}
        With NUMBA_ENABLE_CUDASIM=1 ``cuda`` is numba's simulator, which is slow and
        only for tests; ``auto`` never takes it.
    dtype : {"float32", "float64"}
    threads : int, optional
        Cores of the CPU backend.

    Raises
    ------
    RequestError
        An unknown name, precision or number of threads, or no usable device.
    """
    if name not in BACKENDS:
        raise RequestError(f'backend "{name}"; there are {", ".join(BACKENDS)}')
    if name == "reference":
        from neurosim.backends.reference import ReferenceBackend

        return ReferenceBackend()
    problem = "no CUDA device was found"
    if name == "cuda" or (name == "auto" and driver_present() and not simulated()):
        problem = cuda_problem()
        if not problem:
            from neurosim.backends.cuda import CudaBackend

            return CudaBackend(dtype)
        if name == "cuda":
            raise RequestError(f'backend "cuda": no CUDA device can be used, {problem}; {CURE}')
    from neurosim.backends.cpu import CpuBackend

    backend = CpuBackend(dtype, threads)
    if name == "auto":
        backend.remark = problem
    return backend


__all__ = ["BACKENDS", "Backend", "choose_backend"]
