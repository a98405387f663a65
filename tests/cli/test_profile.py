"""Times of operators: which work they did follows from the sizes of the network; no time is
compared with any other."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import neurosim
from neurosim import cli
from neurosim.backends.profile import Ceiling, OperatorTime, Profile, measure_ceiling
from neurosim.run import run_experiment

BATCH, STEPS = 3, 7
TEXT = """
HyPerCol "column" = { nx = 8; ny = 8; nbatch = 3; stopTime = 7; };
ImageLayer "Face" = {
    nf = 3; inputPath = "synthetic-faces:validation"; displayPeriod = 6; autoResizeFlag = true;
    normalizeLuminanceFlag = true; writeStep = -1;
};
SparseCoding "V1" = {
    codes = "Face"; patchSize = 4; stride = 2; features = 6; VThresh = 0.02;
    timeConstantTau = 5; dWMax = 0.1; energy = "Energy"; writeStep = -1;
};
"""
#: Drive: 4 x 4 positions, patches 4 x 4 of 3 channels, 6 features; 2 a multiply-add.
DRIVE = 2 * 16 * 16 * 3 * 6


def profiled(backend: str, threads: int, fused: bool) -> tuple[Profile, np.ndarray]:
    """Times of a run of a small network, and its codes."""
    experiment, profile = neurosim.loads(TEXT), Profile()
    simulator = experiment.simulator(backend, "float64", threads, fused=fused, profile=profile)
    experiment.start(simulator)
    simulator.run(STEPS)
    return profile, simulator.backend.read("V1:A")


def moved_kinds(entries: list[OperatorTime], name: str) -> set[str]:
    """Operators of an object that moved any memory."""
    return {e.kind for e in entries if e.name == name and e.bytes > 0}


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("backend", "threads"), [("cpu", 1), ("cpu", 2), ("reference", 1)])
def test_the_work_of_a_run_is_that_of_its_images_and_steps(
    backend: str, threads: int, fused: bool
) -> None:
    profile, codes = profiled(backend, threads, fused)
    entries = profile.operators()
    assert [e.seconds for e in entries] == sorted((e.seconds for e in entries), reverse=True)
    assert all(e.calls > 0 and e.seconds > 0 for e in entries)
    assert len({(e.kind, e.name) for e in entries}) == len(entries)
    drives = sum(e.flops for e in entries if e.kind.startswith("gather"))
    assert drives == DRIVE * BATCH * STEPS
    active = np.count_nonzero(codes) / codes.size
    assert 0 < active < 1
    sparse = [e for e in entries if e.kind in ("scatter", "residual")]
    assert sum(e.flops for e in sparse) > 0
    if not fused:
        (scatter,) = sparse
        assert scatter.flops == pytest.approx(active * DRIVE * BATCH * STEPS)
        image = 4 * 8 * 8 * 3 * BATCH * STEPS
        moved = {e.name: e.bytes for e in entries if e.kind == "ident"}
        # One reads and writes; the other also reads what it adds to.
        assert moved == {"FaceToFaceError": 2 * image, "FaceReconToFaceError": 3 * image}
        assert {"hebbian", "learn"} <= moved_kinds(entries, "V1ToFaceError")
    assert "normalize" in moved_kinds(entries, "V1ToFaceError")


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_timing_changes_no_number(backend: str) -> None:
    plain = neurosim.Simulation(neurosim.loads(TEXT), backend, "float64", 1).run(STEPS)
    assert np.array_equal(profiled(backend, 1, True)[1], plain.activity("V1"))


def test_the_limit_that_leaves_most_time_binds() -> None:
    entry = OperatorTime("gather", "x", 1, 2.0, flops=8e9, bytes=1e9)
    assert entry.bound(Ceiling(flops=8e9, bytes=4e9)) == ("sgemm", 1.0)
    assert entry.bound(Ceiling(flops=80e9, bytes=2e9)) == ("copy", 0.5)


def test_the_machine_can_be_measured() -> None:
    ceiling = measure_ceiling()
    assert ceiling.flops > 1e8
    assert ceiling.bytes > 1e7


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.params"
    path.write_text(TEXT, encoding="utf-8")
    return path


def shares(text: str) -> list[float]:
    """Shares in a printed table, in per cent; the first one of a line."""
    lines = text.partition("Time per operator")[2].partition("bound    ")[0].splitlines()
    found = (re.search(r"(\d+\.\d)%", line) for line in lines)
    return [float(hit.group(1)) for hit in found if hit]


def test_run_prints_the_table_after_its_summary(
    params: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", str(params), "-o", "out", "--profile", "--threads", "1"]) == 0
    shown = capsys.readouterr().out
    summary, title, table = shown.partition("Time per operator on 1 core")
    assert "done     7 steps" in summary
    assert title
    for word in ("operator", "calls", "share", "besides", "GFLOP/s", "GB/s", "bound"):
        assert word in table
    # Any of them may be among the others, which took next to no time.
    assert any(name in table for name in ("FaceErrorToV1", "V1ToFaceError", "FaceErrorL2"))
    assert sum(shares(shown)) == pytest.approx(100, abs=1.5)


def test_quiet_leaves_the_table_that_was_asked_for(
    params: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", str(params), "-o", "out", "--profile", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert "Time per operator" in shown.out
    assert "done" not in shown.out
    assert shown.err == ""


def test_a_sweep_is_not_timed(params: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = TEXT + 'ParameterSweep "V1":VThresh = { 0.02; 0.03; };\n'
    params.write_text(text, encoding="utf-8")
    assert cli.main(["run", str(params), "-o", "out", "--profile"]) == 2
    assert "--profile times a single run" in capsys.readouterr().err
    assert not Path("out").exists()


def test_check_prints_the_work_of_a_step(params: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(params)]) == 0
    table = capsys.readouterr().out.partition("Operators of a step, per image")[2]
    (drive,) = (line.split() for line in table.splitlines() if line.startswith("gather"))
    assert drive[1:3] == ["FaceErrorToV1", f"{DRIVE:,}"]


def test_a_run_takes_a_profile(params: Path) -> None:
    profile = Profile()
    run_experiment(neurosim.load(params), "out", backend="reference", profile=profile)
    assert {"gather", "lca"} <= {entry.kind for entry in profile.operators()}


def test_a_whole_field_drive_is_bound_by_reading_its_weights() -> None:
    text = TEXT.partition("SparseCoding")[0] + (
        'SparseCoding "P1" = { codes = "Face"; wholeField = true; features = 40; VThresh = 0.1; '
        "learn = false; writeStep = -1; };"
    )
    experiment, profile = neurosim.loads(text), Profile()
    simulator = experiment.simulator("cpu", threads=1, fused=False, profile=profile)
    experiment.start(simulator)
    simulator.run(STEPS)
    (drive,) = [e for e in profile.operators() if e.kind == "gather"]
    pixels = 8 * 8 * 3
    assert drive.flops == 2 * pixels * 40 * BATCH * STEPS
    images = 4 * BATCH * STEPS * (pixels + 40)
    assert drive.bytes == images + 4 * pixels * 40 * drive.calls
