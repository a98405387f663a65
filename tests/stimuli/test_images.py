"""Every kind of input, read as it was stored."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from neurosim.errors import StimulusError
from neurosim.stimuli.images import open_source
from neurosim.stimuli.pvp import write_activity, write_sparse_activity
from neurosim.stimuli.sources import FrameCache


def save(path: Path, value: int | np.ndarray = 7, size: tuple[int, int] = (6, 5)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.full((*size, 3), value, np.uint8) if isinstance(value, int) else value
    Image.fromarray(array).save(path)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tga", "tif", "ppm", "gif"])
def test_lossless_kinds(tmp_path: Path, rng: np.random.Generator, suffix: str) -> None:
    # Few colours, so that a palette holds them all.
    array = rng.integers(0, 3, (6, 5, 3)).astype(np.uint8) * 100
    save(tmp_path / f"a.{suffix}", array)
    source = open_source(f"a.{suffix}", tmp_path)
    np.testing.assert_array_equal(source.read(0), array.astype("f4") / np.float32(255))
    assert source.names == [f"a.{suffix}"] and source.labels is None and len(source) == 1


def test_jpeg(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", 100)
    assert np.abs(open_source("a.jpg", tmp_path).read(0) - 100 / 255).max() < 0.02


def test_modes(tmp_path: Path, rng: np.random.Generator) -> None:
    grey = rng.integers(0, 256, (4, 3)).astype(np.uint8)
    rgba = rng.integers(0, 256, (4, 3, 4)).astype(np.uint8)
    wide = rng.integers(0, 65536, (4, 3)).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(grey > 99).save(tmp_path / "bits.png")
    palette = Image.fromarray(rgba[..., :3]).quantize(12)
    palette.save(tmp_path / "palette.png")
    palette.save(tmp_path / "clear.png", transparency=0)

    def read(name: str) -> np.ndarray:
        return open_source(name, tmp_path).read(0)

    np.testing.assert_array_equal(read("grey.png")[..., 0], grey / np.float32(255))
    np.testing.assert_array_equal(read("rgba.png"), rgba / np.float32(255))
    np.testing.assert_array_equal(read("wide.png")[..., 0], wide / np.float32(65535))
    np.testing.assert_array_equal(read("bits.png")[..., 0], grey > 99)
    np.testing.assert_array_equal(read("palette.png"), rgba[..., :3] / np.float32(255))
    assert read("clear.png").shape == (4, 3, 4)


def test_folder_is_searched_sorted_and_labelled(tmp_path: Path) -> None:
    for index, name in enumerate(["b/2.png", "b/10.png", "a/x.png", ".hidden/z.png", "a/.y.png"]):
        save(tmp_path / "set" / name, 10 * index)
    (tmp_path / "set" / "README.txt").write_text("not an image")
    (tmp_path / "set" / "a" / "loop").symlink_to(tmp_path / "set")
    source = open_source("set", tmp_path)
    assert source.names == ["a/x.png", "b/10.png", "b/2.png"]
    assert source.labels == ["a", "b", "b"] and source.classes == ["a", "b"]
    assert [round(source.read(index).max() * 255) for index in range(3)] == [20, 10, 0]
    with pytest.raises(IndexError):
        source.read(3)
    save(tmp_path / "flat" / "1.png")
    assert open_source("flat", tmp_path).labels is None


def test_list_paths_and_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "lists" / "here.png", 1)
    save(tmp_path / "params" / "img" / "there.png", 2)
    save(tmp_path / "cwd" / "with blank.png", 3)
    monkeypatch.chdir(tmp_path / "cwd")
    text = tmp_path / "lists" / "all.txt"
    text.write_text("  here.png\n\nimg/there.png  \r\nwith blank.png\n")
    source = open_source(str(text), tmp_path / "params")
    assert source.names == ["here.png", "img/there.png", "with blank.png"]
    assert [round(source.read(index).max() * 255) for index in range(3)] == [1, 2, 3]
    assert source.labels == ["lists", "img", "cwd"]
    text.write_text("here.png\tAda Lovelace\nimg/there.png other\nwith blank.png\tx\n")
    assert open_source(str(text), tmp_path / "params").labels == ["Ada Lovelace", "other", "x"]
    text.write_text("here.png a\nwith blank.png\n")
    with pytest.raises(StimulusError, match="1 of 2 lines have a label"):
        open_source(str(text), tmp_path / "params")


def test_hdf5(tmp_path: Path, rng: np.random.Generator) -> None:
    colour = rng.integers(0, 256, (5, 4, 3, 3)).astype(np.uint8)
    grey = rng.normal(size=(5, 4, 3))
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["train/images"] = colour
        file["train/labels"] = ["a", "b", "a", "c", "b"]
        file["other/grey"] = grey
        file["other/label"] = np.array([1, 0, 1, 1, 0])
        file["other/label"].attrs["classes"] = ["no", "yes"]
    source = open_source("d.h5:/train/images", tmp_path)
    np.testing.assert_array_equal(source.read(-1), colour[4] / np.float32(255))
    assert source.labels == list("abacb")
    assert source.names[2].endswith("d.h5:/train/images[2]")
    other = open_source(f"{tmp_path}/d.h5:other/grey")
    np.testing.assert_array_equal(other.read(1), grey[1, :, :, None].astype("f4"))
    assert other.labels == ["yes", "no", "yes", "yes", "no"]
    with pytest.raises(StimulusError, match=r"say which dataset.*/other/grey, /train/images"):
        open_source("d.h5", tmp_path)
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["x"] = colour
    assert open_source("one.h5", tmp_path).labels is None


def test_pvp_frames_are_no_pictures(tmp_path: Path) -> None:
    frames = np.arange(24.0).reshape(2, 2, 3, 2) - 5
    write_activity(tmp_path / "a.pvp", frames)
    write_sparse_activity(tmp_path / "s.pvp", [([1, 5], [2.0, 3.0])], (2, 3, 1))
    source = open_source("a.pvp", tmp_path)
    assert len(source) == 2 and not source.convert
    np.testing.assert_array_equal(source.read(1), frames[1])
    assert open_source("s.pvp", tmp_path).read(0).ravel().tolist() == [0, 2, 0, 0, 0, 3]


def test_all_bad_files_are_named_at_once(tmp_path: Path) -> None:
    for index in range(40):
        save(tmp_path / "set" / f"{index:02d}.png")
    for index in range(0, 26):
        (tmp_path / "set" / f"{index:02d}.png").write_bytes(b"" if index % 2 else b"not a png")
    with pytest.raises(StimulusError) as caught:
        open_source("set", tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0] == "set: 26 of 40 inputs cannot be used:"
    assert len(lines) == 27 and "25.png" in lines[-1]
    assert "00.png" in lines[1] and "01.png: is empty (0 bytes)" in lines[2]
    assert len(open_source("set", tmp_path, validate=False)) == 40
    assert len(open_source("set", tmp_path, validate=False).check()) == 26


def test_cache_keeps_within_its_bound(tmp_path: Path) -> None:
    made: list[int] = []

    def frame(index: int) -> np.ndarray:
        made.append(index)
        return np.full(10, index, np.uint8)

    cache = FrameCache(limit=25)
    for index in (0, 1, 0, 2, 0, 1):  # 2 pushes 1 out, the least recently used
        assert cache.get(index, lambda index=index: frame(index))[0] == index
    assert made == [0, 1, 2, 1]
    small = FrameCache(limit=5)
    for _ in range(2):
        small.get(0, lambda: frame(9))
    assert made == [0, 1, 2, 1, 9, 9]


def test_requests_that_are_no_input(tmp_path: Path) -> None:
    for text, reason in (
        ("", "empty"), ("http://x.org/a.png", "network"), ("none.png", "no such file"),
        ("a\0b.png", "no such file|cannot be read"), ("x" * 5000, "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(StimulusError, match=reason):
            open_source(text, tmp_path)
