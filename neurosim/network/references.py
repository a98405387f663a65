"""Names in one object that must be names of another."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from neurosim.network.geometry import LayerShape
from neurosim.specs import Model

#: Probes that take their threshold from the layer they look at.
THRESHOLD_PROBES = ("L1NormLCAProbe", "L0NormLCAProbe", "FirmThresholdCostFnLCAProbe")
#: Probes with one value per batch element.
SINGLE_VALUED = (
    "ColumnEnergyProbe",
    "L2NormProbe",
    "L1NormProbe",
    "L0NormProbe",
    "FirmThresholdCostFnProbe",
    "QuotientProbe",
    *THRESHOLD_PROBES,
)
TIMESCALES = ("AdaptiveTimeScaleProbe", "KneeTimeScaleProbe", "LogTimeScaleProbe")

#: key -> what it must name.
REFERENCES = {
    "triggerLayerName": "layer",
    "triggerResetLayerName": "layer",
    "originalLayerName": "layer",
    "inputLayerName": "layer",
    "maskLayerName": "layer",
    "labelSource": "layer",
    "targetLayer": "layer",
    "originalConnName": "connection",
    "normalizeGroupName": "connection",
    "energyProbe": "probe",
    "targetName": "probe",
    "numerator": "probe",
    "denominator": "probe",
    "convergenceProbe": "probe",
    "adaptiveTimeScaleProbe": "probe",
}


def _pools(model: Model) -> dict[str, Mapping[str, Any]]:
    return {"layer": model.layers, "connection": model.connections, "probe": model.probes}


def check_references(model: Model) -> None:
    """Raise for the first name that names nothing, or the wrong kind of thing."""
    pools = _pools(model)
    for spec in model.objects:
        for key, wanted in REFERENCES.items():
            value = getattr(spec, key, None)
            if value in (None, ""):
                continue
            if value not in pools[wanted]:
                _unknown(model, spec, key, value, wanted, pools)
        _check_kinds(model, spec)


def _unknown(
    model: Model,
    spec: Any,
    key: str,
    value: str,
    wanted: str,
    pools: Mapping[str, Mapping[str, Any]],
) -> None:
    elsewhere = [pool for pool, names in pools.items() if value in names]
    if elsewhere:
        problem = f'{key} "{value}" is a {elsewhere[0]}, not a {wanted}'
    else:
        close = difflib.get_close_matches(value, list(pools[wanted]), n=1)
        hint = f'; did you mean "{close[0]}"?' if close else ""
        problem = f'{key} "{value}" is not a {wanted} of this file{hint}'
    raise model.error(spec.name, problem, key)


def _check_kinds(model: Model, spec: Any) -> None:
    """Probes that must be of a certain kind; energy sums that must not loop."""
    scale = getattr(spec, "adaptiveTimeScaleProbe", None)
    if scale and type(model.probes[scale]).__name__ not in TIMESCALES:
        raise model.error(
            spec.name,
            f'adaptiveTimeScaleProbe "{scale}" is a {type(model.probes[scale]).__name__}; '
            f"it must be one of {', '.join(TIMESCALES)}",
            "adaptiveTimeScaleProbe",
        )
    for key in ("targetName", "numerator", "denominator", "convergenceProbe"):
        value = getattr(spec, key, None)
        if value and type(model.probes[value]).__name__ not in SINGLE_VALUED:
            raise model.error(
                spec.name,
                f'{key} "{value}" is a {type(model.probes[value]).__name__}, which has no single '
                f"value; it must be one of {', '.join(SINGLE_VALUED)}",
                key,
            )
    if type(spec).__name__ in THRESHOLD_PROBES:
        _check_threshold(model, spec)
    seen, probe = [spec.name], spec
    while getattr(probe, "energyProbe", None):
        probe = model.probes[probe.energyProbe]
        if type(probe).__name__ != "ColumnEnergyProbe":
            raise model.error(
                spec.name,
                f'energyProbe "{probe.name}" is a {type(probe).__name__}; '
                "it must be a ColumnEnergyProbe",
                "energyProbe",
            )
        if probe.name in seen:
            raise model.error(
                spec.name,
                "energyProbe leads back to itself: " + " -> ".join([*seen, probe.name]),
                "energyProbe",
            )
        seen.append(probe.name)


def _check_threshold(model: Model, spec: Any) -> None:
    """The layer such a probe looks at has a threshold to take."""
    target: Any = model.layers[spec.targetLayer]
    if hasattr(target, "VThresh") and not target.verticesV:
        return
    reason = "is given by vertices" if hasattr(target, "VThresh") else "has no VThresh"
    raise model.error(
        spec.name,
        f'takes its threshold from targetLayer "{target.name}", a {type(target).__name__} that '
        f"{reason}; use the probe without LCA in its name",
        "targetLayer",
    )


def check_masks(model: Model, shapes: Mapping[str, LayerShape]) -> None:
    """A mask has the size of what it masks, or one feature."""
    for spec in model.objects:
        mask = getattr(spec, "maskLayerName", None)
        target = getattr(spec, "targetLayer", None) or spec.name
        if not mask or target not in shapes:
            continue
        a, b = shapes[mask], shapes[target]
        if (a.ny, a.nx) != (b.ny, b.nx) or a.nf not in (1, b.nf):
            raise model.error(
                spec.name,
                f'maskLayerName "{mask}" is {a} but "{target}" is {b} (x, y, features); '
                f"the mask must have the same x and y and 1 or {b.nf} features",
                "maskLayerName",
            )
