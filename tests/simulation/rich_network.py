"""One network with everything that has a memory: delays, momentum, triggers, adaptive steps."""

from __future__ import annotations

from tests.backends.nets import code, column, group, join, linear, plastic, weights


def rich_text(nbatch: int, learn: bool = True) -> str:
    """Needs frames.pvp with 8 x 8 x 3 frames beside it."""
    level = {"nxScale": 0.5, "nyScale": 0.5}
    return "".join([
        column(8, 8, nbatch),
        group("PvpLayer", "In", nf=3, inputPath="frames.pvp", displayPeriod=7, mirrorBCflag=True),
        linear("Error"), linear("Recon", phase=3),
        code("V", kind="MomentumLCALayer", LCAMomentumRate=0.3, timeConstantTau=9,
             adaptiveTimeScaleProbe="Scale", **level),
        join("IdentConn", "InToError"), join("IdentConn", "ReconToError", 1),
        plastic("VToRecon", 4, kind="MomentumConn", momentumMethod="simple", timeConstantTau=0.4,
                triggerLayerName="In", triggerOffset=1, normalizeMethod="normalizeL2",
                dWMaxDecayInterval=1, dWMaxDecayFactor=0.3, plasticityFlag=learn),
        join("TransposeConn", "ErrorToV", originalConnName="VToRecon"),
        linear("Late", nf=4, phase=3, **level), join("IdentConn", "VToLate", delay=[3]),
        linear("Held", nf=4, phase=4, triggerLayerName="In", triggerOffset=2, **level),
        join("IdentConn", "LateToHeld"),
        code("Reset", nf=2, phase=3, triggerLayerName="In", timeConstantTau=20,
             triggerBehavior="resetStateOnTrigger", triggerResetLayerName="Zero"),
        group("ConstantLayer", "Zero", nf=2, InitVType="ZeroV"),
        plastic("InToReset", 3, weightUpdatePeriod=4, immediateWeightUpdate=False,
                numAxonalArbors=2, delay=[0, 2], plasticityFlag=learn),
        weights("InToReset2", 3, kind="HyPerConn", preLayerName="In", postLayerName="Reset",
                channelCode=1),
        group("ColumnEnergyProbe", "Energy"),
        group("L2NormProbe", "L2", targetLayer="Error", exponent=2, coefficient=0.5,
              energyProbe="Energy"),
        group("L1NormProbe", "L1", targetLayer="V", coefficient=0.1, energyProbe="Energy"),
        group("StatsProbe", "Stats", targetLayer="Reset"),
        group("AdaptiveTimeScaleProbe", "Scale", targetName="Energy", baseMax=0.5, baseMin=0.3,
              tauFactor=0.2, growthFactor=0.1, triggerLayerName="In"),
    ])  # fmt: skip
