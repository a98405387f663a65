"""Operators to callables, on the host or a device."""

from __future__ import annotations

from neurosim.backends.base import Backend
from neurosim.errors import RequestError

BACKENDS = ("auto", "cpu", "reference")


def choose_backend(
    name: str = "auto", dtype: str = "float32", threads: int | None = None
) -> Backend:
    """Make a backend by name; ``auto`` takes the CPU.

    Parameters
    ----------
    name : {"auto", "cpu", "reference"}
    dtype : {"float32", "float64"}
    threads : int, optional
        Cores of the CPU backend.

    Raises
    ------
    RequestError
        An unknown name, precision or number of threads.
    """
    if name not in BACKENDS:
        raise RequestError(f'backend "{name}"; there are {", ".join(BACKENDS)}')
    if name == "reference":
        from neurosim.backends.reference import ReferenceBackend

        return ReferenceBackend()
    from neurosim.backends.cpu import CpuBackend

    return CpuBackend(dtype, threads)


__all__ = ["BACKENDS", "Backend", "choose_backend"]
