"""Margins of layers as PetaVision lays them out, which number the neurons of non-shared weights."""

from __future__ import annotations

from collections.abc import Iterator

from neurosim.network.graph import SHARING, TRANSPOSED, ConnectionNode, Network


def layer_margins(network: Network) -> dict[str, tuple[int, int]]:
    """Rows and columns of margin of each layer, by name.

    The widest that a connection from the layer needs; layers that follow one
    another, or join connections of the same weights, have the same.
    """
    margins = dict.fromkeys(network.layers, (0, 0))
    for node in network.connections.values():
        _widen(margins, node.pre, _needed(node))
    pairs = list(_kept_equal(network))
    changed = True
    while changed:
        before = dict(margins)
        for a, b in pairs:
            _widen(margins, a, margins[b])
            _widen(margins, b, margins[a])
        changed = margins != before
    return margins


def _needed(node: ConnectionNode) -> tuple[int, int]:
    """Margin of a connection's pre layer from which patches reach its post layer."""
    g = node.geometry
    if g is None:
        return 0, 0
    if g.coarse_is_pre != node.transposed:
        return g.y.coarse_margin, g.x.coarse_margin
    return g.y.fine_margin, g.x.fine_margin


def _widen(margins: dict[str, tuple[int, int]], layer: str, other: tuple[int, int]) -> None:
    y, x = margins[layer]
    margins[layer] = (max(y, other[0]), max(x, other[1]))


def _kept_equal(network: Network) -> Iterator[tuple[str, str]]:
    """Pairs of layers whose margins PetaVision keeps equal."""
    for name, layer in network.layers.items():
        original = getattr(layer.spec, "originalLayerName", None)
        if original:
            yield name, original
    for node in network.connections.values():
        if node.kind not in SHARING + TRANSPOSED:
            continue
        original = network.connections[node.spec.originalConnName]
        if node.kind in TRANSPOSED:
            yield node.pre, original.post
            yield node.post, original.pre
        else:
            yield node.pre, original.pre
            if node.kind == "PlasticCloneConn":
                yield node.post, original.post
