"""Keys that several layer kinds share: geometry, initial state, channels, transfer, input."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from neurosim.specs.base import KeyProblem, Spec, When, key
from neurosim.specs.values import (
    FLOAT_MAX,
    Flag,
    Integer,
    IntegerArray,
    Name,
    Number,
    NumberArray,
    Text,
    folded,
)

_TRIGGERED = When("triggerLayerName", given=True)


class LayerSpec(Spec):
    """Any layer: its size relative to the column, its place in the step, its output."""

    category: ClassVar[str] = "layer"

    nxScale: Number = key(1.0, "Width relative to the column's nx.", gt=0)
    nyScale: Number = key(1.0, "Height relative to the column's ny.", gt=0)
    nf: Integer = key(1, "Features at each position.", unit="feature", ge=1)
    phase: Integer = key(0, "Order of update within a step.", ge=0)
    mirrorBCflag: Flag = key(False, "Fill the margins by reflection, edge included.")
    valueBC: Number = key(0.0, "Value of the margins.", when=When("mirrorBCflag", (False,)))
    sparseLayer: Flag = key(False, "Store the activity as index and value pairs.")
    writeStep: Number = key(
        0.0, "Time between output frames; 0: every step, negative: never.", unit="time"
    )
    initialWriteTime: Number = key(0.0, "Time of the first output frame.", unit="time")
    triggerLayerName: Name = key(None, "Layer whose updates gate or reset this one.")
    triggerOffset: Number = key(
        0.0, "How long before the trigger to act.", unit="time", when=_TRIGGERED, ge=0
    )
    triggerBehavior: Literal["updateOnlyOnTrigger", "resetStateOnTrigger", "ignore"] = key(
        "updateOnlyOnTrigger", "What the trigger does.", when=_TRIGGERED
    )
    triggerResetLayerName: Name = key(
        None,
        "Layer whose state is copied at a reset; none: the trigger layer.",
        when=(_TRIGGERED, When("triggerBehavior", ("resetStateOnTrigger",))),
    )
    initializeFromCheckpointFlag: Flag = key(
        True, "Take part in the column's initializeFromCheckpointDir."
    )

    def check(self) -> None:
        """A layer cannot be its own trigger."""
        if self.triggerLayerName == self.name:
            raise KeyProblem("triggerLayerName", "a layer cannot trigger itself")


class OriginalGeometry(LayerSpec):
    """A layer shaped as another one, which it reads directly."""

    originalLayerName: Text = key(..., "The layer that is read.", min_length=1)
    nxScale: Number = key(0.0, "Width relative to the column's nx; 0: as the original.", ge=0)
    nyScale: Number = key(0.0, "Height relative to the column's ny; 0: as the original.", ge=0)
    nf: Integer = key(0, "Features; 0: as the original.", unit="feature", ge=0)


class InitVKeys(LayerSpec):
    """The membrane potential at the start."""

    InitVType: Literal[
        "ConstantV",
        "ZeroV",
        "UniformRandomV",
        "GaussianRandomV",
        "DiscreteUniformRandomV",
        "InitVFromFile",
    ] = key("ConstantV", "How the potential starts.")
    valueV: Number = key(-70.0, "Starting potential.", when=When("InitVType", ("ConstantV",)))
    minV: Number = key(
        0.0,
        "Least starting potential.",
        when=When("InitVType", ("UniformRandomV", "DiscreteUniformRandomV")),
    )
    maxV: Number = key(
        1.0,
        "Largest starting potential; minV + 1 if absent.",
        when=When("InitVType", ("UniformRandomV", "DiscreteUniformRandomV")),
    )
    numValues: Integer = key(
        2,
        "Number of equally spaced starting potentials.",
        when=When("InitVType", ("DiscreteUniformRandomV",)),
        ge=2,
    )
    meanV: Number = key(
        0.0, "Mean starting potential.", when=When("InitVType", ("GaussianRandomV",))
    )
    sigmaV: Number = key(
        1.0,
        "Standard deviation of the starting potential.",
        when=When("InitVType", ("GaussianRandomV",)),
        ge=0,
    )
    Vfilename: Text = key(
        "", "File with the potential.", when=When("InitVType", ("InitVFromFile",)), needed=True
    )
    frameNumber: Integer = key(
        0, "Frame of the file.", when=When("InitVType", ("InitVFromFile",)), ge=0
    )

    def derived_defaults(self) -> dict[str, Any]:
        """maxV follows minV."""
        return {**super().derived_defaults(), "maxV": self.minV + 1.0}

    def check(self) -> None:
        """The interval of starting potentials is not empty."""
        super().check()
        if self.maxV < self.minV:
            raise KeyProblem("maxV", f"maxV = {self.maxV:g} is less than minV = {self.minV:g}")


class ChannelKeys(LayerSpec):
    """How the input channels are summed: + excitatory (0), - inhibitory (1) unless told."""

    channelIndices: IntegerArray = key((), "Channels with a coefficient of their own.")
    channelCoefficients: NumberArray = key(
        (), "Their coefficients.", when=When("channelIndices", given=True), needed=True
    )

    def check(self) -> None:
        """Each channel has one coefficient."""
        super().check()
        if len(self.channelIndices) != len(self.channelCoefficients):
            raise KeyProblem(
                "channelCoefficients",
                f"{len(self.channelCoefficients)} coefficients for "
                f"{len(self.channelIndices)} channelIndices",
            )


_THRESHOLD = When("verticesV", given=False)
_VERTICES = When("verticesV", given=True)


class TransferKeys(LayerSpec):
    """The transfer function from potential to activity, by threshold or by vertices."""

    verticesV: NumberArray = key((), "Potentials of a piecewise linear transfer function.")
    verticesA: NumberArray = key((), "Activities at verticesV.", when=_VERTICES, needed=True)
    slopeNegInf: Number = key(1.0, "Slope left of the first vertex.", when=_VERTICES)
    slopePosInf: Number = key(1.0, "Slope right of the last vertex.", when=_VERTICES)
    VThresh: Number = key(-FLOAT_MAX, "Threshold of the potential.", when=_THRESHOLD)
    AMin: Number = key(
        -FLOAT_MAX, "Activity below the threshold; VThresh if absent.", when=_THRESHOLD
    )
    AMax: Number = key(FLOAT_MAX, "Largest activity.", when=_THRESHOLD)
    AShift: Number = key(0.0, "Taken from the potential above the threshold.", when=_THRESHOLD)
    VWidth: Number = key(0.0, "Width of the linear rise above the threshold.", when=_THRESHOLD)
    writePotential: Flag = key(False, "Write the membrane potential beside the activity.")

    def derived_defaults(self) -> dict[str, Any]:
        """AMin follows VThresh."""
        return {**super().derived_defaults(), "AMin": self.VThresh}

    def check(self) -> None:
        """The vertices match and do not run backwards."""
        super().check()
        if len(self.verticesV) != len(self.verticesA):
            raise KeyProblem(
                "verticesA", f"{len(self.verticesA)} values for {len(self.verticesV)} verticesV"
            )
        if any(b < a for a, b in zip(self.verticesV, self.verticesV[1:], strict=False)):
            raise KeyProblem("verticesV", "must not decrease")


class TimeConstantKeys(LayerSpec):
    """The leak of a sparse-coding layer and the probe that stretches its time step."""

    timeConstantTau: Number = key(1.0, "Time constant of the leak.", unit="time", gt=0)
    adaptiveTimeScaleProbe: Name = key(None, "Probe that sets the time scale of each input.")


class SelfInteractKeys(TimeConstantKeys):
    """The self-interaction of the locally competitive algorithm."""

    selfInteract: Flag = key(True, "Add the own activity back to the drive.")


_TURNED = {f"{b}{a}": f"{a}{b}" for a in "tcb" for b in "lcr"}
Anchor = Annotated[
    Literal["tl", "tc", "tr", "cl", "cc", "cr", "bl", "bc", "br"],
    folded(**_TURNED, **{f"{a}{b}": f"{a}{b}" for a in "tcb" for b in "lcr" if a + b != "cc"}),
]
BatchMethod = Annotated[
    Literal["byFile", "byList", "bySpecified", "random"],
    folded(byimage="byFile", bymovie="byList", byfile="byFile", bylist="byList"),
]
JitterUnit = Annotated[
    Literal["displayPeriod", "timestep"], folded(displayperiod="displayPeriod", timestep="timestep")
]
AspectRatio = Annotated[Literal["crop", "pad"], folded(crop="crop", pad="pad")]
Interpolation = Annotated[
    Literal["bicubic", "nearestneighbor"],
    folded(bicubic="bicubic", nearestneighbor="nearestneighbor"),
]
_JITTERS = When("jitterChangeInterval", positive=True)
_RESIZES = When("autoResizeFlag", (True,))
_BY_NUMBERS = When("batchMethod", ("bySpecified",))


class InputKeys(LayerSpec):
    """What is shown, for how long, and how it is fitted to the layer."""

    inputPath: Text = key(
        ...,
        "An image or .pvp file, a list file, a folder, an HDF5 file or an embedded data set "
        '("synthetic-faces").',
        min_length=1,
    )
    displayPeriod: Number = key(0.0, "Time each input is shown; 0: for ever.", unit="time")
    batchMethod: BatchMethod = key("byFile", "How the batch shares the inputs.")
    start_frame_index: IntegerArray = key((), "First input of each batch element.")
    skip_frame_index: IntegerArray = key(
        (), "Inputs each batch element advances by.", when=_BY_NUMBERS
    )
    resetToStartOnLoop: Flag = key(
        False, "Start over at start_frame_index instead of 0.", when=_BY_NUMBERS
    )
    randomSeed: Integer = key(
        123456789, "Seed of the random order.", when=When("batchMethod", ("random",)), ge=0
    )
    offsetAnchor: Anchor = key("tl", "Corner or edge the input is held by.")
    offsetX: Integer = key(0, "Shift of the input to the left.", unit="pixel")
    offsetY: Integer = key(0, "Shift of the input upwards.", unit="pixel")
    zoom: Number = key(
        1.0, "Enlarge the input around its middle; below 1, its edge is repeated.", ge=0.5, le=2
    )
    jitterChangeInterval: Integer = key(0, "Displays (or steps) between random changes; 0: none.")
    jitterChangeIntervalUnit: JitterUnit = key("displayPeriod", "What it counts.", when=_JITTERS)
    maxShiftX: Integer = key(0, "Largest random shift.", unit="pixel", when=_JITTERS, ge=0)
    maxShiftY: Integer = key(0, "Largest random shift.", unit="pixel", when=_JITTERS, ge=0)
    maxZoom: Number = key(
        1.0, "Largest random enlargement; 1 / maxZoom is the least.", when=_JITTERS, ge=1, le=2
    )
    xFlipEnabled: Flag = key(False, "Mirror at random from left to right.", when=_JITTERS)
    yFlipEnabled: Flag = key(False, "Mirror at random from top to bottom.", when=_JITTERS)
    xFlipToggle: Flag = key(False, "Mirror every other time instead.", when=_JITTERS)
    yFlipToggle: Flag = key(False, "Mirror every other time instead.", when=_JITTERS)
    autoResizeFlag: Flag = key(False, "Resize the input to the layer instead of cropping.")
    aspectRatioAdjustment: AspectRatio = key("crop", "What to do with excess.", when=_RESIZES)
    interpolationMethod: Interpolation = key("bicubic", "How pixels are resampled.", when=_RESIZES)
    inverseFlag: Flag = key(False, "Turn light into dark.")
    whiteningExponent: Number = key(
        0.0,
        "Multiply gratings of f cycles per pixel by (2 f)^whiteningExponent; 1 flattens the "
        "spectrum of natural images, 0: not.",
        ge=0,
        le=2,
    )
    whiteningCutoff: Number = key(
        0.0,
        "Multiply them by exp(-(f / whiteningCutoff)^4) as well; 0: not.",
        unit="cycle/pixel",
        ge=0,
        le=1,
    )
    normalizeLuminanceFlag: Flag = key(False, "Normalise each input.")
    normalizeStdDev: Flag = key(
        True,
        "To mean 0 and standard deviation 1; otherwise to the range 0 to 1.",
        when=When("normalizeLuminanceFlag", (True,)),
    )
    useInputBCflag: Flag = key(False, "Let the input fill the margins; true is refused.")
    padValue: Number = key(0.0, "Value where the input does not reach.")
    subtractMean: Flag = key(
        False, "Subtract the mean over all inputs, pixel by pixel, before normalising."
    )
    convergenceTolerance: Number = key(
        0.0,
        "End a display once the energy's relative change per step stays below this: time then "
        "jumps to the last step of the display, at which output and learning happen as always; "
        "0: never.",
        ge=0,
    )
    convergenceProbe: Name = key(
        None,
        "Probe whose energy is watched; none: the only ColumnEnergyProbe.",
        when=When("convergenceTolerance", positive=True),
    )
    convergenceWindow: Integer = key(
        10,
        "Steps for which the change must stay below the tolerance.",
        unit="step",
        when=When("convergenceTolerance", positive=True),
        ge=1,
    )

    def check(self) -> None:
        """An input keeps its own time."""
        super().check()
        if self.triggerLayerName is not None:
            raise KeyProblem("triggerLayerName", "an input layer cannot be triggered")
