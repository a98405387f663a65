"""Presentations that end early, outputs beside the activity, requirements."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import neurosim
from neurosim.errors import RunFailedError
from neurosim.experiment import Experiment
from neurosim.run import run_experiment
from tests.run.networks import datasets, final_state, write_network


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return neurosim.load(write_network(tmp_path_factory.mktemp("show")))


def test_settled_presentations_end_early_with_the_same_outputs(
    experiment: Experiment, tmp_path: Path
) -> None:
    long = experiment.override({"Input.displayPeriod": 400, "column.stopTime": 2400})
    long = long.override({"Error.writeStep": 400, "Recon.writeStep": 400, "V1.writeStep": 400})
    full = run_experiment(long.override({"Input.convergenceTolerance": 0}), tmp_path / "full")
    tight = long.override({"Input.convergenceTolerance": 3e-4})
    brief = run_experiment(tight, tmp_path / "brief")
    assert full.executed == 2400 and full.step == brief.step == 2400
    assert brief.executed < 1900
    a, b = datasets(tmp_path / "full"), datasets(tmp_path / "brief")
    # The same frames at the same times, each at rest; learning has happened as often.
    for name in ("inputs/Input/frame", "inputs/Input/time", "layers/V1/time", "layers/Recon/time"):
        np.testing.assert_array_equal(a[name], b[name])
    one, other = (each["layers/Recon/activity"][1:] for each in (a, b))
    assert len(one) == 6
    assert np.linalg.norm(one - other) < 0.02 * np.linalg.norm(one)
    weights = [final_state(tmp_path / n)["/connections/V1ToError/W"] for n in ("full", "brief")]
    start = neurosim.Simulation(long).weights("V1ToError")[0]
    assert np.abs(weights[0] - weights[1]).max() < 0.1 * np.abs(weights[0] - start).max()


def test_the_potential_is_written_beside_the_activity(
    experiment: Experiment, tmp_path: Path
) -> None:
    with neurosim.run(experiment, tmp_path / "a", {"column.stopTime": 30}) as run:
        layer = run.layers["V1"]
        v, a = layer.potential[:], layer.activity[:]
        assert layer.is_sparse and not run.layers["Leak"].has_potential
        assert re.search("writePotential += true", run.params)
    np.testing.assert_allclose(a, np.where(v < 0.05, 0, v - np.float32(0.05)), atol=1e-7)
    assert (a > 0).any() and (v < 0).any()


def test_an_absent_seed_is_told(experiment: Experiment, tmp_path: Path) -> None:
    text = experiment.loaded.source_text.replace("randomSeed = 42;", "")
    plain = neurosim.loads(text, experiment.folder)
    assert re.search("randomSeed += 1234567890;", plain.effective_text)
    again = neurosim.loads(plain.effective_text, experiment.folder)
    assert again.effective_text == plain.effective_text
    runs = [e.override({"column.stopTime": 20}) for e in (plain, again)]
    for number, each in enumerate(runs):
        run_experiment(each, tmp_path / str(number))
    np.testing.assert_array_equal(
        *(final_state(tmp_path / n)["/connections/V1ToError/W"] for n in "01")
    )


def test_silent_probes_leave_nothing(experiment: Experiment, tmp_path: Path) -> None:
    brief = experiment.override({"column.stopTime": 20, "L1.textOutputFlag": False})
    with neurosim.run(brief, tmp_path / "a") as run:
        assert set(run.probes) == {"Energy", "L2", "Stats", "Scale"}


REQUIRED = """
RequireAllZeroActivityProbe "Silent" = { targetLayer = "V1"; nnzThreshold = 0.1; %s };
"""


def requiring(experiment: Experiment, keys: str) -> Experiment:
    text = experiment.loaded.source_text + REQUIRED % keys
    return neurosim.loads(text, experiment.folder, {"column.stopTime": 60})


def test_a_requirement_stops_the_run_at_once(experiment: Experiment, tmp_path: Path) -> None:
    strict = requiring(experiment, "")
    with pytest.raises(RunFailedError, match=r'"Silent": layer "V1" is active at step (\d+)') as e:
        run_experiment(strict, tmp_path / "a")
    with neurosim.open_run(tmp_path / "a") as run:
        nnz = run.probes["Silent"].value[:, :, 4]
        last = run.probes["Silent"].time[-1]
        assert not run.finished and len(run.probes["Energy"]) == last
    assert f"at step {last:g}:" in str(e.value)
    assert (nnz[-1] > 0).any() and not (nnz[:-1] > 0).any()


def test_a_requirement_fails_the_run_at_its_end(experiment: Experiment, tmp_path: Path) -> None:
    late = requiring(experiment, "immediateExitOnFailure = false;")
    with pytest.raises(RunFailedError, match=r"is active at step \d+"):
        run_experiment(late, tmp_path / "a")
    assert final_state(tmp_path / "a")["step"] == 60
    # A failure before a stop is not forgotten after it.
    with pytest.raises(RunFailedError):
        run_experiment(late.override({"column.stopTime": 41}), tmp_path / "b")
    with pytest.raises(RunFailedError) as e:
        run_experiment(late, tmp_path / "b", resume=True)
    assert int(str(e.value).split("step ")[1].split(":")[0]) < 41


def test_a_requirement_may_only_be_told(experiment: Experiment, tmp_path: Path) -> None:
    outcome = run_experiment(requiring(experiment, "exitOnFailure = false;"), tmp_path / "a")
    assert outcome.finished and "is active at step" in outcome.notes[0]


FOLLOW = """
import sys
import neurosim

def main(params, output):
    def progress(now):
        print(now.step, flush=True)
        if now.step > 300:
            sys.stdin.readline()
    from neurosim.run import run_experiment
    run_experiment(neurosim.load(params), output, progress=progress)

main(*sys.argv[1:])
"""


def test_a_run_is_read_while_it_goes_on_and_after_a_crash(
    experiment: Experiment, tmp_path: Path
) -> None:
    path = write_network(tmp_path)
    text = path.read_text().replace("stopTime = 240", "stopTime = 100000")
    path.write_text(text)
    with subprocess.Popen(
        [sys.executable, "-c", FOLLOW, path, tmp_path / "out"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) > 300:
                break
        with neurosim.open_run(tmp_path / "out") as run:
            # Its last checkpoint has handed all until then to readers.
            step = run.checkpoints[-1].step
            assert not run.finished and step >= 280
            frames = len(run.layers["V1"])
            assert frames > 20 and run.layers["V1"].activity[-1].shape == (3, 4, 4, 16)
            assert run.weights("V1ToError").shape == (16, 4, 4, 3)
            process.kill()
            process.wait()
            assert len(run.refresh().layers["V1"]) >= frames
            assert "not finished" in run.summary()
