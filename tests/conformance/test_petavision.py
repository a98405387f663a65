"""Every recorded PetaVision run, number by number; the first steps on the reference too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import neurosim
from neurosim import Simulation
from tests.tolerances import (
    ACTIVE_SET_UNITS,
    DSC2_ACTIVITY,
    ENERGY_RELATIVE,
    RECONSTRUCTION,
    TIMESCALE_RELATIVE,
    V1_ADAPTIVE_ACTIVITY,
    V1_IMAGE_ACTIVITY,
    V1_IMAGE_INPUT,
    V1_LCA_ACTIVITY,
    V1_LEARN_WEIGHTS,
    V1_MOMENTUM_ACTIVITY,
)

SINGLE_LEVEL = {
    "v1_lca": V1_LCA_ACTIVITY,
    "v1_adaptive": V1_ADAPTIVE_ACTIVITY,
    "v1_momentum": V1_MOMENTUM_ACTIVITY,
}
#: Steps up to which the reference, slow as it is, follows a recorded run.
REFERENCE_STEPS = 10
REFERENCE_STEPS_LEARNING = 41

Backend = tuple[str, str]
ALL = pytest.mark.parametrize(
    "backend",
    [("cpu", "float32"), ("cpu", "float64"), ("reference", "float64")],
    ids=["cpu-float32", "cpu-float64", "reference"],
)


@pytest.fixture
def simulate(conformance: Path) -> Callable[[str, Backend], Simulation]:
    """Start a case of the conformance folder."""

    def start(case: str, backend: Backend) -> Simulation:
        return Simulation(neurosim.load(conformance / f"{case}.params"), *backend)

    return start


def expected(conformance: Path, case: str) -> dict[str, np.ndarray]:
    with np.load(conformance / "expected" / f"{case}.npz") as recorded:
        return {name: recorded[name] for name in recorded.files}


def assert_activity(
    simulation: Simulation, layer: str, recorded: np.ndarray, tolerance: float, step: int
) -> None:
    """One image's activity: values and, for a code, which units are active."""
    activity = simulation.activity(layer)[0]
    assert np.any(recorded), "a recording of zeros shows nothing"
    difference = float(np.abs(activity - recorded).max())
    assert difference <= tolerance, f"{layer} differs by {difference:.2g} at step {step}"


def assert_active_set(simulation: Simulation, layer: str, recorded: np.ndarray, step: int) -> None:
    activity = simulation.activity(layer)[0]
    strays = int(np.sum((activity != 0) != (recorded != 0)))
    assert strays <= ACTIVE_SET_UNITS, f"{layer}: {strays} units on one side only at step {step}"


def assert_energy(simulation: Simulation, probe: str, recorded: np.ndarray) -> None:
    """Energies of every step so far; recorded rows are (time, value)."""
    energy = simulation.energy(probe)[:, 0]
    assert len(energy) == simulation.step
    rows = recorded[: len(energy)]
    assert np.array_equal(rows[:, 0], np.arange(1, len(energy) + 1))
    np.testing.assert_allclose(energy, rows[:, 1], rtol=ENERGY_RELATIVE)


@pytest.mark.parametrize("case", SINGLE_LEVEL)
@ALL
def test_one_level(
    simulate: Callable[[str, Backend], Simulation], conformance: Path, case: str, backend: Backend
) -> None:
    recorded = expected(conformance, case)
    simulation = simulate(case, backend)
    tolerance = SINGLE_LEVEL[case]
    last = REFERENCE_STEPS if backend[0] == "reference" else int(recorded["steps"][-1])
    compared = 0
    for row, step in enumerate(recorded["steps"]):
        if step > last:
            break
        simulation.run(int(step) - simulation.step)
        assert np.abs(simulation.activity("Input")[0] - recorded["Input"]).max() == 0
        assert_activity(simulation, "V1", recorded["V1"][row], tolerance, step)
        assert_active_set(simulation, "V1", recorded["V1"][row], step)
        for layer in ("InputError", "InputRecon"):
            close = max(RECONSTRUCTION, tolerance)
            if np.any(recorded[layer][row]):
                assert_activity(simulation, layer, recorded[layer][row], close, step)
            else:
                assert not np.any(simulation.activity(layer))
        compared += 1
    assert compared >= (2 if backend[0] == "reference" else len(recorded["steps"]))
    assert np.array_equal(simulation.weights("V1ToInputError")[0].astype(np.float32), recorded["W"])
    assert_energy(simulation, "TotalEnergy", recorded["energy"])
    if case == "v1_adaptive":
        assert_time_scales(simulation, recorded["timescale_true_max"])


def assert_time_scales(simulation: Simulation, recorded: np.ndarray) -> None:
    """Time scale, energy, largest time scale of every step, as PetaVision's probe writes them."""
    rows = simulation.energy("AdaptiveTimeScales")[:, 0]
    assert len(np.unique(recorded[: len(rows), 0])) > 2
    np.testing.assert_allclose(rows, recorded[: len(rows)], rtol=TIMESCALE_RELATIVE)


@ALL
def test_learning(
    simulate: Callable[[str, Backend], Simulation], conformance: Path, backend: Backend
) -> None:
    """Weights before the first image and after each of three updates."""
    recorded = expected(conformance, "v1_learn")
    simulation = simulate("v1_learn", backend)
    last = REFERENCE_STEPS_LEARNING if backend[0] == "reference" else 120
    for row, step in enumerate((0, 40, 80, 120)):
        if step > last:
            break
        simulation.run(step - simulation.step)
        weights = simulation.weights("V1ToInputError")[0]
        assert np.abs(weights - recorded["W"][row]).max() <= V1_LEARN_WEIGHTS, f"step {step}"
        if step:
            change = np.abs(recorded["W"][row] - recorded["W"][row - 1]).max()
            assert change > 100 * V1_LEARN_WEIGHTS
            assert np.array_equal(simulation.activity("Input"), recorded["Input"][row - 1])


def test_two_levels_with_feedback(
    simulate: Callable[[str, Backend], Simulation], conformance: Path
) -> None:
    recorded = expected(conformance, "dsc2")
    simulation = simulate("dsc2", ("cpu", "float32")).run(400)
    layers = sorted(set(recorded) - {"energy"})
    assert len(layers) == 9
    for layer in layers:
        assert_activity(simulation, layer, recorded[layer], DSC2_ACTIVITY, 400)
    for layer in ("V1", "V2"):
        assert_active_set(simulation, layer, recorded[layer], 400)
    assert_energy(simulation, "V1EnergyProbe", recorded["energy"])


@pytest.mark.parametrize(
    "backend, steps",
    [(("cpu", "float64"), 60), (("reference", "float64"), 4)],
    ids=["cpu-float64", "reference"],
)
def test_two_levels_in_float64(
    simulate: Callable[[str, Backend], Simulation],
    conformance: Path,
    backend: Backend,
    steps: int,
) -> None:
    """The energy sums both levels, and is recorded at every step."""
    simulation = simulate("dsc2", backend).run(steps)
    assert_energy(simulation, "V1EnergyProbe", expected(conformance, "dsc2")["energy"])


def test_images_through_the_reader(
    simulate: Callable[[str, Backend], Simulation], conformance: Path
) -> None:
    """The same picture read from a PNG file and normalised here."""
    recorded = expected(conformance, "v1_lca")
    simulation = simulate("v1_image", ("cpu", "float32")).run(400)
    assert_activity(simulation, "Input", recorded["Input"], V1_IMAGE_INPUT, 400)
    assert_activity(simulation, "V1", recorded["V1"][-1], V1_IMAGE_ACTIVITY, 400)
