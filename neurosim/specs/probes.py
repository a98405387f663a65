"""The probe kinds."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from neurosim.specs.base import Spec, When, key
from neurosim.specs.values import Flag, Name, Number, Text, folded

__all__ = [
    "AdaptiveTimeScaleProbe",
    "ColumnEnergyProbe",
    "FirmThresholdCostFnLCAProbe",
    "FirmThresholdCostFnProbe",
    "KneeTimeScaleProbe",
    "L0NormLCAProbe",
    "L0NormProbe",
    "L1NormLCAProbe",
    "L1NormProbe",
    "L2NormProbe",
    "LogTimeScaleProbe",
    "QuotientProbe",
    "RequireAllZeroActivityProbe",
    "StatsProbe",
]


class ProbeSpec(Spec):
    """Any probe: when it looks, and whether what it sees is kept."""

    category: ClassVar[str] = "probe"

    textOutputFlag: Flag = key(True, "Keep the values in the results.")
    triggerLayerName: Name = key(None, "Layer at whose updates the probe looks; none: each step.")
    triggerOffset: Number = key(
        0.0,
        "How long before the trigger to look.",
        unit="time",
        when=When("triggerLayerName", given=True),
        ge=0,
    )


class EnergyKeys(ProbeSpec):
    """A probe that can be a term of a ColumnEnergyProbe."""

    energyProbe: Name = key(None, "The ColumnEnergyProbe this is a term of.")


class CoefficientKeys(EnergyKeys):
    """A term of an energy with a coefficient of its own."""

    coefficient: Number = key(1.0, "Factor of the term.", when=When("energyProbe", given=True))


class TargetKeys(ProbeSpec):
    """A probe of one layer."""

    targetLayer: Text = key(..., "The layer that is looked at.", min_length=1)


class NormKeys(TargetKeys):
    """A norm of a layer's activity, one value per batch element."""

    maskLayerName: Name = key(None, "Layer outside whose non-zeros the activity is left out.")


class ColumnEnergyProbe(CoefficientKeys):
    """The sum of the probes that name it as their energyProbe."""


class L2NormProbe(NormKeys, CoefficientKeys):
    """The Euclidean norm of the activity, to a power."""

    exponent: Number = key(1.0, "Power of the norm; 2 gives the sum of squares.", ge=0, le=8)


class L1NormProbe(NormKeys, CoefficientKeys):
    """The sum of the absolute activity."""


class L0NormProbe(NormKeys, CoefficientKeys):
    """The number of active neurons."""

    nnzThreshold: Number = key(0.0, "Activity up to which a neuron counts as silent.", ge=0)


class L1NormLCAProbe(NormKeys, EnergyKeys):
    """The sum of the absolute activity; its coefficient is the target's VThresh."""


class L0NormLCAProbe(NormKeys, EnergyKeys):
    """The number of neurons above the target's VThresh; its coefficient is VThresh**2 / 2."""


class FirmThresholdCostFnProbe(NormKeys, CoefficientKeys):
    """The cost whose minimum a firm threshold finds."""

    VThresh: Number = key(0.0, "Threshold of the cost.")
    VWidth: Number = key(0.0, "Width of the transition.", ge=0)


class FirmThresholdCostFnLCAProbe(NormKeys, EnergyKeys):
    """The firm-threshold cost with VThresh and VWidth of the target."""


class StatsProbe(TargetKeys):
    """Least, largest, mean, deviation and number of active neurons of a layer."""

    buffer: Annotated[
        Literal["Activity", "MembranePotential"],
        folded(
            a="Activity",
            activity="Activity",
            v="MembranePotential",
            membranepotential="MembranePotential",
        ),
    ] = key("Activity", "What is looked at.")
    nnzThreshold: Number = key(0.0, "Value up to which a neuron counts as silent.", ge=0)


class RequireAllZeroActivityProbe(TargetKeys):
    """Fails the run when a neuron of the layer is active."""

    nnzThreshold: Number = key(0.0, "Activity up to which a neuron counts as silent.", ge=0)
    exitOnFailure: Flag = key(True, "End with an error.")
    immediateExitOnFailure: Flag = key(
        True, "End at once, not at the end of the run.", when=When("exitOnFailure", (True,))
    )


class QuotientProbe(ProbeSpec):
    """The quotient of two probes."""

    numerator: Text = key(..., "Probe above the line.", min_length=1)
    denominator: Text = key(..., "Probe below the line.", min_length=1)


class AdaptiveTimeScaleProbe(ProbeSpec):
    """A time scale for each batch element, from how fast its energy falls."""

    targetName: Text = key(..., "The probe whose energy is watched.", min_length=1)
    baseMax: Number = key(1.0, "Largest time scale after an input has changed.")
    baseMin: Number = key(1.0, "Least time scale.")
    tauFactor: Number = key(1.0, "Factor on the energy's time constant.")
    growthFactor: Number = key(1.0, "Growth of the largest time scale each time it is reached.")


class KneeTimeScaleProbe(AdaptiveTimeScaleProbe):
    """An adaptive time scale whose growth bends at a threshold."""

    kneeThresh: Number = key(1.0, "Time scale at which the growth changes.")
    kneeSlope: Number = key(1.0, "Factor on the growth above it.")


class LogTimeScaleProbe(AdaptiveTimeScaleProbe):
    """An adaptive time scale whose growth slows down logarithmically."""

    logThresh: Number = key(1024.0, "Time scale at which the growth has slowed by logSlope.")
    logSlope: Number = key(1.0, "Growth left at logThresh.")
