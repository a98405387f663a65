"""A small run whose every frame is known from its number; as a program, it writes one for ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from neurosim.record.outputs import InputOutput, LayerOutput, ProbeOutput
from neurosim.record.reader import Run
from neurosim.record.writer import RunWriter

NBATCH = 2
SHAPE = (NBATCH, 3, 4, 16)
LAYERS = [
    LayerOutput("V1", "HyPerLCALayer", 3, 4, 16, sparse=True, potential=True, units="1"),
    LayerOutput("Error", "ANNErrorLayer", 3, 4, 16),
]
INPUTS = [InputOutput("Face", ["a.png", "b.png", "c.png"], ["Ann", "Bob", "Ann"])]
PROBES = [
    ProbeOutput("Energy", "ColumnEnergyProbe"),
    ProbeOutput("Stats", "StatsProbe", ["min", "max", "mean"]),
]
EFFECTIVE = 'HyPerCol "column" = { dt = 1; };  // φ'
LENGTHS = "lengths.json"


def create(out: Path, **options: object) -> RunWriter:
    return RunWriter.create(
        out, attrs={"backend": "reference", "dtype": "float32"}, source_text="// given",
        effective_text=EFFECTIVE, layers=LAYERS, inputs=INPUTS, probes=PROBES, nbatch=NBATCH,
        **options,
    )  # fmt: skip


def potential(t: int) -> np.ndarray:
    return np.random.default_rng(t).standard_normal(SHAPE).astype(np.float32)


def activity(t: int) -> np.ndarray:
    v = potential(t)
    return np.where(np.abs(v) > 1, v, np.float32(0))


def shown(t: int) -> np.ndarray:
    return np.array([t % 3, (t + 1) % 3])


def samples(t: int) -> np.ndarray:
    return np.arange(NBATCH * 3, dtype=float).reshape(1, NBATCH, 3) + t


def append(writer: RunWriter, t: int) -> None:
    writer.append_input("Face", t, shown(t))
    writer.append_layer("V1", t, activity(t), potential(t))
    writer.append_layer("Error", t, -potential(t))
    writer.append_probes("Energy", np.array([float(t)]), samples(t)[..., 0])
    writer.append_probes("Stats", np.array([float(t)]), samples(t))


def lengths_at(n: int) -> dict[str, int]:
    """What the writer's lengths must be after ``n`` frames."""
    nonzero = sum(np.count_nonzero(activity(t)) for t in range(n))
    one_a_frame = (
        "/layers/V1/time", "/layers/V1/potential", "/layers/Error/time", "/layers/Error/activity",
        "/inputs/Face/time", "/inputs/Face/frame", "/probes/Energy/time", "/probes/Energy/value",
        "/probes/Stats/time", "/probes/Stats/value",
    )  # fmt: skip
    csr = "/layers/V1/activity/"
    return {
        **dict.fromkeys(one_a_frame, n),
        csr + "data": nonzero,
        csr + "indices": nonzero,
        csr + "indptr": n * NBATCH + 1,
    }


def check(run: Run) -> int:
    """Every series must hold its first frames, exactly; returns the fewest of any."""
    counts = []
    for series, parts in (
        (run.layers["V1"], {"activity": activity, "potential": potential}),
        (run.layers["Error"], {"activity": lambda t: -potential(t)}),
        (run.inputs["Face"], {"frame": shown}),
        (run.probes["Energy"], {"value": lambda t: samples(t)[0, :, 0]}),
        (run.probes["Stats"], {"value": lambda t: samples(t)[0]}),
    ):
        n = len(series)
        counts.append(n)
        np.testing.assert_array_equal(series.time, np.arange(n))
        for name, truth in parts.items():
            found = getattr(series, name)[:]
            assert len(found) == n, (series, name, len(found), n)
            if n:
                np.testing.assert_array_equal(found, np.stack([truth(t) for t in range(n)]))
    return min(counts)


def start(out: Path, mode: str = "run") -> subprocess.Popen[str]:
    """This file as a program in a process of its own."""
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    return subprocess.Popen(
        [sys.executable, __file__, str(out), mode],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.005)


def write_forever(out: Path) -> None:
    """Append and flush all the time; note the lengths every ten frames."""
    writer = create(out, flush_seconds=0.0)
    for t in range(100_000):
        append(writer, t)
        if t % 10 == 9:
            partial = out / "lengths.partial"
            partial.write_text(json.dumps(writer.lengths()), encoding="utf-8")
            os.replace(partial, out / LENGTHS)


def fill_the_disk(out: Path) -> None:
    """Run into the limit on a file's size, as on a full disk, then try to go on."""
    import resource

    from neurosim.errors import RunFileError
    from neurosim.record.checkpoint import write_checkpoint

    writer = create(out, flush_seconds=0.0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    for attempt in (
        lambda: [append(writer, t) for t in range(100_000)],
        lambda: writer.flush(),
        lambda: write_checkpoint(out / "checkpoints", 1, {"/a": np.zeros(10**6)}, {}),
    ):
        try:
            attempt()
        except RunFileError as error:
            print(error)
        else:
            print("no error")
    writer.close()


if __name__ == "__main__":
    {"run": write_forever, "full": fill_the_disk}[sys.argv[2]](Path(sys.argv[1]))
