"""The cases whose result is the time of a step: V1, a dense code, the paper's network, learning."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench_core import (
    Contestant,
    Engine,
    Row,
    Settings,
    agree,
    can_choose_plan,
    contest,
    limited,
    optional,
)
from bench_peers import Circuit, NumpyGram, NumpyNetwork, circuit_of
from bench_problems import (
    Problem,
    image_engine,
    image_problem,
    mixture_engine,
    mixture_problem,
    paper_experiment,
)
from bench_torch import TorchDense, competitors

Case = dict[str, Any]
#: The codes of the paper's network, in the order of its file.
LEVELS = ("V1", "VP1", "T1", "P1")


def judge(circuit: Circuit, like: str = "crop") -> Contestant:
    """Numpy in float64, not timed."""
    made = NumpyNetwork(circuit, np.float64)
    return Contestant(
        "numpy, float64", made.reset, made.run, made.codes, 0, circuit.images, like=like
    )


def engines(
    made: list[tuple[str, Engine]], steps: int, threads: int, plain_steps: int | None = None
) -> list[Contestant]:
    """Networks of neurosim as contestants; the plain plan may take fewer steps."""
    fewer = steps if plain_steps is None else min(steps, plain_steps)
    return [
        engine.contestant(name, fewer if "plain plan" in name else steps, threads=threads)
        for name, engine in made
    ]


def plans(settings: Settings) -> list[tuple[str, bool]]:
    """Names of the plans that are measured, and whether they are fused."""
    if not can_choose_plan():
        return [("neurosim", True)]
    both = [("neurosim", True), ("neurosim, plain plan", False)]
    return both if settings.fuse else both[1:]


def case_v1(settings: Settings, folder: Path) -> Case:
    """64 x 64 x 3 -> 32 x 32 x 128, patches 8 x 8, stride 2, soft threshold: 400 steps."""
    problem = image_problem(settings, folder)
    steps, rows = (20, []) if settings.quick else (400, [])
    facts: Row = {"problem": problem.source, "threshold": problem.threshold, "active": {}}
    for images, threads in _batches(settings):
        made = [
            (name, image_engine(problem, images, folder, settings, threads, fuse))
            for name, fuse in plans(settings)
        ]
        circuit = circuit_of(made[0][1])
        probed = image_engine(
            problem, images, folder, settings, threads, settings.fuse, energy="Energy"
        )
        made.append((f"{made[0][0]}, energy probes", probed))
        mine = engines(made, steps, threads)
        few = _steps_of_others(settings, images, steps)
        others = competitors(circuit, threads, settings.device, few)
        found = contest([*mine, *others], settings.repeats)
        judges = [judge(circuit)]
        if any(c.like == "plane" for c in others):
            judges.append(judge(circuit.on_plane(), "plane"))
        if images == min(i for i, _ in _batches(settings)):
            agree(found, [*mine, *others], judges, steps if images <= 2 else 20)
        drive = _drive_flops(circuit)
        for row in found[: len(mine)]:
            row["drive_gflops"] = drive / row["ms"]["median"] / 1e6
        facts["active"][f"batch {images}"] = _activity(made[0][1], steps)
        facts["repeats_bit_for_bit"] = _repeats(made[0][1], steps)
        rows += found
    facts["drive_mflop"] = drive / 1e6
    return {"title": case_v1.__doc__, "unit": "ms per image and step", "rows": rows, "facts": facts}


def _steps_of_others(settings: Settings, images: int, steps: int) -> tuple[int, int, int]:
    """Steps of a turn of numpy, PyTorch and lca-pytorch's form; all their steps take as long."""
    if settings.device == "cuda":
        few = (3, steps, 100)
    else:
        few = (steps, steps, 40) if images == 1 else (100, 100, 10)
    return min(steps, few[0]), min(steps, few[1]), min(steps, few[2])


def _batches(settings: Settings) -> list[tuple[int, int]]:
    """(images, threads): one image on one core, a batch on more; a large batch on a device."""
    if settings.quick:
        return [(2, settings.threads[0])]
    if settings.device == "cuda":
        return [(128, settings.threads[-1])]
    return [(1 if n == 1 else 16, n) for n in settings.threads]


def _drive_flops(circuit: Circuit) -> float:
    """Multiplications and additions of the dense drives, per image and step."""
    network = NumpyNetwork(circuit)
    return float(sum(2 * np.prod(f.units) * f.w.size for f in network.fields.values()))


def _repeats(engine: Engine, steps: int) -> bool:
    """Whether a second run gives the very same codes."""
    engine.reset()
    engine.run(steps)
    first = engine.codes()
    engine.reset()
    engine.run(steps)
    return np.array_equal(first, engine.codes())


def _activity(engine: Engine, steps: int, levels: tuple[str, ...] = ("V1",)) -> Row:
    """Fraction of active units at some steps, by level."""
    engine.reset()
    found: Row = {}
    for step in sorted({max(1, steps // 40), steps // 4, steps}):
        engine.run(step - engine.simulator.step)
        found[f"step {step}"] = {name: engine.active(name) for name in levels}
    return found


def case_dense(settings: Settings, folder: Path) -> Case:
    """12,288 inputs, 512 atoms of the whole field, batch 128, threshold 0.1: steps 2 to 400.

    The first step, with both products that do not change, is in the whole solve only.
    """
    problem = mixture_problem(settings)
    steps, rows = (20, []) if settings.quick else (400, [])
    facts: Row = {"problem": problem.source}
    for threads in settings.threads:
        made = [
            (name, mixture_engine(problem, folder, settings, threads, fuse))
            for name, fuse in plans(settings)
        ]
        circuit = circuit_of(made[0][1])
        gram = NumpyGram(circuit)
        images = circuit.images
        contestants = [
            *engines(made, steps, threads, 40),
            Contestant(
                "numpy, inner products", gram.reset, gram.run, gram.codes, steps, images, threads
            ),
            *_torch_dense(circuit, settings.device, steps, threads),
        ]
        later = [after_first(c) for c in contestants]
        found = contest(later, settings.repeats, per_image=False)
        agree(found, contestants, [judge(circuit)], steps if settings.quick else 40)
        rows += found
        facts[f"whole_solve_seconds_{threads}_threads"] = _exact(
            problem, made[0][1], steps, threads
        )
    return {
        "title": " ".join((case_dense.__doc__ or "").split()),
        "unit": "ms per step of the batch",
        "rows": rows,
        "facts": facts,
    }


def after_first(contestant: Contestant) -> Contestant:
    """The same, timed from the second step on."""

    def reset() -> None:
        contestant.reset()
        contestant.run(1)

    return replace(contestant, reset=reset, steps=contestant.steps - 1)


def _torch_dense(circuit: Circuit, device: str, steps: int, threads: int) -> list[Contestant]:
    """The same ten lines in PyTorch."""
    if optional("torch") is None:
        return []
    found = []
    for tf32 in (False, True) if device == "cuda" else (False,):
        made = TorchDense(circuit, device, tf32)
        name = f"PyTorch, inner products ({'TF32' if tf32 else 'float32'})"
        found.append(
            Contestant(name, made.reset, made.run, made.codes, steps, circuit.images, threads)
        )
    return found


def _exact(problem: Problem, engine: Engine, steps: int, threads: int) -> Row:
    """A whole solve, beside scikit-learn's exact one."""
    from sklearn.decomposition import sparse_encode

    x = problem.x.reshape(len(problem.x), -1).astype(np.float64)
    atoms = problem.w.reshape(problem.features, -1).astype(np.float64)
    with limited(threads):
        engine.reset()
        began = time.perf_counter()
        engine.run(steps)
        mine = time.perf_counter() - began
        began = time.perf_counter()
        exact = sparse_encode(
            x, atoms, algorithm="lasso_cd", alpha=problem.threshold, positive=True, n_jobs=1
        )
        theirs = time.perf_counter() - began
    code = engine.codes().reshape(exact.shape)
    return {
        f"neurosim, {steps} steps": mine,
        "scikit-learn, lasso_cd (exact, float64)": theirs,
        "largest difference": float(np.abs(code - exact).max()),
        "active units": int((exact > 0).sum()),
        "support mismatches": int(((code > 0) != (exact > 0)).sum()),
    }


def case_paper(settings: Settings, folder: Path) -> Case:
    """The paper's network (V1, VP1, T1, P1, feedback from potentials), random dictionaries."""
    images, steps = (2, 12) if settings.quick else (32 if settings.device == "cuda" else 24, 160)
    rows: list[Row] = []
    facts: Row = {"input": "drawn faces and rendered names"}
    for threads in settings.threads:
        whole = Engine(paper_experiment(settings, images), settings, threads, fuse=settings.fuse)
        made = [
            (
                name,
                Engine(
                    paper_experiment(settings, images, plain=True), settings, threads, fuse=fuse
                ),
            )
            for name, fuse in plans(settings)
        ]
        made.append(("neurosim, the file as it is: energies, adaptive step", whole))
        circuit = circuit_of(made[0][1])
        mine = engines(made, steps, threads, 40)
        others = _paper_peers(circuit, settings, threads)
        found = contest([*mine, *others], min(settings.repeats, 3))
        if threads == settings.threads[0]:
            _compare_paper(found, settings)
        facts["active"] = _activity(made[0][1], steps, LEVELS)
        facts["drive_mflop"] = _drive_flops(circuit) / 1e6
        rows += found
    return {
        "title": case_paper.__doc__,
        "unit": "ms per image and step",
        "rows": rows,
        "facts": facts,
    }


def _compare_paper(rows: list[Row], settings: Settings) -> None:
    """Codes of all levels of two images, with settings that make all of them active soon."""
    steps = 8 if settings.quick else 60
    lively: dict[str, object] = {f"{level}.timeConstantTau": 20 for level in LEVELS}
    lively |= {"VP1.VThresh": 1e-3, "P1.VThresh": 1e-3}
    experiment = paper_experiment(settings, 2, plain=True).override(lively)
    made = [(name, Engine(experiment, settings, fuse=fuse)) for name, fuse in plans(settings)]
    circuit = circuit_of(made[0][1])
    contestants = engines(made, steps, 1) + _paper_peers(circuit, settings, 1)
    for contestant, (_, engine) in zip(contestants, made, strict=False):
        contestant.codes = partial(_all_codes, engine)
    for contestant in contestants[len(made) :]:
        contestant.codes = contestant.all_codes
    right = NumpyNetwork(circuit, np.float64)
    all_right = Contestant("", right.reset, right.run, right.all_codes, 0, 2)
    named = {c.name: c for c in contestants}
    compared = [row for row in rows if row["contestant"] in named]
    agree(compared, [named[row["contestant"]] for row in compared], [all_right], steps)


def _all_codes(engine: Engine) -> np.ndarray:
    """Codes of all levels of the paper's network, (batch, units)."""
    return np.concatenate([engine.codes(v).reshape(2, -1) for v in LEVELS], axis=1)


def _paper_peers(circuit: Circuit, settings: Settings, threads: int) -> list[Contestant]:
    """Residual form only: lca-pytorch's own form has no second level."""
    few = 3 if settings.quick or settings.device == "cpu" else 100
    return competitors(circuit, threads, settings.device, (min(few, 3), few, 0), gram=False)


def case_learning(settings: Settings, folder: Path) -> Case:
    """Presentations of 400 steps with learning at their end, and without."""
    problem = image_problem(settings, folder)
    period, images = (20, 2) if settings.quick else (400, 8 if settings.device == "cpu" else 128)
    shown = 1 if settings.quick else 2
    learning = {"dWMax": 0.01, "momentumTimeConstant": 5, "triggerOffset": 1}
    rows: list[Row] = []
    for threads in settings.threads:
        fuse = settings.fuse
        still = image_engine(problem, images, folder, settings, threads, fuse, period=period)
        plastic = image_engine(
            problem, images, folder, settings, threads, fuse, period=period, **learning
        )
        pair = [("without learning", still), ("with learning", plastic)]
        steps = shown * period
        found = contest(engines(pair, steps, threads), settings.repeats)
        plastic.reset()
        plastic.run(steps)
        change = plastic.simulator.backend.read("V1ToImageError:W")[0] - problem.w
        found[1]["weights_changed_by"] = float(np.abs(change).max())
        found[1]["added_percent"] = 100 * (found[1]["ratio"] - 1)
        rows += found
    return {
        "title": case_learning.__doc__,
        "unit": "ms per image and step",
        "rows": rows,
        "facts": {},
    }


__all__ = ["case_dense", "case_learning", "case_paper", "case_v1"]
