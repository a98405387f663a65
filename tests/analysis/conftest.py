from __future__ import annotations

from pathlib import Path

import pytest

import neurosim
from tests.analysis.networks import faces, params


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people, twelve pictures each, one folder a person."""
    return faces(tmp_path_factory.mktemp("images") / "train")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Path:
    """The output folder of a small bimodal network trained on them."""
    out = tmp_path_factory.mktemp("trained") / "run"
    neurosim.run(neurosim.loads(params(images)), out).close()
    return out
