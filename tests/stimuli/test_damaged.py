"""Damaged inputs: each is refused with its name and the reason, never with a traceback."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from neurosim.errors import StimulusError
from neurosim.stimuli.images import open_source
from neurosim.stimuli.pvp import (
    read_weights,
    write_activity,
    write_sparse_activity,
    write_weights,
)

NOISE = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)


def image(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(NOISE).save(stream, kind)
    return stream.getvalue()


def patched(data: bytes, position: int, new: bytes) -> bytes:
    return data[:position] + new + data[position + len(new) :]


def int32(value: int) -> bytes:
    return struct.pack("<i", value)


PNG, JPEG, BMP, TIFF = image("png"), image("jpeg"), image("bmp"), image("tiff")

FILES: dict[str, tuple[str, bytes]] = {
    "zero bytes": ("a.png", b""),
    "one byte": ("a.png", b"\x89"),
    "text renamed png": ("a.png", b"hello, I am text\n" * 9),
    "html renamed jpg": ("a.jpg", b"<html><body>404</body></html>"),
    "png half": ("a.png", PNG[: len(PNG) // 2]),
    "png header only": ("a.png", PNG[:33]),
    "png signature only": ("a.png", PNG[:8]),
    "png cut in header": ("a.png", PNG[:20]),
    "png without end of data": ("a.png", PNG[:-200]),
    "png flipped bits in data": ("a.png", patched(PNG, 200, b"\xff\x00\xff\x00")),
    "png of size 0": ("a.png", patched(PNG, 16, struct.pack(">II", 0, 0))),
    "png of huge size": ("a.png", patched(PNG, 16, struct.pack(">II", 2**31 - 1, 2**31 - 1))),
    "png of large size": ("a.png", patched(PNG, 16, struct.pack(">II", 9000, 9000))),
    "png with impossible colour type": ("a.png", patched(PNG, 25, b"\x09")),
    "jpeg half": ("a.jpg", JPEG[: len(JPEG) // 2]),
    "jpeg start only": ("a.jpg", JPEG[:2]),
    "jpeg tables cut": ("a.jpeg", JPEG[:100]),
    "bmp half": ("a.bmp", BMP[: len(BMP) // 2]),
    "bmp huge": ("a.bmp", patched(BMP, 18, struct.pack("<ii", 2**30, 2**30))),
    "tiff half": ("a.tif", TIFF[: len(TIFF) // 2]),
    "tiff start only": ("a.tif", TIFF[:8]),
    "tga noise": ("a.tga", bytes(NOISE.ravel()[:500])),
    "gif start only": ("a.gif", b"GIF89a"),
    "webp start only": ("a.webp", b"RIFF\x00\x00\x00\x00WEBP"),
    "unknown suffix": ("a.dat", b"\x00\x01\x02\x03" * 50),
    "list without lines": ("a.txt", b"\n  \n"),
    "list of nothing there": ("a.txt", b"gone.png\nalso_gone.png\n"),
    "list in binary": ("a.txt", bytes(range(128, 256))),
    "list with a NUL": ("a.txt", b"a\x00b.png\n"),
    "list naming a folder": ("a.txt", b".\n"),
    "hdf5 text": ("a.h5", b"not hdf5 at all" * 100),
    "hdf5 zero bytes": ("a.h5", b""),
    "hdf5 signature only": ("a.h5", b"\x89HDF\r\n\x1a\n"),
}


def activity(path: Path) -> bytes:
    write_activity(path, np.ones((3, 4, 5, 2)))
    return path.read_bytes()


def sparse(path: Path) -> bytes:
    write_sparse_activity(path, [([0, 3, 7], [1.0, 2.0, 3.0])] * 2, (2, 2, 2))
    return path.read_bytes()


PVP: dict[str, Callable[[Path], bytes]] = {
    "text": lambda path: b"time, value\n" * 30,
    "empty": lambda path: b"",
    "header cut": lambda path: activity(path)[:79],
    "dense truncated": lambda path: activity(path)[:-1],
    "dense without frames": lambda path: activity(path)[:80],
    "no frames announced": lambda path: patched(activity(path)[:80], 68, int32(0)),
    "header size": lambda path: patched(activity(path), 0, int32(81)),
    "file type": lambda path: patched(activity(path), 8, int32(99)),
    "big endian": lambda path: patched(activity(path), 0, struct.pack(">ii", 80, 20)),
    "nx zero": lambda path: patched(activity(path), 12, int32(0)),
    "ny negative": lambda path: patched(activity(path), 16, int32(-4)),
    "nf huge": lambda path: patched(activity(path), 20, int32(2**31 - 1)),
    "all sizes huge": lambda path: patched(activity(path), 12, int32(2**31 - 1) * 3),
    "data type": lambda path: patched(activity(path), 36, int32(2)),
    "frames negative": lambda path: patched(activity(path), 68, int32(-1)),
    "frames too many": lambda path: patched(activity(path), 68, int32(2**30)),
    "not a number": lambda path: patched(activity(path), 92, struct.pack("<f", np.nan)),
    "sparse truncated": lambda path: sparse(path)[:-3],
    "sparse count negative": lambda path: patched(sparse(path), 88, int32(-1)),
    "sparse count huge": lambda path: patched(sparse(path), 88, int32(2**31 - 1)),
    "sparse index outside": lambda path: patched(sparse(path), 92, int32(8)),
    "sparse index negative": lambda path: patched(sparse(path), 92, int32(-1)),
}

HDF5: dict[str, tuple[str, Callable[[h5py.File], object]]] = {
    "no such dataset": ("/gone", lambda file: file.create_dataset("x", data=NOISE)),
    "a group": ("/g", lambda file: file.create_group("g")),
    "the root": ("/", lambda file: file.create_group("g")),
    "rank 1": ("/x", lambda file: file.create_dataset("x", data=np.zeros(9))),
    "rank 2": ("/x", lambda file: file.create_dataset("x", data=np.zeros((9, 9)))),
    "rank 5": ("/x", lambda file: file.create_dataset("x", data=np.zeros((1, 2, 2, 2, 2)))),
    "no images": ("/x", lambda file: file.create_dataset("x", data=np.zeros((0, 4, 4)))),
    "strings": ("/x", lambda file: file.create_dataset("x", data=np.full((1, 1, 1), b"a"))),
    "int64": ("/x", lambda file: file.create_dataset("x", data=np.zeros((2, 3, 3), int))),
    "not a number": ("/x", lambda file: file.create_dataset("x", data=np.full((2, 2, 2), np.nan))),
    "labels too few": (
        "/x",
        lambda file: (
            file.create_dataset("x", data=np.zeros((3, 2, 2))),
            file.create_dataset("labels", data=[1, 2]),
        ),
    ),
}


def refused(text: str, folder: Path) -> str:
    with pytest.raises(StimulusError) as caught:
        open_source(text, folder)
    return str(caught.value)


@pytest.mark.parametrize("case", FILES)
def test_damaged_file(case: str, tmp_path: Path) -> None:
    name, data = FILES[case]
    (tmp_path / name).write_bytes(data)
    message = refused(name, tmp_path)
    assert name in message and len(message) > len(name) + 10
    assert "Traceback" not in message and len(message) < 2000


@pytest.mark.parametrize("case", PVP)
def test_damaged_pvp(case: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pvp"
    path.write_bytes(PVP[case](path))
    message = refused("a.pvp", tmp_path)
    assert "a.pvp" in message
    assert "expected" in message or "not finite" in message


@pytest.mark.parametrize("case", HDF5)
def test_damaged_hdf5(case: str, tmp_path: Path) -> None:
    dataset, fill = HDF5[case]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        fill(file)
    message = refused(f"a.h5:{dataset}", tmp_path)
    assert "a.h5" in message and len(message) > 20


def test_truncated_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros((50, 20, 20))
    data = (tmp_path / "a.h5").read_bytes()
    for share in (0.1, 0.5, 0.99):
        (tmp_path / "a.h5").write_bytes(data[: int(share * len(data))])
        assert "a.h5" in refused("a.h5:/x", tmp_path)


@pytest.mark.parametrize(
    ("position", "new"),
    [
        (8, int32(4)),  # an activity file's type
        (8, int32(77)),
        (20, int32(9)),  # nf and the number of patches disagree
        (32, int32(2)),  # neither bytes nor floats
        (68, int32(0)),  # no arbors
        (68, int32(2**30)),
        (80, int32(0)),  # nxp
        (84, int32(-3)),
        (88, int32(2**31 - 1)),
        (100, int32(5)),  # patches
    ],
)
def test_damaged_weights(position: int, new: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w.pvp"
    write_weights(path, np.ones((1, 4, 3, 3, 2)), (1, 1, 4))
    path.write_bytes(patched(path.read_bytes(), position, new))
    with pytest.raises(StimulusError, match=r"w\.pvp: .*expected"):
        read_weights(path)


def test_weights_cut_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "w.pvp"
    write_weights(path, np.ones((1, 4, 3, 3, 2)), (1, 1, 4))
    data = path.read_bytes()
    for size in range(0, len(data), 7):
        path.write_bytes(data[:size])
        with pytest.raises(StimulusError, match=r"w\.pvp: .*expected"):
            read_weights(path)
    with pytest.raises(StimulusError, match="no such file"):
        read_weights(tmp_path / "gone.pvp")
    with pytest.raises(StimulusError, match="is a folder"):
        read_weights(tmp_path)


def test_random_damage_never_escapes(tmp_path: Path, rng: np.random.Generator) -> None:
    originals = [("a.png", PNG), ("a.jpg", JPEG), ("a.bmp", BMP), ("a.tif", TIFF)]
    originals += [("a.pvp", activity(tmp_path / "x.pvp")), ("a.pvp", sparse(tmp_path / "x.pvp"))]
    refusals = 0
    for _ in range(40):
        for name, data in originals:
            damaged = bytearray(data[: rng.integers(1, len(data) + 1)])
            for position in rng.integers(0, len(damaged), 3):
                damaged[position] = rng.integers(0, 256)
            (tmp_path / name).write_bytes(bytes(damaged))
            try:
                open_source(name, tmp_path)
            except StimulusError as error:
                refusals += 1
                assert name in str(error)
    assert refusals > 150
