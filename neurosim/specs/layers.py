"""The layer kinds."""

from __future__ import annotations

from typing import Any, Literal

from neurosim.specs.base import KeyProblem, When, key
from neurosim.specs.layer_keys import (
    ChannelKeys,
    InitVKeys,
    InputKeys,
    LayerSpec,
    OriginalGeometry,
    SelfInteractKeys,
    TimeConstantKeys,
    TransferKeys,
)
from neurosim.specs.values import (
    FLOAT_MAX,
    Flag,
    Integer,
    IntegerArray,
    Name,
    Number,
    Text,
    TextArray,
)

__all__ = [
    "ANNErrorLayer",
    "ANNLayer",
    "CloneVLayer",
    "ConstantLayer",
    "FilenameParsingLayer",
    "HyPerLCALayer",
    "HyPerLayer",
    "ISTALayer",
    "ImageLayer",
    "LeakyIntegrator",
    "MaskLayer",
    "MomentumLCALayer",
    "NameLayer",
    "PvpLayer",
    "RescaleLayer",
    "SigmoidLayer",
    "SparseSolverLayer",
]


class ImageLayer(InputKeys):
    """Images, one after the other: pixel / 255."""


class PvpLayer(InputKeys):
    """Frames of a .pvp file, one after the other."""


class HyPerLayer(ChannelKeys, InitVKeys):
    """The sum of its input channels: an error, a reconstruction."""


class ConstantLayer(InitVKeys):
    """A state that never changes."""


class ANNLayer(TransferKeys, ChannelKeys, InitVKeys):
    """The sum of its input channels through a transfer function."""


class ANNErrorLayer(TransferKeys, ChannelKeys, InitVKeys):
    """The scaled sum of its input channels through a transfer function."""

    errScale: Number = key(1.0, "Factor on the sum.")


class HyPerLCALayer(SelfInteractKeys, TransferKeys, ChannelKeys, InitVKeys):
    """A sparse code by the locally competitive algorithm (Rozell et al. 2008)."""


class MomentumLCALayer(SelfInteractKeys, TransferKeys, ChannelKeys, InitVKeys):
    """The locally competitive algorithm with momentum in the potential."""

    LCAMomentumRate: Number = key(0.0, "Share of the last increment that is added again.")


class ISTALayer(TimeConstantKeys, TransferKeys, ChannelKeys, InitVKeys):
    """A sparse code by iterated shrinkage."""


class SparseSolverLayer(TransferKeys, ChannelKeys, InitVKeys):
    """A sparse code by an accelerated solver that measures its own step; neurosim's own.

    Layers of this kind that drive each other are solved together. The threshold is one-sided
    and soft, and there is no time constant.
    """

    VThresh: Number = key(..., "Threshold, the price of activity.", gt=0)

    def derived_defaults(self) -> dict[str, Any]:
        """The threshold is soft."""
        return {**super().derived_defaults(), "AMin": 0.0, "AShift": self.VThresh}

    def check(self) -> None:
        """Only a one-sided soft threshold has the energy, or the rest, that is solved for."""
        super().check()
        only = "this solver has a one-sided soft threshold only; use HyPerLCALayer for others"
        wanted = {"AMin": 0.0, "AShift": self.VThresh, "VWidth": 0.0, "AMax": FLOAT_MAX}
        if self.verticesV:
            raise KeyProblem("verticesV", only)
        for name, value in wanted.items():
            if getattr(self, name) != value:
                raise KeyProblem(name, f"{name} = {getattr(self, name):g}; {only}")


class LeakyIntegrator(TransferKeys, ChannelKeys, InitVKeys):
    """A potential that leaks and adds up its input."""

    integrationTime: Number = key(FLOAT_MAX, "Time constant of the leak.", unit="time", gt=0)


class MaskLayer(TransferKeys, ChannelKeys, InitVKeys):
    """An ANNLayer that is set to zero where a mask says so."""

    maskMethod: Literal["layer", "invertLayer", "maskFeatures", "noMaskFeatures"] = key(
        ..., "What masks: a layer, or a list of features."
    )
    maskLayerName: Name = key(
        None,
        "The layer whose zeros (or non-zeros) are masked.",
        when=When("maskMethod", ("layer", "invertLayer")),
        needed=True,
    )
    featureIdxs: IntegerArray = key(
        (),
        "The features that are masked (or kept).",
        when=When("maskMethod", ("maskFeatures", "noMaskFeatures")),
        needed=True,
    )

    def check(self) -> None:
        """The named features exist."""
        super().check()
        if any(not 0 <= feature < self.nf for feature in self.featureIdxs):
            raise KeyProblem("featureIdxs", f"features run from 0 to nf - 1 = {self.nf - 1}")
        if self.reads("featureIdxs") and not self.featureIdxs:
            raise KeyProblem("featureIdxs", "names no feature")


class CloneVLayer(OriginalGeometry):
    """The membrane potential of another layer."""


class SigmoidLayer(OriginalGeometry):
    """A sigmoid of another layer's membrane potential."""

    Vrest: Number = key(-70.0, "Lower reference potential.")
    VthRest: Number = key(
        -55.0, "Upper reference potential; half-way between the two the activity is 1/2."
    )
    InverseFlag: Flag = key(False, "Fall from 1 to 0 instead of rising.")
    SigmoidFlag: Flag = key(True, "A true sigmoid; otherwise piecewise linear.")
    SigmoidAlpha: Number = key(
        0.1, "Steepness: the smaller, the steeper between the two potentials.", ge=0, le=1
    )


_MAXMIN = When("rescaleMethod", ("maxmin",))
_MEANSTD = When("rescaleMethod", ("meanstd", "pointmeanstd"))


class RescaleLayer(OriginalGeometry):
    """The activity of another layer, rescaled input by input."""

    rescaleMethod: Literal[
        "maxmin",
        "meanstd",
        "pointmeanstd",
        "pointResponseNormalization",
        "l2",
        "l2NoMean",
        "zerotonegative",
        "softmax",
        "logreg",
    ] = key(..., "What is made equal for all inputs.")
    targetMax: Number = key(1.0, "Largest value afterwards.", when=_MAXMIN)
    targetMin: Number = key(-1.0, "Least value afterwards.", when=_MAXMIN)
    targetMean: Number = key(0.0, "Mean afterwards.", when=_MEANSTD)
    targetStd: Number = key(1.0, "Standard deviation afterwards.", when=_MEANSTD)
    patchSize: Integer = key(
        1,
        "Number of values whose norm becomes 1.",
        when=When("rescaleMethod", ("l2", "l2NoMean")),
        ge=1,
    )


class FilenameParsingLayer(LayerSpec):
    """One feature per class, set where the class's text occurs in the input's file name."""

    inputLayerName: Text = key(..., "The input layer.", min_length=1)
    classList: Text = key("", "File with one class per line; empty: classes.txt in the results.")
    gtClassTrueValue: Number = key(1.0, "Activity of a class that occurs.")
    gtClassFalseValue: Number = key(-1.0, "Activity of the others.")


class NameLayer(LayerSpec):
    """A name as a grey picture of text, black 0, white 1."""

    labelSource: Name = key(None, "Input layer whose label is rendered as it is shown.")
    namesPath: Text = key(
        "",
        "File with one name per line, in the order of the inputs.",
        when=When("labelSource", given=False),
        needed=True,
    )
    displayPeriod: Number = key(
        0.0,
        "Time each name is shown; 0: for ever.",
        unit="time",
        when=When("labelSource", given=False),
    )
    points: Number = key(20.0, "Size of the type.", unit="point", gt=0)
    targetNames: TextArray = key((), "Labels whose names are shown; none: all.")
    blankFor: TextArray = key((), "Labels whose picture stays blank.")
    inverseFlag: Flag = key(False, "Dark text on light ground.")
    normalizeLuminanceFlag: Flag = key(
        False, "Normalise each picture to mean 0 and standard deviation 1; a blank one is 0."
    )
