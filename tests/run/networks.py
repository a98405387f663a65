"""A small learning network with everything in it that a checkpoint must hold."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from neurosim.record.checkpoint import checkpoint_files, read_checkpoint

# Momentum, delays, an adaptive time scale, learning with momentum, sparse output, a mean image,
# random order, batch 3.
LEARNING = """
HyPerCol "column" = {
    nx = 8; ny = 8; nbatch = 3; stopTime = 240; randomSeed = 42; outputPath = "out";
    checkpointWrite = true; checkpointWriteStepInterval = 35;
    deleteOlderCheckpoints = true; numCheckpointsKept = 2;
};
ImageLayer "Input" = {
    nf = 3; inputPath = "images"; displayPeriod = 40; batchMethod = "random";
    normalizeLuminanceFlag = true; subtractMean = true; writeStep = 40; initialWriteTime = 40;
    convergenceTolerance = 0.02; convergenceWindow = 4;
};
HyPerLayer "Error" = { nf = 3; phase = 1; writeStep = 20; };
MomentumLCALayer "V1" = {
    nxScale = 0.5; nyScale = 0.5; nf = 16; phase = 2; valueV = 0.05;
    VThresh = 0.05; AShift = 0.05; AMin = 0; timeConstantTau = 12; LCAMomentumRate = 0.2;
    sparseLayer = true; adaptiveTimeScaleProbe = "Scale"; writeStep = 5; writePotential = true;
};
HyPerLayer "Recon" = { nf = 3; phase = 3; writeStep = 20; };
LeakyIntegrator "Leak" = { nf = 3; phase = 1; writeStep = 7; InitVType = "ZeroV"; };
IdentConn "ReconToLeak" = { channelCode = 0; delay = [2]; };
RescaleConn "InputToError" = { channelCode = 0; scale = 0.14; };
MomentumConn "V1ToError" = {
    channelCode = -1; nxp = 4; nyp = 4; plasticityFlag = true;
    weightInitType = "UniformRandomWeight"; wMinInit = -1; wMaxInit = 1; sparseFraction = 0.5;
    normalizeMethod = "normalizeL2"; strength = 1; triggerLayerName = "Input"; triggerOffset = 1;
    dWMax = 2; momentumMethod = "viscosity"; timeConstantTau = 2;
};
TransposeConn "ErrorToV1" = { channelCode = 0; originalConnName = "V1ToError"; };
CloneConn "V1ToRecon" = { channelCode = 0; originalConnName = "V1ToError"; };
IdentConn "ReconToError" = { channelCode = 1; };
ColumnEnergyProbe "Energy" = { };
L2NormProbe "L2" = {
    targetLayer = "Error"; energyProbe = "Energy"; coefficient = 0.5; exponent = 2;
};
L1NormLCAProbe "L1" = { targetLayer = "V1"; energyProbe = "Energy"; };
StatsProbe "Stats" = { targetLayer = "V1"; };
AdaptiveTimeScaleProbe "Scale" = {
    targetName = "Energy"; baseMax = 1; baseMin = 0.5; tauFactor = 0.1; growthFactor = 0.05;
    triggerLayerName = "Input";
};
"""


def write_images(folder: Path, count: int = 9) -> None:
    """Write small pictures of noise."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        pixels = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"picture_{index}.png")


def write_network(folder: Path, text: str = LEARNING) -> Path:
    """Write the params file and its pictures; return the file."""
    write_images(folder / "images")
    path = folder / "net.params"
    path.write_text(text, encoding="utf-8")
    return path


def datasets(folder: Path) -> dict[str, np.ndarray]:
    """Everything that a run has written in run.h5, but its params."""
    found: dict[str, np.ndarray] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("params/"):
            found[name] = item[()]

    with h5py.File(folder / "run.h5", "r") as file:
        assert file.attrs["finished"]
        file.visititems(visit)
    return found


def final_state(folder: Path) -> dict[str, object]:
    """Everything in the last checkpoint."""
    arrays, attrs = read_checkpoint(checkpoint_files(folder / "checkpoints")[-1])
    return {**arrays, "step": attrs["step"]}


def differences(one: Path, other: Path) -> list[str]:
    """Names of all that differs, in any bit, between two runs."""
    wrong = []
    for left, right in ((datasets(one), datasets(other)), (final_state(one), final_state(other))):
        wrong += sorted(left.keys() ^ right.keys())
        for name in left.keys() & right.keys():
            if isinstance(left[name], dict):
                if left[name] != right[name]:
                    wrong.append(name)
                continue
            a, b = np.asarray(left[name]), np.asarray(right[name])
            if a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes():
                wrong.append(name)
    return wrong
