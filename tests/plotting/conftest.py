from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import neurosim
from tests.analysis.networks import faces, noisy, params

TARGET = "Joren Varga"


@pytest.fixture(scope="session")
def bimodal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of a small network of faces and names, trained but not analysed."""
    folder = tmp_path_factory.mktemp("bimodal")
    text = params(faces(folder / "train"), displays=12).replace("writeStep = -1", "writeStep = 20")
    neurosim.run(neurosim.loads(text), folder / "run", threads=1).close()
    return folder / "run"


@pytest.fixture(scope="session")
def analysed(bimodal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, analysed with validation images and a noisy version of them."""
    folder = tmp_path_factory.mktemp("analysed")
    shutil.copytree(bimodal, folder / "run")
    images = faces(folder / "validation", each=8, split="validation")
    altered = noisy(images, folder / "noisy")
    neurosim.analyze(folder / "run", images, altered=[altered], target=TARGET, threads=1)
    return folder / "run"
