"""Specs to graph: names resolve, shapes agree, patches fit."""

from neurosim.network.geometry import (
    LayerShape,
    PatchAxis,
    PatchGeometry,
    boundary_indices,
    patch_geometry,
)
from neurosim.network.graph import ConnectionNode, LayerNode, Network, build_network
from neurosim.network.levels import (
    Coding,
    gone_without,
    image_input,
    levels,
    name_inputs,
    top_level,
)
from neurosim.network.margins import layer_margins

__all__ = [
    "Coding",
    "ConnectionNode",
    "LayerNode",
    "LayerShape",
    "Network",
    "PatchAxis",
    "PatchGeometry",
    "boundary_indices",
    "build_network",
    "gone_without",
    "image_input",
    "layer_margins",
    "levels",
    "name_inputs",
    "patch_geometry",
    "top_level",
]
