"""Neurons that inhibit themselves come to the elastic net, and the energy says so."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet

from neurosim.paramfile import parse_model
from neurosim.simulation import Simulator
from tests.backends.solver_cases import self_inhibition
from tests.physics.networks import Coder, lca_text, random_coder, start
from tests.tolerances import FLOAT64_EXACT, SKLEARN_LASSO_CODE

STRENGTH = 0.6
STEPS = {"HyPerLCALayer": 4000, "SparseSolverLayer": 200}


@pytest.fixture(scope="module")
def coder() -> Coder:
    return random_coder(np.random.default_rng(3))


def network(coder: Coder, kind: str, backend: str = "cpu") -> Simulator:
    text = lca_text(coder, 10) + "".join(self_inhibition(STRENGTH, energy="Energy"))
    if kind == "SparseSolverLayer":
        text = re.sub(r"    timeConstantTau = .*;\n", "", text).replace("HyPerLCALayer", kind)
    return start(coder, text, backend)


def energy(coder: Coder, codes: np.ndarray) -> np.ndarray:
    return coder.energy(codes) + STRENGTH / 2 * np.sum(codes**2, axis=(1, 2, 3))


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("kind", STEPS)
def test_scikit_learn_finds_the_same_code(coder: Coder, kind: str, backend: str) -> None:
    made = network(coder, kind, backend)
    made.run(STEPS[kind])
    codes = made.backend.read("V:A")
    pixels, whole = len(coder.matrix), coder.lam + STRENGTH
    oracle = ElasticNet(alpha=whole / pixels, l1_ratio=coder.lam / whole, fit_intercept=False,
                        positive=True, tol=1e-12, max_iter=100_000)  # fmt: skip
    for picture, code in zip(coder.x, codes, strict=True):
        found = oracle.fit(coder.matrix, picture.reshape(-1)).coef_
        assert np.count_nonzero(found) > 5
        assert np.abs(found - code.ravel()).max() <= SKLEARN_LASSO_CODE
    np.testing.assert_allclose(
        made.backend.read("Energy:value"), energy(coder, codes), rtol=FLOAT64_EXACT
    )


def test_the_solver_records_the_energy_of_the_code_at_every_step_and_it_falls(
    coder: Coder,
) -> None:
    made = network(coder, "SparseSolverLayer")
    made.run(1)
    last = np.inf
    for step in range(2, 40):
        made.run(step)
        now = made.backend.read("Energy:value")
        np.testing.assert_allclose(now, energy(coder, made.backend.read("V:A")), rtol=1e-10)
        assert np.all(now <= last * (1 + 1e-12))
        last = now


def test_the_same_as_a_layer_that_leaves_out_its_own_activity(coder: Coder) -> None:
    """An inhibition of 1 takes back what selfInteract adds."""
    made = [
        start(coder, lca_text(coder, 10, selfInteract=False)),
        start(coder, lca_text(coder, 10) + "".join(self_inhibition(1.0, energy="Energy"))),
    ]
    for one in made:
        one.run(300)
    first, second = (one.backend.read("V:A") for one in made)
    assert np.count_nonzero(first) > 5
    np.testing.assert_allclose(first, second, atol=FLOAT64_EXACT)


def test_the_compact_form_says_it_in_one_key() -> None:
    text = """HyPerCol "column" = { nx = 8; ny = 8; };
    ConstantLayer "X" = { nf = 1; InitVType = "ZeroV"; };
    SparseCoding "V" = { codes = "X"; patchSize = 4; stride = 2; features = 6; VThresh = 0.1;
        learn = false; energy = "E"; %s };"""
    plain, inhibited = (
        parse_model(text % given, "f") for given in ("", "inputScale = 1; selfInhibition = 0.5;")
    )
    more = set(inhibited.connections) - set(plain.connections)
    assert more == {"VToV"}
    own, cost = inhibited.connections["VToV"], inhibited.probes["VSquareCost"]
    assert (own.kind, own.channelCode, own.scale) == ("RescaleConn", 1, 0.5)
    assert (cost.targetLayer, cost.energyProbe, cost.coefficient, cost.exponent) == (
        *("V", "E", 0.25, 2.0),
    )
    assert set(inhibited.probes) - set(plain.probes) == {"VSquareCost"}
