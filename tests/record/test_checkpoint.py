"""A checkpoint is whole and true, or it is an error that names what is damaged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from neurosim.errors import RunFileError
from neurosim.record import files
from neurosim.record.checkpoint import (
    checkpoint_files,
    newest_complete,
    read_checkpoint,
    rotate,
    write_checkpoint,
)
from neurosim.record.reader import open_run
from tests.record import runs

ROOT = Path(__file__).resolve().parents[2]


def state(rng: np.random.Generator) -> dict[str, object]:
    weights = rng.standard_normal((8, 5, 5, 3))
    return {
        "/layers/V1/V": rng.standard_normal((2, 4, 4, 8)).astype(np.float32),
        "/layers/V1/A": rng.standard_normal((2, 4, 4, 8))[:, ::2],
        "/connections/V1ToError/W": weights,
        "/connections/V1ToError/prev_dW": weights.T,
        "/outputs/lengths": {"/layers/V1/time": 3},
        "/outputs/empty": np.zeros((0, 3)),
        "/probes/Energy/names": np.array(["a", "φφ", ""]),
        "/probes/Energy/flags": np.array([True, False]),
        "/probes/Energy/scale": 0.1,
        "/rng/text": "über",
        "/rng/none": "",
        "/rng/pcg": np.random.default_rng(7).bit_generator.state,
        "/rng/philox": np.random.Generator(np.random.Philox(5)).bit_generator.state,
        "/special": np.array([np.nan, np.inf, -0.0, 5e-324]),
        "/count": np.uint64(2**64 - 1),
    }


def test_everything_comes_back_bit_for_bit(tmp_path: Path, rng: np.random.Generator) -> None:
    arrays = state(rng)
    attrs = {"time": 12.5, "params_sha256": "abc", "names": ["x", "y"]}
    path = write_checkpoint(tmp_path / "checkpoints", 42, arrays, attrs)
    assert path.name == "checkpoint_0000000042.h5"
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    found, found_attrs = read_checkpoint(path)
    assert set(found) == set(arrays)
    for name, value in arrays.items():
        if isinstance(value, np.ndarray | np.generic):
            assert np.asarray(found[name]).dtype == value.dtype, name
            assert np.asarray(found[name]).tobytes() == value.tobytes(), name
        elif not isinstance(value, dict):
            assert found[name] == value
    assert found_attrs == {
        **attrs, "format": "neurosim-checkpoint", "format_version": 1, "step": 42,
        "complete": True,
    }  # fmt: skip
    assert found["/outputs/lengths"] == {"/layers/V1/time": 3}
    for name, generator in (("pcg", np.random.PCG64()), ("philox", np.random.Philox())):
        generator.state = found[f"/rng/{name}"]
        again = type(generator)()
        again.state = arrays[f"/rng/{name}"]
        np.testing.assert_array_equal(generator.random_raw(9), again.random_raw(9))


def test_no_flipped_byte_goes_unseen(tmp_path: Path, rng: np.random.Generator) -> None:
    arrays = state(rng)
    path = write_checkpoint(tmp_path, 1, arrays, {"time": 1.0, "note": "kept"})
    good = path.read_bytes()
    truth = repr(read_checkpoint(path))
    with h5py.File(path) as file:
        start = file["/connections/V1ToError/W"].id.get_offset()
        size = file["/connections/V1ToError/W"].id.get_storage_size()
    seen = 0
    for place in rng.choice(len(good), 150, replace=False):
        mutated = bytearray(good)
        mutated[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(mutated)
        try:
            assert repr(read_checkpoint(path)) == truth  # room that holds nothing
        except RunFileError:
            seen += 1
    assert seen > 50
    for place in rng.choice(size, 40, replace=False):
        mutated = bytearray(good)
        mutated[start + place] ^= 1 << int(rng.integers(8))
        path.write_bytes(mutated)
        with pytest.raises(RunFileError, match=r"/connections/V1ToError/W .*checksum"):
            read_checkpoint(path)


def test_damaged_and_partial_ones_are_skipped_and_never_outlive_a_good_one(
    tmp_path: Path,
) -> None:
    paths = [write_checkpoint(tmp_path, step, {"/a": np.arange(9)}, {}) for step in (5, 10, 100)]
    assert newest_complete(tmp_path) == paths[2]
    (tmp_path / "checkpoint_0000000200.h5.partial").write_bytes(b"half")
    (tmp_path / "notes.h5").write_bytes(b"not ours")
    paths[2].write_bytes(paths[2].read_bytes()[:-700])
    problems: list[str] = []
    assert newest_complete(tmp_path, problems) == paths[1]
    assert len(problems) == 1
    assert str(paths[2]) in problems[0]
    removed = rotate(tmp_path, 1)
    assert sorted(path.name for path in removed) == [
        "checkpoint_0000000005.h5",
        "checkpoint_0000000200.h5.partial",
    ]
    assert newest_complete(tmp_path) == paths[1]
    assert newest_complete(tmp_path / "nowhere") is None
    with pytest.raises(ValueError, match="at least 1"):
        rotate(tmp_path, 0)


@pytest.mark.parametrize("keep", [1, 2, 4, 9])
def test_rotation_keeps_the_newest(tmp_path: Path, keep: int) -> None:
    for step in (1, 2, 3, 20):
        write_checkpoint(tmp_path, step, {"/a": np.arange(3)}, {})
        rotate(tmp_path, keep)
    kept = [int(path.stem.split("_")[1]) for path in checkpoint_files(tmp_path)]
    assert kept == [1, 2, 3, 20][-keep:]


def test_an_interrupted_write_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_checkpoint(tmp_path, 3, {"/a": np.arange(3)}, {})
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", fail)
        with pytest.raises(RunFileError, match="cannot be written: Input/output error"):
            write_checkpoint(tmp_path, 3, {"/a": np.arange(4)}, {})
    with pytest.raises(TypeError, match="/b: a checkpoint cannot hold"):
        write_checkpoint(tmp_path, 3, {"/b": object()}, {})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_kill_before_the_rename_leaves_the_old_one(tmp_path: Path) -> None:
    old = write_checkpoint(tmp_path, 3, {"/a": np.arange(3)}, {})
    program = (
        "import os, signal, sys, numpy as np\n"
        "from neurosim.record.checkpoint import write_checkpoint\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_checkpoint(sys.argv[1], 4, {'/a': np.arange(4)}, {})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == -signal.SIGKILL
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        old.name, "checkpoint_0000000004.h5.partial",
    ]  # fmt: skip
    assert newest_complete(tmp_path) == old
    assert [p.name for p in rotate(tmp_path, 1)] == ["checkpoint_0000000004.h5.partial"]
    assert write_checkpoint(tmp_path, 4, {"/a": np.arange(4)}, {}) == newest_complete(tmp_path)


def test_the_reader_finds_checkpoints_of_a_run(tmp_path: Path, rng: np.random.Generator) -> None:
    with runs.create(tmp_path):
        pass
    arrays = state(rng)
    for step in (10, 20):
        weights = {"/connections/V1ToError/W": np.full((1, 2, 2, 3), step, np.float32)}
        write_checkpoint(tmp_path / "checkpoints", step, {**arrays, **weights}, {"time": step / 2})
    with open_run(tmp_path) as run:
        assert [c.step for c in run.checkpoints] == [10, 20]
        last = run.checkpoints[-1]
        assert last.time == 10.0
        assert last.layers == ["V1"]
        assert last.connections == ["V1ToError"]
        np.testing.assert_array_equal(last.layer("V1").V, arrays["/layers/V1/V"])
        np.testing.assert_array_equal(last.layer("V1")["A"], arrays["/layers/V1/A"])
        assert run.weights("V1ToError").max() == 20
        assert run.weights("V1ToError", checkpoint=0).max() == 10
        with pytest.raises(RunFileError, match='no connection "V1toError"; did you mean'):
            run.weights("V1toError")
        with pytest.raises(AttributeError, match='no array "G"; arrays here: A, V'):
            _ = last.layer("V1").G
        with pytest.raises(RunFileError, match='this is a "neurosim-checkpoint" file'):
            open_run(last.path)
        last.path.unlink()
        assert run.weights("V1ToError").max() == 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, 'this is a "other" file'),
        ({"format_version": 2}, "format version 2, but this neurosim reads version 1"),
        ({"format_version": 0}, "older than the version 1"),
        ({"complete": False}, "not complete"),
        ({"note": "changed"}, "attributes do not match"),
    ],
)
def test_a_foreign_checkpoint_is_told(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = write_checkpoint(tmp_path, 1, {"/a": np.arange(3)}, {"note": "kept"})
    with h5py.File(path, "r+") as file:
        for key, value in change.items():
            file.attrs[key] = value
    with pytest.raises(RunFileError, match=message):
        read_checkpoint(path)
