"""The examples in the docstrings run as they stand."""

from __future__ import annotations

import doctest
import importlib
import shutil
from pathlib import Path

import numpy as np
import pytest

import neurosim
from tests.run.networks import write_network

ROOT = Path(__file__).resolve().parents[2]
PATCH = ROOT / "params" / "lca_patch.params"


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like the top of the checkout."""
    (tmp_path / "params").mkdir()
    shutil.copy(PATCH, tmp_path / "params")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("module", ["api", "experiment", "sweep", "console"])
def test_examples(module: str, workplace: Path) -> None:
    found = importlib.import_module(f"neurosim.{module}")
    tests = doctest.DocTestFinder(exclude_empty=True).find(found)
    # In the order of the file: what one example writes, a later one reads.
    runner = doctest.DocTestRunner()
    for test in sorted(tests, key=lambda t: t.lineno or 0):
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
    assert runner.tries > 0


def test_public_names() -> None:
    # The modules run and sweep do not hide the functions.
    importlib.import_module("neurosim.run")
    importlib.import_module("neurosim.sweep")
    for name in neurosim.__all__:
        public = getattr(neurosim, name)
        assert callable(public) and public.__doc__


def test_a_simulation_in_memory(tmp_path: Path) -> None:
    experiment = neurosim.load(write_network(tmp_path))
    net = neurosim.Simulation(experiment, dtype="float64").run(20)
    once = net.activity("V1")
    weights = net.weights("V1ToError")
    with pytest.raises(neurosim.RequestError, match=r"\(1, 16, 4, 4, 3\).*\(2,\)"):
        net.set_weights("V1ToError", np.zeros(2))
    with pytest.raises(neurosim.RequestError, match="V2"):
        net.potential("V2")
    net.set_weights("V1ToError", -weights)
    np.testing.assert_allclose(net.weights("V1ToError"), -weights)
    assert not np.array_equal(net.run(5).activity("V1"), once)
    assert net.energy("Energy").shape == (25, 3)


def test_override_leaves_the_original(tmp_path: Path) -> None:
    experiment = neurosim.load(write_network(tmp_path))
    thin = experiment.override({"V1.VThresh": 0.02}).override(["column.stopTime=10"])
    assert (thin.network.layers["V1"].spec.VThresh, thin.steps) == (0.02, 10)
    assert (experiment.network.layers["V1"].spec.VThresh, experiment.steps) == (0.05, 240)
