"""Small networks that between them hold every kind of operator in every form.

Each case is params text; the fixed random inputs are ``In`` (8 x 8 x 3) and, on a
coarser grid, ``Low`` (4 x 4 x 3).
"""

from __future__ import annotations

from itertools import product

from tests.backends.circuits import CIRCUITS, CLOCK
from tests.backends.local_cases import LOCAL_CASES
from tests.backends.nets import (
    code,
    column,
    group,
    join,
    linear,
    noise,
    plastic,
    weights,
)
from tests.backends.solver_cases import SOLVER_CASES

COLUMN = column(nbatch=3)
IN = noise("In")
LOW = noise("Low", nxScale=0.5, nyScale=0.5)
HALF = {"nxScale": 0.5, "nyScale": 0.5}
QUARTER = {"nxScale": 0.25, "nyScale": 0.25}
MARGINS = {
    "zero": {},
    "mirror": {"mirrorBCflag": True},
    "value": {"valueBC": 0.7},
}

CASES: dict[str, tuple[str, ...]] = {**LOCAL_CASES, **CIRCUITS, **SOLVER_CASES}


# ---- Deliveries --------------------------------------------------------------------------------

for name, margin in MARGINS.items():
    source = noise("In", **margin)
    low = noise("Low", **HALF, **margin)
    CASES[f"gather, many to one, odd patch, {name} margin"] = (
        source, linear("Out", nf=5, **HALF), weights("InToOut", 3),
    )  # fmt: skip
    CASES[f"gather, many to one, even patch, {name} margin"] = (
        source, linear("Out", nf=5, **QUARTER), weights("InToOut", 2, 4),
    )  # fmt: skip
    CASES[f"gather, transposed one to many, {name} margin"] = (
        low, source, linear("Out", nf=3, **HALF), linear("Unused", nf=3),
        weights("Original", 6, preLayerName="Low", postLayerName="Unused", channelCode=-1),
        join("TransposeConn", "InToOut", originalConnName="Original"),
    )  # fmt: skip
    CASES[f"gather, transposed one to one, {name} margin"] = (
        source, linear("Out"), linear("Unused"),
        weights("Original", 5, 3, preLayerName="In", postLayerName="Unused", channelCode=-1),
        join("TransposeConn", "InToOut", originalConnName="Original"),
    )  # fmt: skip
    CASES[f"scatter, one to one, {name} margin"] = (
        source, linear("Out", nf=2), weights("InToOut", 5, 3),
    )  # fmt: skip
    CASES[f"scatter, one to many, {name} margin"] = (
        low, linear("Out", nf=2), weights("LowToOut", 6, 4),
    )  # fmt: skip
    CASES[f"scatter, transposed many to one, even patch, {name} margin"] = (
        source, low, linear("Unused", **HALF), linear("Out", nf=3),
        weights("Original", 2, preLayerName="In", postLayerName="Unused", channelCode=-1),
        join("TransposeConn", "LowToOut", originalConnName="Original"),
    )  # fmt: skip
    for method, sparse in product(("max", "sum", "avg"), (False, True)):
        sparsity = {"VThresh": 0.5, "AMin": 0, "AShift": 0, "InitVType": "ZeroV", "nf": 3}
        CASES[f"{method} pooling, {'sparse' if sparse else 'dense'}, {name} margin"] = (
            IN, group("ANNLayer", "Thin", phase=1, sparseLayer=sparse, **sparsity, **margin),
            linear("Out", phase=2, **HALF), join("IdentConn", "InToThin"),
            join("PoolingConn", "ThinToOut", pvpatchAccumulateType=f"{method}pooling", nxp=2,
                 nyp=1),
        )  # fmt: skip

CASES["whole field"] = (
    IN, linear("Out", nf=6, nxScale=0.125, nyScale=0.125), linear("Unused"),
    weights("OutToUnused", 8, channelCode=-1),
    join("TransposeConn", "InToOut", originalConnName="OutToUnused"),
    join("CloneConn", "Back", preLayerName="Out", postLayerName="Unused",
         originalConnName="OutToUnused"),
)  # fmt: skip
CASES["one axis coarser than the other"] = (
    IN, linear("Out", nf=2, nxScale=0.5, nyScale=1), weights("InToOut", 2, 3),
)  # fmt: skip
CASES["unit to unit on all channels"] = (
    IN, noise("Other"), linear("Out", channelIndices=[1, 2, 4], channelCoefficients=[0.5, -2, 3]),
    join("IdentConn", "A", 0, preLayerName="In", postLayerName="Out"),
    join("RescaleConn", "B", 1, preLayerName="Other", postLayerName="Out", scale=-1.5),
    join("RescaleConn", "C", 2, preLayerName="In", postLayerName="Out", scale=0.25),
    join("IdentConn", "D", 3, preLayerName="In", postLayerName="Out"),
    join("IdentConn", "E", 4, preLayerName="Other", postLayerName="Out"),
)  # fmt: skip
CASES["feedback connection"] = (
    IN, linear("Front"), join("IdentConn", "InToFront"), linear("Mid", nf=4, phase=2, **HALF),
    weights("FrontToMid", 2), join("FeedbackConn", "Back", 1, originalConnName="FrontToMid"),
)  # fmt: skip
CASES["delays and arbors"] = (
    IN, code("V", nf=3, phase=1), linear("Out", phase=2), join("IdentConn", "InToV"),
    weights("VToOut", 3, numAxonalArbors=3, delay=[0, 2, 5]),
    join("IdentConn", "Late", 1, preLayerName="V", postLayerName="Out", delay=[1]),
)  # fmt: skip
CASES["arbors of clones and copies, with their own delays"] = (
    IN, code("V", nf=3, phase=1), join("IdentConn", "InToV"), linear("Out", phase=2),
    linear("Out2", phase=2), linear("Out3", phase=2),
    weights("VToOut", 3, numAxonalArbors=2, delay=[0, 2]),
    join("CloneConn", "VToOut2", originalConnName="VToOut", delay=[3, 1]),
    join("CopyConn", "VToOut3", originalConnName="VToOut", delay=[1],
         normalizeMethod="normalizeSum"),
    join("TransposeConn", "OutToV", 1, originalConnName="VToOut"),
)  # fmt: skip
CASES["several poolings on several channels"] = (
    IN, noise("Other"), linear("Out", nf=3, **HALF),
    *(join("PoolingConn", f"Pool{i}", channel, preLayerName=pre, postLayerName="Out",
           pvpatchAccumulateType=f"{method}pooling")
      for i, (channel, pre, method) in enumerate(
          [(0, "In", "avg"), (1, "In", "max"), (0, "Other", "max"), (1, "Other", "sum"),
           (0, "In", "sum")])),
)  # fmt: skip
CASES["loop within a phase"] = (
    IN, linear("P", phase=1), linear("Q", phase=1),
    join("IdentConn", "InToP"), join("RescaleConn", "QToP", scale=0.5),
    join("RescaleConn", "PToQ", 1, scale=0.5),
)  # fmt: skip


# ---- Layers ------------------------------------------------------------------------------------

TRANSFERS = {
    "soft": {"VThresh": 0.3, "AMin": 0, "AShift": 0.3},
    "hard": {"VThresh": 0.3, "AMin": 0, "AShift": 0},
    "firm": {"VThresh": 0.3, "AMin": 0, "AShift": 0, "VWidth": 0.3},
    "clipped": {"VThresh": 0.2, "AMin": -0.1, "AShift": 0.05, "AMax": 0.6},
    "linear": {},
    "vertices": {
        "verticesV": [-0.5, 0.1, 0.1, 0.8], "verticesA": [-0.2, 0.0, 0.3, 0.5],
        "slopeNegInf": 0.1, "slopePosInf": 0.4,
    },
}  # fmt: skip
for name, keys in TRANSFERS.items():
    start = {"InitVType": "UniformRandomV", "minV": -1, "nf": 3, "phase": 1}
    CASES[f"ANNLayer, {name}"] = (
        IN, group("ANNLayer", "Out", **start, **keys), join("IdentConn", "InToOut"),
    )  # fmt: skip
    CASES[f"ANNErrorLayer, {name}"] = (
        IN, group("ANNErrorLayer", "Out", errScale=0.7, **start, **keys),
        join("IdentConn", "InToOut"),
    )  # fmt: skip
    CASES[f"LeakyIntegrator, {name}"] = (
        IN, group("LeakyIntegrator", "Out", integrationTime=4, **start, **keys),
        join("IdentConn", "InToOut"),
    )  # fmt: skip
    for kind in ("HyPerLCALayer", "MomentumLCALayer", "ISTALayer"):
        if kind == "ISTALayer" and name in ("linear", "vertices"):
            continue
        more = {"LCAMomentumRate": 0.4} if kind == "MomentumLCALayer" else {}
        if name == "vertices" and kind == "HyPerLCALayer":
            more = {"selfInteract": False}
        CASES[f"{kind}, {name}"] = (
            noise("In", sigma=0.5), linear("Error"), linear("Recon", phase=3),
            group(kind, "V", timeConstantTau=6, **start | {"nf": 4, "phase": 2}, **keys, **more,
                  **HALF),
            weights("VToRecon", 4, wGaussStdev=0.1), join("IdentConn", "InToError"),
            join("IdentConn", "ReconToError", 1),
            join("TransposeConn", "ErrorToV", originalConnName="VToRecon"),
        )  # fmt: skip
CASES["time step other than 1"] = (
    group("HyPerCol", "column", nx=8, ny=8, nbatch=3, dt=0.25, stopTime=10),
    IN, code("V", nf=3, phase=1), join("IdentConn", "InToV"),
    linear("Out", phase=2), join("IdentConn", "VToOut", delay=[0.5]),
)  # fmt: skip

for method in (
    "maxmin", "meanstd", "pointmeanstd", "l2", "l2NoMean", "pointResponseNormalization",
    "zerotonegative", "softmax", "logreg",
):  # fmt: skip
    keys = {"maxmin": {"targetMax": 2, "targetMin": -3}, "l2": {"patchSize": 6}}.get(method, {})
    if method.endswith("meanstd"):
        keys = {"targetMean": 0.5, "targetStd": 2}
    rescale = group("RescaleLayer", "Out", originalLayerName="Thin", phase=2,
                    rescaleMethod=method, **keys)  # fmt: skip
    thin = group("ANNLayer", "Thin", nf=3, phase=1, VThresh=0.3, AMin=0, AShift=0.3,
                 InitVType="ZeroV")  # fmt: skip
    CASES[f"RescaleLayer {method}"] = (IN, thin, rescale, join("IdentConn", "InToThin"))
    if method != "logreg":
        for value in (0, 0.7):
            flat = group("ConstantLayer", "Thin", nf=3, InitVType="ConstantV", valueV=value)
            CASES[f"RescaleLayer {method} of {value} everywhere"] = (IN, flat, rescale)

for method, keys in {
    "layer": {"maskLayerName": "Mask"},
    "invertLayer": {"maskLayerName": "Mask"},
    "maskFeatures": {"featureIdxs": [0, 2]},
    "noMaskFeatures": {"featureIdxs": [1]},
}.items():
    for features in (1, 3) if "maskLayerName" in keys else (3,):
        source = linear("Source", nf=features) + (
            join("IdentConn", "InToSource") if features == 3
            else weights("InToSource", 3)
        )  # fmt: skip
        CASES[f"MaskLayer {method}, {features} features"] = (
            IN, source, group("ANNLayer", "Mask", nf=features, phase=2, VThresh=0.2, AMin=0,
                              InitVType="ZeroV"),
            join("IdentConn", "SourceToMask"),
            group("MaskLayer", "Out", nf=3, phase=3, maskMethod=method, VThresh=-0.5, AMin=-1,
                  InitVType="ZeroV", **keys),
            join("IdentConn", "InToOut"),
        )  # fmt: skip

for smooth, inverse in product((True, False), repeat=2):
    CASES[f"SigmoidLayer smooth={smooth} inverse={inverse}"] = (
        IN, code("V", nf=3, phase=1), join("IdentConn", "InToV"),
        group("SigmoidLayer", "Out", originalLayerName="V", phase=2, Vrest=-1, VthRest=1.2,
              SigmoidAlpha=0.2, SigmoidFlag=smooth, InverseFlag=inverse),
    )  # fmt: skip
CASES["CloneVLayer in another phase"] = (
    IN, code("V", nf=3, phase=2), join("IdentConn", "InToV"),
    group("CloneVLayer", "Above", originalLayerName="V", phase=3),
    group("CloneVLayer", "Below", originalLayerName="V", phase=1),
)  # fmt: skip


# ---- Triggers ----------------------------------------------------------------------------------

TIMER = linear("Fast") + group(
    "ANNLayer", "Timer", nf=3, phase=1, InitVType="ZeroV", triggerLayerName="Clock"
)
#: An input that changes every fourth step, in a file beside the params.
CASES["input that changes"] = (CLOCK, linear("Out"), join("IdentConn", "ClockToOut"))
for offset in (0, 1, 3):
    CASES[f"triggered layer, offset {offset}"] = (
        CLOCK, code("V", nf=3, phase=1), join("IdentConn", "ClockToV"),
        linear("Out", phase=2, triggerLayerName="Clock", triggerOffset=offset),
        join("IdentConn", "VToOut"),
        linear("Later", phase=3, triggerLayerName="Out", triggerOffset=1),
        join("IdentConn", "VToLater", delay=[2]),
    )  # fmt: skip
    CASES[f"potential reset at the trigger, offset {offset}"] = (
        CLOCK, code("V", nf=3, phase=2, triggerLayerName="Clock", triggerOffset=offset,
                    triggerBehavior="resetStateOnTrigger", triggerResetLayerName="Rest"),
        noise("Rest"), join("IdentConn", "ClockToV"),
    )  # fmt: skip
CASES["reset from the trigger layer itself"] = (
    CLOCK, join("IdentConn", "ClockToV"),
    code("V", nf=3, phase=2, triggerLayerName="Clock", triggerBehavior="resetStateOnTrigger"),
)  # fmt: skip
CASES["trigger ignored"] = (
    CLOCK, join("IdentConn", "ClockToV"),
    code("V", nf=3, phase=2, triggerLayerName="Clock", triggerBehavior="ignore"),
)  # fmt: skip


# ---- Learning ----------------------------------------------------------------------------------

ENDS = (code("V", nf=3, phase=1), join("IdentConn", "InToV"), linear("Out", phase=2))
LEARNING = {
    "hebbian": {},
    "sum instead of mean": {"normalizeDw": False},
    "triggered": {"triggerLayerName": "Clock", "triggerOffset": 1},
    "first update late": {"initialWeightUpdateTime": 2},
    "deferred": {"immediateWeightUpdate": False},
    "decaying rate": {"dWMaxDecayInterval": 1, "dWMaxDecayFactor": 0.5, "weightUpdatePeriod": 1},
    "two arbors": {"numAxonalArbors": 2, "delay": [0, 2]},
}  # fmt: skip
for name, keys in LEARNING.items():
    CASES[f"learning, {name}"] = (CLOCK, IN, *ENDS, plastic("VToOut", 3, **keys),
                                  join("IdentConn", "InToOut"))  # fmt: skip
for method, old in product(("viscosity", "simple", "alex"), (False, True)):
    tau = {"viscosity": 2.0, "simple": 0.3, "alex": 0.8}[method]
    keys = {"momentumTau" if old else "timeConstantTau": tau, "momentumDecay": 0.01}
    for late in (False, True):
        CASES[f"momentum, {method}{', old key' * old}{', deferred' * late}"] = (
            IN, *ENDS, join("IdentConn", "InToOut"),
            plastic("VToOut", 3, kind="MomentumConn", momentumMethod=method, weightUpdatePeriod=2,
                    immediateWeightUpdate=not late, **keys),
        )  # fmt: skip
for name, margin in MARGINS.items():
    CASES[f"learning, one to many, {name} margin"] = (
        noise("Low", **HALF, **margin), linear("Out"), noise("In"), join("IdentConn", "InToOut"),
        plastic("LowToOut", 6, nyp=4),
    )  # fmt: skip
    for patch in (2, 3):
        CASES[f"learning, many to one, patch {patch}, {name} margin"] = (
            noise("In", **margin), linear("Out", nf=4, **HALF), plastic("InToOut", patch),
            linear("Back", phase=2),
            join("TransposeConn", "OutToBack", originalConnName="InToOut"),
        )  # fmt: skip
CASES["plastic clone"] = (
    IN, noise("Other"), *ENDS, linear("Out2", phase=2), join("IdentConn", "InToOut"),
    plastic("VToOut", 3),
    join("IdentConn", "OtherToOut2"),
    join("PlasticCloneConn", "Second", preLayerName="Other", postLayerName="Out2",
         originalConnName="VToOut"),
)  # fmt: skip
for place in ("after", "before"):
    copy = join("CopyConn", "Copy", preLayerName="V", postLayerName="Out",
                originalConnName="VToOut", normalizeMethod="normalizeL2", strength=0.5)  # fmt: skip
    pair = (plastic("VToOut", 3, channelCode=-1), copy)
    CASES[f"copy of weights that learn, {place} its original"] = (
        IN, *ENDS, *(pair if place == "after" else pair[::-1]), join("IdentConn", "InToOut"),
    )  # fmt: skip

NORMALISERS = {
    "L2": {"normalizeMethod": "normalizeL2", "strength": 0.7},
    "L2, small kernels left": {"normalizeMethod": "normalizeL2", "minL2NormTolerated": 2.3},
    "sum": {"normalizeMethod": "normalizeSum", "minSumTolerated": 0.2},
    "max": {"normalizeMethod": "normalizeMax", "minMaxTolerated": 0.5},
    "zero mean": {"normalizeMethod": "normalizeContrastZeroMean", "strength": 0.3},
    "hollow": {"normalizeMethod": "normalizeL2", "rMinX": 1, "rMinY": 0.6},
    "hollow, wide": {"normalizeMethod": "normalizeL2", "rMinX": 3, "rMinY": 0.6},
    "not negative": {"normalizeMethod": "normalizeL2", "nonnegativeConstraintFlag": True},
    "cutoff": {"normalizeMethod": "normalizeSum", "normalize_cutoff": 0.4},
    "all steps": {
        "normalizeMethod": "normalizeMax", "nonnegativeConstraintFlag": True,
        "normalize_cutoff": 0.3, "rMinX": 1, "rMinY": 1,
    },
    "post perspective": {"normalizeMethod": "normalizeL2", "normalizeFromPostPerspective": True},
    "only at the start": {"normalizeMethod": "normalizeL2", "normalizeOnWeightUpdate": False},
    "only at updates": {"normalizeMethod": "normalizeL2", "normalizeOnInitialize": False},
}  # fmt: skip
for name, keys in NORMALISERS.items():
    for arbors in (1, 2):
        if name == "zero mean" and arbors == 2:
            continue
        for each in (False, True) if arbors == 2 else (False,):
            label = f"normalised, {name}, {arbors} arbors{', each alone' * each}"
            CASES[label] = (
                noise("In", mirrorBCflag=True), linear("Out", nf=4, **HALF),
                plastic("InToOut", 5, numAxonalArbors=arbors, normalizeArborsIndividually=each,
                        **keys),
            )  # fmt: skip
CASES["normalised as a group"] = (
    IN, linear("Out", nf=4), linear("Out2", nf=2, phase=1),
    plastic("InToOut", 3, normalizeMethod="normalizeL2", strength=2),
    plastic("InToOut2", 5, normalizeMethod="normalizeGroup", normalizeGroupName="InToOut"),
)  # fmt: skip
for each in (False, True):
    CASES[f"a kernel of zeros, {'each arbor alone' if each else 'all arbors'}"] = (
        noise("In", nf=9), linear("Out", nf=3),
        weights("InToOut", 1, weightInitType="UniformRandomWeight", sparseFraction=0.7,
                normalizeMethod="normalizeL2", numAxonalArbors=2 if each else 1,
                normalizeArborsIndividually=each),
    )  # fmt: skip


# ---- Probes ------------------------------------------------------------------------------------

SOFT = (IN, code("V", nf=3, phase=1, VThresh=0.3, VWidth=0.2), join("IdentConn", "InToV"))
CASES["norm probes"] = (
    *SOFT,
    group("ColumnEnergyProbe", "Energy"), group("ColumnEnergyProbe", "Sum", energyProbe="Energy"),
    group("L2NormProbe", "L2", targetLayer="V", exponent=2, energyProbe="Energy", coefficient=0.5),
    group("L2NormProbe", "L2plain", targetLayer="In", energyProbe="Sum"),
    group("L1NormProbe", "L1", targetLayer="In", energyProbe="Sum", coefficient=-2),
    group("L0NormProbe", "L0", targetLayer="In", nnzThreshold=0.5),
    group("L1NormLCAProbe", "L1LCA", targetLayer="V", energyProbe="Energy"),
    group("L0NormLCAProbe", "L0LCA", targetLayer="V", energyProbe="Energy"),
    group("FirmThresholdCostFnProbe", "Firm", targetLayer="In", VThresh=0.4, VWidth=0.6),
    group("FirmThresholdCostFnLCAProbe", "FirmLCA", targetLayer="V", energyProbe="Energy"),
    group("StatsProbe", "Stats", targetLayer="V", nnzThreshold=0.1),
    group("StatsProbe", "StatsV", targetLayer="V", buffer="MembranePotential"),
    group("QuotientProbe", "Quotient", numerator="L2", denominator="L1"),
)  # fmt: skip
for features in (1, 3):
    mask = group("ANNLayer", "Mask", nf=features, phase=1, VThresh=0.2, AMin=0, InitVType="ZeroV")
    to_mask = weights("InToMask", 3) if features == 1 else join("IdentConn", "InToMask")
    CASES[f"masked probes, {features} features"] = (
        IN, mask, to_mask,
        group("L2NormProbe", "L2", targetLayer="In", maskLayerName="Mask", exponent=3),
        group("L1NormProbe", "L1", targetLayer="In", maskLayerName="Mask"),
        group("L0NormProbe", "L0", targetLayer="In", maskLayerName="Mask", nnzThreshold=0.5),
        group("FirmThresholdCostFnProbe", "Firm", targetLayer="In", maskLayerName="Mask",
              VThresh=0.4, VWidth=0.6),
    )  # fmt: skip
for kind, keys in {
    "AdaptiveTimeScaleProbe": {},
    "KneeTimeScaleProbe": {"kneeThresh": 0.6, "kneeSlope": 0.3},
    "LogTimeScaleProbe": {"logThresh": 1.5, "logSlope": 0.2},
}.items():
    for layer in ("HyPerLCALayer", "MomentumLCALayer", "ISTALayer"):
        more = {"LCAMomentumRate": 0.2} if layer == "MomentumLCALayer" else {}
        CASES[f"{kind} of a {layer}"] = (
            CLOCK, linear("Error"), linear("Recon", phase=3),
            code("V", kind=layer, timeConstantTau=8, adaptiveTimeScaleProbe="Scale", **HALF,
                 **more),
            weights("VToRecon", 4, wGaussStdev=0.1), join("IdentConn", "ClockToError"),
            join("IdentConn", "ReconToError", 1),
            join("TransposeConn", "ErrorToV", originalConnName="VToRecon"),
            group("ColumnEnergyProbe", "Energy"),
            group("L2NormProbe", "L2", targetLayer="Error", exponent=2, energyProbe="Energy",
                  coefficient=0.5),
            group("L1NormLCAProbe", "L1", targetLayer="V", energyProbe="Energy"),
            group(kind, "Scale", targetName="Energy", baseMax=0.5, baseMin=0.3, tauFactor=0.2,
                  growthFactor=0.1, triggerLayerName="Clock", **keys),
        )  # fmt: skip
