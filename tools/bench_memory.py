"""Memory of a run, each measured in a process of its own: ``python bench_memory.py REQUEST``.

A request is JSON: params text, folder, backend. The answer is JSON: how far the peak of the
resident memory rose above what an almost empty network of the same kinds needs, imports and
compiled kernels included.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import neurosim
from bench_core import Row, Settings
from bench_problems import Problem, coding, image_problem, paper_experiment, shown

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
#: The target: bytes of a run of any length beside its neurons and weights.
FIXED, PER_NEURON, PER_WEIGHT = 40e6, 12, 2 * 4


def resident() -> int:
    """Bytes of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def forget_peak() -> bool:
    """Let the peak start anew; false where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak() -> int:
    """Most bytes of this process that were in memory since the peak was forgotten."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("this system does not tell the peak of the resident memory")


def measure(request: dict[str, Any]) -> Row:
    """Run the small network, then the real one."""
    options = {"backend": request["backend"], "threads": request["threads"], "overwrite": True}
    for text in (request["small"], request["small"]):
        neurosim.run(neurosim.loads(text), Path(request["folder"]) / "small", **options).close()
    gc.collect()
    before = resident()
    if not forget_peak():
        before = max(before, peak())
    run = neurosim.run(neurosim.loads(request["text"]), Path(request["folder"]) / "run", **options)
    run.close()
    return {"before": before, "growth": peak() - before}


def _text(problem: Problem, images: int, features: int, steps: int, folder: Path) -> str:
    """V1 that writes its code every 100 steps, and its energy at each."""
    x = problem.batch(images)
    column = shown(x, folder).replace("stopTime = 1000000", f"stopTime = {steps}")
    keys = {"patchSize": 8, "stride": 2, "inputScale": 1, "energy": "Energy"}
    level = coding("V1", "Image", problem.threshold, features, **keys)
    return column + level.replace("writeStep = -1", "writeStep = 100")


def _neurons(experiment: neurosim.Experiment) -> int:
    """Units of all codes, of one image."""
    layers = experiment.network.layers.values()
    return sum(n.shape.size for n in layers if n.kind.endswith("LCALayer"))


def _weights(experiment: neurosim.Experiment) -> int:
    buffers = experiment.plan.buffers.values()
    return sum(_product(b.shape) for b in buffers if b.name.endswith(":W"))


def _product(shape: tuple[int, ...]) -> int:
    total = 1
    for n in shape:
        total *= n
    return total


def case_memory(settings: Settings, folder: Path) -> dict[str, Any]:
    """Peak of the resident memory of runs of 100 and 500 steps, codes and energies written."""
    if settings.device == "cuda" or not Path("/proc/self/clear_refs").exists():
        left_out = "the memory of a device is not measured, and that of the host on Linux only"
        return {
            "title": case_memory.__doc__,
            "unit": "MB",
            "rows": [],
            "facts": {"left out": left_out},
        }
    problem = image_problem(settings, folder)
    small = Problem(problem.x[:1, :16, :16], problem.w, problem.threshold, "")
    lengths, batches, features = (
        ((10, 30), (2,), 16) if settings.quick else ((100, 500), (1, 16), 128)
    )
    rows = []
    for images in batches:
        for steps in lengths:
            text = _text(problem, images, features, steps, folder)
            experiment = neurosim.loads(text)
            rows.append(
                _row(f"V1, batch {images}", text, _text(small, 1, features, 10, folder), steps,
                     experiment, folder, settings)
            )  # fmt: skip
    if not settings.quick:
        for steps in (10, 40):
            experiment = paper_experiment(settings, 4).override({"column.stopTime": steps})
            tiny = paper_experiment(Settings(quick=True), 1).override({"column.stopTime": 10})
            rows.append(
                _row("the paper's network, batch 4", experiment.effective_text,
                     tiny.effective_text, steps, experiment, folder, settings)
            )  # fmt: skip
    return {"title": case_memory.__doc__, "unit": "MB", "rows": rows, "facts": {}}


def _row(
    name: str, text: str, small: str, steps: int, experiment: neurosim.Experiment, folder: Path,
    settings: Settings,
) -> Row:  # fmt: skip
    """One process; beside what it used, the target."""
    threads = settings.threads[-1]
    request = {"text": text, "small": small, "folder": str(folder), "backend": settings.backend}
    answer = subprocess.run(
        [sys.executable, __file__, json.dumps(request | {"threads": threads})],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if answer.returncode:
        raise RuntimeError(f"the process that measures memory failed:\n{answer.stderr}")
    found = json.loads(answer.stdout.splitlines()[-1])
    images = experiment.network.nbatch
    target = FIXED + PER_NEURON * _neurons(experiment) * images + PER_WEIGHT * _weights(experiment)
    return {
        "contestant": f"{name}, {steps} steps",
        "threads": threads,
        "images": images,
        "steps": steps,
        "growth_mb": found["growth"] / 1e6,
        "target_mb": target / 1e6,
        "within": found["growth"] <= target,
    }


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
