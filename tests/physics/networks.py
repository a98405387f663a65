"""A convolutional sparse coder with its dictionary as a matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosim.simulation import Simulator
from tests.backends.nets import column, group, join, linear, simulator, weights

SIZE, COLOURS, PATCH, STRIDE, FEATURES = 8, 3, 4, 2, 10


@dataclass(frozen=True)
class Coder:
    """Pictures ``x`` (batch, y, x, colour), kernels and the same as a matrix, threshold."""

    x: np.ndarray
    kernels: np.ndarray
    matrix: np.ndarray
    lam: float

    def energy(self, codes: np.ndarray) -> np.ndarray:
        """Lasso energy of codes (batch, ...), per image."""
        a = codes.reshape(len(codes), -1)
        residual = self.x.reshape(len(a), -1) - a @ self.matrix.T
        return 0.5 * np.sum(residual**2, 1) + self.lam * np.sum(np.abs(a), 1)


def dictionary_matrix(kernels: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Pixels by units: each unit's patch, centred, cut off at the edges."""
    features, patch, _, colours = kernels.shape
    coarse = size // stride
    matrix = np.zeros((size, size, colours, coarse, coarse, features))
    for y in range(coarse):
        for x in range(coarse):
            for j in range(patch):
                for i in range(patch):
                    py = stride * y - (patch - stride) // 2 + j
                    px = stride * x - (patch - stride) // 2 + i
                    if 0 <= py < size and 0 <= px < size:
                        matrix[py, px, :, y, x, :] = kernels[:, j, i].T
    return matrix.reshape(size * size * colours, -1)


def random_coder(rng: np.random.Generator, nbatch: int = 2, lam: float = 0.25) -> Coder:
    """Pictures made of a few units and noise, so that the code is sparse and well defined."""
    kernels = rng.normal(size=(FEATURES, PATCH, PATCH, COLOURS))
    kernels /= np.sqrt(np.sum(kernels**2, (1, 2, 3), keepdims=True))
    matrix = dictionary_matrix(kernels, SIZE, STRIDE)
    true = rng.exponential(size=(nbatch, matrix.shape[1])) * (
        rng.random((nbatch, matrix.shape[1])) < 0.1
    )
    x = true @ matrix.T + 0.05 * rng.normal(size=(nbatch, len(matrix)))
    return Coder(x.reshape(nbatch, SIZE, SIZE, COLOURS), kernels, matrix, lam)


def lca_text(coder: Coder, tau: float, phases: bool = True, **keys: object) -> str:
    """X, Error = X - Recon, V codes Error, Recon; and the energy of the probes."""

    def phase(number: int) -> dict[str, int]:
        return {"phase": number} if phases else {}

    def plain(name: str, number: int) -> str:
        return group("HyPerLayer", name, nf=COLOURS, InitVType="ZeroV", **phase(number))

    threshold = {"VThresh": coder.lam, "AMin": 0, "AShift": coder.lam} | keys
    return "".join([
        column(SIZE, SIZE, len(coder.x)),
        group("ConstantLayer", "X", nf=COLOURS, InitVType="ZeroV"),
        plain("Error", 1),
        group("HyPerLCALayer", "V", nf=FEATURES, nxScale=1 / STRIDE, nyScale=1 / STRIDE,
              InitVType="ZeroV", timeConstantTau=tau, **phase(2), **threshold),
        plain("Recon", 3),
        join("IdentConn", "XToError"), join("IdentConn", "ReconToError", 1),
        weights("VToRecon", PATCH), join("TransposeConn", "ErrorToV", originalConnName="VToRecon"),
        group("ColumnEnergyProbe", "Energy"),
        group("L2NormProbe", "L2", targetLayer="Error", exponent=2, coefficient=0.5,
              energyProbe="Energy"),
        group("L1NormProbe", "L1", targetLayer="V", coefficient=coder.lam, energyProbe="Energy"),
    ])  # fmt: skip


def start(coder: Coder, text: str, backend: str = "cpu", **options: object) -> Simulator:
    made = simulator(text, backend, "float64", **options)
    made.overwrite([("X:A", coder.x), ("VToRecon:W", coder.kernels[None])])
    return made


def two_levels(coder: Coder, tau: float, lam2: float, feedback: str) -> str:
    """A second level codes V (its activity or potential); what it misses inhibits V."""
    text = lca_text(coder, tau)
    if feedback == "potential":
        text += group("CloneVLayer", "CloneV", originalLayerName="V", phase=3)
    source = "CloneV" if feedback == "potential" else "V"
    return text + "".join([
        linear("VError", nf=FEATURES, phase=1, nxScale=1 / STRIDE, nyScale=1 / STRIDE),
        group("HyPerLCALayer", "W", nf=6, nxScale=0.25, nyScale=0.25, phase=2, VThresh=lam2,
              AMin=0, AShift=lam2, timeConstantTau=tau, InitVType="ZeroV"),
        linear("VRecon", nf=FEATURES, phase=3, nxScale=1 / STRIDE, nyScale=1 / STRIDE),
        join("IdentConn", f"{source}ToVError"), join("IdentConn", "VReconToVError", 1),
        weights("WToVRecon", 4, wGaussStdev=0.1),
        join("TransposeConn", "VErrorToW", originalConnName="WToVRecon"),
        join("IdentConn", "VErrorToV", 1),
    ])  # fmt: skip
