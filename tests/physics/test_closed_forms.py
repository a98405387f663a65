"""Networks whose answer is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from neurosim.simulation import Simulator
from tests.backends.nets import column, group, join, linear, simulator, weights
from tests.tolerances import FLOAT64_EXACT

BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu"])
LINEAR = {"AMin": -1e30, "VThresh": -1e30, "InitVType": "ConstantV"}


def driven(
    kind: str, drive: np.ndarray, backend: str, start: float = 0.25, **keys: object
) -> Simulator:
    """Layer V of ``kind`` under a constant drive, (y, x, feature)."""
    text = (
        column(drive.shape[1], drive.shape[0])
        + group("ConstantLayer", "Drive", nf=drive.shape[2], InitVType="ZeroV")
        + group(kind, "V", nf=drive.shape[2], phase=1, valueV=start, **LINEAR | keys)
        + join("IdentConn", "DriveToV")
    )
    return simulator(text, backend, "float64", start={"Drive:A": drive[None]})


def close(found: np.ndarray, exact: np.ndarray) -> None:
    np.testing.assert_allclose(found, exact, rtol=FLOAT64_EXACT, atol=FLOAT64_EXACT)


def potential(made: Simulator) -> np.ndarray:
    return made.backend.read("V:V")[0]


@BACKENDS
def test_leak_to_a_constant_drive(backend: str, rng: np.random.Generator) -> None:
    """V(t) = G + (V0 - G) exp(-t/tau), exactly, whatever the time constant."""
    drive = rng.normal(size=(3, 4, 2))
    for tau in (0.5, 7.0, 300.0):
        made = driven("HyPerLCALayer", drive, backend, timeConstantTau=tau, selfInteract=False)
        for t in (1, 2, 25):
            made.run(t)
            exact = drive + (0.25 - drive) * np.exp(-t / tau)
            close(potential(made), exact)


@BACKENDS
def test_a_leaky_integrator_sums_a_geometric_series(backend: str, rng: np.random.Generator) -> None:
    drive = rng.normal(size=(2, 2, 3))
    made = driven("LeakyIntegrator", drive, backend, integrationTime=6.0)
    r = np.exp(-1 / 6)
    for t in (1, 5, 60):
        made.run(t)
        exact = 0.25 * r**t + drive * (1 - r**t) / (1 - r)
        close(potential(made), exact)
    # Without an integration time nothing leaks.
    made = driven("LeakyIntegrator", drive, backend)
    made.run(9)
    close(potential(made), 0.25 + 9 * drive)


@BACKENDS
def test_self_interaction_adds_the_last_activity(backend: str, rng: np.random.Generator) -> None:
    """Above a soft threshold the activity grows by (1 - e)(G - threshold) a step."""
    drive = 1 + rng.random(size=(2, 3, 2))
    keys = {"VThresh": 0.5, "AMin": 0, "AShift": 0.5, "timeConstantTau": 10.0}
    made = driven("HyPerLCALayer", drive, backend, start=1.0, **keys)
    made.run(20)
    grown = 1.0 + 20 * (1 - np.exp(-0.1)) * (drive - 0.5)
    close(potential(made), grown)


@BACKENDS
def test_ista_descends_at_the_rate_of_drive_less_threshold(
    backend: str, rng: np.random.Generator
) -> None:
    drive = 1 + rng.random(size=(2, 3, 2))
    keys = {"VThresh": 0.5, "AMin": 0, "AShift": 0.0, "timeConstantTau": 10.0}
    made = driven("ISTALayer", drive, backend, start=1.0, **keys)
    made.run(20)
    close(potential(made), 1 + 2 * (drive - 0.5))


@BACKENDS
def test_momentum_rests_at_one_plus_its_rate_times_the_drive(
    backend: str, rng: np.random.Generator
) -> None:
    """The known flaw of the class: V = (1 + m)(G + A), here with A = 0.5 V clipped away."""
    drive = rng.normal(size=(3, 2, 2))
    m = 0.6
    keys = {"LCAMomentumRate": m, "timeConstantTau": 5.0, "selfInteract": False}
    made = driven("MomentumLCALayer", drive, backend, **keys)
    made.run(400)
    close(potential(made), (1 + m) * drive)
    # With the own activity, held at a ceiling, in the drive.
    keys |= {"selfInteract": True, "AMax": 0.2, "VThresh": -1e30, "AMin": 0.2}
    made = driven("MomentumLCALayer", 3 + np.abs(drive), backend, **keys)
    made.run(400)
    close(potential(made), (1 + m) * (3 + np.abs(drive) + 0.2))


@BACKENDS
def test_an_orthonormal_dictionary_gives_the_thresholded_coefficients(
    backend: str, rng: np.random.Generator
) -> None:
    """With disjoint patches and orthonormal features the Lasso is soft(Phi' x, lambda)."""
    phi = np.linalg.qr(rng.normal(size=(12, 12)))[0].reshape(12, 2, 2, 3)
    x = rng.normal(size=(8, 8, 3))
    lam = 0.375
    text = (
        column(8, 8)
        + group("ConstantLayer", "X", nf=3, InitVType="ZeroV") + linear("Error")
        + group("HyPerLCALayer", "V", nf=12, nxScale=0.5, nyScale=0.5, phase=2, valueV=0.1,
                VThresh=lam, AMin=0, AShift=lam, timeConstantTau=8)
        + linear("Recon", phase=3) + join("IdentConn", "XToError")
        + weights("VToRecon", 2) + join("IdentConn", "ReconToError", 1)
        + join("TransposeConn", "ErrorToV", originalConnName="VToRecon")
    )  # fmt: skip
    made = simulator(text, backend, "float64")
    made.overwrite([("X:A", x[None]), ("VToRecon:W", phi[None])])
    made.run(600)
    patches = x.reshape(4, 2, 4, 2, 3).transpose(0, 2, 1, 3, 4)
    coefficients = np.einsum("yxjic,fjic->yxf", patches, phi)
    exact = np.maximum(coefficients - lam, 0)
    close(made.backend.read("V:A")[0], exact)
    assert np.count_nonzero(exact) > 20
