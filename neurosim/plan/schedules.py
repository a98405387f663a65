"""When layers, weights and probes update."""

from __future__ import annotations

from typing import Any

from neurosim.network import Network
from neurosim.plan.operators import ALWAYS, Schedule

INPUTS = ("ImageLayer", "PvpLayer")


def steps(network: Network, time: float) -> int:
    """A duration in time units as a number of steps."""
    return round(time / network.model.column.dt)


def layer_schedule(network: Network, name: str) -> Schedule | None:
    """Steps at which a layer updates; None for a layer that never does.

    Raises
    ------
    NetworkError
        When trigger layers lead back to themselves.
    """
    seen = [name]
    offset = 0
    spec: Any = network.layers[name].spec
    while True:
        kind = type(spec).__name__
        if kind in INPUTS or (kind == "NameLayer" and not spec.labelSource):
            # A period shorter than a step is a step; no period is for ever.
            period = max(1, steps(network, spec.displayPeriod)) if spec.displayPeriod > 0 else 0
            return Schedule(1, period).shifted(offset)
        if kind == "ConstantLayer":
            return None
        if kind == "NameLayer":
            follow = spec.labelSource
        elif kind == "FilenameParsingLayer":
            follow = spec.inputLayerName
        else:
            follow = getattr(spec, "triggerLayerName", None)
            if not follow or spec.triggerBehavior != "updateOnlyOnTrigger":
                return ALWAYS
            offset += steps(network, getattr(spec, "triggerOffset", 0.0))
        if follow in seen:
            raise network.model.error(
                name, "triggers lead back to themselves: " + " -> ".join([*seen, follow])
            )
        seen.append(follow)
        spec = network.layers[follow].spec


def trigger_schedule(network: Network, spec: Any) -> Schedule | None:
    """Steps at which the trigger of ``spec`` fires; None without a trigger."""
    trigger = getattr(spec, "triggerLayerName", None)
    if not trigger:
        return None
    schedule = layer_schedule(network, trigger)
    if schedule is None:
        return None
    return schedule.shifted(steps(network, getattr(spec, "triggerOffset", 0.0)))


def update_schedule(network: Network, spec: Any) -> Schedule | None:
    """Steps at which the weights of a connection update; None when never."""
    if not spec.plasticityFlag:
        return None
    if getattr(spec, "triggerLayerName", None):
        return trigger_schedule(network, spec)
    every = max(1, steps(network, spec.weightUpdatePeriod))
    # PetaVision counts periods from initialWeightUpdateTime in both directions.
    return Schedule(steps(network, spec.initialWeightUpdateTime) % every or every, every)
