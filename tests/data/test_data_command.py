"""The command ``neurosim data``: what it makes, prints and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neurosim.cli import main
from tests.data.pictures import contents, people, picture, save

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Call:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        status = main(["data", *map(str, arguments)])
        return status, *capfd.readouterr()

    return run


def test_a_folder(call: Call, tmp_path: Path) -> None:
    people(tmp_path / "faces", {"ann": 10, "bob": 8, "cat": 3})
    save(picture(0)[:, ::-1], tmp_path / "faces" / "ann" / "again.png")
    options = ("--target", "ann", "--hold-out", "2", "--validation", "0.2", "--size", "24")
    status, out, err = call("folder", "faces", "-o", "two", *options, "--seed", "4")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "train      14 images: ann 7, other 7",
        "validation 4 images: ann 2, other 2",
        "holdout    4 images: ann 2, other 2",
        "copies     2 images in 1 group of near-duplicates, at most 2 in one; each group is in "
        "one set",
        "learn      neurosim run params/halle_berry_study.params --set Face.inputPath=two/train",
    ]
    told = json.loads(Path("two/data.json").read_text())["settings"]
    assert (told["seed"], told["size"], told["target"]) == (4, 24, "ann")
    status, out, err = call("folder", "faces", "-o", "two", *options, "--quiet")
    assert status == 2 and out == "" and err.count("\n") == 1 and "--overwrite" in err
    status, out, err = call("folder", "faces", "-o", "two", "--overwrite", "--quiet")
    assert (status, out, err) == (0, "", "")


def test_the_drawn_faces(call: Call) -> None:
    status, out, err = call("faces", "-o", "drawn", "--people", 8, "--images", 4, "--size", 16)
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == "train      24 images of 8 classes"
    assert out.splitlines()[1:3] == ["validation 8 images of 8 classes", "copies     none"]
    assert len([name for name in contents(Path("drawn")) if name.endswith(".png")]) == 32


def scikit_learn_home(home: Path) -> None:
    """A small data set where and as scikit-learn keeps it."""
    faces = people(home / "lfw_home" / "lfw_funneled", {"Ann_A": 4, "Bob_B": 3}, size=250)
    for path in faces.rglob("*.png"):
        save(picture(int(path.stem[-1]) + 10 * (path.parent.name == "Ann_A"), 250), path)
    for name in ("pairsDevTrain.txt", "pairsDevTest.txt", "pairs.txt"):
        (home / "lfw_home" / name).write_text("1\n")


def test_lfw_as_scikit_learn_keeps_it(call: Call, tmp_path: Path) -> None:
    scikit_learn_home(tmp_path / "home")
    options = ("-o", "lfw", "--data-home", "home", "--size", "125", "--validation", "0.3")
    status, out, err = call("lfw", *options)
    assert (status, err) == (0, "")
    assert out.splitlines()[:2] == [
        "train      5 images: Ann_A 3, Bob_B 2",
        "validation 2 images: Ann_A 1, Bob_B 1",
    ]
    made = {Path(name).name: data for name, data in contents(Path("lfw")).items()}
    save(picture(12, 250)[70:195, 62:187], tmp_path / "expected.png")
    assert made["Ann_A_0002.png"] == (tmp_path / "expected.png").read_bytes()


def test_lfw_without_network_names_the_cures(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A proxy where nobody listens: the same refusal everywhere, with or without a network.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    status, out, err = call("lfw", "-o", "lfw", "--data-home", "home")
    assert status == 2 and out == "" and err.count("\n") == 1 and "Traceback" not in err
    assert "home and cannot be fetched" in err and "refused" in err
    assert "--data-home DIR" in err and "neurosim data folder FOLDER" in err
    assert not Path("lfw").exists()


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "no source": (("folder", "-o", "x"), "Missing argument"),
    "no output": (("folder", "faces"), "Missing option"),
    "no such folder": (("folder", "nowhere", "-o", "x"), "nowhere: no such file"),
    "no number": (("folder", "faces", "-o", "x", "--size", "big"), "--size"),
    "size": (("folder", "faces", "-o", "x", "--size", "2"), "size = 2"),
    "output is a file": (("folder", "faces", "-o", "note.txt"), "note.txt"),
    "output under a file": (("folder", "faces", "-o", "note.txt/x"), "note.txt"),
    "empty folder": (("folder", "empty", "-o", "x"), "holds no image"),
    "home is a file": (("lfw", "-o", "x", "--data-home", "note.txt"), "must be a folder"),
    "people": (("faces", "-o", "x", "--people", "1"), "1 people"),
    "unknown": (("photos",), "No such command"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_one_message(case: str, call: Call, tmp_path: Path) -> None:
    people(tmp_path / "faces", {"ann": 2, "bob": 2}, size=16)
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("keep me")
    before = contents(tmp_path)
    arguments, expected = WRONG[case]
    status, out, err = call(*arguments)
    assert status == 2 and out == "" and expected in err
    assert err.count("\n") == 1 and len(err) < 500 and "Traceback" not in err
    assert contents(tmp_path) == before and not Path("x").exists()


def test_broken_images_are_all_named(call: Call, tmp_path: Path) -> None:
    people(tmp_path / "faces", {"ann": 3, "bob": 3}, size=16)
    for name in ("ann/a.png", "bob/b.jpg"):
        (tmp_path / "faces" / name).write_bytes(np.arange(99, dtype=np.uint8).tobytes())
    status, out, err = call("folder", "faces", "-o", "x")
    assert status == 2 and out == "" and len(err.splitlines()) == 3
    assert "mend or remove them" in err and "ann/a.png" in err and "bob/b.jpg" in err
    assert not Path("x").exists()
