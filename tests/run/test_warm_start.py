"""initializeFromCheckpointDir: a run begins with the weights and codes of another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import neurosim
from neurosim.errors import RequestError, RunFileError
from neurosim.experiment import Experiment
from neurosim.record.checkpoint import checkpoint_files
from neurosim.run import run_experiment
from neurosim.stimuli.pvp import write_activity, write_weights
from tests.run.networks import datasets, final_state, write_images, write_network

KEY = "column.initializeFromCheckpointDir"


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return neurosim.load(write_network(tmp_path_factory.mktemp("warm")))


@pytest.fixture(scope="module")
def earlier(experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_experiment(experiment, tmp_path_factory.mktemp("earlier") / "out").output


def begun(experiment: Experiment, source: Path | str, output: Path, **changes: object) -> dict:
    """What a run of one step from ``source`` starts from and shows."""
    still = {"column.stopTime": 1, KEY: str(source), **changes}
    warm = experiment.override(still)
    run_experiment(warm, output)
    return {**datasets(output), **final_state(output)}


def test_from_a_run_or_one_of_its_checkpoints(
    experiment: Experiment, earlier: Path, tmp_path: Path
) -> None:
    then = final_state(earlier)
    files = checkpoint_files(earlier / "checkpoints")
    for number, source in enumerate((earlier, files[-1], earlier / "checkpoints")):
        now = begun(experiment, source, tmp_path / str(number))
        # Normalised again, as PetaVision does: the last bit may move.
        np.testing.assert_allclose(
            now["/connections/V1ToError/W"], then["/connections/V1ToError/W"], rtol=1e-6
        )
        np.testing.assert_array_equal(now["layers/V1/potential"][0], then["/layers/V1/V"])
        assert now["step"] == 1
    older = begun(experiment, files[0], tmp_path / "older")
    assert not np.array_equal(older["layers/V1/potential"][0], then["/layers/V1/V"])


def test_the_mean_image_travels_along(
    experiment: Experiment, earlier: Path, tmp_path: Path
) -> None:
    # Other pictures, but the mean of those that were learned from.
    write_images(tmp_path / "few", 3)
    few = {"Input.inputPath": str(tmp_path / "few")}
    mean = final_state(earlier)["/inputs/Input/mean"]
    warm = begun(experiment, earlier, tmp_path / "warm", **few)
    cold = experiment.override({**few, "column.stopTime": 1})
    run_experiment(cold, tmp_path / "cold")
    np.testing.assert_array_equal(warm["/inputs/Input/mean"], mean)
    assert not np.allclose(final_state(tmp_path / "cold")["/inputs/Input/mean"], mean)


def test_objects_that_take_no_part_keep_their_own_values(
    experiment: Experiment, earlier: Path, tmp_path: Path
) -> None:
    now = begun(experiment, earlier, tmp_path / "b", **{"V1.initializeFromCheckpointFlag": False})
    np.testing.assert_array_equal(now["layers/V1/potential"][0], np.float32(0.05))
    assert np.any(now["/connections/V1ToError/prev_dW"] != 0)


def test_another_batch_size_takes_elements_in_turn(
    experiment: Experiment, earlier: Path, tmp_path: Path
) -> None:
    now = begun(experiment, earlier, tmp_path / "b", **{"column.nbatch": 4})
    then = final_state(earlier)["/layers/V1/V"]
    np.testing.assert_array_equal(now["layers/V1/potential"][0], then[[0, 1, 2, 0]])


def petavision_checkpoint(folder: Path, state: dict) -> Path:
    """The files that PetaVision would have left."""
    folder.mkdir(parents=True)
    for name in ("V1", "Leak"):
        for what in ("V", "A"):
            write_activity(folder / f"{name}_{what}.pvp", state[f"/layers/{name}/{what}"])
    write_activity(folder / "V1_prevDrive.pvp", state["/layers/V1/prevDrive"])
    for what in ("W", "prev_dW"):
        weights = np.asarray(state[f"/connections/V1ToError/{what}"])[None]
        write_weights(folder / f"V1ToError_{what}.pvp", weights, (1, 1, 16))
    return folder


def test_from_petavision(experiment: Experiment, earlier: Path, tmp_path: Path) -> None:
    then = final_state(earlier)
    for step in ("080", "400"):
        petavision_checkpoint(tmp_path / "pv" / f"Checkpoint{step}", then)
    path = tmp_path / "pv" / "Checkpoint400" / "V1_V.pvp"
    write_activity(path, 2 * np.asarray(then["/layers/V1/V"]))
    for number, folder in enumerate(("pv/Checkpoint080", "pv")):
        now = begun(experiment, tmp_path / folder, tmp_path / str(number))
        factor = (1, 2)[number]
        np.testing.assert_array_equal(
            now["layers/V1/potential"][0], factor * np.asarray(then["/layers/V1/V"])
        )
        np.testing.assert_allclose(
            now["/connections/V1ToError/W"], then["/connections/V1ToError/W"], rtol=1e-6
        )
        np.testing.assert_array_equal(
            now["/connections/V1ToError/prev_dW"], then["/connections/V1ToError/prev_dW"]
        )
    # What is not there is told, all of it.
    (tmp_path / "pv" / "Checkpoint400" / "V1ToError_W.pvp").unlink()
    path.unlink()
    with pytest.raises(RunFileError, match=r"V1.*V1ToError.*initializeFromCheckpointFlag"):
        begun(experiment, tmp_path / "pv", tmp_path / "c")


def test_what_is_no_checkpoint_is_refused(
    experiment: Experiment, earlier: Path, tmp_path: Path
) -> None:
    def told(source: Path, **changes: object) -> str:
        with pytest.raises(RequestError) as caught:
            begun(experiment, source, tmp_path / "never", **changes)
        assert not (tmp_path / "never").exists()
        return str(caught.value)

    assert "does not exist" in told(tmp_path / "gone")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no checkpoint" in told(empty)
    broken = tmp_path / "checkpoint_0000000001.h5"
    broken.write_bytes(checkpoint_files(earlier / "checkpoints")[-1].read_bytes()[:5000])
    assert str(broken) in told(broken)
    assert "/layers/V1/A is (3, 4, 4, 16)" in told(earlier, **{"V1.nf": 8})
