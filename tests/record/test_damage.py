"""A file that is missing, foreign or damaged is one clear error, and never a crash."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from neurosim.errors import RunFileError
from neurosim.record.reader import Run, open_run
from neurosim.record.writer import RunWriter
from tests.record import runs


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of a run that finished, and of one that was cut off."""
    folder = tmp_path_factory.mktemp("originals")
    writer = runs.create(folder)
    for t in range(12):
        runs.append(writer, t)
        if t % 5 == 0:
            writer.flush()
    writer.flush()
    shutil.copy(folder / "run.h5", folder / "killed.h5")
    writer.close()
    return {
        "finished": (folder / "run.h5").read_bytes(),
        "killed": (folder / "killed.h5").read_bytes(),
    }


def read_all(run: Run) -> None:
    run.summary()
    assert isinstance(run.params, str)
    assert isinstance(run.source, str)
    for layer in run.layers.values():
        layer.activity[:]
        layer.csr()
        if layer.has_potential:
            layer.potential[:]
    for item in run.inputs.values():
        assert item.frame.shape == (len(item), runs.NBATCH)
        for t in range(len(item)):
            item.names(t)
    for probe in run.probes.values():
        assert len(probe.value) == len(probe)


def mutate(good: bytes, draw: random.Random) -> bytes:
    place, length = draw.randrange(len(good)), draw.randrange(1, 600)
    kind = draw.choice(["flip", "cut", "zero", "noise", "shift"])
    if kind == "flip":
        flipped = good[place] ^ 1 << draw.randrange(8)
        return good[:place] + bytes([flipped]) + good[place + 1 :]
    if kind == "cut":
        return good[:place]
    if kind == "shift":
        return good[:place] + good[place : place + length] + good[place:]
    filler = bytes(length) if kind == "zero" else draw.randbytes(length)
    return good[:place] + filler + good[place + length :]


@pytest.mark.parametrize("which", ["finished", "killed"])
def test_the_originals_are_whole(which: str, originals: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_bytes(originals[which])
    with open_run(tmp_path) as run:
        assert runs.check(run) == 12
        read_all(run)


@pytest.mark.parametrize("which", ["finished", "killed"])
@pytest.mark.parametrize("seed", range(20))
def test_damage_is_a_run_file_error(
    which: str, seed: int, originals: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "run.h5"
    draw = random.Random(seed)
    errors = 0
    for _ in range(4):
        path.write_bytes(mutate(originals[which], draw))
        try:
            with open_run(path) as run:
                read_all(run)
        except RunFileError as error:
            errors += 1
            assert str(path) in str(error) or 'input "Face"' in str(error)
            assert "\n" not in str(error)
        try:
            RunWriter.resume(path, runs.lengths_at(12)).close()
        except RunFileError:
            errors += 1
    # cut in half it cannot be whole
    path.write_bytes(originals[which][: len(originals[which]) // 2])
    with pytest.raises(RunFileError), open_run(path) as run:
        read_all(run)


@pytest.mark.parametrize("which", ["finished", "killed"])
def test_damaged_frames_are_seen(which: str, originals: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(originals[which])
    with open_run(path) as run:
        places = {
            name: run.read("", lambda f, name=name: f[name].id.get_chunk_info(0))
            for name in ("layers/Error/activity", "layers/V1/potential", "layers/V1/activity/data")
        }
    for name, chunk in places.items():
        mutated = bytearray(originals[which])
        mutated[chunk.byte_offset + chunk.size // 2] ^= 16
        path.write_bytes(mutated)
        layer = name.split("/")[1]
        with (
            open_run(path) as run,
            pytest.raises(RunFileError, match=f"/layers/{layer} cannot be read"),
        ):
            layers = run.layers[layer]
            (layers.potential if "potential" in name else layers.activity)[:]


def test_missing_and_foreign_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="no run is here; give the output folder"):
        open_run(tmp_path)
    with pytest.raises(RunFileError, match="no run is here"):
        open_run(tmp_path / "nowhere.h5")
    path = tmp_path / "run.h5"
    for content in (b"", b"hello", bytes(5000)):
        path.write_bytes(content)
        with pytest.raises(RunFileError, match=r"run\.h5: the run file cannot be read"):
            open_run(tmp_path)
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(3)
    with pytest.raises(RunFileError, match="an HDF5 file of another program"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    ("version", "message"), [(2, "update neurosim"), (0, "older than the version 1")]
)
def test_another_format_version_is_told(
    version: int, message: str, originals: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(originals["finished"])
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = version
    with pytest.raises(RunFileError, match=message):
        open_run(path)


def test_a_closed_run_says_so(originals: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_bytes(originals["finished"])
    run = open_run(tmp_path)
    run.close()
    with pytest.raises(RunFileError, match="was closed"):
        run.layers["V1"]
    assert "closed" in repr(run)
    assert runs.check(run.refresh()) == 12
    run.close()
