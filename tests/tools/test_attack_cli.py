"""The attack as users start it: a readout of pixels attacked, and mistakes told in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import neurosim
from attack.images import read_images
from attack.linear import PixelReadout
from attack.models import open_model
from tests.analysis.networks import face_only, faces, params

TARGET = "Joren Varga"
TOOL = Path(__file__).resolve().parents[2] / "tools" / "attack"


def attack(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TOOL), *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its baselines, and validation images."""
    folder = tmp_path_factory.mktemp("attacked")
    train = faces(folder / "train")
    neurosim.run(
        neurosim.loads(face_only(params(train, displays=10, codes='"V1"'))), folder / "run"
    )
    faces(folder / "validation", each=6, split="validation")
    neurosim.analyze(
        folder / "run", folder / "validation", target=TARGET, baselines=True, threads=1
    )
    return folder


def test_an_attack_writes_a_set_with_all_that_made_it(folder: Path) -> None:
    images = ("--images", folder / "validation", "--target", TARGET)
    done = attack(f"{folder}/run:pixels", *images, "--epsilon", 6, "-o", folder / "attacked")
    assert done.returncode == 0, done.stderr
    record = json.loads((folder / "attacked" / "parameters.json").read_text())
    original, found = (read_images(folder / name, TARGET) for name in ("validation", "attacked"))
    assert found.names == original.names
    assert np.abs(found.pixels - original.pixels).max() == record["largest_change"] <= 6
    assert record["budget"]["epsilon"] == 6
    assert record["source"] == "run-pixels"
    assert record["balanced_accuracy_after"] < record["balanced_accuracy_before"]
    noise = attack(
        *images, "--method", "noise", "--reference", folder / "attacked", "-o", folder / "noise"
    )
    assert noise.returncode == 0, noise.stderr
    assert len(read_images(folder / "noise", TARGET)) == len(original)


def test_the_gradient_of_a_pixel_readout_is_exact(folder: Path, rng: np.random.Generator) -> None:
    model = open_model(f"{folder}/run:pixels")
    pixels = read_images(folder / "validation", TARGET).pixels
    way = rng.standard_normal(pixels.shape)
    ahead, behind = (model.scores(pixels + h * way) for h in (0.01, -0.01))
    slope = (model.gradient(pixels) * way).sum(axis=(1, 2, 3))
    assert slope == pytest.approx((ahead - behind) / 0.02, rel=1e-3, abs=1e-6)


def test_a_pixel_readout_is_that_of_the_analysis(folder: Path) -> None:
    readout = neurosim.open_analysis(folder / "run").readouts["pixels"]
    scores = PixelReadout(folder / "run").scores(read_images(folder / "validation", TARGET).pixels)
    wanted = readout.scores["validation"].decision - readout.threshold
    assert scores == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{run}:pixels", "--method", "guess"), 'no method "guess"; there are single-step'),
        (("nowhere",), "nowhere: no such folder; a model is a folder"),
        (("{run}:corners",), 'no model "corners" of a run'),
        (("{images}",), "is no model; a model is"),
        ((), 'method "iterated" attacks a model: name one'),
        (("--method", "noise"), "give the attacked set, of the same file names, by --reference"),
    ],
)
def test_mistakes_are_told_in_one_line(
    folder: Path, arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    places = {"run": folder / "run", "images": folder / "validation"}
    done = attack(
        *(text.format(**places) for text in arguments),
        *("--images", folder / "validation", "--target", TARGET, "-o", tmp_path / "out"),
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
