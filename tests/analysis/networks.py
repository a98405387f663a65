"""A bimodal network small enough to be trained in a second: 16 x 16 faces, 64 x 8 names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from neurosim.stimuli.synthetic_faces import SyntheticFaces

#: A command with arguments: its exit status and what it printed.
Call = Callable[..., tuple[int, str, str]]

PARAMS = """
HyPerCol "column" = {
    nx = 16;  ny = 16;  nbatch = 8;
    stopTime = %(stop)d;
    randomSeed = 7;
};
ImageLayer "Face" = {
    nf = 3;  displayPeriod = 20;
    inputPath = "%(path)s";
    batchMethod = "random";
    autoResizeFlag = true;  subtractMean = true;  normalizeLuminanceFlag = true;
    writeStep = -1;
};
NameLayer "Name" = {
    nxScale = 4;  nyScale = 0.5;  points = 10;
    labelSource = "Face";  normalizeLuminanceFlag = true;
    writeStep = -1;
};
SparseCoding "V1" = {
    codes = "Face";  patchSize = 8;  stride = 4;  features = 24;
    VThresh = 0.1;  timeConstantTau = 10;  dWMax = 5;  momentumTimeConstant = 3;
    energy = "Energy";  writeStep = -1;
};
SparseCoding "T1" = {
    codes = "Name";  patchSizeX = 16;  patchSizeY = 8;  strideX = 8;  strideY = 8;  features = 16;
    VThresh = 0.1;  timeConstantTau = 10;  dWMax = 5;  momentumTimeConstant = 3;
    energy = "Energy";  writeStep = -1;
};
SparseCoding "P1" = {
    codes = %(codes)s;  wholeField = true;  features = 32;
    VThresh = 0.05;  timeConstantTau = 10;  dWMax = 5;  momentumTimeConstant = 3;
    energy = "Energy";  writeStep = -1;
};
"""


def params(path: Path | str, displays: int = 60, codes: str = '["V1", "T1"]') -> str:
    """Text of the network, trained on the images of ``path``."""
    return PARAMS % {"path": path, "stop": 20 * displays, "codes": codes}


def pooled(text: str) -> str:
    """The same network with a layer that pools V1 between it and P1."""
    between = """
PoolingConn "V1ToPool" = {
    channelCode = 0;  pvpatchAccumulateType = "sumpooling";  nxp = 1;  nyp = 1;
};
ANNLayer "Pool" = {
    nxScale = 0.125;  nyScale = 0.125;  nf = 24;  InitVType = "ZeroV";  AMin = 0;
    writeStep = -1;
};
"""
    head, _, p1 = text.partition('SparseCoding "P1"')
    p1 = p1.replace('"V1"', '"Pool"').replace("wholeField", "inputScale = 1;  wholeField")
    return head + between + 'SparseCoding "P1"' + p1


def face_only(text: str) -> str:
    """The same network declared without names."""
    head, _, rest = text.partition('NameLayer "Name"')
    middle = rest.partition("SparseCoding")[2]
    v1, _, after = ("SparseCoding" + middle).partition('SparseCoding "T1"')
    p1 = "SparseCoding" + after.partition("SparseCoding")[2]
    return head + v1 + p1.replace('["V1", "T1"]', '"V1"')


def faces(folder: Path, people: int = 3, each: int = 12, split: str = "train") -> Path:
    """Pictures of synthetic people, 16 x 16 pixels, one folder per person."""
    drawn = SyntheticFaces(people=people, images_per_person=each, split=split)
    assert drawn.labels is not None
    for index, label in enumerate(drawn.labels):
        path = folder / label / f"{label}_{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = (255 * drawn.read(index)).round().astype(np.uint8)
        Image.fromarray(pixels).resize((16, 16), Image.Resampling.BOX).save(path)
    return folder


def noisy(source: Path, folder: Path) -> Path:
    """The same pictures with each value changed by 4, up or down."""
    rng = np.random.default_rng(0)
    for path in sorted(source.rglob("*.png")):
        altered = folder / path.relative_to(source)
        altered.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(Image.open(path)).astype(int)
        pixels += rng.choice([-4, 4], pixels.shape)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(altered)
    return folder
