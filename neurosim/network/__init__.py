"""Specs to graph: names resolve, shapes agree, patches fit."""

from .geometry import LayerShape, PatchAxis, PatchGeometry, boundary_indices, patch_geometry
from .graph import ConnectionNode, LayerNode, Network, build_network

__all__ = [
    "ConnectionNode",
    "LayerNode",
    "LayerShape",
    "Network",
    "PatchAxis",
    "PatchGeometry",
    "boundary_indices",
    "build_network",
    "patch_geometry",
]
