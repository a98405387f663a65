"""A run that was stopped, killed or starved goes on as if nothing had happened, bit for bit."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import shutil
import signal
from hashlib import sha256
from pathlib import Path

import h5py
import pytest

import neurosim
from neurosim.checkpointing import RUN_DIGEST
from neurosim.errors import RunFailedError, RunFileError
from neurosim.experiment import Experiment
from neurosim.record import layout
from neurosim.record.checkpoint import checkpoint_files
from neurosim.record.files import read_text, write_text
from neurosim.run import Outcome, run_experiment
from tests.run.networks import LEARNING, datasets, differences, final_state, write_network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("resume")


@pytest.fixture(scope="module")
def experiment(folder: Path) -> Experiment:
    return neurosim.load(write_network(folder))


@pytest.fixture(scope="module")
def whole(folder: Path, experiment: Experiment) -> Path:
    """Results of a run that was never stopped."""
    return run_experiment(experiment, folder / "whole").output


def test_the_network_exercises_what_a_checkpoint_must_hold(
    experiment: Experiment, whole: Path
) -> None:
    arrays = datasets(whole)
    state = final_state(whole)
    assert {"/layers/V1/V", "/layers/V1/prevDrive", "/layers/Recon/A@2"} <= state.keys()
    assert {"/connections/V1ToError/prev_dW", "/inputs/Input/mean"} <= state.keys()
    assert arrays["layers/V1/potential"].shape[1:] == (3, 4, 4, 16)
    assert arrays["layers/V1/activity/data"].size > 100
    assert len(set(arrays["probes/Scale/value"][:, 0, 0])) > 20
    # Presentations end early, and each at a step of its own.
    assert len(arrays["probes/Energy/time"]) < experiment.steps


@pytest.mark.parametrize("step", [1, 35, 36, 121, 239])
def test_stop_and_go_on(step: int, experiment: Experiment, whole: Path, tmp_path: Path) -> None:
    run_experiment(experiment.override({"column.stopTime": step}), tmp_path / "b")
    outcome = run_experiment(experiment, tmp_path / "b", resume=True)
    assert outcome.began >= step and outcome.executed < 240
    assert differences(whole, tmp_path / "b") == []
    with neurosim.open_run(tmp_path / "b") as run:
        assert run.params == experiment.effective_text


def test_float64_reference_resumes_too(experiment: Experiment, tmp_path: Path) -> None:
    brief = experiment.override({"column.stopTime": 60})
    run_experiment(brief, tmp_path / "a", backend="reference")
    run_experiment(brief.override({"column.stopTime": 25}), tmp_path / "b", backend="reference")
    with pytest.raises(RunFileError, match="--backend reference"):
        run_experiment(brief, tmp_path / "b", resume=True)
    run_experiment(brief, tmp_path / "b", backend="reference", resume=True)
    assert differences(tmp_path / "a", tmp_path / "b") == []


def interrupted(experiment: Experiment, output: Path, number: int, **options: bool) -> Outcome:
    """Run with a signal sent to this process at the first report of progress."""
    sent = []

    def progress(now: object) -> None:
        if not sent:
            sent.append(now)
            signal.raise_signal(number)

    return run_experiment(experiment, output, progress=progress, **options)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_with_a_checkpoint(
    number: signal.Signals, experiment: Experiment, whole: Path, tmp_path: Path
) -> None:
    before = signal.getsignal(number)
    outcome = interrupted(experiment, tmp_path, number)
    assert outcome.stopped_by == number.name and not outcome.finished
    assert checkpoint_files(tmp_path / "checkpoints")[-1].stem.endswith(str(outcome.step))
    assert signal.getsignal(number) is before
    assert run_experiment(experiment, tmp_path, resume=True).finished
    assert differences(whole, tmp_path) == []


def test_sigusr1_saves_and_goes_on(experiment: Experiment, tmp_path: Path) -> None:
    plain = experiment.override({"column.checkpointWrite": False})
    outcome = interrupted(plain, tmp_path, signal.SIGUSR1)
    assert outcome.finished and outcome.stopped_by is None
    steps = [int(path.stem[11:]) for path in checkpoint_files(tmp_path / "checkpoints")]
    assert len(steps) == 2 and 0 < steps[0] < steps[1] == 240


def _run(experiment: Experiment, output: Path) -> None:
    run_experiment(experiment, output, resume=True)


def test_kill_at_random_moments_twenty_times(experiment: Experiment, tmp_path: Path) -> None:
    long = experiment.override({"column.stopTime": 4800, "column.checkpointWriteStepInterval": 30})
    run_experiment(long, tmp_path / "a")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["neurosim.run", "neurosim.backends.cpu"])
    rng = random.Random(1)
    kills = 0
    while True:
        process = context.Process(target=_run, args=(long, tmp_path / "b"))
        process.start()
        process.join(rng.uniform(0.2, 0.7) if kills < 20 else None)
        if process.exitcode is not None:
            break
        process.kill()
        process.join()
        kills += 1
    assert process.exitcode == 0 and kills >= 5, kills
    assert differences(tmp_path / "a", tmp_path / "b") == []


def test_a_full_disk_is_one_message_and_nothing_is_lost(
    experiment: Experiment, tmp_path: Path
) -> None:
    # A limit on the size of files stands for a full disk: run.h5 reaches it in mid-run.
    more = experiment.override({"Error.writeStep": 1, "Recon.writeStep": 1})
    size = run_experiment(more, tmp_path / "a").output.joinpath("run.h5").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
    try:
        with pytest.raises(RunFailedError) as caught:
            run_experiment(more, tmp_path / "b")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written: File too large" in str(caught.value)
    assert "--resume" in str(caught.value) and "\n" not in str(caught.value)
    with neurosim.open_run(tmp_path / "b") as run:
        assert not run.finished and len(run.layers["V1"].activity) > 0
    assert run_experiment(more, tmp_path / "b", resume=True).began > 0
    assert differences(tmp_path / "a", tmp_path / "b") == []


def test_a_checkpoint_of_other_params_is_refused_with_a_cure(
    experiment: Experiment, whole: Path, tmp_path: Path
) -> None:
    other = experiment.override({"V1.VThresh": 0.06})
    with pytest.raises(RunFileError, match=r"other params.*--stage specs.*--overwrite"):
        run_experiment(other, whole, resume=True)
    with pytest.raises(RunFileError, match="--dtype float32"):
        run_experiment(experiment, whole, resume=True, dtype="float64")
    with pytest.raises(RunFileError, match=r"holds the results of a run.*--resume.*--overwrite"):
        run_experiment(experiment, whole)
    # How long it runs and how often it saves may change.
    shutil.copytree(whole, tmp_path / "b")
    longer = experiment.override({"column.stopTime": 250, "column.checkpointWrite": False})
    assert run_experiment(longer, tmp_path / "b", resume=True).finished


def test_a_run_of_a_version_that_knew_fewer_keys_goes_on(
    experiment: Experiment, whole: Path, tmp_path: Path
) -> None:
    run_experiment(experiment.override({"column.stopTime": 121}), tmp_path / "b")
    with h5py.File(tmp_path / "b" / "run.h5", "r+") as file:
        params = read_text(file, layout.EFFECTIVE_TEXT)
        fewer = "".join(x for x in params.splitlines(True) if not x.strip().startswith("zoom"))
        assert fewer != params
        del file[layout.EFFECTIVE_TEXT]
        write_text(file, layout.EFFECTIVE_TEXT, fewer)
        file.attrs[RUN_DIGEST] = sha256(fewer.encode()).hexdigest()
    with pytest.raises(RunFileError, match="other params"):
        run_experiment(experiment.override({"V1.VThresh": 0.06}), tmp_path / "b", resume=True)
    assert run_experiment(experiment, tmp_path / "b", resume=True).began >= 121
    assert differences(whole, tmp_path / "b") == []


def test_a_damaged_newest_checkpoint_is_skipped_and_told(
    experiment: Experiment, whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole, tmp_path / "b")
    newest = checkpoint_files(tmp_path / "b" / "checkpoints")[-1]
    newest.write_bytes(newest.read_bytes()[:-1000])
    outcome = run_experiment(experiment, tmp_path / "b", resume=True)
    assert 0 < outcome.began < 240 and newest.name in outcome.notes[0]
    assert differences(whole, tmp_path / "b") == []


def test_overwrite_forgets_the_old_checkpoints(experiment: Experiment, tmp_path: Path) -> None:
    run_experiment(experiment, tmp_path)
    brief = experiment.override({"column.stopTime": 40})
    run_experiment(brief, tmp_path, overwrite=True)
    assert _steps(tmp_path)[-1] == 40 and len(_steps(tmp_path)) <= 2


def _steps(output: Path) -> list[int]:
    return [int(path.stem[11:]) for path in checkpoint_files(output / "checkpoints")]


def test_when_checkpoints_are_taken(experiment: Experiment, tmp_path: Path) -> None:
    base = {"column.stopTime": 100, "Input.convergenceTolerance": 0}

    def taken(name: str, **changes: object) -> list[int]:
        keys = {f"column.{key}": value for key, value in changes.items()}
        run_experiment(experiment.override({**base, **keys}), tmp_path / name)
        return _steps(tmp_path / name)

    assert taken("kept") == [70, 100]
    assert taken("three", numCheckpointsKept=3) == [35, 70, 100]
    assert taken("none", checkpointWrite=False) == [100]
    mode = {"checkpointWriteTriggerMode": "time", "checkpointWriteTimeInterval": 40}
    assert taken("time", deleteOlderCheckpoints=False, **mode) == [40, 80, 100]
    clock = {"checkpointWriteTriggerMode": "clock", "checkpointWriteClockInterval": 0.01}
    by_clock = taken("clock", deleteOlderCheckpoints=False, **clock)
    assert len(by_clock) > 3 and by_clock[-1] == 100


def test_nothing_is_written_when_the_request_was_wrong(folder: Path, tmp_path: Path) -> None:
    late = LEARNING.replace(
        'weightInitType = "UniformRandomWeight";',
        'weightInitType = "FileWeight"; initWeightsFile = "gone.pvp";',
    )
    path = folder / "late.params"
    path.write_text(late)
    with pytest.raises(neurosim.RequestError, match=r"late\.params:\d+.*gone\.pvp"):
        run_experiment(neurosim.load(path), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert os.listdir(tmp_path) == []
