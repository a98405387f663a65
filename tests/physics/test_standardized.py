"""Units that are standardised by what they have shown: their statistics, and what follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import neurosim
from neurosim import Simulation, loads
from tests.physics.test_held import TEXT as POOLED
from tests.tolerances import FLOAT64_REORDERED

#: Two displays of each batch; Even follows In at the second step of each.
TEXT = """
HyPerCol "column" = {{ nx = 8; ny = 8; nbatch = 5; stopTime = 40; }};
ImageLayer "In" = {{
    nf = 3; inputPath = "synthetic-faces"; displayPeriod = 2; autoResizeFlag = true;
    batchMethod = "random"; writeStep = -1;
}};
RescaleLayer "Even" = {{
    originalLayerName = "In"; rescaleMethod = "unitmeanstd"; targetMean = 0.5; targetStd = 2;
    statisticsTimeConstant = {tau}; triggerLayerName = "In"; triggerOffset = 1; writeStep = -1;
}};
"""
BATCHES = 12


def shown(tau: float, backend: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What In and Even show in each batch."""
    net = Simulation(loads(TEXT.format(tau=tau)), backend, "float64")
    inputs, outputs = [], []
    for _ in range(BATCHES):
        net.run(2)
        inputs.append(net.activity("In"))
        outputs.append(net.activity("Even"))
    return inputs, outputs


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_units_get_the_mean_and_deviation_asked_for(backend: str) -> None:
    """By all images before this batch; nothing is known at first, and 0.5 is shown."""
    inputs, outputs = shown(1000, backend)
    assert np.all(outputs[0] == 0.5)
    for n in range(1, BATCHES):
        before = np.concatenate(inputs[:n])
        wanted = (inputs[n] - before.mean(0)) / before.std(0) * 2 + 0.5
        np.testing.assert_allclose(outputs[n], wanted, rtol=1e-9, atol=FLOAT64_REORDERED)


def test_old_images_are_forgotten() -> None:
    """Weights of batches fall by 1 - 1 / tau with age; the mixture's own variance."""
    tau = 4.0
    inputs, outputs = shown(tau, "cpu")
    weights = np.ones(1)
    for n in range(1, BATCHES):
        if n > 1:
            new = max(1 / n, 1 / tau)
            weights = np.append(weights * (1 - new), new)
        each = np.repeat(weights, 5) / 5
        before = np.concatenate(inputs[:n]).reshape(5 * n, -1)
        mean = each @ before
        deviation = np.sqrt(each @ (before - mean) ** 2)
        wanted = (inputs[n].reshape(5, -1) - mean) / deviation * 2 + 0.5
        np.testing.assert_allclose(outputs[n].reshape(5, -1), wanted, rtol=1e-7, atol=1e-7)


def test_a_unit_that_never_varied_tells_nothing() -> None:
    """Its deviation is 0; the first value that differs is not infinitely many of them."""
    text = TEXT.format(tau=10).replace('originalLayerName = "In"', 'originalLayerName = "Still"')
    still = 'ConstantLayer "Still" = { nf = 3; InitVType = "ConstantV"; valueV = 0.7; };'
    net = Simulation(loads(text + still), "cpu", "float64")
    for _ in range(3):
        net.run(2)
        assert np.all(net.activity("Even") == 0.5)


STUDY = (
    POOLED.replace('codes = "Pool"', 'codes = "Even"').replace(
        "stopTime = 240;",
        "stopTime = 240; checkpointWrite = true; checkpointWriteStepInterval = 90;",
    )
    + """
RescaleLayer "Even" = {
    originalLayerName = "Pool"; rescaleMethod = "unitmeanstd"; statisticsTimeConstant = 3;
    triggerLayerName = "Face"; triggerOffset = 35; writeStep = 60; initialWriteTime = 60;
};
"""
)


def test_a_run_goes_on_from_its_checkpoint_bit_for_bit(tmp_path: Path) -> None:
    whole, stopped = loads(STUDY), loads(STUDY.replace("stopTime = 240", "stopTime = 150"))
    neurosim.run(whole, output=tmp_path / "whole")
    neurosim.run(stopped, output=tmp_path / "parts")
    neurosim.run(whole, output=tmp_path / "parts", resume=True)
    codes = []
    for name in ("whole", "parts"):
        with neurosim.open_run(tmp_path / name) as run:
            codes.append(run.checkpoints[-1].layer("Even"))
    for what in ("A", "moments"):
        assert np.array_equal(codes[0][what], codes[1][what])
        assert np.ptp(codes[0][what]) > 0


def test_images_are_coded_by_the_statistics_of_the_training(tmp_path: Path) -> None:
    """Whatever is coded beside them: nothing follows what is shown any more."""
    neurosim.run(loads(STUDY), output=tmp_path / "run")
    with neurosim.open_run(tmp_path / "run") as run:
        mean, variance, batches = run.checkpoints[-1].layer("Even")["moments"].reshape(3, -1)
    assert np.all(batches == 4)
    settings = neurosim.Settings(nbatch=4)
    layers = ["Pool", "Even"]
    with neurosim.encode(
        tmp_path / "run", "synthetic-faces", layers=layers, settings=settings
    ) as codes:
        pool, even = (codes.dense(name) for name in layers)
    varied = variance > 0
    wanted = (pool - mean)[:, varied] / np.sqrt(variance[varied])
    np.testing.assert_allclose(even[:, varied], wanted, rtol=1e-4, atol=1e-4)
    assert not np.any(even[:, ~varied])
