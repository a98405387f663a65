"""What every test shares: strict floating point, seeded numbers, the recorded PetaVision runs."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# Before anything imports matplotlib: tests draw without a screen.
os.environ.setdefault("MPLBACKEND", "Agg")

# An overflow or a NaN is a failure where it happens; potentials that decay to zero may underflow.
np.seterr(divide="raise", over="raise", invalid="raise", under="ignore")

# The same examples in every run: a failure found anywhere can be seen everywhere. A first example
# may include compiling a kernel, so neither single examples nor their generation are timed.
settings.register_profile(
    "neurosim",
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("neurosim")

ROOT = Path(__file__).resolve().parent.parent
#: Their files take longest; begun first, none of them is what the others wait for at the end.
LONGEST = [ROOT / "tests" / name for name in ("tools", "backends", "analysis", "cli")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    rank = {folder: place for place, folder in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.parent, len(rank)))


@pytest.fixture(scope="session")
def conformance() -> Path:
    """Folder of the cases recorded from PetaVision; tests that need it are skipped without it."""
    shared = Path(os.environ.get("NEUROSIM_SHARED", ROOT.parent / "shared"))
    folder = shared / "conformance"
    if not folder.is_dir():
        pytest.skip(
            f"no recorded PetaVision runs at {folder}; "
            "set NEUROSIM_SHARED to the folder that holds conformance/"
        )
    return folder


@pytest.fixture(scope="session", autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Leave nothing in the user's cache folder."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers of this test's own: the same in every run, in any order of the tests."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))
