"""A run that blows up stops with the layer, the step and the remedy."""

from __future__ import annotations

from math import inf
from pathlib import Path

import numpy as np
import pytest

from neurosim import DivergenceError, load
from neurosim.experiment import _watched_energies
from neurosim.simulation import Simulator
from neurosim.simulation.divergence import ENERGY_GROWTH, SETTLING, EnergyWatch
from tests.backends.nets import column, group, join, linear, simulator, weights
from tests.physics.networks import lca_text, random_coder, start

REMEDY = "raise timeConstantTau"
LAYER = r'^layer "V1?": the membrane potential is .* at step \d+ \(batch element \d+\); .*' + REMEDY
ENERGY = r'^energy "Energy" (grew from \S+ to \S+ by|is not finite at) step \d+.*' + REMEDY


def image_problem(folder: Path, tau: float, probes: bool, backend: str) -> Simulator:
    """Two natural images, 128 learned features of 8 x 8 at stride 2."""
    x = np.load(folder / "x.npy")[:2].transpose(0, 2, 3, 1)
    kernels = np.load(folder / "w8.npy").transpose(0, 2, 3, 1)
    energy = [
        group("ColumnEnergyProbe", "Energy"),
        group("L2NormProbe", "L2", targetLayer="Error", exponent=2, coefficient=0.5,
              energyProbe="Energy"),
        group("L1NormLCAProbe", "L1", targetLayer="V1", energyProbe="Energy"),
    ]  # fmt: skip
    text = [
        column(64, 64, 2), group("ConstantLayer", "X", nf=3, InitVType="ZeroV"), linear("Error"),
        group("HyPerLCALayer", "V1", nf=128, phase=2, nxScale=0.5, nyScale=0.5, VThresh=0.6,
              AMin=0, AShift=0.6, InitVType="ZeroV", timeConstantTau=tau),
        linear("Recon", phase=3), join("IdentConn", "XToError"),
        join("IdentConn", "ReconToError", 1), weights("V1ToRecon", 8),
        join("TransposeConn", "ErrorToV1", originalConnName="V1ToRecon"),
        *(energy if probes else []),
    ]  # fmt: skip
    made = simulator(text, backend, "float32", 2)
    made.overwrite([("X:A", x), ("V1ToRecon:W", kernels[None])])
    return made


@pytest.mark.parametrize("probes", [True, False])
@pytest.mark.parametrize("tau", [12, 25])
def test_natural_images(conformance: Path, tau: float, probes: bool) -> None:
    """Time constants with which other engines turn to NaN or grow without a word."""
    folder = conformance / "problem_k8"
    made = image_problem(folder, tau, probes, "cpu")
    with pytest.raises(DivergenceError, match=f"{LAYER}|{ENERGY}" if probes else LAYER):
        made.run(400)
    assert made.step < 100


def test_a_longer_time_constant_is_the_remedy(conformance: Path) -> None:
    made = image_problem(conformance / "problem_k8", 100, True, "cpu")
    made.run(60)
    energy = made.backend.read("Energy:value")
    assert np.all(energy < 0.2 * 6144)


@pytest.mark.parametrize("probes", [True, False])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_small_network(rng: np.random.Generator, backend: str, probes: bool) -> None:
    coder = random_coder(rng)
    text = lca_text(coder, tau=0.3)
    if not probes:
        text = text[: text.index("ColumnEnergyProbe")]
    made = start(coder, text, backend)
    made.overwrite([("VToRecon:W", 5 * coder.kernels[None])])
    with pytest.raises(DivergenceError, match=LAYER if not probes else f"{LAYER}|{ENERGY}"):
        made.run(2000)


@pytest.mark.parametrize("kind", ["HyPerLCALayer", "MomentumLCALayer", "ISTALayer"])
def test_the_step_and_image_named_are_those_that_failed(kind: str) -> None:
    """One image of three has a potential that is not a number from the start."""
    made = simulator([
        column(2, 2, 3), group(kind, "V", VThresh=0.1, AMin=0, InitVType="ZeroV",
                               timeConstantTau=5),
    ], "cpu", "float32")  # fmt: skip
    bad = np.zeros((3, 2, 2, 1))
    bad[1, 0, 1] = np.nan
    made.run(20)
    made.backend.write("V:V", bad)
    with pytest.raises(DivergenceError, match=r"at step (2[1-9]|3\d) \(batch element 1\)"):
        made.run(60)


def test_energies_of_potentials_that_are_solved_for_may_rise_but_not_become_nan() -> None:
    folder = Path(__file__).resolve().parents[2] / "params"
    paper = load(folder / "halle_berry_paper.params")
    solver = {f"{n}.layerKind": "SparseSolverLayer" for n in ("V1", "VP1", "T1", "P1")}
    assert _watched_energies(paper.network) == {"Energy": ENERGY_GROWTH}
    assert _watched_energies(paper.override(solver).network) == {"Energy": inf}
    watch = EnergyWatch("E", 1, inf)
    watch.look(np.ones((SETTLING, 1)), 1)
    watch.look(np.array([[100 * ENERGY_GROWTH]]), SETTLING + 1)
    with pytest.raises(DivergenceError, match=r'"E" is not finite'):
        watch.look(np.array([[np.nan]]), SETTLING + 2)


def test_energy_watch() -> None:
    watch = EnergyWatch("E", 2)
    watch.look(np.full((SETTLING, 2), [1.0, 2.0]), 1)
    watch.look(np.array([[0.9 * ENERGY_GROWTH, 1.9 * ENERGY_GROWTH]]), SETTLING + 1)
    told = rf'"E" grew from 2 to .* step {SETTLING + 3} .*element 1'
    with pytest.raises(DivergenceError, match=told):
        watch.look(np.array([[1.0, 1.0], [1.0, 2.1 * ENERGY_GROWTH]]), SETTLING + 2)
    # A layer that updates later in a presentation gives its first energy then.
    watch.restart()
    watch.look(np.zeros((3 * SETTLING, 2)), 1)
    watch.look(np.ones((SETTLING, 2)), 1 + 3 * SETTLING)
    with pytest.raises(DivergenceError, match=r'"E" grew from 1 to'):
        watch.look(np.full((1, 2), 2 * ENERGY_GROWTH), 1 + 4 * SETTLING)
    # A new image may start anywhere; not a number is wrong at once.
    watch.restart()
    watch.look(np.array([[1e6, 1e6]]), 100)
    with pytest.raises(DivergenceError, match=r'"E" is not finite at step 101'):
        watch.look(np.array([[1.0, np.nan]]), 101)
