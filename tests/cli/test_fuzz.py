"""Malformed files and damaged inputs through the command line: a message with a place, always."""

from __future__ import annotations

import random
import re
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

import neurosim
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
Damage = Callable[[Path], object]
TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_]\w*|[-+.\d][\w.]*|\S')
STRANGE = (
    *('""', '"', "};", "{", "=", ";", "[", "@", "-1", "0", "0.3", "1e9", "1e400", "NULL", "true"),
    *("infinity", '"V1"', '"no such thing"', "[]", "[1,2]", "7", "HyPerLayer"),
)
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


def dataset(folder: Path, values: object, name: str = "x") -> None:
    with h5py.File(folder / "a.h5", "w") as file:
        file[name] = values


def frames(name: str, *shape: int, **damage: object) -> Damage:
    """A file of activities, then cut, or patched at a position."""
    return _pvp(lambda path: write_activity(path, np.ones(shape)), name, **damage)


def weights(name: str, kernels: int = 16, **damage: object) -> Damage:
    def write(path: Path) -> None:
        write_weights(path, np.ones((1, kernels, 4, 4, 3)), (1, 1, kernels))

    return _pvp(write, name, **damage)


def _pvp(
    write: Callable[[Path], object],
    name: str,
    share: float = 1.0,
    at: int | None = None,
    new: bytes = b"",
) -> Damage:
    def damage(folder: Path) -> None:
        write(folder / name)
        cut(folder / name, share)
        if at is not None:
            patched(folder / name, at, new)

    return damage


def sparse_frames(folder: Path) -> None:
    write_sparse_activity(folder / "a.pvp", [([0, 3], [1.0, 2.0])], (8, 8, 3))
    patched(folder / "a.pvp", 92, int32(10**6))


def content(name: str, data: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(data)


def nothing(folder: Path) -> None:
    """Leave everything as it is: a file is missing."""


NAN = struct.pack("<f", np.nan)
ONE, TWO = b"images/picture_0.png", b"images/picture_1.png"

#: inputPath -> how it is damaged. The message names the path, or what follows "->".
INPUTS: list[tuple[str, Damage]] = [
    ("images -> picture_3.png", content("images/picture_3.png", b"")),
    ("images -> picture_4.png", lambda f: cut(f / "images/picture_4.png", 0.6)),
    ("images -> picture_0.png", content("images/picture_0.png", b"not a picture")),
    ("d.png", lambda f: (f / "d.png").mkdir()),
    ("gone.png", nothing),
    ("x.jpg", content("x.jpg", b"\x89PNG")),
    ("nowhere.png", lambda f: (f / "nowhere.png").symlink_to("no")),
    ("itself.png", lambda f: (f / "itself.png").symlink_to("itself.png")),
    ("a.xyz", content("a.xyz", b"12")),
    ("empty.txt", content("empty.txt", b"\n")),
    ("binary.txt", content("binary.txt", b"\xff\xfe\x00")),
    ("two.txt -> two.txt:2: gone.png", content("two.txt", ONE + b"\ngone.png\n")),
    ("half.txt", content("half.txt", ONE + b"\tA\n" + TWO + b"\n")),
    ("gone.txt", nothing),
    ("empty", lambda f: (f / "empty").mkdir()),
    ("nofolder", nothing),
    ("http://example.org/a.png", nothing),
    ("synthetic-faces:x", nothing),
    ("a.h5:/x -> a.h5", content("a.h5", b"no" * 99)),
    ("gone.h5:/x -> gone.h5", nothing),
    ("a.h5:/y -> a.h5", lambda f: dataset(f, np.ones((2, 8, 8, 3)))),
    ("a.h5:/x -> a.h5 rank", lambda f: dataset(f, np.ones(5))),
    ("a.h5:/x -> a.h5 texts", lambda f: dataset(f, [b"a", b"b"])),
    ("a.h5:/x -> a.h5 nan", lambda f: dataset(f, np.full((2, 8, 8, 3), np.nan))),
    ("a.h5:/x -> a.h5 cut", lambda f: (dataset(f, np.ones((9, 8, 8, 3))), cut(f / "a.h5", 0.5))),
    ("a.h5:/x -> Input", lambda f: dataset(f, np.ones((2, 8, 8, 5)))),
    ("a.pvp -> a.pvp empty", content("a.pvp", b"")),
    ("a.pvp -> a.pvp cut", frames("a.pvp", 3, 8, 8, 3, share=0.7)),
    ("a.pvp -> a.pvp header", frames("a.pvp", 3, 8, 8, 3, at=0, new=int32(7))),
    ("a.pvp -> a.pvp type", frames("a.pvp", 3, 8, 8, 3, at=8, new=int32(99))),
    ("a.pvp -> a.pvp size", frames("a.pvp", 3, 8, 8, 3, at=12, new=int32(-3))),
    ("a.pvp -> a.pvp nan", frames("a.pvp", 3, 8, 8, 3, at=92, new=NAN)),
    ("a.pvp -> a.pvp sparse", sparse_frames),
    ("a.pvp -> a.pvp weights", weights("a.pvp")),
]

FILE_WEIGHTS = ("V1ToError.weightInitType=FileWeight", "V1ToError.initWeightsFile=w.pvp")
WEIGHTS: dict[str, Damage] = {
    "gone": nothing,
    "cut": weights("w.pvp", share=0.5),
    "header": weights("w.pvp", at=80, new=int32(0)),
    "text": content("w.pvp", b"1 2 3"),
    "shape": weights("w.pvp", kernels=9),
    "frames": frames("w.pvp", 3, 8, 8, 3),
}
FILE_V = ("V1.InitVType=InitVFromFile", "V1.Vfilename=v.pvp")
POTENTIALS: dict[str, Damage] = {
    "gone": nothing,
    "cut": frames("v.pvp", 3, 4, 4, 16, share=0.3),
    "shape": frames("v.pvp", 3, 2, 2, 2),
    "text": content("v.pvp", b"x"),
}
CLASSES = """FilenameParsingLayer "Class" = {
    nf = 2; inputLayerName = "Input"; classList = "c.txt";
};"""
NAMES = 'NameLayer "Name" = { nxScale = 4; namesPath = "n.txt"; };'
GREY = 'NameLayer "Name" = { nf = 2; nxScale = 4; labelSource = "Input"; };'
#: What is added to the params, the name in the message, and the damage.
ADDED: dict[str, tuple[str, str, Damage]] = {
    "classes gone": (CLASSES, "c.txt", nothing),
    "classes binary": (CLASSES, "c.txt", content("c.txt", b"\xff\xfe\x00\x80")),
    "classes too many": (CLASSES, "c.txt", content("c.txt", b"a\nb\nc\n")),
    "classes a folder": (CLASSES, "c.txt", lambda f: (f / "c.txt").mkdir()),
    "names gone": (NAMES, "n.txt", nothing),
    "names empty": (NAMES, "n.txt", content("n.txt", b"")),
    "names binary": (NAMES, "n.txt", content("n.txt", b"\xff\x80")),
    "names in colour": (GREY, "Name", nothing),
    "include of nothing": ('#include "gone.params";', "gone.params", nothing),
    "no text at all": ("", "f.params", content("f.params", b"\xff\x00\x80")),
}


def damaged() -> Iterator[tuple[str, str, Damage, tuple[str, ...], str]]:
    """Name, what the message holds, the damage, what is set and what is added."""
    for told, damage in INPUTS:
        path, _, names = told.partition(" -> ")
        # A last word only tells cases apart.
        marked = names.startswith(path.partition(":")[0]) and ": " not in names
        word = names.split()[0] if marked else names
        yield told, word or path, damage, (f"Input.inputPath={path}",), ""
    for case, damage in WEIGHTS.items():
        yield f"weights {case}", "w.pvp", damage, FILE_WEIGHTS, ""
    for case, damage in POTENTIALS.items():
        yield f"potential {case}", "v.pvp", damage, FILE_V, ""
    for case, (more, name, damage) in ADDED.items():
        yield case, name, damage, (), more


CASES = {case[0]: case[1:] for case in damaged()}


def test_there_are_fifty_damaged_inputs() -> None:
    assert len(CASES) >= 50


@pytest.mark.parametrize("case", CASES)
def test_damaged_input(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    name, damage, settings, more = CASES[case]
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
