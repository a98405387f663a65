"""Keys and kinds of older PetaVision versions: what they are called today, what is left of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from neurosim.paramfile.groups import Group
from neurosim.specs import COMPACT, KINDS, conditions

KIND_RENAMES = {
    "ANNNormalizedErrorLayer": "ANNErrorLayer",
    "CloneKernelConn": "CloneConn",
    "FilenameParsingGroundTruthLayer": "FilenameParsingLayer",
    "GenColProbe": "ColumnEnergyProbe",
    "Image": "ImageLayer",
    "ImagePvp": "PvpLayer",
    "KernelConn": "HyPerConn",
    "Movie": "ImageLayer",
    "MoviePvp": "PvpLayer",
    "QuotientColProbe": "QuotientProbe",
}

WATCHERS = ("KernelProbe", "L2ConnProbe", "PointLIFProbe", "PointProbe")
"""Kinds of probes that only print; a file runs as well without them."""

KEY_RENAMES = {
    "BaseMax": "baseMax",
    "BaseMin": "baseMin",
    "RandomSeed": "randomSeed",
    "VMax": "AMax",
    "VMin": "AMin",
    "VShift": "AShift",
    "checkpointWriteTriggerMethod": "checkpointWriteTriggerMode",
    "dtChangeMax": "tauFactor",
    "dtChangeMin": "growthFactor",
    "dtScaleMax": "baseMax",
    "dtScaleMin": "baseMin",
    "energyProbe": "targetName",
    "imageListPath": "inputPath",
    "imagePath": "inputPath",
    "movieLayerName": "inputLayerName",
    "nonnegConstraintFlag": "nonnegativeConstraintFlag",
    "normalizeTotalToPost": "normalizeFromPostPerspective",
    "normalize_arbors_individually": "normalizeArborsIndividually",
    "parentGenColProbe": "energyProbe",
    "targetName": "targetLayer",
    "useImageBCflag": "useInputBCflag",
    "writeSparseActivity": "sparseLayer",
}
"""Old name to the name of today, on kinds that have the latter and not the former."""

_MOVIES = ("Movie", "MoviePvp")
_TRANSFER = ("VThresh", "AMin", "AMax", "AShift", "VWidth", "VMin", "VMax", "VShift")

NEUTRAL: dict[str, tuple[float, str]] = {
    "batchPeriod": (1, "weights are updated at each triggerLayerName or weightUpdatePeriod"),
    "checkpointRead": (0, "use --resume, or initializeFromCheckpointDir"),
    "clearGSynInterval": (0, "a LeakyIntegrator adds up its input"),
    "combineWeightFiles": (0, "give one initWeightsFile"),
    "convertRateToSpikeCount": (0, "put the factor into strength or the scale of a RescaleConn"),
    "dVThresh": (0, "the threshold is VThresh throughout"),
    "dtAdaptFlag": (
        0,
        "name an AdaptiveTimeScaleProbe as adaptiveTimeScaleProbe of the layers: dtAdaptController "
        "is its targetName, dtScaleMax its baseMax, dtScaleMin its baseMin, dtChangeMax its "
        "tauFactor and dtChangeMin its growthFactor",
    ),
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


def without_watchers(groups: Sequence[Group], notes: list[str]) -> tuple[Group, ...]:
    """Return the groups without probes that only print; each is told in a note."""
    told = [group for group in groups if group.kind in WATCHERS]
    notes += [f"{g.where()}: {g.title}: left out; it prints what the results hold" for g in told]
    return tuple(group for group in groups if group.kind not in WATCHERS)


def ambiguous(groups: Sequence[Group]) -> list[str]:
    """Return a note on each key whose meaning changed between PetaVision's versions."""
    return [
        f"{group.where('VThresh')}: {group.title}: VThresh: PetaVision before 2019 zeroed the "
        "potentials on both sides of 0 here; as in later versions, those below VThresh give AMin"
        for group in groups
        if group.kind == "ANNErrorLayer"
        and isinstance(threshold := group.get("VThresh"), float)
        and threshold > -1e38
    ]


def modern_groups(groups: Sequence[Group]) -> tuple[Group, ...]:
    """Return groups of kinds of today that mean what the written ones mean in PetaVision."""
    column = next((group for group in groups if group.kind == "HyPerCol"), None)
    return tuple(
        _unbroadcast(_modern_error(_modern_movie(group, column)), column) for group in groups
    )


def _modern_movie(group: Group, column: Group | None) -> Group:
    """Say that an old Movie of one batch element advances by its skip_frame_index."""
    skip = group.entries.get("skip_frame_index")
    batch = column.get("nbatch", 1.0) if column else 1.0
    if group.kind not in _MOVIES or skip is None or batch != 1 or "batchMethod" in group.entries:
        return group
    entries = {**group.entries, "batchMethod": replace(skip, value="bySpecified")}
    return replace(group, entries=entries)


def _unbroadcast(group: Group, column: Group | None) -> Group:
    """Write ``broadcastFlag = true`` as the scales of a single position.

    PetaVision ignores ``nxScale`` and ``nyScale`` of such a layer.
    """
    flag = group.entries.get("broadcastFlag")
    if flag is None or column is None or not flag.value:
        return group
    entries = {key: entry for key, entry in group.entries.items() if key != "broadcastFlag"}
    for scale, size in (("nxScale", "nx"), ("nyScale", "ny")):
        across = column.get(size)
        if isinstance(across, float) and across >= 1:
            entries[scale] = replace(flag, value=1.0 / across)
    return replace(group, entries=entries)


def _modern_error(group: Group) -> Group:
    """Give a group its kind of today; an ANNNormalizedErrorLayer its two-sided threshold.

    There VThresh zeroes potentials on both sides of 0, and the other keys of the transfer
    function are not read.
    """
    modern = replace(group, kind=KIND_RENAMES.get(group.kind, group.kind))
    if group.kind != "ANNNormalizedErrorLayer":
        return modern
    entries = {key: entry for key, entry in group.entries.items() if key not in _TRANSFER}
    threshold = group.get("VThresh", 0.0)
    if isinstance(threshold, float) and threshold > 0:
        entry = group.entries["VThresh"]
        ends = (-threshold, -threshold, threshold, threshold)
        entries["verticesV"] = replace(entry, value=ends)
        entries["verticesA"] = replace(entry, value=(-threshold, 0.0, 0.0, threshold))
    return replace(modern, entries=entries)


def untriggered(group: Group) -> bool:
    """Whether an old ``triggerFlag = false`` switches the group's trigger off."""
    return "triggerFlag" in group.entries and not group.get("triggerFlag")
