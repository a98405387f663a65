from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import neurosim
from neurosim.cli import main
from tests.analysis.networks import Call, faces, noisy, params


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


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        status = main(["analyze", *map(str, arguments)])
        return (status, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other pictures of the same people, and the same with noise."""
    folder = tmp_path_factory.mktemp("sets")
    noisy(faces(folder / "validation", each=8, split="validation"), folder / "noisy")
    return folder
