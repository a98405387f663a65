"""What every case of the benchmark shares: settings, contestants, timing in turns, the machine."""

from __future__ import annotations

import importlib
import inspect
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

import neurosim

Row = dict[str, Any]
#: Packages whose versions belong to a measurement.
PACKAGES = ("neurosim", "numpy", "numba", "scipy", "scikit-learn", "torch", "cupy", "numba-cuda")


def optional(name: str) -> Any:
    """A library that may be missing, then None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """What was asked for on the command line.

    Attributes
    ----------
    backend : str
        Of neurosim: cpu, cuda or reference.
    threads : tuple of int
        Numbers of cores to measure with; one, and all, by default.
    repeats : int
        Rounds in which every contestant has its turn once.
    quick : bool
        Tiny sizes: a smoke test, whose numbers mean nothing.
    fuse : bool
        Let neurosim fuse operators; its plain plan is measured beside.
    problem : Path or None
        Folder with x.npy and w8.npy; two sample photographs by default.
    """

    backend: str = "cpu"
    threads: tuple[int, ...] = (1,)
    repeats: int = 5
    quick: bool = False
    fuse: bool = True
    problem: Path | None = None

    @property
    def device(self) -> str:
        """Where PyTorch computes: beside the backend."""
        return "cuda" if self.backend == "cuda" else "cpu"


@dataclass
class Contestant:
    """One way to do the same work.

    Attributes
    ----------
    reset : callable
        Back to the start; not timed.
    run : callable
        ``run(n)`` does n steps and returns when they are done.
    codes : callable or None
        The code now, ``(batch, y, x, feature)``.
    steps : int
        Steps of one timed turn.
    images : int
        Images that advance together.
    extra : dict
        What else the row should say.
    like : str
        Contestants with the same word compute the same numbers.
    all_codes : callable or None
        The codes of all levels, ``(batch, units)``.
    """

    name: str
    reset: Callable[[], None]
    run: Callable[[int], None]
    codes: Callable[[], np.ndarray] | None
    steps: int
    images: int
    threads: int = 1
    extra: Row = field(default_factory=dict)
    like: str = "crop"
    all_codes: Callable[[], np.ndarray] | None = None


def spread(values: Sequence[float]) -> Row:
    """Median and range of repeated measurements."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "runs": [float(v) for v in values],
    }


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """Hold BLAS and PyTorch to a number of threads."""
    torch = optional("torch") if "torch" in sys.modules else None
    before = torch.get_num_threads() if torch else 0
    with threadpool_limits(threads, user_api="blas"):
        if torch:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


def contest(contestants: Sequence[Contestant], repeats: int, per_image: bool = True) -> list[Row]:
    """Time contestants in turns, A B A B.

    Returns
    -------
    list of dict
        For each: ``contestant``, ``threads``, ``images``, ``steps``, ``ms`` (per image and
        step, or per step of the whole batch: median, min, max, runs) and ``ratio``, the median
        over the rounds of its time by that of the first contestant in the same round.
    """
    for c in contestants:
        with limited(c.threads):
            c.reset()
            c.run(min(c.steps, 3))  # compiles, chooses algorithms, warms caches
    times: list[list[float]] = [[] for _ in contestants]
    for _ in range(repeats):
        for c, taken in zip(contestants, times, strict=True):
            c.reset()
            with limited(c.threads):
                began = time.perf_counter()
                c.run(c.steps)
                spent = time.perf_counter() - began
            taken.append(1000 * spent / c.steps / (c.images if per_image else 1))
    rows = []
    for c, taken in zip(contestants, times, strict=True):
        ratios = [mine / first for mine, first in zip(taken, times[0], strict=True)]
        row = {"contestant": c.name, "threads": c.threads, "images": c.images, "steps": c.steps}
        rows.append(row | {"ms": spread(taken), "ratio": statistics.median(ratios)} | c.extra)
    return rows


def agree(
    rows: list[Row], contestants: Sequence[Contestant], judges: Sequence[Contestant], steps: int
) -> None:
    """Add to rows how far codes are, after so many steps, from the judge's that is like them."""

    def code(c: Contestant) -> np.ndarray:
        assert c.codes is not None
        with limited(c.threads):
            c.reset()
            c.run(steps)
        return np.asarray(c.codes(), np.float64)

    right = {judge.like: code(judge) for judge in judges}
    for row, c in zip(rows, contestants, strict=True):
        if c.codes is not None:
            mine, judged = code(c), right[c.like]
            row["difference"] = float(np.abs(mine - judged).max())
            row["largest_code"] = float(judged.max())
            row["support_mismatches"] = int(((mine > 0) != (judged > 0)).sum())
            row["active_units"] = int((judged > 0).sum())
            row["compared_after"] = steps


class Engine:
    """A started network of neurosim that can be set back to its start.

    Parameters
    ----------
    experiment : neurosim.Experiment
    weights : mapping, optional
        Connection to its kernels, ``(kernel, y, x, feature)``.
    fuse : bool
        False for the plain plan, where there is a choice.
    recorded : callable, optional
        Receives probe values.
    """

    def __init__(
        self,
        experiment: neurosim.Experiment,
        settings: Settings,
        threads: int = 1,
        weights: dict[str, np.ndarray] | None = None,
        fuse: bool = True,
        recorded: Any = None,
        dtype: str = "float32",
    ) -> None:
        chosen: Row = {"fused": fuse} if can_choose_plan() else {}
        self.experiment = experiment
        self.simulator = experiment.simulator(
            settings.backend, dtype, threads, recorded=recorded, **chosen
        )
        experiment.start(self.simulator)
        if weights:
            self.simulator.overwrite([(f"{n}:W", w[None]) for n, w in weights.items()])
        self._start = [(name, np.array(value)) for name, value in self.simulator.saved()]

    def reset(self) -> None:
        """Back to step 0, weights included."""
        self.simulator.restore(0, self._start, {})

    def run(self, steps: int) -> None:
        """Do some steps and wait for them."""
        self.simulator.run(self.simulator.step + steps)
        self.simulator.backend.sync()

    def codes(self, layer: str = "V1") -> np.ndarray:
        """Activity of a layer, ``(batch, y, x, feature)``."""
        return self.simulator.backend.read(self.experiment.plan.layers[layer][1])

    def active(self, layer: str = "V1") -> float:
        """Fraction of a layer's units that are not zero."""
        a = self.codes(layer)
        return np.count_nonzero(a) / a.size

    def contestant(self, name: str, steps: int, layer: str = "V1", **more: Any) -> Contestant:
        """This network as a contestant."""
        images = self.experiment.network.nbatch
        codes = lambda: self.codes(layer)  # noqa: E731
        return Contestant(name, self.reset, self.run, codes, steps, images, **more)


def can_choose_plan() -> bool:
    """Whether this neurosim has a plain and a fused plan."""
    return "fused" in inspect.signature(neurosim.Experiment.simulator).parameters


def machine() -> Row:
    """What the numbers depend on besides the code."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    blas = sorted({
        f"{i['internal_api']} {i.get('version') or ''} {i.get('architecture') or ''}".strip()
        for i in threadpool_info()
        if i["user_api"] == "blas"
    })  # fmt: skip
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "cores_used": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
        "blas": blas,
        "device": _device(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    numbers = ", ".join(
        f"{k} {found[k]}" for k in ("cpu family", "model", "stepping") if k in found
    )
    return f"{found.get('model name', platform.machine())} ({numbers})"


def _device() -> str | None:
    """Name of the CUDA device, as far as a library that is loaded can tell."""
    torch = optional("torch") if "torch" in sys.modules else None
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0))
    return None
