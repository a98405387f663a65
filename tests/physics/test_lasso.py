"""At rest a locally competitive network solves the Lasso; on the way its energy falls."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Lasso

from neurosim.simulation import Simulator
from tests.physics.networks import (
    Coder,
    dictionary_matrix,
    lca_text,
    random_coder,
    start,
    two_levels,
)
from tests.tolerances import (
    CONVERGENCE_ORDER,
    ENERGY_RELATIVE,
    FLOAT64_EXACT,
    LASSO_OPTIMALITY_RELATIVE,
    SKLEARN_LASSO_CODE,
)

REST = 4000


@pytest.fixture(scope="module")
def coder() -> Coder:
    return random_coder(np.random.default_rng(3))


@pytest.fixture(scope="module")
def rested(coder: Coder) -> Simulator:
    made = start(coder, lca_text(coder, tau=10))
    made.run(REST)
    return made


def codes(made: Simulator) -> np.ndarray:
    return made.backend.read("V:A").reshape(made.plan.nbatch, -1)


def test_optimality(coder: Coder, rested: Simulator) -> None:
    """Correlation with the residual is the threshold where active and no more elsewhere."""
    a = codes(rested)
    correlation = (coder.x.reshape(len(a), -1) - a @ coder.matrix.T) @ coder.matrix
    active = a > 0
    assert 10 < active.sum() < 0.5 * active.size
    slack = LASSO_OPTIMALITY_RELATIVE * coder.lam
    assert np.abs(correlation[active] - coder.lam).max() <= slack
    assert correlation[~active].max() <= coder.lam + slack


def test_scikit_learn_finds_the_same_code(coder: Coder, rested: Simulator) -> None:
    pixels = len(coder.matrix)
    oracle = Lasso(
        alpha=coder.lam / pixels, fit_intercept=False, positive=True, tol=1e-12, max_iter=100_000
    )
    for picture, code in zip(coder.x, codes(rested), strict=True):
        found = oracle.fit(coder.matrix, picture.reshape(-1)).coef_
        assert np.abs(found - code).max() <= SKLEARN_LASSO_CODE
        assert np.array_equal(found > 1e-6, code > 1e-6)


def test_the_probes_state_the_lasso_energy(coder: Coder, rested: Simulator) -> None:
    energy = rested.backend.read("Energy:value")
    np.testing.assert_allclose(energy, coder.energy(codes(rested)), rtol=ENERGY_RELATIVE)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_energy_never_rises_for_a_small_step(coder: Coder, backend: str) -> None:
    largest = np.linalg.norm(coder.matrix, 2) ** 2
    made = start(coder, lca_text(coder, tau=2 * largest), backend)
    energies = [coder.energy(codes(made))]
    for step in range(1, 250):
        made.run(step)
        energies.append(coder.energy(codes(made)))
    change = np.diff(energies, axis=0) / energies[0]
    assert change.max() <= FLOAT64_EXACT
    assert np.all(energies[-1] < 0.7 * energies[0])


def test_the_integrator_is_of_first_order(coder: Coder) -> None:
    """Without a threshold V' = Phi' x - Phi' Phi V, whose solution is known."""
    gram = coder.matrix.T @ coder.matrix
    drive = coder.x.reshape(len(coder.x), -1) @ coder.matrix
    values, vectors = np.linalg.eigh(gram)
    time = 0.4
    # -expm1(-lambda t) / lambda, which is t where lambda is 0.
    grown = np.where(values > 1e-9, -np.expm1(-values * time) / np.maximum(values, 1e-9), time)
    exact = drive @ vectors * grown @ vectors.T
    steps = np.array([64, 128, 256, 512])
    errors = []
    for count in steps:
        made = start(coder, lca_text(coder, tau=count / time, VThresh=-1e30, AMin=-1e30, AShift=0))
        made.run(int(count))
        errors.append(np.abs(codes(made) - exact).max())
    order = np.polyfit(np.log(1 / steps), np.log(errors), 1)[0]
    assert order == pytest.approx(1, abs=CONVERGENCE_ORDER)


def joint_energy(coder: Coder, made: Simulator, matrix2: np.ndarray, lam2: float) -> np.ndarray:
    a1 = codes(made)
    a2 = made.backend.read("W:A").reshape(len(a1), -1)
    missed = a1 - a2 @ matrix2.T
    return coder.energy(a1) + 0.5 * np.sum(missed**2, 1) + lam2 * np.sum(np.abs(a2), 1)


def test_two_levels_descend_one_energy_when_feedback_is_from_the_activity(coder: Coder) -> None:
    lam2 = 0.02
    made = start(coder, two_levels(coder, 120, lam2, "activity"))
    kernels = np.abs(made.backend.read("WToVRecon:W"))
    made.overwrite([("WToVRecon:W", kernels)])
    matrix2 = dictionary_matrix(kernels[0], 4, 2)
    energies = []
    for step in range(1, 400):
        made.run(step)
        energies.append(joint_energy(coder, made, matrix2, lam2))
    change = np.diff(energies, axis=0) / energies[0]
    assert change.max() <= FLOAT64_EXACT
    assert np.any(made.backend.read("W:A"))
    # The second level matters: with feedback from the potential the rest is another one.
    other = start(coder, two_levels(coder, 120, lam2, "potential"))
    other.overwrite([("WToVRecon:W", kernels)])
    other.run(400)
    assert np.abs(codes(other) - codes(made)).max() > 1e-3
    assert np.all(joint_energy(coder, other, matrix2, lam2) > energies[-1])


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_derived_phases_come_to_the_same_rest(
    coder: Coder, rested: Simulator, backend: str
) -> None:
    made = start(coder, lca_text(coder, tau=10, phases=False), backend)
    made.run(REST if backend == "cpu" else 1500)
    slack = LASSO_OPTIMALITY_RELATIVE * (1 if backend == "cpu" else 10)
    np.testing.assert_allclose(codes(made), codes(rested), atol=slack)
