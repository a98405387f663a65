"""A code of a layer that holds what it sampled is solved anew from the time it sampled it."""

from __future__ import annotations

import numpy as np
import pytest

from neurosim import Simulation, loads
from tests.tolerances import LASSO_OPTIMALITY_RELATIVE

#: The pool samples V1 after 25 of 60 steps.
TEXT = """
HyPerCol "column" = { nx = 16; ny = 16; nbatch = 3; stopTime = 240; };
ImageLayer "Face" = {
    nf = 3; inputPath = "synthetic-faces"; displayPeriod = 60; autoResizeFlag = true;
    normalizeLuminanceFlag = true; writeStep = -1;
};
SparseCoding "V1" = {
    codes = "Face"; patchSize = 4; stride = 2; features = 12; layerKind = "SparseSolverLayer";
    VThresh = 0.1; learn = false; writeStep = -1;
};
PoolingConn "V1ToPool" = {
    channelCode = 0; pvpatchAccumulateType = "sumpooling"; nxp = 1; nyp = 1;
};
ANNLayer "Pool" = {
    nxScale = 0.125; nyScale = 0.125; nf = 12; InitVType = "ZeroV"; AMin = 0; writeStep = -1;
    triggerLayerName = "Face"; triggerOffset = 35; triggerBehavior = "updateOnlyOnTrigger";
};
SparseCoding "P1" = {
    codes = "Pool"; wholeField = true; features = 20; layerKind = "SparseSolverLayer";
    VThresh = 0.01; learn = false; writeStep = -1;
};
"""
LAMBDA = 0.01


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_the_code_of_a_held_layer_is_a_lasso_solution(backend: str) -> None:
    net = Simulation(loads(TEXT), backend, "float64")
    held = []
    for _ in range(3):
        net.run(25)
        net.run(1)
        sampled = net.activity("Pool")
        net.run(34)
        pool, code = (net.activity(name).reshape(3, -1) for name in ("Pool", "P1"))
        np.testing.assert_array_equal(pool, sampled.reshape(3, -1))
        atoms = net.weights("P1ToPoolError")[0].reshape(20, -1)
        drive = (pool / np.sqrt(pool.shape[1]) - code @ atoms) @ atoms.T
        wrong = np.where(code > 0, np.abs(drive - LAMBDA), np.maximum(drive - LAMBDA, 0))
        assert wrong.max() < LASSO_OPTIMALITY_RELATIVE * LAMBDA
        assert np.count_nonzero(code, axis=1).min() > 1
        held.append(pool)
    assert np.abs(np.diff(held, axis=0)).max() > 0.1
