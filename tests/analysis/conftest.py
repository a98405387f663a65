from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import neurosim
from tests.analysis.networks import faces, params


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people, twelve pictures each, one folder a person."""
    return faces(tmp_path_factory.mktemp("images") / "train")


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Path:
    """The output folder of a small bimodal network trained on them; tests take ``trained``."""
    out = tmp_path_factory.mktemp("learned") / "run"
    neurosim.run(neurosim.loads(params(images)), out).close()
    return out


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, learned: Path) -> Path:
    """A copy of it for each file of tests: what one of them codes is kept there."""
    return Path(shutil.copytree(learned, tmp_path_factory.mktemp("trained") / "run"))
