"""Specs to a checked graph: every name resolved, every shape agreed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx

from neurosim.errors import NetworkError, RequestError
from neurosim.network.geometry import LayerShape, PatchGeometry, patch_geometry
from neurosim.network.phases import derive_phases
from neurosim.network.references import check_masks, check_references
from neurosim.network.shapes import layer_shapes
from neurosim.specs import Model

#: Connections that carry weights of their own.
WEIGHTED = ("HyPerConn", "MomentumConn", "CopyConn")
#: Connections that use the weights of another one in the same direction.
SHARING = ("CloneConn", "PlasticCloneConn")
#: Connections that use the weights of another one in the opposite direction.
TRANSPOSED = ("TransposeConn", "FeedbackConn")
#: Connections that join unit to unit.
ONE_TO_ONE = ("IdentConn", "RescaleConn")


@dataclass(frozen=True)
class LayerNode:
    """A layer with its resolved size and phase."""

    spec: Any
    shape: LayerShape
    phase: int

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def kind(self) -> str:
        return type(self.spec).__name__


@dataclass(frozen=True)
class ConnectionNode:
    """A connection with its layers, its weights' owner and its geometry.

    ``geometry`` is that of the weights as their owner declares them; for a
    ``transposed`` connection its pre layer is this connection's post layer.
    It is None for connections without weights (IdentConn, RescaleConn) .
    """

    spec: Any
    pre: str
    post: str
    owner: str | None
    transposed: bool
    geometry: PatchGeometry | None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def kind(self) -> str:
        return type(self.spec).__name__

    @property
    def delivers(self) -> bool:
        return self.spec.channelCode >= 0


@dataclass(frozen=True)
class Network:
    """A model whose every name, shape and patch has been checked."""

    model: Model
    layers: Mapping[str, LayerNode]
    connections: Mapping[str, ConnectionNode]
    graph: nx.MultiDiGraph

    @property
    def nbatch(self) -> int:
        return self.model.column.nbatch

    def incoming(self, layer: str) -> list[ConnectionNode]:
        """Connections that deliver to ``layer``, in file order."""
        return [c for c in self.connections.values() if c.post == layer and c.delivers]


def nearest(name: str, allowed: Iterable[str]) -> str:
    """``; did you mean "..."?`` when something close is allowed, else the list."""
    allowed = list(allowed)
    close = difflib.get_close_matches(name, allowed, n=1)
    if close:
        return f'; did you mean "{close[0]}"?'
    listed = ", ".join(f'"{a}"' for a in allowed[:12])
    return f"; there are {listed}{', …' if len(allowed) > 12 else ''}" if allowed else ""


def _ends(model: Model, spec: Any) -> tuple[str, str]:
    """Names of the pre and post layers of a connection."""
    for key in ("preLayerName", "postLayerName"):
        value = getattr(spec, key)
        if value not in model.layers:
            what = "is a connection" if value in model.connections else "is not declared"
            raise model.error(
                spec.name, f'{key} "{value}" {what}{nearest(value, model.layers)}', key
            )
    return spec.preLayerName, spec.postLayerName


def _owner(model: Model, spec: Any) -> tuple[str | None, bool]:
    """Owner of the weights a connection uses, and whether it reads them transposed."""
    transposed, seen = False, [spec.name]
    while type(spec).__name__ in SHARING + TRANSPOSED:
        transposed ^= type(spec).__name__ in TRANSPOSED
        original = spec.originalConnName
        found = model.connections.get(original)
        if found is None:
            raise model.error(
                spec.name,
                f'originalConnName "{original}" is not a connection'
                f"{nearest(original or '', model.connections)}",
                "originalConnName",
            )
        if original in seen:
            raise model.error(
                seen[0],
                "originalConnName leads back to itself: " + " -> ".join([*seen, original]),
                "originalConnName",
            )
        seen.append(original)
        spec = found
    if type(spec).__name__ not in WEIGHTED:
        if len(seen) > 1:
            raise model.error(
                seen[0],
                f'originalConnName "{spec.name}" is a {type(spec).__name__}, '
                "which has no weights to share",
                "originalConnName",
            )
        return None, False
    return spec.name, transposed


def _patch_source(model: Model, owner: Any) -> Any:
    """The spec that declares the patch size of ``owner`` (a CopyConn copies it)."""
    seen = [owner.name]
    while type(owner).__name__ == "CopyConn":
        original = model.connections.get(owner.originalConnName)
        if original is None:
            raise model.error(
                owner.name,
                f'originalConnName "{owner.originalConnName}" is not a connection'
                f"{nearest(owner.originalConnName or '', model.connections)}",
                "originalConnName",
            )
        name, transposed = _owner(model, original)
        if name is None or transposed or name in seen:
            raise model.error(
                owner.name, f'cannot copy the weights of "{original.name}"', "originalConnName"
            )
        seen.append(name)
        owner = model.connections[name]
    return owner


def _connection(model: Model, spec: Any, shapes: Mapping[str, LayerShape]) -> ConnectionNode:
    pre, post = _ends(model, spec)
    kind = type(spec).__name__
    _check_supported(model, spec)
    if kind in ONE_TO_ONE:
        if shapes[pre] != shapes[post]:
            raise model.error(
                spec.name,
                f'joins unit to unit, but "{pre}" is {shapes[pre]} and "{post}" is {shapes[post]}'
                " (x, y, features); they must be equal",
                "preLayerName",
            )
        return ConnectionNode(spec, pre, post, None, False, None)
    owner, transposed = _owner(model, spec)
    source = spec if owner is None else _patch_source(model, model.connections[owner])
    first, second = (post, pre) if transposed else (pre, post)
    shared = owner is None or source.sharedWeights
    try:
        geometry = patch_geometry(shapes[first], shapes[second], source.nxp, source.nyp, shared)
    except RequestError as error:
        raise model.error(spec.name, str(error), "nxp") from None
    node = ConnectionNode(spec, pre, post, owner, transposed, geometry)
    nfp = getattr(spec, "nfp", -1)
    if nfp > 0 and nfp != geometry.post.nf:
        raise model.error(
            spec.name,
            f'nfp = {nfp}, but "{second}" has {geometry.post.nf} features; '
            f"give nfp = {geometry.post.nf} or leave it out",
            "nfp",
        )
    return node


def _check_supported(model: Model, spec: Any) -> None:
    """PetaVision has this; here it would silently mean something else."""
    if getattr(spec, "pvpatchAccumulateType", "") == "stochastic":
        raise model.error(
            spec.name,
            'pvpatchAccumulateType = "stochastic" is not supported; set it to "convolve"',
            "pvpatchAccumulateType",
        )


def _check_sharing(model: Model, nodes: Mapping[str, ConnectionNode]) -> None:
    """Connections that share weights must want weights of the same shape."""
    for node in nodes.values():
        source = node.owner
        if node.kind == "CopyConn":
            source = _patch_source(model, node.spec).name
        if source is None or source == node.name:
            continue
        own, theirs = node.geometry, nodes[source].geometry
        if own is None or theirs is None:
            continue
        mine, shared = (
            (g.kernels_y, g.kernels_x, g.pre.nf, g.nyp, g.nxp, g.post.nf) for g in (own, theirs)
        )
        if mine != shared:
            raise model.error(
                node.name,
                f"needs weights of {mine} (kernels by y, x and feature; patch y, x and feature), "
                f'but "{source}" has {shared}; '
                f'"{node.pre}" and "{node.post}" must have the sizes of that connection\'s layers',
                "originalConnName",
            )


def build_network(model: Model) -> Network:
    """Resolve and check a model.

    Parameters
    ----------
    model : Model
        Typed specs of one params file.

    Returns
    -------
    Network

    Raises
    ------
    NetworkError
        With file and line: an unknown name, shapes that disagree, an odd
        ratio, a patch that does not fit, or a loop of stateless layers.
    """
    if not model.layers:
        raise NetworkError(f"{model.where(model.column.name)}: no layer is declared")
    check_references(model)
    shapes = layer_shapes(model)
    connections = {s.name: _connection(model, s, shapes) for s in model.connections.values()}
    _check_sharing(model, connections)
    check_masks(model, shapes)
    graph: nx.MultiDiGraph = nx.MultiDiGraph()
    for name, spec in model.layers.items():
        graph.add_node(name, kind=type(spec).__name__, shape=shapes[name])
    for node in connections.values():
        graph.add_edge(node.pre, node.post, key=node.name, connection=node)
    phases = derive_phases(model, connections)
    if any(phases[n] != s.phase for n, s in model.layers.items()):
        model = model.replace(*(spec.replace(phase=phases[n]) for n, spec in model.layers.items()))
    layers = {n: LayerNode(s, shapes[n], phases[n]) for n, s in model.layers.items()}
    return Network(model, layers, connections, graph)
