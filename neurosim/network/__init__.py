"""Specs to graph: names resolve, shapes agree, patches fit."""

from neurosim.network.geometry import (
    LayerShape,
    PatchAxis,
    PatchGeometry,
    boundary_indices,
    patch_geometry,
)
from neurosim.network.graph import ConnectionNode, LayerNode, Network, build_network
from neurosim.network.margins import layer_margins

__all__ = [
    "ConnectionNode",
    "LayerNode",
    "LayerShape",
    "Network",
    "PatchAxis",
    "PatchGeometry",
    "boundary_indices",
    "build_network",
    "layer_margins",
    "patch_geometry",
]
