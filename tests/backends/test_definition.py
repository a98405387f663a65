"""The reference's layers and probes, unit by unit, from PetaVision's own statements."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from neurosim.simulation import Simulator
from tests.backends.nets import column, group, join, noise, simulator
from tests.tolerances import FLOAT64_EXACT

FLT_MIN = float(np.finfo(np.float32).tiny)
VALUES = np.array([-1.3, -0.6, -0.2, 0.0, 0.1, 0.3, 0.45, 0.6, 0.9, 2.5])


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found, wanted, rtol=FLOAT64_EXACT, atol=FLOAT64_EXACT)


def one_step(*groups: str, values: np.ndarray, backend: str = "reference") -> Simulator:
    """In is (y, x, feature)."""
    ny, nx, nf = values.shape
    made = simulator(
        [column(nx, ny), group("ConstantLayer", "In", nf=nf, InitVType="ZeroV"), *groups],
        backend,
        start={"In:A": values[None]},
    )
    made.run(1)
    return made


def activity(made: Simulator, layer: str = "Out") -> np.ndarray:
    return made.backend.read(f"{layer}:A")[0]


# ---- Transfer functions ------------------------------------------------------------------------


def threshold(v: float, vt: float, amin: float, amax: float, shift: float, width: float) -> float:
    if v < vt:
        a = amin
    elif v < vt + width:
        a = amin + (vt + width - shift - amin) * (v - vt) / width
    else:
        a = v - shift
    return min(a, amax)


@pytest.mark.parametrize(
    "keys",
    [
        {"VThresh": 0.3, "AMin": 0, "AShift": 0.3},
        {"VThresh": 0.3, "AMin": 0, "AShift": 0},
        {"VThresh": 0.3, "AMin": 0, "AShift": 0, "VWidth": 0.3},
        {"VThresh": -0.25, "AMin": -1, "AMax": 0.7, "AShift": 0.1, "VWidth": 0.6},
        {"VThresh": 0.3},
        {},
    ],
)
def test_threshold(keys: dict[str, float]) -> None:
    out = group("ANNLayer", "Out", InitVType="ZeroV", phase=1, **keys)
    made = one_step(out, join("IdentConn", "InToOut"), values=VALUES.reshape(1, -1, 1))
    vt = keys.get("VThresh", -math.inf)
    wanted = [
        threshold(v, vt, keys.get("AMin", vt), keys.get("AMax", math.inf),
                  keys.get("AShift", 0.0), keys.get("VWidth", 0.0))
        for v in VALUES
    ]  # fmt: skip
    close(activity(made).reshape(-1), np.array(wanted))


def test_vertices() -> None:
    out = group("ANNLayer", "Out", InitVType="ZeroV", phase=1, verticesV=[-1, 0.2, 0.2, 1],
                verticesA=[-0.5, 0, 0.3, 0.5], slopeNegInf=0.5, slopePosInf=2)  # fmt: skip
    made = one_step(out, join("IdentConn", "InToOut"), values=VALUES.reshape(1, -1, 1))

    def piecewise(v: float) -> float:
        if v < -1:
            return -0.5 + 0.5 * (v + 1)
        if v < 0.2:
            return -0.5 + 0.5 * (v + 1) / 1.2
        return 0.3 + 0.2 * (v - 0.2) / 0.8 if v < 1 else 0.5 + 2 * (v - 1)

    close(activity(made).reshape(-1), np.array([piecewise(v) for v in VALUES]))


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("inverse", [True, False])
def test_sigmoid(smooth: bool, inverse: bool) -> None:
    """It is alpha at Vrest and 1 - alpha at VthRest when smooth, and rises unless inverted."""
    alpha, rest, top = 0.2, -1.0, 1.4
    source = group("ANNLayer", "Source", InitVType="ZeroV", phase=1)
    out = group("SigmoidLayer", "Out", originalLayerName="Source", phase=2, SigmoidAlpha=alpha,
                Vrest=rest, VthRest=top, SigmoidFlag=smooth, InverseFlag=inverse)  # fmt: skip
    values = np.array([rest, top, *VALUES]).reshape(1, -1, 1)
    found = activity(one_step(source, out, join("IdentConn", "InToSource"), values=values))
    middle = (top + rest) / 2
    slope = -math.log(1 / alpha - 1) / (middle - rest)
    if smooth:
        wanted = [1 / (1 + math.exp(2 * (v - middle) * slope)) for v in values.reshape(-1)]
    else:
        slope /= math.log(3)
        wanted = [min(1, max(0, 0.5 - (v - middle) * slope / 2)) for v in values.reshape(-1)]
    wanted = [1 - a if inverse else a for a in wanted]
    close(found.reshape(-1), np.array(wanted))
    assert (found[0, 1, 0] > found[0, 0, 0]) is not np.bool_(inverse)


# ---- RescaleLayer ------------------------------------------------------------------------------


def _points(of: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda a: np.array([[of(unit) for unit in row] for row in a])


def _meanstd(a: np.ndarray) -> np.ndarray:
    std = math.sqrt(np.sum((a - np.sum(a) / a.size) ** 2) / a.size)
    return (a - np.sum(a) / a.size) * (2 / std) + 0.5 if std else a


RESCALED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "maxmin": lambda a: (a - a.min()) / (a.max() - a.min()) * 5 - 3,
    "meanstd": _meanstd,
    "pointmeanstd": _points(_meanstd),
    "l2": lambda a: (a - a.mean()) / (a.std() * math.sqrt(6)),
    "l2NoMean": lambda a: a / (math.sqrt(np.mean(a**2)) * math.sqrt(6)),
    "pointResponseNormalization": _points(
        lambda u: u / math.sqrt(np.sum(u**2)) if np.any(u) else u
    ),
    "zerotonegative": lambda a: np.where(a == 0, -1, a),
    "softmax": _points(
        lambda u: np.exp(u - max(FLT_MIN, u.max())) / np.sum(np.exp(u - max(FLT_MIN, u.max())))
    ),
    "logreg": lambda a: 1 / (1 + np.exp(a)),
}


@pytest.mark.parametrize("method", RESCALED)
def test_rescale(method: str, rng: np.random.Generator) -> None:
    a = rng.normal(size=(3, 4, 3))
    a[0, 0] = 0
    a[1, 1] = [-1, -2, -3]
    keys = {"patchSize": 6} if method.startswith("l2") else {}
    keys |= {"targetMax": 2, "targetMin": -3} if method == "maxmin" else {}
    keys |= {"targetMean": 0.5, "targetStd": 2} if method.endswith("meanstd") else {}
    out = group("RescaleLayer", "Out", originalLayerName="In", phase=1, rescaleMethod=method,
                **keys)  # fmt: skip
    close(activity(one_step(out, values=a)), RESCALED[method](a))


def test_a_flat_picture_is_not_scaled() -> None:
    """Without spread PetaVision leaves it as it is, the mean included; maxmin gives zero."""
    flat = np.full((2, 3, 2), 0.75)
    for method, wanted in {
        "meanstd": 0.75, "pointmeanstd": 0.75, "l2": 0.75, "maxmin": 0.0,
    }.items():  # fmt: skip
        out = group("RescaleLayer", "Out", originalLayerName="In", phase=1, rescaleMethod=method)
        assert np.all(activity(one_step(out, values=flat)) == wanted), method


# ---- Probes ------------------------------------------------------------------------------------


def probe(
    kind: str,
    a: np.ndarray,
    mask: np.ndarray | None = None,
    backend: str = "reference",
    **keys: object,
) -> np.ndarray:
    groups = []
    if mask is not None:
        groups.append(group("ConstantLayer", "Mask", nf=mask.shape[2], InitVType="ZeroV"))
        keys["maskLayerName"] = "Mask"
    looks = group(kind, "P", targetLayer="In", **keys)
    made = one_step(*groups, looks, values=a, backend=backend)
    if mask is not None:
        made.backend.write("Mask:A", mask[None])
        made.run(2)
    return made.backend.read("P:value")[0]


def firm(a: np.ndarray, top: float) -> float:
    return sum(abs(x) * (1 - abs(x) / (2 * top)) if abs(x) < top else top / 2 for x in a.flat)


def test_norms(rng: np.random.Generator) -> None:
    a = rng.normal(size=(3, 4, 2))
    a[1] = 0
    masks = (None, (rng.random((3, 4, 1)) < 0.5) * -2.0, (rng.random((3, 4, 2)) < 0.5) * 1.0)
    for mask in masks:
        seen = a if mask is None else a * (mask != 0)
        squares = float(np.sum(seen**2))
        close(probe("L2NormProbe", a, mask), math.sqrt(squares))
        close(probe("L2NormProbe", a, mask, exponent=2), squares)
        close(probe("L2NormProbe", a, mask, exponent=3), squares**1.5)
        close(probe("L1NormProbe", a, mask), np.sum(np.abs(seen)))
        close(probe("L0NormProbe", a, mask), np.sum(np.abs(seen) > 0))
        close(probe("L0NormProbe", a, mask, nnzThreshold=0.7), np.sum(np.abs(seen) > 0.7))
        close(probe("FirmThresholdCostFnProbe", a, mask, VThresh=0.4, VWidth=0.5), firm(seen, 0.9))


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_threshold_is_not_exceeded_by_its_equal(backend: str) -> None:
    a = np.full((1, 2, 1), 0.5)
    for mask in (None, np.ones_like(a)):
        assert probe("L0NormProbe", a, mask, backend, nnzThreshold=0.5) == 0
        assert probe("L0NormProbe", a, mask, backend, nnzThreshold=0.4) == 2
    assert probe("StatsProbe", a, backend=backend, nnzThreshold=0.5)[4] == 0


def test_stats(rng: np.random.Generator) -> None:
    a = rng.normal(size=(3, 4, 2))
    close(
        probe("StatsProbe", a, nnzThreshold=0.5),
        np.array([a.min(), a.max(), a.mean(), a.std(), np.sum(np.abs(a) > 0.5)]),
    )


def test_energies_of_a_layer_take_their_coefficients_from_it() -> None:
    lam, width = 0.3, 0.2
    code = group("ANNLayer", "V", InitVType="ZeroV", phase=1, VThresh=lam, AMin=0, AShift=0,
                 VWidth=width)  # fmt: skip
    for kind, value in {
        "L1NormLCAProbe": lambda a: lam * np.sum(np.abs(a)),
        "L0NormLCAProbe": lambda a: lam**2 / 2 * np.sum(np.abs(a) > lam),
        "FirmThresholdCostFnLCAProbe": lambda a: lam * firm(a, lam + width),
    }.items():
        made = one_step(
            code, join("IdentConn", "InToV"), group("ColumnEnergyProbe", "E"),
            group("L2NormProbe", "P", targetLayer="In", exponent=2, coefficient=-2.5,
                  energyProbe="E"),
            group(kind, "Q", targetLayer="V", energyProbe="E"),
            values=VALUES.reshape(1, -1, 1),
        )  # fmt: skip
        wanted = -2.5 * np.sum(VALUES**2) + value(activity(made, "V"))
        close(made.backend.read("E:value")[0], wanted)


def test_quotient_of_nothing_is_not_a_number() -> None:
    norms = [group("L1NormProbe", n, targetLayer="In") for n in ("P", "Q")]
    quotient = group("QuotientProbe", "R", numerator="P", denominator="Q")
    assert np.isnan(one_step(*norms, quotient, values=np.zeros((1, 1, 1))).backend.read("R:value"))
    made = one_step(*norms, quotient, values=np.ones((1, 1, 1)))
    assert made.backend.read("R:value") == 1


# ---- Time scales -------------------------------------------------------------------------------


def scales(kind: str, energies: list[float], **keys: float) -> np.ndarray:
    """Rows of time scale, energy and largest time scale under given energies of each last step."""
    made = simulator([
        column(1, 1), noise("In", 1), group("L2NormProbe", "E", targetLayer="In"),
        group(kind, "S", targetName="E", baseMax=0.5, baseMin=0.2, tauFactor=0.1,
              growthFactor=0.1, **keys),
    ])  # fmt: skip
    rows = []
    for step, energy in enumerate(energies, 1):
        made.backend.write("E:value", np.array([energy]))
        made.run(step)
        rows.append(made.backend.read("S:timescale")[0])
    return np.array(rows)


def by_hand(energies: list[float], knee: tuple[float, float] | None = None,
            log: tuple[float, float] | None = None) -> np.ndarray:  # fmt: skip
    ts, before, largest = 0.2, -1.0, 0.5
    rows = []
    for energy in energies:
        last = largest
        if energy != before:
            rate = (before - energy) / ts
            if rate < 0 or before <= 0 or energy <= 0:
                ts, largest = 0.2, 0.5
            else:
                ts = 0.1 * before / rate
                if ts >= largest:
                    ts = largest
                    growth = 0.1
                    if log:
                        length = -(log[0] - 0.5) / math.log(log[1])
                        growth *= math.exp(-(largest - 0.5) / length)
                    largest *= 1 + growth
            if knee and largest > knee[0]:
                largest = last + (largest - last) * knee[1]
                ts = min(ts, largest)
        before = energy
        rows.append((ts, before, largest))
    return np.array(rows)


ENERGIES = [-1.0, 10.0, 9.9, 9.8, 9.8, 9.7, 5.0, 4.99, 4.98, 6.0, 5.99, 5.98, 5.97, 0.0, 3.0, 2.99]
#: The fall from 9.7 to 5 takes the time scale below its base.
ENERGIES += [2.98 - 0.001 * k for k in range(12)]


def test_time_scales() -> None:
    plain = by_hand(ENERGIES)
    close(scales("AdaptiveTimeScaleProbe", ENERGIES), plain)
    assert len(np.unique(plain[:, 0])) > 5 and plain[:, 0].min() < 0.2
    knee = by_hand(ENERGIES, knee=(0.6, 0.3))
    close(scales("KneeTimeScaleProbe", ENERGIES, kneeThresh=0.6, kneeSlope=0.3), knee)
    log = by_hand(ENERGIES, log=(0.8, 0.1))
    close(scales("LogTimeScaleProbe", ENERGIES, logThresh=0.8, logSlope=0.1), log)
    assert max(knee[-1, 2], log[-1, 2]) < plain[-1, 2]
