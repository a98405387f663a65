"""Sizes of layers from the column's size and their scales."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurosim.network.geometry import LayerShape
from neurosim.specs import Model


def layer_shapes(model: Model) -> Mapping[str, LayerShape]:
    """Size of every layer; clones have that of the layer they follow."""
    for name in model.layers:
        _check_originals(model, name)
    return {
        name: LayerShape(_units(model, spec, "y"), _units(model, spec, "x"), spec.nf)
        for name, spec in model.layers.items()
    }


def _check_originals(model: Model, name: str) -> None:
    """A clone of a clone must lead to a layer of its own."""
    seen, spec = [name], model.layers[name]
    while original := getattr(spec, "originalLayerName", None):
        if original in seen:
            raise model.error(
                name,
                "originalLayerName leads back to itself: " + " -> ".join([*seen, original]),
                "originalLayerName",
            )
        seen.append(original)
        spec = model.layers[original]


def _units(model: Model, spec: Any, axis: str) -> int:
    """Units along one axis; they must come out whole."""
    key = f"n{axis}Scale"
    size = getattr(model.column, f"n{axis}") * getattr(spec, key)
    whole = round(size)
    if whole < 1 or abs(size - whole) > 1e-4:
        raise model.error(
            spec.name,
            f"{key} = {getattr(spec, key):g} of a column with n{axis} = "
            f"{getattr(model.column, f'n{axis}')} gives {size:g} units; "
            "it must be a whole number, at least 1",
            key,
        )
    return whole
