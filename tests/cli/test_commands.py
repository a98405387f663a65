"""Every command, with right and wrong requests: one message, the right exit status."""

from __future__ import annotations

import io
import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import neurosim
from neurosim.cli import main
from neurosim.console import Bar
from neurosim.run import Progress
from tests.run.networks import write_network


@dataclass
class Told:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


Call = Callable[..., Told]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: object) -> Told:
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Told(status, out, err)

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    write_network(folder)
    return folder


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def test_the_summary_tells_what_was_left_unexplained_of_the_inputs(call: Call, here: Path) -> None:
    done = call("run", "net.params", "-o", "told")
    told = re.search(r"learned +from .*: L2 (\S+) -> (\S+) \(batch means\)", done.out)
    with neurosim.open_run("told") as run:
        values, times = run.probes["L2"].value[:], run.probes["L2"].time[:]
    ends = np.flatnonzero(times % 40 == 0)
    first, last = (f"{values[i].mean():.4g}" for i in (ends[ends > 0][0], ends[-1]))
    assert told is not None and told.groups() == (first, last)
    silent = call("run", "net.params", "-o", "silent", "--set", "L2.textOutputFlag=false")
    assert silent.status == 0 and "learned" not in silent.out


def test_run_then_show_then_open_as_the_summary_says(call: Call, here: Path) -> None:
    done = call("run", "net.params", "-o", "done")
    assert done.status == 0 and done.err == ""
    assert re.match(r"done +240 steps, \d+ of them skipped as presentations converged", done.out)
    shown = call(*re.search(r"neurosim (show \S+)", done.out)[1].split())
    assert shown.status == 0 and "done/run.h5: finished" in shown.out
    assert "layer V1 (MomentumLCALayer): 33 frames" in re.sub(r"\): \d+ f", "): 33 f", shown.out)
    names: dict = {}
    exec(re.search(r"python +(import .*)", done.out)[1], names)
    assert names["run"].finished
    names["run"].close()
    assert call("run", "net.params", "-o", "done", "--resume").status == 0
    assert call("run", "net.params", "-o", "done", "--overwrite", "-q").out == ""


def test_what_a_run_shows(call: Call, here: Path) -> None:
    assert call("run", "net.params", "-o", "shown", "--set", "column.stopTime=45").status == 0
    specs = call("show", "shown", "--stage", "specs")
    again = neurosim.loads(specs.out, here)
    assert again.effective_text == specs.out and again.steps == 45
    groups = call("show", "shown/run.h5", "--stage", "groups").out
    assert "valueV" in groups and "AMax" not in groups and "AMax" in specs.out
    assert "ReconToError" in call("show", "shown", "--stage", "graph").out
    assert "V1" in call("show", "shown", "--stage", "plan").out
    checkpoint = call("show", "shown/checkpoints/checkpoint_0000000045.h5")
    assert "/connections/V1ToError/W  (16, 4, 4, 3) float32" in checkpoint.out
    assert "--set" in call("show", "shown", "--set", "V1.nf=8").err


@pytest.mark.parametrize("stage", ["groups", "specs", "graph", "plan"])
def test_stages_of_a_file(stage: str, call: Call, here: Path) -> None:
    shown = call("show", "net.params", "--stage", stage)
    assert shown.status == 0 and "V1" in shown.out and shown.err == ""


def test_check_prints_whole_names(call: Call, here: Path) -> None:
    long = "AVeryLongNameOfALayerThatWouldNotFitIntoEightyColumns" * 2
    text = Path("net.params").read_text().replace('Leak"', long + '"')
    Path("long.params").write_text(text)
    checked = call("check", "long.params")
    assert checked.status == 0 and f"ReconTo{long}" in checked.out and "…" not in checked.out
    assert "240 steps of dt = 1, batch 3, seed 42" in checked.out
    assert not Path("out").exists()


def test_options_reach_the_run(call: Call, here: Path) -> None:
    brief = ("--set", "column.stopTime=5", "-q")
    told = call(
        *("run", "net.params", "-o", "options", "--seed", 7, "--dtype", "float64"),
        *("--threads", 1, "--backend", "cpu", *brief),
    )
    assert (told.status, told.out, told.err) == (0, "", "")
    with neurosim.open_run("options") as run:
        assert run.attrs["dtype"] == "float64" and "randomSeed" in run.params
        assert re.search(r"randomSeed += 7;", run.params)
    assert call("run", "net.params", "-o", "slow", "--backend", "reference", *brief).status == 0


def test_help_and_version(call: Call) -> None:
    assert re.fullmatch(r"neurosim \d+\.\d+\.\d+\n", call("--version").out)
    for command in ((), ("run",), ("check",), ("show",), ("sweep",)):
        assert call(*command, "--help").status == 0


WRONG = {
    "no file": (("run",), "Missing argument 'file'"),
    "gone": (("run", "gone_entirely.params"), "gone_entirely.params: no such file"),
    "near": (("run", "nets.params"), "did you mean net.params?"),
    "folder": (("run", "images"), "images: is a folder; give a params file"),
    "picture": (("run", "images/picture_0.png"), "picture_0.png:1"),
    "output is a file": (("run", "net.params", "-o", "net.params"), "net.params: is a file"),
    "output below a file": (("run", "net.params", "-o", "net.params/x"), "net.params"),
    "output in a void": (("run", "net.params", "-o", "/proc/void/x"), "/proc/void/x"),
    "name too long": (("run", "net.params", "-o", "x" * 300), "File name too long"),
    "unknown group": (("run", "net.params", "--set", "V2.VThresh=1"), 'no group "V2"'),
    "unknown key": (("run", "net.params", "--set", "V1.VTresh=1"), 'mean "VThresh"?'),
    "no value": (("run", "net.params", "--set", "V1.VThresh"), "give Group.key=value"),
    "wrong value": (("run", "net.params", "--set", "V1.nf=-1"), "nf = -1: must be an integer >= 1"),
    "no steps": (("run", "net.params", "--set", "column.stopTime=0"), "leaves no step to run"),
    "dtype": (("run", "net.params", "--dtype", "float16"), '"float32" or "float64"'),
    "backend": (("run", "net.params", "--backend", "abacus"), "auto, cpu"),
    "threads": (("run", "net.params", "--threads", "0"), "threads = 0"),
    "threads word": (("run", "net.params", "--threads", "all"), "--threads"),
    "seed": (("run", "net.params", "--seed", "-5"), "randomSeed = -5"),
    "both": (("run", "net.params", "--resume", "--overwrite"), "exclude each other"),
    "no option": (("run", "net.params", "--bogus"), "No such option"),
    "too much": (("run", "net.params", "net.params"), "unexpected extra argument"),
    "no command": (("walk",), "walk"),
    "no input": (("check", "net.params", "--set", "Input.inputPath=gone.png"), "gone.png"),
    "no stage": (("show", "net.params", "--stage", "nerves"), "groups, specs, graph, plan"),
    "nothing there": (("show", "nowhere"), "nowhere: no such file"),
    "no run": (("show", "images"), "images: no run is here"),
    "no run file": (("show", "nowhere.h5"), "no run is here"),
    "nothing to vary": (("sweep", "net.params"), "nothing to vary"),
    "vary nothing": (("sweep", "net.params", "--vary", "V1.VThresh="), "Group.key=a,b,c"),
    "vary a gap": (("sweep", "net.params", "--vary", "V1.VThresh=1,,2"), "Group.key=a,b,c"),
    "vary no key": (("sweep", "net.params", "--vary", "VThresh=1"), "Group.key=a,b,c"),
    "vary unknown": (("sweep", "net.params", "--vary", "V1.VTresh=1,2"), 'mean "VThresh"?'),
    "vary wrong": (("sweep", "net.params", "--vary", "V1.nf=8,many"), "must be an integer"),
    "vary twice": (
        ("sweep", "net.params", "--vary", "V1.nf=8", "--vary", "V1.nf=4"),
        "varied twice",
    ),
    "jobs": (("sweep", "net.params", "--vary", "V1.nf=8", "--jobs", "0"), "jobs = 0"),
    "sweep dtype": (("sweep", "net.params", "--vary", "V1.nf=8", "--dtype", "x"), "float64"),
    "sweep into a file": (("sweep", "net.params", "--vary", "V1.nf=8", "-o", "net.params"), "is a"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_one_message(case: str, call: Call, here: Path) -> None:
    arguments, expected = WRONG[case]
    before = set(here.rglob("*"))
    told = call(*arguments)
    assert told.status == 2 and told.out == ""
    assert expected in told.err
    # A line of its own, neither cut nor followed by others, and no trace of the attempt.
    assert told.err.count("\n") == 1 and len(told.err) < 500 and "Traceback" not in told.err
    assert set(here.rglob("*")) == before


def test_all_wrong_keys_are_told_at_once(call: Call, here: Path) -> None:
    text = Path("net.params").read_text()
    text = text.replace("timeConstantTau = 12;", "timeConstTau = 12;").replace("nf = 16", "nf = no")
    text = text.replace("textOutput", "textoutput").replace("nbatch = 3", "nbatch = 0")
    Path("wrong.params").write_text(text.replace("nf = no", 'nf = "no"'))
    told = call("run", "wrong.params")
    assert told.status == 2
    lines = told.err.splitlines()
    assert [re.match(r"wrong\.params:\d+: ", line) is not None for line in lines] == [True] * 3
    assert 'unknown key "timeConstTau"; did you mean "timeConstantTau"?' in told.err
    assert "nf" in told.err and "nbatch = 0: must be an integer >= 1" in told.err
    lenient = call("check", "net.params", "--lenient", "--set", "V1.nf=8")
    assert lenient.status == 0


def test_an_existing_run_is_not_touched(call: Call, here: Path) -> None:
    call("run", "net.params", "-o", "kept", "--set", "column.stopTime=5")
    before = Path("kept/run.h5").stat().st_mtime_ns
    told = call("run", "net.params", "-o", "kept", "--set", "column.stopTime=5")
    assert told.status == 2 and told.err.count("\n") == 1
    assert all(word in told.err for word in ("kept", "--resume", "--overwrite", "-o"))
    assert Path("kept/run.h5").stat().st_mtime_ns == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(call: Call, here: Path) -> None:
    Path("locked").mkdir(mode=0o500)
    assert "cannot be written in" in call("run", "net.params", "-o", "locked/x").err


def test_a_failing_run_exits_1_with_one_message(call: Call, here: Path) -> None:
    diverging = ("--set", "V1.timeConstantTau=1", "--set", "InputToError.scale=50")
    told = call(
        "run", "net.params", "-o", "failed", *diverging, "--set", "Scale.baseMin=90",
        "--set", "Scale.baseMax=99", "--set", "V1.LCAMomentumRate=2",
    )  # fmt: skip
    assert told.status == 1 and told.out == ""
    assert told.err.count("\n") == 1 and "raise timeConstantTau" in told.err
    assert not neurosim.open_run("failed").finished


def test_a_signal_gives_its_exit_status(
    call: Call, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = [signal.SIGTERM]

    def show(bar: Bar, now: Progress) -> None:
        if waiting:
            signal.raise_signal(waiting.pop())

    monkeypatch.setattr(Bar, "show", show)
    told = call("run", "net.params", "-o", "stopped")
    assert told.status == 143
    assert re.match(r"stopped  by SIGTERM after step \d+ of 240.*--resume goes on\n", told.out)
    waiting.append(signal.SIGINT)
    assert call("run", "net.params", "-o", "stopped", "--resume").status == 130


def test_ignored_keys_are_one_short_note(call: Call, here: Path) -> None:
    old = 'writeProgressToErr = false; verifyWrites = false; printParamsFilename = "pv.params";'
    text = Path("net.params").read_text().replace("nx = 8;", f"nx = 8; {old}")
    many = "updateGpu = false; dataType = NULL; VMax = 1; marginWidth = 2; writeSparseValues = 1;"
    text = text.replace("phase = 3;", f"phase = 3; {many}")
    connections = "receiveGpu = false; preActivityIsNotRate = 0; shmget_flag = 0; selfFlag = 0;"
    text = text.replace("channelCode = 0;", f"channelCode = 0; {connections}")
    Path("old.params").write_text(text)
    note = call("run", "old.params", "-o", "old", "--set", "column.stopTime=2").err
    assert note.startswith("note: ignored") and note.count("\n") == 1 and len(note) < 300
    assert re.search(r"and \d+ more; `neurosim check` lists them\n", note)
    whole = call("check", "old.params").err
    assert "writeProgressToErr" in whole and "more" not in whole
    assert call("run", "old.params", "-o", "old", "--overwrite", "-q").err == ""


def test_layers_that_depend_on_the_order_of_groups_are_told(call: Call, here: Path) -> None:
    clone = 'CloneVLayer "Copy" = { originalLayerName = "V1"; phase = %d; };\n'
    text = Path("net.params").read_text()
    Path("same.params").write_text(text + clone % 2)
    Path("after.params").write_text(text + clone % 3)
    told = call("check", "same.params").err
    line = text.count("\n") + 1
    assert told.startswith("note: the order of groups") and told.count("\n") == 1
    assert f"Copy (reads V1; same.params:{line})" in told
    assert call("check", "after.params").err == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_tells_time_left_energy_and_fraction(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "90")
    with Bar(quiet=False) as bar:
        for step in (10, 20, 30):
            bar.show(Progress(step, 100, 17.81, 0.0919))
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", screen.getvalue())
    assert re.search(r"30/100 steps, *[-\d]+:[-\d]+ left, energy 17.81, 9.2% active", plain)


def test_progress_in_a_log_is_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    monkeypatch.setattr("neurosim.console.LINES", 0)
    with Bar(quiet=False, every=50) as bar:
        for step in range(10, 200, 10):
            bar.show(Progress(step, 200, 3.0, None))
    lines = log.getvalue().splitlines()
    assert [line.split(" of ")[0] for line in lines] == ["50", "100", "150"]
    assert re.fullmatch(r"100 of 200 steps, \d+\.\d s left, energy 3", lines[1])
