"""The connection kinds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from neurosim.specs.base import KeyProblem, When, key
from neurosim.specs.connection_keys import (
    AccumulateKeys,
    ConnectionSpec,
    NormalizeKeys,
    OriginalConnKeys,
    PatchKeys,
    PlasticityKeys,
    WeightInitKeys,
)
from neurosim.specs.values import Flag, Integer, Name, Number, OptionalNumber, folded

__all__ = [
    "CloneConn",
    "CopyConn",
    "FeedbackConn",
    "HyPerConn",
    "IdentConn",
    "MomentumConn",
    "PlasticCloneConn",
    "PoolingConn",
    "RescaleConn",
    "TransposeConn",
]

_PLASTIC = When("plasticityFlag", (True,))
_DEFAULT_TAU = {"viscosity": 100.0, "simple": 0.25, "alex": 0.9}


class HyPerConn(PlasticityKeys, NormalizeKeys, WeightInitKeys, PatchKeys, AccumulateKeys):
    """Weights that learn by the product of pre and post activity."""


class MomentumConn(PlasticityKeys, NormalizeKeys, WeightInitKeys, PatchKeys, AccumulateKeys):
    """Weights that learn by the product of pre and post activity, with momentum."""

    momentumMethod: Literal["viscosity", "simple", "alex"] = key(
        "viscosity", "How earlier changes go on.", when=_PLASTIC, needed=True
    )
    timeConstantTau: Number = key(
        100.0,
        "Updates over which a change fades (viscosity; 100 if absent), or the share that goes on "
        "(simple 0.25, alex 0.9); new changes count 1 minus that share.",
        when=(_PLASTIC, When("momentumTau", given=False)),
        ge=0,
    )
    momentumTau: OptionalNumber = key(
        None,
        "As timeConstantTau, but new changes count in full: the rule of older files.",
        when=_PLASTIC,
        ge=0,
    )
    momentumDecay: Number = key(0.0, "Decay of the weights.", when=_PLASTIC, ge=0, le=1)
    initPrev_dWFile: Name = key(None, "File with the change before the first.", when=_PLASTIC)
    prev_dWFrameNumber: Integer = key(
        0,
        "Frame of the file.",
        when=(_PLASTIC, When("initPrev_dWFile", given=True)),
        ge=0,
    )

    def derived_defaults(self) -> dict[str, Any]:
        """The time constant depends on the method."""
        return {**super().derived_defaults(), "timeConstantTau": _DEFAULT_TAU[self.momentumMethod]}

    def check(self) -> None:
        """A share is below 1; only one of the two rules is asked for."""
        super().check()
        if self.momentumTau is not None and "timeConstantTau" in self.model_fields_set:
            raise KeyProblem(
                "momentumTau", "contradicts timeConstantTau; keep the one whose rule is meant"
            )
        share = self.momentumMethod != "viscosity" and self.reads("timeConstantTau")
        if share and self.timeConstantTau >= 1:
            raise KeyProblem(
                "timeConstantTau", f'must be < 1 for momentumMethod "{self.momentumMethod}"'
            )


class TransposeConn(OriginalConnKeys, AccumulateKeys):
    """The weights of another connection, in the other direction."""


class CloneConn(OriginalConnKeys, AccumulateKeys):
    """The weights of another connection, between other layers."""


class FeedbackConn(OriginalConnKeys, AccumulateKeys):
    """The weights of another connection, back from its post to its pre layer."""


class PlasticCloneConn(OriginalConnKeys, AccumulateKeys):
    """The weights of another connection, which learn from these layers too."""


class CopyConn(NormalizeKeys, OriginalConnKeys, AccumulateKeys):
    """A copy of another connection's weights, normalised on its own."""


class IdentConn(ConnectionSpec):
    """The pre activity as it is."""


class RescaleConn(ConnectionSpec):
    """The pre activity times a factor."""

    scale: Number = key(1.0, "The factor.")


class PoolingConn(PatchKeys):
    """The largest, summed or mean activity of a patch."""

    pvpatchAccumulateType: Annotated[
        Literal["maxpooling", "sumpooling", "avgpooling"],
        folded(
            **{
                f"{what}{gap}pooling": f"{what}pooling"
                for what in ("max", "sum", "avg")
                for gap in ("", "_", " ")
            }
        ),
    ] = key(..., "What of the patch is taken.")
    updateGSynFromPostPerspective: Flag = key(
        False,
        "Discard what earlier connections put on the channel, as maxpooling always does.",
        when=When("pvpatchAccumulateType", ("sumpooling", "avgpooling")),
    )
