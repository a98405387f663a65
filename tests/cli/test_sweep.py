"""A grid of runs: in processes, resumable, robust against failing points."""

from __future__ import annotations

import json
import multiprocessing
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import neurosim
from neurosim.cli import main
from neurosim.errors import RequestError
from neurosim.sweep import grid, run_sweep
from tests.run.networks import differences, write_network

BRIEF = ["--set", "column.stopTime=45"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    write_network(folder)
    return folder


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def test_grid() -> None:
    points = grid(["V1.VThresh=0.1,0.2", "V1.channelIndices=[0,1],[1]", "Input.inputPath=a b,c"])
    assert len(points) == 8
    assert points[1] == {"V1.VThresh": 0.1, "V1.channelIndices": (0.0, 1.0), "Input.inputPath": "c"}
    with pytest.raises(RequestError, match="varied twice"):
        grid(["V1.nf=1", "V1.nf=2"])


def test_a_grid_in_two_processes(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    vary = ["--vary", "V1.VThresh=0.05,0.1", "--vary", "Input.subtractMean=true,false"]
    command = ["sweep", "net.params", "-o", "two", *BRIEF, *vary]
    assert main([*command, "--jobs", "2"]) == 0
    out, err = capfd.readouterr()
    assert err.count("done\n") == 4 and "[4/4]" in err
    assert out.count("two/paramsweep_0") == 4 and "Energy" in out and "false" in out
    rows = json.loads(Path("two/sweep.json").read_text())
    assert [r["settings"]["V1.VThresh"] for r in rows] == [0.05, 0.05, 0.1, 0.1]
    energies = [r["results"]["Energy"] for r in rows]
    assert len(set(energies)) == 4
    # The same as single runs, and nothing is run twice.
    single = neurosim.load("net.params", {"column.stopTime": 45, "V1.VThresh": 0.1})
    neurosim.run(single, "single").close()
    assert differences(Path("single"), Path("two/paramsweep_02")) == []
    times = [p.stat().st_mtime_ns for p in sorted(Path("two").glob("*/run.h5"))]
    Path("two/paramsweep_03/run.h5").unlink()
    assert main([*command, "-q"]) == 0
    again = [p.stat().st_mtime_ns for p in sorted(Path("two").glob("*/run.h5"))]
    assert again[:3] == times[:3] and again[3] != times[3]
    assert [r["results"]["Energy"] for r in json.loads(Path("two/sweep.json").read_text())] == (
        energies
    )
    capfd.readouterr()
    assert main(["show", "two"]) == 0
    assert capfd.readouterr().out.count("paramsweep_0") == 4


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failing_point_does_not_stop_the_others(
    jobs: int, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = "--vary=Input.inputPath=images,gone[0],images"
    command = ["sweep", "net.params", "-o", f"bad{jobs}", *BRIEF, bad, "--jobs", str(jobs)]
    assert main(command) == 1
    rows = json.loads(Path(f"bad{jobs}/sweep.json").read_text())
    assert [row["error"] is None for row in rows] == [True, False, True]
    assert "gone[0]" in rows[1]["error"] and "gone[0]" in capfd.readouterr().out


def test_a_process_that_dies_is_told(folder: Path, tmp_path: Path) -> None:
    experiment = neurosim.load(folder / "net.params")
    experiment = experiment.override({"column.stopTime": 1e7, "Input.convergenceTolerance": 0})

    def kill_first() -> None:
        while not (tmp_path / "paramsweep_00" / "run.h5").exists():
            time.sleep(0.05)
        children = multiprocessing.active_children()
        min(children, key=lambda child: int(child.name.rpartition("-")[2])).kill()

    points = [{"V1.VThresh": 0.05}, {"V1.VThresh": 0.1, "column.stopTime": 5}]
    threading.Thread(target=kill_first, daemon=True).start()
    rows = run_sweep(experiment, points, tmp_path, jobs=2)
    assert "its process died (signal 9)" in str(rows[0].error)
    assert rows[1].error is None and rows[1].results["Energy"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_runs_and_the_same_command_goes_on(
    number: signal.Signals, here: Path, tmp_path: Path
) -> None:
    command = [
        *(sys.executable, "-m", "neurosim", "sweep", "net.params", "--jobs", "2", "-o", tmp_path),
        *("--set", "column.stopTime=3000", "--set", "column.checkpointWrite=false"),
        *("--vary", "V1.VThresh=0.05,0.06,0.07"),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not all((tmp_path / f"paramsweep_0{i}" / "run.h5").exists() for i in (0, 1)):
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(number)
        assert process.wait(20) == 128 + number
        assert process.stderr is not None
        last = process.stderr.read().splitlines()[-1]
        assert last == f"stopped by {number.name}; the same command goes on"
    assert len(list(tmp_path.glob("paramsweep_0[01]/checkpoints/checkpoint_*.h5"))) == 2
    assert not (tmp_path / "paramsweep_02").exists()


def test_a_sweep_in_the_file(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = Path("net.params").read_text()
    text += 'ParameterSweep "V1":VThresh = { 0.05; 0.1; };\n'
    text += 'ParameterSweep "column":stopTime = { 20; 45; };\n'
    Path("swept.params").write_text(text)
    assert main(["run", "swept.params", "-o", "swept"]) == 0
    assert capfd.readouterr().out.count("swept/paramsweep_0") == 2
    with neurosim.open_run("swept/paramsweep_01") as run:
        assert run.layers["V1"].time[-1] == 45
    # PetaVision: a swept outputPath is taken as it is.
    Path("paths.params").write_text(
        text + 'ParameterSweep "column":outputPath = { "swept_a"; "swept_b"; };\n'
    )
    assert main(["sweep", "paths.params", "-q"]) == 0
    assert Path("swept_a/run.h5").exists() and Path("swept_b/run.h5").exists()
