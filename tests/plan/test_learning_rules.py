"""Learning rules on one synapse, worked out by hand, and normalisers kernel by kernel."""

from __future__ import annotations

import numpy as np
import pytest

from neurosim.simulation import Simulator
from tests.backends.nets import column, group, join, plastic, simulator
from tests.tolerances import FLOAT64_EXACT

PRE, POST, RATE, START = 2.0, 0.5, 0.1, 0.25


def constant(name: str, value: float) -> str:
    return group("ConstantLayer", name, InitVType="ConstantV", valueV=value)


def synapse(steps: int, nbatch: int = 1, extra: str = "", **keys: object) -> list[float]:
    """The weight after each step; pre and post activity stay 2 and 0.5."""
    keys = {
        "dWMax": RATE, "weightUpdatePeriod": 1, "weightInitType": "UniformWeight",
        "weightInit": START, "channelCode": -1,
    } | keys  # fmt: skip
    made = simulator(
        column(1, 1, nbatch) + constant("A", PRE) + constant("B", POST)
        + plastic("AToB", 1, **keys) + extra
    )  # fmt: skip
    values = []
    for step in range(1, steps + 1):
        made.run(step)
        values.append(float(made.backend.read("AToB:W").reshape(-1)[0]))
    return values


def momentum_by_hand(
    steps: int, f: float, decay: float, gain: float, late: bool = False
) -> list[float]:
    w, previous, waiting, values = START, 0.0, None, []
    for _ in range(steps):
        new = RATE * PRE * POST
        use, waiting = (waiting, new) if late else (new, None)
        if use is not None:
            previous = gain * use + f * previous - decay * w
            w += previous
        values.append(w)
    return values


def test_hebbian() -> None:
    step = RATE * PRE * POST
    assert synapse(3) == pytest.approx([START + k * step for k in (1, 2, 3)])
    # A mean over the batch, or the sum.
    assert synapse(1, nbatch=3) == pytest.approx([START + step])
    assert synapse(1, nbatch=3, normalizeDw=False) == pytest.approx([START + 3 * step])


def test_a_silent_unit_does_not_learn() -> None:
    assert synapse(2, extra="", dWMax=0) == [START, START]
    made = simulator(column(1, 1) + constant("A", 0) + constant("B", 1)
                     + plastic("AToB", 1, weightUpdatePeriod=1))  # fmt: skip
    before = made.backend.read("AToB:W")
    made.run(2)
    assert np.array_equal(made.backend.read("AToB:W"), before)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "method, tau, f, decay",
    [
        ("viscosity", 3.0, np.exp(-1 / 3), 0.01),
        ("viscosity", 0.0, 0.0, 0.0),
        ("simple", 0.4, 0.4, 0.01),
        ("alex", 0.7, 0.7, 0.01 * RATE),
    ],
)
def test_momentum(method: str, tau: float, f: float, decay: float, late: bool) -> None:
    keys = {
        "kind": "MomentumConn", "momentumMethod": method, "immediateWeightUpdate": not late,
        "momentumDecay": 0.01 if decay else 0,
    }  # fmt: skip
    expected = momentum_by_hand(5, f, decay, 1 - f, late)
    assert synapse(5, timeConstantTau=tau, **keys) == pytest.approx(expected, abs=FLOAT64_EXACT)
    # The old key had no factor 1 - f on the new part.
    expected = momentum_by_hand(5, f, decay, 1.0, late)
    assert synapse(5, momentumTau=tau, **keys) == pytest.approx(expected, abs=FLOAT64_EXACT)


def test_a_deferred_change_is_applied_at_the_next_update() -> None:
    step = RATE * PRE * POST
    assert synapse(3, immediateWeightUpdate=False) == pytest.approx(
        [START, START + step, START + 2 * step]
    )


def test_the_rate_decays_at_the_first_update_and_then_every_interval_plus_one() -> None:
    values = [START, *synapse(8, dWMaxDecayInterval=2, dWMaxDecayFactor=0.5)]
    rates = np.diff(values) / (PRE * POST)
    np.testing.assert_allclose(rates / RATE, [1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125])


def test_periods_are_counted_from_the_initial_time_both_ways() -> None:
    step = RATE * PRE * POST
    values = synapse(9, weightUpdatePeriod=4, initialWeightUpdateTime=7)
    assert values == pytest.approx([START + k * step for k in (0, 0, 1, 1, 1, 1, 2, 2, 2)])
    values = synapse(5, weightUpdatePeriod=2)
    assert values == pytest.approx([START + k * step for k in (0, 1, 1, 2, 2)])


def test_a_plastic_clone_adds_to_the_same_mean() -> None:
    clone = (
        constant("C", 4)
        + constant("D", -1)
        + join("PlasticCloneConn", "CToD", -1, originalConnName="AToB")
    )
    mean = (PRE * POST + 4 * -1) / 2
    assert synapse(1, extra=clone) == pytest.approx([START + RATE * mean])


def test_a_copy_follows_its_original_and_normalises_on_its_own() -> None:
    def copied(first: bool) -> list[float]:
        copy = join("CopyConn", "Copy", preLayerName="A", postLayerName="Out",
                    originalConnName="AToB", normalizeMethod="none")  # fmt: skip
        learn = plastic("AToB", 1, channelCode=-1, dWMax=RATE, weightUpdatePeriod=2,
                        weightInitType="UniformWeight", weightInit=START)  # fmt: skip
        out = group("HyPerLayer", "Out", phase=1, InitVType="ZeroV")
        ends = column(1, 1) + constant("A", PRE) + constant("B", POST) + out
        made = simulator(ends + (copy + learn if first else learn + copy))
        values = []
        for step in range(1, 6):
            made.run(step)
            values.append(float(made.backend.read("Copy:W").item()))
        return values

    step = RATE * PRE * POST
    after = [START + k * step for k in (0, 1, 1, 2, 2)]
    late = [START + k * step for k in (0, 0, 1, 1, 2)]
    assert copied(first=False) == pytest.approx(after)
    assert copied(first=True) == pytest.approx(late)


def normalised(w: np.ndarray, nf_post_scale: float = 1.0, **keys: object) -> np.ndarray:
    """Weights after the normalisation at the start; w : (arbor, kernel, y, x, feature)."""
    arbors, kernels, nyp, nxp, nfp = w.shape
    made: Simulator = simulator(
        column(8, 8)
        + group("ConstantLayer", "A", nf=kernels, InitVType="ZeroV")
        + group("HyPerLayer", "B", nf=nfp, InitVType="ZeroV", phase=1)
        + plastic("AToB", nxp, nyp=nyp, numAxonalArbors=arbors, **keys)
    )
    made.overwrite([("AToB:W", w)])
    return made.backend.read("AToB:W")


def test_normalisers(rng: np.random.Generator) -> None:
    w = rng.normal(size=(2, 4, 3, 5, 2))
    joint, each = (0, 2, 3, 4), (2, 3, 4)

    def check(found: np.ndarray, expected: np.ndarray) -> None:
        np.testing.assert_allclose(found, expected, atol=FLOAT64_EXACT)

    for alone, axes in ((False, joint), (True, each)):
        keys = {"strength": 1.5, "normalizeArborsIndividually": alone}
        size = np.sqrt(np.sum(w**2, axes, keepdims=True))
        check(normalised(w, normalizeMethod="normalizeL2", **keys), 1.5 * w / size)
        size = w.sum(axes, keepdims=True)
        check(normalised(w, normalizeMethod="normalizeSum", **keys), 1.5 * w / size)
        size = w.max(axes, keepdims=True)
        check(normalised(w, normalizeMethod="normalizeMax", **keys), 1.5 * w / size)
    one = w[:1]
    centred = one - one.mean(each, keepdims=True)
    check(
        normalised(one, normalizeMethod="normalizeContrastZeroMean", strength=1.5),
        1.5 * centred / centred.std(each, keepdims=True),
    )
    seen_from_post = normalised(
        one, normalizeMethod="normalizeL2", normalizeFromPostPerspective=True
    )
    norms = np.sqrt(np.sum(seen_from_post**2, each))
    np.testing.assert_allclose(norms, 2 / 4)  # features of post over those of pre


def test_steps_before_a_normaliser(rng: np.random.Generator) -> None:
    """The centre to zero, then negative weights, then those below a share of the largest."""
    w = rng.normal(size=(1, 2, 5, 5, 1))
    expected = w.copy()
    expected[:, :, 2:3, 1:4] = 0  # rMinY 0.6: one row; rMinX 1.5: three columns
    expected = np.maximum(expected, 0)
    expected[expected < 0.5 * expected.max()] = 0
    expected /= np.sqrt(np.sum(expected**2, (2, 3, 4), keepdims=True))
    found = normalised(w, normalizeMethod="normalizeL2", rMinX=1.5, rMinY=0.6,
                       nonnegativeConstraintFlag=True, normalize_cutoff=0.5)  # fmt: skip
    np.testing.assert_allclose(found, expected, atol=FLOAT64_EXACT)
    # A radius beyond the patch leaves nothing, and nothing to scale.
    assert not np.any(normalised(w, normalizeMethod="normalizeMax", rMinX=4, rMinY=4))
    # One radius alone has no effect.
    plain = normalised(w, normalizeMethod="normalizeL2")
    assert np.array_equal(normalised(w, normalizeMethod="normalizeL2", rMinX=2), plain)


def test_small_kernels(rng: np.random.Generator) -> None:
    """L2 stops at a kernel it cannot scale; the other normalisers go on to the next."""
    w = rng.normal(size=(1, 4, 3, 3, 1)) + 0.5
    w[0, 1] = 0
    found = normalised(w, normalizeMethod="normalizeL2")
    assert np.isclose(np.sum(found[0, 0] ** 2), 1)
    assert np.array_equal(found[0, 1:], w[0, 1:])
    for method in ("normalizeSum", "normalizeMax", "normalizeContrastZeroMean"):
        found = normalised(w, normalizeMethod=method, strength=3)
        assert np.array_equal(found[0, 1], w[0, 1])
        assert not np.isclose(found[0, 2:], w[0, 2:]).any()
    # Tolerance: on the square for joint arbors.
    small = w * 0.01
    tolerated = float(np.sum(small[0, 0] ** 2)) * 1.01
    found = normalised(small, normalizeMethod="normalizeL2", minL2NormTolerated=tolerated)
    assert np.array_equal(found, small)


def test_a_group_shares_one_factor(rng: np.random.Generator) -> None:
    text = (
        column(4, 4) + group("ConstantLayer", "A", nf=2, InitVType="ZeroV")
        + "".join(group("HyPerLayer", n, nf=f, phase=1, InitVType="ZeroV")
                  for n, f in (("B", 3), ("C", 1)))
        + plastic("AToB", 3, normalizeMethod="normalizeL2", strength=2)
        + plastic("AToC", 1, normalizeMethod="normalizeGroup", normalizeGroupName="AToB")
    )  # fmt: skip
    made = simulator(text)
    b, c = rng.normal(size=(1, 2, 3, 3, 3)), rng.normal(size=(1, 2, 1, 1, 1))
    made.overwrite([("AToB:W", b), ("AToC:W", c)])
    size = np.sqrt(np.sum(b**2, (0, 2, 3, 4)) + np.sum(c**2, (0, 2, 3, 4)))
    factor = (2 / size)[None, :, None, None, None]
    np.testing.assert_allclose(made.backend.read("AToB:W"), factor * b)
    np.testing.assert_allclose(made.backend.read("AToC:W"), factor * c)
