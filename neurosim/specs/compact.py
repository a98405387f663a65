"""The compact form: a level of a (deep) sparse code in one group."""

from __future__ import annotations

from typing import ClassVar, Literal

from neurosim.specs.base import KeyProblem, Spec, When, key
from neurosim.specs.values import (
    FLOAT_MAX,
    Flag,
    Integer,
    IntegerArray,
    Name,
    Number,
    NumberArray,
    TextArray,
)

__all__ = ["SparseCoding"]

_PATCHED = When("wholeField", (False,))
_DYNAMICS = When("layerKind", ("HyPerLCALayer", "MomentumLCALayer", "ISTALayer"))
_LEARNS = When("learn", (True,))
_UNIFORM = When("weightInitType", ("UniformRandomWeight",))
_SQUARED = (_PATCHED, When("patchSize", given=False))
_STRIDDEN = (_PATCHED, When("stride", given=False))


class SparseCoding(Spec):
    """A sparse code of one or several layers; it stands for the plain groups it expands to.

    Around the layer of this name it makes, for each coded layer X, the error XError, the
    reconstruction XRecon, the dictionary and its three connections, and, where X is itself
    a sparse code, the feedback from XError to X. Values for several coded layers are
    arrays, one value each; a single value holds for all.
    """

    category: ClassVar[str] = "compact"

    codes: TextArray = key(..., "The layers that are coded.", min_length=1)
    wholeField: Flag = key(False, "One position that sees the coded layers whole.")
    patchSize: IntegerArray = key(
        (), "Width and height of a patch.", unit="coded neuron", when=_PATCHED
    )
    patchSizeX: IntegerArray = key((), "Width of a patch.", unit="coded neuron", when=_SQUARED)
    patchSizeY: IntegerArray = key((), "Height of a patch.", unit="coded neuron", when=_SQUARED)
    stride: IntegerArray = key((), "Distance of patches.", unit="coded neuron", when=_PATCHED)
    strideX: IntegerArray = key((), "Distance of patches.", unit="coded neuron", when=_STRIDDEN)
    strideY: IntegerArray = key((), "Distance of patches.", unit="coded neuron", when=_STRIDDEN)
    features: Integer = key(..., "Size of the dictionary.", unit="feature", ge=1)
    layerKind: Literal["HyPerLCALayer", "MomentumLCALayer", "ISTALayer", "SparseSolverLayer"] = key(
        "HyPerLCALayer", "The dynamics, or the accelerated solver."
    )
    VThresh: Number = key(..., "Threshold, the price of activity.", gt=0)
    threshold: Literal["soft", "hard", "firm"] = key("soft", "What is done above the threshold.")
    AMin: Number = key(0.0, "Activity below the threshold.")
    AMax: Number = key(FLOAT_MAX, "Largest activity.")
    AShift: Number = key(0.0, "Taken from the potential; VThresh if absent and soft.")
    VWidth: Number = key(0.0, "Width of the linear rise; VThresh if absent and firm.")
    timeConstantTau: Number = key(
        100.0, "Time constant of the leak.", unit="time", when=_DYNAMICS, gt=0
    )
    selfInteract: Flag = key(
        True,
        "Add the own activity back to the drive.",
        when=When("layerKind", ("HyPerLCALayer", "MomentumLCALayer")),
    )
    selfInhibition: Number = key(
        0.0,
        "Inhibition of each neuron by itself, in its activity; half of it times the square of the "
        "activity is added to the energy (an elastic net).",
        ge=0,
    )
    LCAMomentumRate: Number = key(
        0.0, "Momentum of the potential.", when=When("layerKind", ("MomentumLCALayer",))
    )
    adaptiveTimeScaleProbe: Name = key(
        None, "Probe that sets the time scale of each input.", when=_DYNAMICS
    )
    valueV: Number = key(0.0, "Starting potential; VThresh if absent, 0 for the solver.")
    feedback: Literal["potential", "activity", "none"] = key(
        "potential",
        "What of a sparse code below is reconstructed, and pulled by the error; "
        "none: the activity, without the pull.",
    )
    sparseLayer: Flag = key(True, "Store the activity as index and value pairs.")
    writeStep: Number = key(
        0.0, "Time between output frames; 0: every step, negative: never.", unit="time"
    )
    initialWriteTime: Number = key(
        0.0, "Time of the first output frame, also of errors and reconstructions.", unit="time"
    )
    errorWriteStep: Number = key(-1.0, "writeStep of the errors.", unit="time")
    reconWriteStep: Number = key(-1.0, "writeStep of the reconstructions.", unit="time")
    inputScale: NumberArray = key(
        (), "Factor on a coded input; 1 / sqrt(values in a patch) if absent."
    )
    weightInitType: Literal["UniformRandomWeight", "GaussianRandomWeight", "FileWeight"] = key(
        "UniformRandomWeight", "How the dictionaries start."
    )
    wMinInit: Number = key(-1.0, "Least weight.", when=_UNIFORM)
    wMaxInit: Number = key(1.0, "Largest weight.", when=_UNIFORM)
    sparseFraction: Number = key(0.9, "Share of zero weights.", when=_UNIFORM, ge=0, le=1)
    initWeightsFile: TextArray = key((), "File of each dictionary, whatever weightInitType.")
    frameNumber: Integer = key(
        0, "Frame of the files.", when=When("initWeightsFile", given=True), ge=0
    )
    normalizeMethod: Literal["none", "normalizeL2", "normalizeSum", "normalizeMax"] = key(
        "normalizeL2", "What of each element is made equal to strength."
    )
    strength: Number = key(1.0, "The norm (sum, maximum) of each element.")
    normalizeTogether: Flag = key(
        False,
        "One norm for the weights of an element to all coded layers, not one for each layer.",
        when=When("normalizeMethod", ("normalizeL2", "normalizeSum", "normalizeMax")),
    )
    unnormalized: TextArray = key(
        (),
        "Coded layers whose weights start at 0 and keep no norm: what they show is attached to "
        "elements whose size the other layers set.",
    )
    learn: Flag = key(True, "Learn the dictionaries.")
    dWMax: Number = key(0.0, "Learning rate.", when=_LEARNS, needed=True)
    dWMaxDecayInterval: Integer = key(
        0, "Updates between decays of dWMax; 0: none.", unit="update", when=_LEARNS, ge=0
    )
    dWMaxDecayFactor: Number = key(
        0.0, "Share of dWMax lost at each decay.", when=_LEARNS, ge=0, lt=1
    )
    momentumMethod: Literal["viscosity", "simple", "alex"] = key(
        "viscosity", "How earlier changes go on.", when=_LEARNS
    )
    momentumTimeConstant: Number = key(
        100.0,
        "timeConstantTau of the learning rule; 0.25 (simple) or 0.9 (alex) if absent.",
        unit="update",
        when=_LEARNS,
        ge=0,
    )
    momentumDecay: Number = key(0.0, "Decay of the weights.", when=_LEARNS, ge=0, le=1)
    normalizeDw: Flag = key(True, "Average over occurrences instead of adding up.", when=_LEARNS)
    triggerLayerName: Name = key(
        None, "Layer whose updates trigger learning; none: the input at the bottom.", when=_LEARNS
    )
    triggerOffset: Number = key(
        1.0, "How long before the trigger to learn.", unit="time", when=_LEARNS, ge=0
    )
    energy: Name = key(
        None, "ColumnEnergyProbe to which errors and activities are added; made if absent."
    )

    def derived_defaults(self) -> dict[str, object]:
        """The shape of the threshold, the start and the momentum follow from other keys."""
        taus = {"viscosity": 100.0, "simple": 0.25, "alex": 0.9}
        return {
            **super().derived_defaults(),
            "AShift": self.VThresh if self.threshold == "soft" else 0.0,
            "VWidth": self.VThresh if self.threshold == "firm" else 0.0,
            "valueV": 0.0 if self.layerKind == "SparseSolverLayer" else self.VThresh,
            "momentumTimeConstant": taus[self.momentumMethod],
        }

    def check(self) -> None:
        """Patch and stride are given; arrays have one value, or one for each coded layer."""
        for name in () if self.wholeField else ("patchSize", "stride"):
            if not getattr(self, name):
                for axis in "XY":
                    if not getattr(self, name + axis):
                        other = getattr(self, name + "YX"["XY".index(axis)])
                        raise KeyProblem(name + axis if other else name, "missing")
        for name in ("patchSize", "patchSizeX", "patchSizeY", "stride", "strideX", "strideY"):
            if any(value < 1 for value in getattr(self, name)):
                raise KeyProblem(name, "must be >= 1")
        for name in (
            *("patchSize", "patchSizeX", "patchSizeY", "stride", "strideX", "strideY"),
            *("inputScale", "initWeightsFile"),
        ):
            count = len(getattr(self, name))
            several = count != 1 or name == "initWeightsFile"
            if count and several and count != len(self.codes):
                raise KeyProblem(name, f"has {count} values for {len(self.codes)} coded layers")
        if not set(self.unnormalized) < set(self.codes):
            raise KeyProblem("unnormalized", "must name some of the coded layers, not all")
        if len(set(self.codes)) < len(self.codes) or self.name in self.codes:
            raise KeyProblem("codes", "must name other layers, each once")
        if self.weightInitType == "FileWeight" and not self.initWeightsFile:
            raise KeyProblem("initWeightsFile", "missing")

    @property
    def normalized(self) -> tuple[str, ...]:
        """The coded layers to which weights have a norm."""
        return tuple(name for name in self.codes if name not in self.unnormalized)

    def each(self, name: str) -> tuple[float, ...]:
        """Return one value of an array key for each coded layer; empty where not given."""
        values: tuple[float, ...] = getattr(self, name)
        return values * len(self.codes) if len(values) == 1 else values
