"""The .pvp format, byte for byte."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from neurosim.errors import StimulusError
from neurosim.stimuli.pvp import (
    read_activity,
    read_weights,
    write_activity,
    write_sparse_activity,
    write_weights,
)


def test_dense_file_has_the_bytes_of_the_format(tmp_path: Path, rng: np.random.Generator) -> None:
    frames = rng.normal(size=(2, 3, 4, 5)).astype("<f4")
    write_activity(tmp_path / "a.pvp", frames, [1.5, 2.5])
    head = struct.pack("<18id", 80, 20, 4, 4, 3, 5, 1, 60, 4, 3, 1, 1, 4, 3, 0, 0, 1, 2, 0.0)
    body = b"".join(
        struct.pack("<d", t) + f.tobytes() for t, f in zip((1.5, 2.5), frames, strict=True)
    )
    assert (tmp_path / "a.pvp").read_bytes() == head + body

    activity = read_activity(tmp_path / "a.pvp")
    assert len(activity) == 2 and activity.shape == (3, 4, 5)
    assert activity.times.tolist() == [1.5, 2.5]
    for index in (0, 1, -1):
        np.testing.assert_array_equal(activity[index], frames[index])
    with pytest.raises(IndexError):
        activity.frame(2)


@pytest.mark.parametrize("binary", [False, True])
def test_sparse_file_round_trip(tmp_path: Path, rng: np.random.Generator, binary: bool) -> None:
    shape = (4, 3, 6)
    dense = np.where(rng.random((3, *shape)) < 0.2, rng.normal(size=(3, *shape)), 0).astype("f4")
    dense[1] = 0  # a silent frame has no entries
    if binary:
        dense = (dense != 0).astype("f4")
    entries = [(np.flatnonzero(frame)[::-1], frame[frame != 0][::-1]) for frame in dense]
    path = tmp_path / "s.pvp"
    write_sparse_activity(path, entries, shape, [3, 6, 9], binary=binary)
    activity = read_activity(path)
    assert activity.times.tolist() == [3, 6, 9]
    for index in (2, 0, 1):  # any order: each frame is found by its own position
        np.testing.assert_array_equal(activity[index], dense[index])
    indices, _ = activity.sparse_frame(0)
    assert (np.diff(indices) > 0).all()
    width = 4 if binary else 8
    assert path.stat().st_size == 80 + 3 * 12 + width * int(np.count_nonzero(dense))

    again = tmp_path / "again.pvp"
    frames = [activity.sparse_frame(index) for index in range(3)]
    write_sparse_activity(again, frames, shape, activity.times, binary=binary)
    assert again.read_bytes() == path.read_bytes()


def test_frames_of_a_file_still_being_written(tmp_path: Path) -> None:
    path = tmp_path / "live.pvp"
    write_activity(path, np.ones((3, 2, 2, 1)))
    data = bytearray(path.read_bytes())
    struct.pack_into("<i", data, 68, 1)  # the header is behind
    path.write_bytes(bytes(data[:-5]))  # and the last frame is on its way
    assert len(read_activity(path)) == 2


@pytest.mark.parametrize("shared", [True, False])
def test_weights_round_trip(tmp_path: Path, rng: np.random.Generator, shared: bool) -> None:
    grid = (1, 1, 7) if shared else (5, 4, 3)
    patches = int(np.prod(grid))
    first, second = rng.normal(size=(2, 2, patches, 3, 4, 5)).astype("f4")
    windows = np.zeros((2, patches, 3), int)
    windows[..., 0], windows[..., 1] = 4, 3
    windows[0, 0] = (2, 3, 10)
    path = tmp_path / "w.pvp"
    options = {"shared": shared, "windows": windows, "size": None if shared else (3, 2)}
    write_weights(path, first, grid, time=1.0, **options)
    write_weights(path, second, grid, time=2.0, append=True, **options)
    for frame, weights, time in ((0, first, 1.0), (1, second, 2.0), (-1, second, 2.0)):
        read = read_weights(path, frame)
        np.testing.assert_array_equal(read.W, weights)
        np.testing.assert_array_equal(read.windows, windows)
        assert (read.time, read.grid, read.shared, read.frames) == (time, grid, shared, 2)
    with pytest.raises(StimulusError, match=r"w\.pvp.*no frame 2.*0 to 1"):
        read_weights(path, 2)


def test_compressed_weights_are_within_half_a_level(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    weights = rng.uniform(-1, 3, size=(1, 6, 4, 4, 2)).astype("f4")
    write_weights(tmp_path / "c.pvp", weights, (1, 1, 6), compressed=True)
    read = read_weights(tmp_path / "c.pvp")
    step = float(weights.max() - weights.min()) / 255
    assert read.compressed
    assert np.abs(read.W - weights).max() <= 0.5001 * step
    assert read.W.min() == weights.min() and read.W.max() == pytest.approx(weights.max(), abs=1e-6)

    flat = np.full((1, 2, 2, 2, 1), 0.25, "f4")
    write_weights(tmp_path / "f.pvp", flat, (1, 1, 2), compressed=True)
    np.testing.assert_array_equal(read_weights(tmp_path / "f.pvp").W, flat)


def test_petavision_weights_survive_byte_for_byte(conformance: Path, tmp_path: Path) -> None:
    names = ["W_random.pvp", "V1ToError_W.pvp", "V2ToV1Error_W.pvp"]
    for name in names:
        read = read_weights(conformance / name)
        write_weights(tmp_path / name, read.W, read.grid, time=read.time, windows=read.windows)
        assert (tmp_path / name).read_bytes() == (conformance / name).read_bytes()
    expected = np.load(conformance / "expected" / "v1_lca.npz")["W"]
    np.testing.assert_array_equal(read_weights(conformance / "W_random.pvp").W[0], expected)


def test_petavision_activity_survives_byte_for_byte(conformance: Path, tmp_path: Path) -> None:
    for name, frames in (("input_v1.pvp", 1), ("input_dsc2.pvp", 1), ("input_learn.pvp", 12)):
        read = read_activity(conformance / name)
        assert len(read) == frames
        data = np.stack([read[index] for index in range(frames)])
        write_activity(tmp_path / name, data, read.times)
        assert (tmp_path / name).read_bytes() == (conformance / name).read_bytes()
    expected = np.load(conformance / "expected" / "v1_lca.npz")["Input"]
    np.testing.assert_array_equal(read_activity(conformance / "input_v1.pvp")[0], expected)


def test_writers_refuse_what_the_format_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "x.pvp"
    with pytest.raises(StimulusError, match=r"expected \(T, ny, nx, nf\)"):
        write_activity(path, np.zeros((3, 3)))
    with pytest.raises(StimulusError, match="times"):
        write_activity(path, np.zeros((2, 1, 1, 1)), [0.0])
    with pytest.raises(StimulusError, match="0 to 3"):
        write_sparse_activity(path, [([4], [1.0])], (2, 2, 1))
    with pytest.raises(StimulusError, match="3 patches"):
        write_weights(path, np.zeros((1, 2, 1, 1, 1)), (1, 1, 3))
    with pytest.raises(StimulusError, match="finite"):
        write_weights(path, np.full((1, 1, 1, 1, 1), np.nan), (1, 1, 1))
    assert not path.exists()
