"""How the time of a step grows with its sizes, and what the machine could do at best."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numba
import numpy as np

import neurosim
from bench_core import Contestant, Engine, Row, Settings, contest, cores, limited, optional, spread
from bench_peers import NumpyNetwork, circuit_of
from bench_problems import Problem, coding, image_problem, photographs, shown, unit

#: Steps before the measured ones, for codes to become sparse, and measured.
SETTLE, MEASURED = 60, 40
#: Time constants to try, in steps.
TAUS = (100, 400, 1600, 6400)


def case_curves(settings: Settings, folder: Path) -> dict[str, Any]:
    """Time of a step against batch, features, image size, threshold, levels, threads."""
    problem = image_problem(settings, folder)
    quick = settings.quick
    side = problem.x.shape[1]
    axes: dict[str, Iterable[Any]] = {
        "batch": (1, 2) if quick else (1, 2, 4, 8, 16, 32),
        "features": (8, 16) if quick else (32, 64, 128, 256, 512),
        "image side": (16,) if quick else (32, 64, 128, 256),
        "threshold": (0.6,) if quick else (0.1, 0.2, 0.4, 0.8, 1.6),
        "levels": (1, 2) if quick else (1, 2, 3),
        "threads": (1,) if quick else sorted({1, 2, *(2**k for k in range(2, 8)), cores()}),
    }
    rows: list[Row] = []
    for axis, values in axes.items():
        for value in values:
            if axis == "threads" and (value > cores() or settings.device == "cuda"):
                continue
            given = {"batch": 1, "features": problem.features, "image side": side,
                     "threshold": problem.threshold, "levels": 1, "threads": 1}  # fmt: skip
            given |= {"batch": 16} if axis == "threads" and not quick else {}
            rows += _stable_point(axis, given | {axis: value}, problem, folder, settings)
    return {
        "title": case_curves.__doc__,
        "unit": "ms per image and step",
        "rows": rows,
        "facts": {},
    }


def _stable_point(
    axis: str, given: Row, problem: Problem, folder: Path, settings: Settings
) -> list[Row]:
    """A point of a curve, with a longer time constant where the dictionary asks for one."""
    for tau in TAUS:
        try:
            return _point(axis, given | {"tau": tau}, problem, folder, settings)
        except neurosim.DivergenceError:
            continue
    return []


def _point(axis: str, given: Row, problem: Problem, folder: Path, settings: Settings) -> list[Row]:
    """Neurosim, and numpy where it takes no minutes, at one setting."""
    rng = np.random.default_rng(3)
    x = problem.x
    if given["image side"] != x.shape[1]:
        x = photographs(1, min(given["image side"], 200))
        x = np.tile(x, (1, 2, 2, 1))[:, : given["image side"], : given["image side"]]
    x = np.resize(x, (given["batch"], *x.shape[1:]))
    more = max(0, given["features"] - problem.features)
    extra = unit(rng.normal(size=(max(more, 1), *problem.w.shape[1:])))
    w = np.concatenate([problem.w[: given["features"]], extra[:more]])
    text = shown(x, folder)
    below, side = "Image", given["image side"]
    for level in range(given["levels"]):
        patch = min(8, side // 2)
        scale = {"inputScale": 1} if level == 0 else {}
        threshold = given["threshold"] if level == 0 else 0.5 * given["threshold"]
        text += coding(
            f"V{level + 1}", below, threshold, given["features"], patchSize=patch, stride=2,
            timeConstantTau=given["tau"], **scale,
        )  # fmt: skip
        below, side = f"V{level + 1}", side // 2
    engine = Engine(
        neurosim.loads(text), settings, given["threads"], {"V1ToImageError": w}, settings.fuse
    )
    contestants = [_settled(engine, given)]
    if given["batch"] * given["image side"] ** 2 * given["features"] * given["levels"] <= 2**22:
        network = NumpyNetwork(circuit_of(engine))
        contestants.append(
            Contestant("numpy, residual form", network.reset, network.run, None,
                       3 if given["levels"] > 1 else 10, given["batch"], given["threads"])
        )  # fmt: skip
    rows = contest(contestants, min(settings.repeats, 3))
    active = {f"V{v + 1}": engine.active(f"V{v + 1}") for v in range(given["levels"])}
    return [
        row | {"axis": axis, "value": given[axis], "tau": given["tau"], "active": active}
        for row in rows
    ]


def _settled(engine: Engine, given: Row) -> Contestant:
    """The steps after the first ones, when codes are sparse."""
    engine.reset()
    engine.run(SETTLE)
    codes = [(name, np.array(value)) for name, value in engine.simulator.saved()]

    def reset() -> None:
        engine.simulator.restore(SETTLE, codes, {})

    return Contestant(
        "neurosim", reset, engine.run, None, MEASURED, given["batch"], given["threads"]
    )


@numba.njit(nogil=True, fastmath=True)
def _triad(a: Any, b: Any, c: Any, s: Any) -> None:
    for i in range(a.size):
        a[i] = b[i] + s * c[i]


def case_ceilings(settings: Settings, folder: Path) -> dict[str, Any]:
    """What the machine can do: matrix products and memory, on one core and on all."""
    rows: list[Row] = []
    shapes = [(64, 192, 128)] if settings.quick else [(2048, 2048, 2048), (1024, 192, 128)]
    for threads in settings.threads:
        for m, k, n in shapes:
            a, b = np.ones((m, k), np.float32), np.ones((k, n), np.float32)
            out = np.empty((m, n), np.float32)
            with limited(threads):
                rate = _rate(lambda: np.dot(a, b, out=out), 2e-9 * m * k * n, settings.repeats)  # noqa: B023
            rows.append(_ceiling(f"sgemm {m} x {k} x {n}", threads, "GFLOP/s", rate))
        rows.append(_bandwidth(threads, settings))
    if settings.device == "cuda":
        rows += _device(settings)
    return {"title": case_ceilings.__doc__, "unit": "see each row", "rows": rows, "facts": {}}


def _ceiling(name: str, threads: int, unit_name: str, rate: Row) -> Row:
    return {"contestant": name, "threads": threads, "of": unit_name, "rate": rate}


def _bandwidth(threads: int, settings: Settings) -> Row:
    """a = b + s c over arrays that no cache holds; 12 bytes an element."""
    size = 2**16 if settings.quick else 2**26
    a, b, c = (np.ones(size, np.float32) for _ in range(3))
    parts = [slice(size * i // threads, size * (i + 1) // threads) for i in range(threads)]
    s = np.float32(0.5)
    with ThreadPoolExecutor(threads) as pool:

        def go() -> None:
            list(pool.map(lambda p: _triad(a[p], b[p], c[p], s), parts))

        rate = _rate(go, 12e-9 * size, settings.repeats)
    return _ceiling("memory, triad", threads, "GB/s", rate)


def _rate(go: Callable[[], object], amount: float, repeats: int) -> Row:
    """Amount a second; the first call is not counted."""
    go()
    rates = []
    for _ in range(max(3, repeats)):
        began = time.perf_counter()
        go()
        rates.append(amount / (time.perf_counter() - began))
    return spread(rates)


def _device(settings: Settings) -> list[Row]:
    """Copy bandwidth and matrix products of the device, by PyTorch or CuPy."""
    n = 256 if settings.quick else 8192
    rows = []
    torch: Any = optional("torch")
    cupy: Any = optional("cupy") if torch is None else None
    if torch is not None:
        wait = torch.cuda.synchronize
        made = torch.ones(n * n * 4, device="cuda")
        into = torch.empty_like(made)
        a = torch.ones((n, n), device="cuda")
        copy, product = (lambda: into.copy_(made)), (lambda: a @ a)
    elif cupy is not None:
        wait = cupy.cuda.Device().synchronize
        made, into = cupy.ones(n * n * 4, "float32"), cupy.empty(n * n * 4, "float32")
        a = cupy.ones((n, n), "float32")
        copy, product = (lambda: cupy.copyto(into, made)), (lambda: a @ a)
    else:
        return []

    def waited(go: Callable[[], object]) -> Callable[[], None]:
        def timed() -> None:
            for _ in range(5):
                go()
            wait()

        return timed

    rate = _rate(waited(copy), 5 * 32e-9 * n * n, settings.repeats)
    rows.append(_ceiling("device memory, copy (read + write)", 0, "GB/s", rate))
    for tf32 in (False, True) if torch is not None else (False,):
        if torch is not None:
            torch.backends.cuda.matmul.allow_tf32 = tf32
        rate = _rate(waited(product), 5 * 2e-9 * n**3, settings.repeats)
        name = f"device sgemm {n} ({'TF32' if tf32 else 'float32'})"
        rows.append(_ceiling(name, 0, "GFLOP/s", rate))
    return rows
