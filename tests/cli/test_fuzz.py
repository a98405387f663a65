"""Malformed files and damaged inputs through the command line: a message with a place, always."""

from __future__ import annotations

import random
import re
import struct
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from neurosim.cli import main
from neurosim.run import run_experiment
from neurosim.stimuli.pvp import write_activity, write_sparse_activity, write_weights
from tests.run.networks import LEARNING, write_images, write_network

ROOT = Path(__file__).resolve().parents[2]
# A column, an input, an error, a code, connections both ways, a probe; in the compact form too.
COMPACT = """
HyPerCol "column" = { nx = 8; ny = 8; stopTime = 3; outputPath = "out"; };
ImageLayer "Face" = { nf = 3; inputPath = "images"; displayPeriod = 2; };
SparseCoding "V1" = { codes = "Face"; patchSize = 4; stride = 2; features = 8; VThresh = 0.1; };
SparseCoding "V2" = { codes = "V1"; patchSize = 4; stride = 2; features = 8; VThresh = 0.1; };
"""
BRIEF = LEARNING.replace("stopTime = 240", "stopTime = 3")
TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_]\w*|[-+.\d][\w.]*|\S')
STRANGE = ('""', '"', "};", "{", "=", ";", "[", "@", "-1", "0", "0.3", "1e9", "1e400", "NULL",
           "true", "infinity", '"V1"', '"no such thing"', "[]", "[1,2]", "7", "HyPerLayer")  # fmt: skip
PLACE = re.compile(r"(^|\s)[\w./-]*f\.params(:\d+){0,2}: |^[\w./\[\]-]+: ")




def originals() -> list[str]:
    shipped = sorted((ROOT / "params").glob("*.params"))
    return [BRIEF, COMPACT, *(path.read_text(encoding="utf-8") for path in shipped)]


def mutated(text: str, rng: random.Random) -> str:
    """Return the text with one or two of its tokens lost, doubled, swapped or replaced."""
    for _ in range(rng.randint(1, 2)):
        tokens = list(TOKEN.finditer(text))
        a, b = sorted(rng.sample(range(len(tokens)), 2))
        first, second = tokens[a], tokens[b]
        if rng.random() < 0.3:
            between = text[first.end() : second.start()]
            text = text[: first.start()] + second[0] + between + first[0] + text[second.end() :]
        else:
            new = rng.choice(("", f"{first[0]} {first[0]}", first[0][:-1], *STRANGE))
            text = text[: first.start()] + new + text[first.end() :]
    return text


def refused(arguments: list[str], capfd: pytest.CaptureFixture[str], status: int = 2) -> str:
    """The message of a command that must fail, or nothing where it succeeds."""
    capfd.readouterr()
    began = time.process_time()
    found = main(arguments)
    err = capfd.readouterr().err
    assert time.process_time() - began < 30  # a hang, not a measurement
    assert "Traceback" not in err
    message = "".join(line for line in err.splitlines(True) if not line.startswith("note: "))
    if found == 0:
        assert message == ""
        return ""
    assert found in (status, 1) and message.strip()
    return message


@pytest.mark.parametrize("part", range(10))
def test_malformed_params(
    part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(Path("images"), 4)
    texts = originals()
    noticed = 0
    for seed in range(20 * part, 20 * part + 20):
        rng = random.Random(seed)
        base = texts[seed % len(texts)]
        # Those that run do little: checked first, then run where that takes no time.
        Path("f.params").write_text(mutated(base, rng), encoding="utf-8")
        command = "run" if base in (BRIEF, COMPACT) else "show"
        options = ["-o", f"out{seed}"] if command == "run" else ["--stage", "plan"]
        lines = refused([command, "f.params", *options], capfd).splitlines()
        noticed += bool(lines)
        assert len(lines) < 60 and all(len(line) < 600 for line in lines)
        assert not lines or PLACE.search(lines[0]), lines
        left = list(Path(f"out{seed}").glob("*"))
        assert not any(path.name.endswith(".partial") for path in left)
        if lines and left:
            # Only a run that began and then diverged may leave its results.
            assert "diverge" in lines[0] or "step" in lines[0]
    assert noticed > 8


def int32(value: int) -> bytes:
    return struct.pack("<i", value)


def patched(path: Path, position: int, new: bytes) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:position] + new + data[position + len(new) :])


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def weights(folder: Path) -> None:
    write_weights(folder / "w.pvp", np.ones((1, 16, 4, 4, 3)), (1, 1, 16))


def frames(folder: Path) -> None:
    write_activity(folder / "a.pvp", np.ones((3, 8, 8, 3)))


def potential(folder: Path) -> None:
    write_activity(folder / "v.pvp", np.ones((3, 4, 4, 16)))


def dataset(folder: Path, values: object, name: str = "x") -> None:
    with h5py.File(folder / "a.h5", "w") as file:
        file[name] = values


INPUT, WEIGHTS = "Input.inputPath=", ("V1ToError.weightInitType=FileWeight",)
FILEV = ("V1.InitVType=InitVFromFile", "V1.Vfilename=v.pvp")
CLASSES = 'FilenameParsingLayer "Class" = { nf = 2; inputLayerName = "Input"; classList = "c.txt"; };'
NAMES = 'NameLayer "Name" = { nxScale = 4; namesPath = "n.txt"; };'
LABELS = 'NameLayer "Name" = { nf = 2; nxScale = 4; labelSource = "Input"; };'
W = ("V1ToError.initWeightsFile=w.pvp", *WEIGHTS)

Damage = Callable[[Path], object]
# What is damaged: the file named in the message, how, what is set, what is added to the params.
DAMAGED: dict[str, tuple[str, Damage, tuple[str, ...], str]] = {
    "png empty": ("picture_3.png", lambda f: (f / "images/picture_3.png").write_bytes(b""), (), ""),
    "png cut": ("picture_3.png", lambda f: cut(f / "images/picture_3.png", 0.6), (), ""),
    "png text": ("picture_0.png", lambda f: (f / "images/picture_0.png").write_text("no"), (), ""),
    "png a folder": (
        "d.png",
        lambda f: (f / "d.png").mkdir(),
        (INPUT + "d.png",),
        "",
    ),
    "png gone": ("gone.png", lambda f: None, (INPUT + "gone.png",), ""),
    "jpg is a png cut": ("x.jpg", lambda f: (f / "x.jpg").write_bytes(b"\x89PNG"), (INPUT + "x.jpg",), ""),
    "link to nowhere": ("l.png", lambda f: (f / "l.png").symlink_to("no"), (INPUT + "l.png",), ""),
    "link to itself": ("l.png", lambda f: (f / "l.png").symlink_to("l.png"), (INPUT + "l.png",), ""),
    "unknown suffix": ("a.xyz", lambda f: (f / "a.xyz").write_bytes(b"12"), (INPUT + "a.xyz",), ""),
    "list empty": ("l.txt", lambda f: (f / "l.txt").write_text("\n"), (INPUT + "l.txt",), ""),
    "list binary": ("l.txt", lambda f: (f / "l.txt").write_bytes(b"\xff\xfe\x00"), (INPUT + "l.txt",), ""),
    "list of nothing": ("l.txt:2", lambda f: (f / "l.txt").write_text("images/picture_0.png\ngone.png\n"), (INPUT + "l.txt",), ""),
    "list half labelled": ("l.txt", lambda f: (f / "l.txt").write_text("images/picture_0.png\tA\nimages/picture_1.png\n"), (INPUT + "l.txt",), ""),
    "list gone": ("gone.txt", lambda f: None, (INPUT + "gone.txt",), ""),
    "folder empty": ("empty", lambda f: (f / "empty").mkdir(), (INPUT + "empty",), ""),
    "folder gone": ("nofolder", lambda f: None, (INPUT + "nofolder",), ""),
    "address": ("http", lambda f: None, (INPUT + "http://example.org/a.png",), ""),
    "faces of no split": ("synthetic-faces:x", lambda f: None, (INPUT + "synthetic-faces:x",), ""),
    "hdf5 text": ("a.h5", lambda f: (f / "a.h5").write_text("no" * 99), (INPUT + "a.h5:/x",), ""),
    "hdf5 gone": ("a.h5", lambda f: None, (INPUT + "a.h5:/x",), ""),
    "hdf5 no dataset": ("a.h5", lambda f: dataset(f, np.ones((2, 8, 8, 3)), "y"), (INPUT + "a.h5:/x",), ""),
    "hdf5 rank": ("a.h5", lambda f: dataset(f, np.ones(5)), (INPUT + "a.h5:/x",), ""),
    "hdf5 texts": ("a.h5", lambda f: dataset(f, [b"a", b"b"]), (INPUT + "a.h5:/x",), ""),
    "hdf5 nan": ("a.h5", lambda f: dataset(f, np.full((2, 8, 8, 3), np.nan)), (INPUT + "a.h5:/x",), ""),
    "hdf5 cut": ("a.h5", lambda f: (dataset(f, np.ones((2, 8, 8, 3))), cut(f / "a.h5", 0.5)), (INPUT + "a.h5:/x",), ""),
    "hdf5 channels": ("Input", lambda f: dataset(f, np.ones((2, 8, 8, 5))), (INPUT + "a.h5:/x",), ""),
    "pvp empty": ("a.pvp", lambda f: (f / "a.pvp").write_bytes(b""), (INPUT + "a.pvp",), ""),
    "pvp cut": ("a.pvp", lambda f: (frames(f), cut(f / "a.pvp", 0.7)), (INPUT + "a.pvp",), ""),
    "pvp header": ("a.pvp", lambda f: (frames(f), patched(f / "a.pvp", 0, int32(7))), (INPUT + "a.pvp",), ""),
    "pvp type": ("a.pvp", lambda f: (frames(f), patched(f / "a.pvp", 8, int32(99))), (INPUT + "a.pvp",), ""),
    "pvp size": ("a.pvp", lambda f: (frames(f), patched(f / "a.pvp", 12, int32(-3))), (INPUT + "a.pvp",), ""),
    "pvp nan": ("a.pvp", lambda f: (frames(f), patched(f / "a.pvp", 92, struct.pack("<f", np.nan))), (INPUT + "a.pvp",), ""),
    "pvp sparse": ("a.pvp", lambda f: (write_sparse_activity(f / "a.pvp", [([0, 3], [1.0, 2.0])], (8, 8, 3)), patched(f / "a.pvp", 92, int32(10**6))), (INPUT + "a.pvp",), ""),
    "pvp is weights": ("a.pvp", lambda f: (weights(f), (f / "w.pvp").rename(f / "a.pvp")), (INPUT + "a.pvp",), ""),
    "weights gone": ("w.pvp", lambda f: None, W, ""),
    "weights cut": ("w.pvp", lambda f: (weights(f), cut(f / "w.pvp", 0.5)), W, ""),
    "weights header": ("w.pvp", lambda f: (weights(f), patched(f / "w.pvp", 80, int32(0))), W, ""),
    "weights text": ("w.pvp", lambda f: (f / "w.pvp").write_text("1 2 3"), W, ""),
    "weights shape": ("w.pvp", lambda f: write_weights(f / "w.pvp", np.ones((1, 9, 4, 4, 3)), (1, 1, 9)), W, ""),
    "weights are frames": ("w.pvp", lambda f: (frames(f), (f / "a.pvp").rename(f / "w.pvp")), W, ""),
    "potential gone": ("v.pvp", lambda f: None, FILEV, ""),
    "potential cut": ("v.pvp", lambda f: (potential(f), cut(f / "v.pvp", 0.3)), FILEV, ""),
    "potential shape": ("v.pvp", lambda f: write_activity(f / "v.pvp", np.ones((3, 2, 2, 2))), FILEV, ""),
    "potential text": ("v.pvp", lambda f: (f / "v.pvp").write_text("x"), FILEV, ""),
    "classes gone": ("c.txt", lambda f: None, (), CLASSES),
    "classes binary": ("c.txt", lambda f: (f / "c.txt").write_bytes(b"\xff\xfe\x00\x80"), (), CLASSES),
    "classes too many": ("c.txt", lambda f: (f / "c.txt").write_text("a\nb\nc\n"), (), CLASSES),
    "classes a folder": ("c.txt", lambda f: (f / "c.txt").mkdir(), (), CLASSES),
    "names gone": ("n.txt", lambda f: None, (), NAMES),
    "names empty": ("n.txt", lambda f: (f / "n.txt").write_text(""), (), NAMES),
    "names binary": ("n.txt", lambda f: (f / "n.txt").write_bytes(b"\xff\x80"), (), NAMES),
    "names in colour": ("Name", lambda f: None, (), LABELS),
    "params with no text": ("f.params", lambda f: (f / "f.params").write_bytes(b"\xff\x00\x80"), (), ""),
    "include of nothing": ("gone.params", lambda f: None, (), '#include "gone.params";'),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_input(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    name, damage, settings, more = DAMAGED[case]
    monkeypatch.chdir(tmp_path)
    write_network(tmp_path, BRIEF + more + "\n").rename("f.params")
    damage(tmp_path)
    options = [word for setting in settings for word in ("--set", setting)]
    for command in (["run", "f.params", "-o", "out"], ["check", "f.params"]):
        message = refused([*command, *options], capfd)
        assert name in message and len(message) < 1500
        assert re.match(r"[\w./-]*f\.params(:\d+)?: |--set |[\w./-]+: ", message), message
    assert not Path("out").exists()


CHECKPOINTS: dict[str, Damage] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no checkpoint"),
    "cut": lambda path: cut(path, 0.5),
    "bits": lambda path: patched(path, path.stat().st_size // 2, b"\xaa" * 64),
    "another program's": lambda path: dataset(path.parent, np.ones(3)),
}


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_damaged_checkpoint(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import neurosim

    monkeypatch.chdir(tmp_path)
    write_network(tmp_path, BRIEF)
    run_experiment(neurosim.load("net.params"), "old")
    path = Path("old/checkpoints/checkpoint_0000000003.h5")
    if case == "another program's":
        CHECKPOINTS[case](path)
        (path.parent / "a.h5").replace(path)
    else:
        CHECKPOINTS[case](path)
    start = ["--set", f"column.initializeFromCheckpointDir={path}"]
    for command in (["run", "net.params", "-o", "new"], ["check", "net.params"]):
        assert str(path) in refused([*command, *start], capfd)
    assert str(path) in refused(["show", str(path)], capfd)
    assert not Path("new").exists()
    # A damaged checkpoint does not keep the run from going on, from its start if need be.
    assert refused(["run", "net.params", "-o", "old", "--resume", "-q"], capfd) == ""


def test_a_damaged_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import neurosim

    monkeypatch.chdir(tmp_path)
    write_network(tmp_path, BRIEF)
    run_experiment(neurosim.load("net.params"), "old")
    whole = Path("old/run.h5").read_bytes()
    rng = random.Random(0)
    refusals = 0
    for _ in range(15):
        data = bytearray(whole[: rng.randint(0, len(whole))] if rng.random() < 0.5 else whole)
        for _ in range(4):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        Path("old/run.h5").write_bytes(bytes(data))
        for command in (["show", "old"], ["run", "net.params", "-o", "old", "--resume", "-q"]):
            message = refused(command, capfd)
            refusals += bool(message)
            assert not message or "old" in message
            Path("old/run.h5").write_bytes(bytes(data))
    assert refusals > 8


def test_all_broken_pictures_are_in_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_network(tmp_path, BRIEF)
    for number in (1, 4, 7):
        cut(Path(f"images/picture_{number}.png"), 0.5)
    more = CLASSES.replace("nf = 2", "nf = 3")
    Path("f.params").write_text(BRIEF + more)
    message = refused(["run", "f.params"], capfd)
    assert [f"picture_{n}.png" in message for n in range(9)] == [n in (1, 4, 7) for n in range(9)]
    assert "3 of 9 inputs cannot be used" in message
