"""What a sparse solver leaves at the end of a presentation belongs to the code it shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurosim import Simulation, load
from tests.tolerances import FLOAT64_EXACT

SCALE = 1 / np.sqrt(8 * 8 * 3)
#: Presentations that end long before the search is over.
BRIEF = {
    "column.stopTime": 60,
    "column.nbatch": 3,
    "Face.displayPeriod": 12,
    "Face.convergenceTolerance": 0,
    "V1.layerKind": "SparseSolverLayer",
}


@pytest.mark.parametrize("learn", [True, False])
@pytest.mark.parametrize("early", [False, True])
def test_errors_and_reconstructions_at_the_end_are_those_of_the_code(
    learn: bool, early: bool
) -> None:
    changes: dict[str, Any] = {**BRIEF, "V1.learn": learn, "V1.dWMax": 10}
    if early:
        changes |= {"Face.displayPeriod": 60, "Face.convergenceTolerance": 3e-2}
        changes |= {"Face.convergenceWindow": 3, "column.stopTime": 300}
    net = Simulation(load("params/lca_patch.params", changes), "cpu", "float64")
    for _ in range(4):
        # The last step of a display learns, after its error was made.
        kernels = net.weights("V1ToFaceError")[0]
        net.run(int(changes["Face.displayPeriod"]))
        code, error, face = (net.activity(n) for n in ("V1", "FaceError", "Face"))
        made = reconstruct(code, kernels)
        assert np.count_nonzero(code) > 0
        np.testing.assert_allclose(face * SCALE - error, made, atol=FLOAT64_EXACT)
        if not learn:
            np.testing.assert_allclose(net.activity("FaceRecon"), made, atol=FLOAT64_EXACT)


def reconstruct(code: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """Sum of the patches of all active units, by hand."""
    batch, ny, _, _ = code.shape
    size, stride = kernels.shape[1], 64 // ny
    edge = (size - stride) // 2
    out = np.zeros((batch, 64 + 2 * edge, 64 + 2 * edge, kernels.shape[3]))
    for b, y, x, f in np.argwhere(code):
        rows, columns = slice(stride * y, stride * y + size), slice(stride * x, stride * x + size)
        out[b, rows, columns] += code[b, y, x, f] * kernels[f]
    return out[:, edge : edge + 64, edge : edge + 64]
