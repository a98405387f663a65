"""Keys and kinds of older PetaVision versions: what they are called today, what is left of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from neurosim.paramfile.groups import Group
from neurosim.specs import COMPACT, KINDS, conditions

KIND_RENAMES = {
    "Image": "ImageLayer",
    "ImagePvp": "PvpLayer",
    "KernelConn": "HyPerConn",
    "Movie": "ImageLayer",
    "MoviePvp": "PvpLayer",
    "QuotientColProbe": "QuotientProbe",
}

KEY_RENAMES = {
    "VMax": "AMax",
    "VMin": "AMin",
    "VShift": "AShift",
    "energyProbe": "targetName",
    "imageListPath": "inputPath",
    "imagePath": "inputPath",
    "nonnegConstraintFlag": "nonnegativeConstraintFlag",
    "normalizeTotalToPost": "normalizeFromPostPerspective",
    "normalize_arbors_individually": "normalizeArborsIndividually",
    "targetName": "targetLayer",
    "useImageBCflag": "useInputBCflag",
    "writeSparseActivity": "sparseLayer",
}
"""Old name to the name of today, on kinds that have the latter and not the former."""

NEUTRAL: dict[str, tuple[float, str]] = {
    "batchPeriod": (1, "weights are updated at each triggerLayerName or weightUpdatePeriod"),
    "broadcastFlag": (0, "give nxScale and nyScale that make the layer 1 x 1"),
    "checkpointRead": (0, "use --resume, or initializeFromCheckpointDir"),
    "clearGSynInterval": (0, "a LeakyIntegrator adds up its input"),
    "combineWeightFiles": (0, "give one initWeightsFile"),
    "convertRateToSpikeCount": (0, "put the factor into strength or the scale of a RescaleConn"),
    "dVThresh": (0, "the threshold is VThresh throughout"),
    "dtAdaptFlag": (0, "use an AdaptiveTimeScaleProbe and the layer's adaptiveTimeScaleProbe"),
    "initFromLastFlag": (0, "use --resume, or initializeFromCheckpointDir"),
    "jitterFlag": (0, "use jitterChangeInterval, maxShiftX and maxShiftY"),
    "pvpFrameIdx": (0, "use start_frame_index"),
    "preActivityIsNotRate": (0, "put the factor into strength or the scale of a RescaleConn"),
    "randomMovie": (0, "use a ConstantLayer with a random InitVType, or batchMethod"),
    "restart": (0, "use --resume, or initializeFromCheckpointDir"),
    "startTime": (0, "time starts at 0"),
    "stochasticReleaseFlag": (0, "neurosim sums the weighted input"),
    "symmetrizeWeights": (0, "symmetrise the weights and read them with initWeightsFile"),
    "useListOfArborFiles": (0, "give one initWeightsFile"),
    "useMask": (0, "use a MaskLayer"),
    "weightL1Decay": (0, "use momentumDecay"),
    "weightL2Decay": (0, "use momentumDecay"),
    "weightSparsity": (0, "use sparseFraction with UniformRandomWeight"),
}
"""Keys that some version reads and neurosim does not: the value that leaves the numbers alone,
and the cure for others."""


@cache
def petavision() -> tuple[frozenset[str], frozenset[str]]:
    """Return the keys and the kinds that some PetaVision version had."""
    text = (Path(__file__).parent / "petavision_keys.txt").read_text(encoding="utf-8")
    keys, kinds = text.removeprefix("[keys]").split("[kinds]")
    return frozenset(keys.split()), frozenset(kinds.split())


@cache
def our_keys() -> dict[str, tuple[str, ...]]:
    """Return every key of the specs with the kinds that read it."""
    owners: dict[str, list[str]] = {}
    for name, kind in {**KINDS, **COMPACT}.items():
        for key in conditions(kind):
            owners.setdefault(key, []).append(name)
    return {key: tuple(names) for key, names in owners.items()}


def modern_names(group: Group) -> dict[str, str]:
    """Return for each key of a group the name it has today; the own name if it has not changed.

    A key whose modern name is written too keeps its old name, and so is told as ignored.
    """
    known = conditions(KINDS[group.kind])
    names = {}
    for key in group.entries:
        new = KEY_RENAMES.get(key, key)
        renamed = key not in known and new in known and new not in group.entries
        names[key] = new if renamed else key
    return names


def untriggered(group: Group) -> bool:
    """Whether an old ``triggerFlag = false`` switches the group's trigger off."""
    return "triggerFlag" in group.entries and not group.get("triggerFlag")
