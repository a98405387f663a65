"""Keys that several connection kinds share: ends, patch, weights, learning, normalisation."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator

from neurosim.specs.base import KeyProblem, Spec, When, key
from neurosim.specs.values import (
    Flag,
    Integer,
    Name,
    Number,
    NumberArray,
    Text,
    folded,
)


class ConnectionSpec(Spec):
    """Any connection: from where, to where, through which channel, how late."""

    category: ClassVar[str] = "connection"

    preLayerName: Text = key("", 'Layer it reads; from the group\'s name "PreToPost" if absent.')
    postLayerName: Text = key("", 'Layer it feeds; from the group\'s name "PreToPost" if absent.')
    channelCode: Integer = key(
        ..., "Channel: 0 excitatory, 1 inhibitory, 2 to 4 further ones, -1 none.", ge=-1, le=4
    )
    delay: NumberArray = key((0.0,), "Delay of each arbor.", unit="time", min_length=1)
    initializeFromCheckpointFlag: Flag = key(
        True, "Take part in the column's initializeFromCheckpointDir."
    )

    def derived_defaults(self) -> dict[str, Any]:
        """A name like PreToPost says both ends, unless one of them is given."""
        ends = {"preLayerName", "postLayerName"} & self.model_fields_set
        parts = self.name.split("To")
        if ends or len(parts) != 2 or not all(parts):
            return super().derived_defaults()
        named = {"preLayerName": parts[0], "postLayerName": parts[1]}
        return {**super().derived_defaults(), **named}

    def check(self) -> None:
        """Both ends are named or neither; no delay is negative."""
        if bool(self.preLayerName) != bool(self.postLayerName):
            absent = "postLayerName" if self.preLayerName else "preLayerName"
            raise KeyProblem(absent, "missing; name both ends, or neither and call it PreToPost")
        if any(delay < 0 for delay in self.delay):
            raise KeyProblem("delay", "must be >= 0")


class AccumulateKeys(ConnectionSpec):
    """How the input of a patch is accumulated."""

    pvpatchAccumulateType: Annotated[
        Literal["convolve", "stochastic"], folded(convolve="convolve", stochastic="stochastic")
    ] = key("convolve", "Sum the weighted input; stochastic release is refused.")


class OriginalConnKeys(ConnectionSpec):
    """A connection that uses the weights of another."""

    originalConnName: Text = key(..., "The connection whose weights are used.", min_length=1)


class PatchKeys(ConnectionSpec):
    """Size of the patch of the post layer that one pre neuron reaches."""

    numAxonalArbors: Integer = key(1, "Patches per pre neuron, each with its delay.", ge=1)
    sharedWeights: Flag = key(True, "One patch per feature, not per neuron.")
    nxp: Integer = key(1, "Width of the patch.", unit="post neuron", ge=1)
    nyp: Integer = key(1, "Height of the patch.", unit="post neuron", ge=1)
    nfp: Integer = key(-1, "Features of the patch, those of the post layer; negative: as there.")

    def check(self) -> None:
        """There is one delay, or one per arbor."""
        super().check()
        if len(self.delay) > 1 and len(self.delay) != self.numAxonalArbors:
            raise KeyProblem(
                "delay", f"{len(self.delay)} delays for numAxonalArbors = {self.numAxonalArbors}"
            )
        if self.nfp == 0:
            raise KeyProblem("nfp", "must be > 0, or negative for the post layer's nf")


_GAUSS = When("weightInitType", ("Gauss2DWeight", "SpreadOverArborsWeight"))
_RANDOM = When("weightInitType", ("UniformRandomWeight",))
_DISCRETE = When("weightInitType", ("DiscreteUniformRandomWeight",))
_NORMAL = When("weightInitType", ("GaussianRandomWeight",))


class WeightInitKeys(ConnectionSpec):
    """The weights at the start."""

    weightInitType: Literal[
        "UniformWeight",
        "UniformRandomWeight",
        "GaussianRandomWeight",
        "DiscreteUniformRandomWeight",
        "Gauss2DWeight",
        "IdentWeight",
        "OneToOneWeights",
        "OneToOneWeightsWithDelays",
        "SpreadOverArborsWeight",
        "FileWeight",
    ] = key(..., "How the weights start.")
    initWeightsFile: Name = key(None, "File the weights are read from, whatever weightInitType.")
    frameNumber: Integer = key(
        0, "Frame of the file.", when=When("initWeightsFile", given=True), ge=0
    )
    weightInit: Number = key(
        0.0,
        "The weight; 0 for UniformWeight, otherwise 1, if absent.",
        when=When(
            "weightInitType",
            (
                "UniformWeight",
                "OneToOneWeights",
                "OneToOneWeightsWithDelays",
                "SpreadOverArborsWeight",
            ),
        ),
    )
    connectOnlySameFeatures: Flag = key(
        False, "Only between equal features.", when=When("weightInitType", ("UniformWeight",))
    )
    wMinInit: Number = key(0.0, "Least weight.", when=_RANDOM)
    wMaxInit: Number = key(1.0, "Largest weight.", when=_RANDOM)
    sparseFraction: Number = key(0.0, "Share of zero weights.", when=_RANDOM, ge=0, le=1)
    minNNZ: Integer = key(0, "Least number of weights kept per patch.", when=_RANDOM, ge=0)
    wGaussMean: Number = key(0.0, "Mean weight.", when=_NORMAL)
    wGaussStdev: Number = key(1.0, "Standard deviation of the weights.", when=_NORMAL, ge=0)
    wMin: Number = key(0.0, "Least weight.", when=_DISCRETE, needed=True)
    wMax: Number = key(1.0, "Largest weight.", when=_DISCRETE, needed=True)
    numValues: Integer = key(
        2, "Number of equally spaced weights.", when=_DISCRETE, needed=True, ge=2
    )
    aspect: Number = key(1.0, "Aspect ratio of the Gaussian.", when=_GAUSS)
    sigma: Number = key(0.8, "Width of the Gaussian.", unit="post neuron", when=_GAUSS, gt=0)
    rMax: Number = key(1.4, "Radius beyond which weights are 0.", unit="post neuron", when=_GAUSS)
    rMin: Number = key(0.0, "Radius within which weights are 0.", unit="post neuron", when=_GAUSS)
    numOrientationsPost: Integer = key(
        -1, "Orientations of the post layer; -1: its features.", when=_GAUSS, ge=-1
    )
    numOrientationsPre: Integer = key(
        -1, "Orientations of the pre layer; -1: its features.", when=_GAUSS, ge=-1
    )
    deltaThetaMax: Number = key(
        2 * math.pi, "Largest difference of orientation.", unit="rad", when=_GAUSS
    )
    thetaMax: Number = key(1.0, "Range of orientations, as a multiple of pi.", when=_GAUSS)
    numFlanks: Integer = key(1, "Number of flanks.", when=_GAUSS, ge=1)
    flankShift: Number = key(0.0, "Shift of the flanks.", unit="post neuron", when=_GAUSS)
    rotate: Number = key(0.0, "Rotation, in steps of orientation.", when=_GAUSS)
    bowtieFlag: Flag = key(False, "Leave out weights outside a bow tie.", when=_GAUSS)
    bowtieAngle: Number = key(
        2 * math.pi,
        "Opening of the bow tie.",
        unit="rad",
        when=(_GAUSS, When("bowtieFlag", (True,))),
    )

    def derived_defaults(self) -> dict[str, Any]:
        """weightInit depends on the initialiser."""
        start = 0.0 if self.weightInitType == "UniformWeight" else 1.0
        return {**super().derived_defaults(), "weightInit": start}

    def check(self) -> None:
        """FileWeight has a file; no interval is empty."""
        super().check()
        if self.weightInitType == "FileWeight" and self.initWeightsFile is None:
            raise KeyProblem("initWeightsFile", "missing")
        for low, high in (("wMinInit", "wMaxInit"), ("wMin", "wMax")):
            if getattr(self, high) < getattr(self, low):
                raise KeyProblem(high, f"{high} is less than {low} = {getattr(self, low):g}")


_OWN = When(
    "normalizeMethod",
    ("normalizeL2", "normalizeSum", "normalizeMax", "normalizeContrastZeroMean"),
)
_SCALES = When("normalizeMethod", ("normalizeL2", "normalizeSum", "normalizeMax"))
NormalizeMethod = Annotated[
    Literal[
        "none",
        "normalizeL2",
        "normalizeSum",
        "normalizeMax",
        "normalizeContrastZeroMean",
        "normalizeGroup",
    ],
    BeforeValidator(lambda value: value or "none"),
]


class NormalizeKeys(ConnectionSpec):
    """How weights are kept in bounds."""

    normalizeMethod: NormalizeMethod = key(..., "What of each patch is made equal to strength.")
    strength: Number = key(
        1.0, "The norm, sum, maximum or deviation of each patch; peak of Gauss2DWeight."
    )
    normalizeGroupName: Text = key(
        "",
        "Connection together with which patches are normalised.",
        when=When("normalizeMethod", ("normalizeGroup",)),
        needed=True,
    )
    normalizeArborsIndividually: Flag = key(False, "Each arbor on its own.", when=_OWN)
    normalizeOnInitialize: Flag = key(True, "At the start.", when=_OWN)
    normalizeOnWeightUpdate: Flag = key(True, "After each update.", when=_OWN)
    normalizeFromPostPerspective: Flag = key(
        False, "As seen from the post layer: times post over pre neurons.", when=_SCALES
    )
    rMinX: Number = key(
        0.0, "Half width of the centre that is set to 0.", unit="post neuron", when=_SCALES, ge=0
    )
    rMinY: Number = key(
        0.0, "Half height of the centre that is set to 0.", unit="post neuron", when=_SCALES, ge=0
    )
    nonnegativeConstraintFlag: Flag = key(False, "Set negative weights to 0.", when=_SCALES)
    normalize_cutoff: Number = key(
        0.0, "Set weights below this share of the largest to 0.", when=_SCALES, ge=0
    )
    minL2NormTolerated: Number = key(
        0.0, "Norm up to which a patch is left.", when=When("normalizeMethod", ("normalizeL2",))
    )
    minSumTolerated: Number = key(
        0.0,
        "Sum up to which a patch is left.",
        when=When("normalizeMethod", ("normalizeSum", "normalizeContrastZeroMean")),
    )
    minMaxTolerated: Number = key(
        0.0, "Maximum up to which a patch is left.", when=When("normalizeMethod", ("normalizeMax",))
    )


_PLASTIC = When("plasticityFlag", (True,))
_PERIODIC = (_PLASTIC, When("triggerLayerName", given=False))


class PlasticityKeys(ConnectionSpec):
    """When and how fast weights learn."""

    plasticityFlag: Flag = key(True, "Learn.")
    triggerLayerName: Name = key(None, "Layer whose updates trigger learning.", when=_PLASTIC)
    triggerOffset: Number = key(
        0.0,
        "How long before the trigger to learn.",
        unit="time",
        when=(_PLASTIC, When("triggerLayerName", given=True)),
        ge=0,
    )
    weightUpdatePeriod: Number = key(
        1.0, "Time between updates.", unit="time", when=_PERIODIC, needed=True, gt=0
    )
    initialWeightUpdateTime: Number = key(
        0.0, "Time of the first update.", unit="time", when=_PERIODIC
    )
    immediateWeightUpdate: Flag = key(
        True, "Apply a change at once, not at the next update.", when=_PLASTIC
    )
    dWMax: Number = key(0.0, "Learning rate.", when=_PLASTIC, needed=True)
    dWMaxDecayInterval: Integer = key(
        0, "Updates between decays of dWMax; 0: none.", unit="update", when=_PLASTIC, ge=0
    )
    dWMaxDecayFactor: Number = key(
        0.0, "Share of dWMax lost at each decay.", when=_PLASTIC, ge=0, lt=1
    )
    normalizeDw: Flag = key(True, "Average over occurrences instead of adding up.", when=_PLASTIC)
    combine_dW_with_W_flag: Flag = key(
        False, "Must be false: true would add the weights to themselves.", when=_PLASTIC
    )

    def check(self) -> None:
        """Changes are kept apart from the weights."""
        super().check()
        if self.combine_dW_with_W_flag:
            raise KeyProblem("combine_dW_with_W_flag", "must be false")
