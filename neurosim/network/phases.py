"""Phases: as the file says, or derived where no layer names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import networkx as nx

from neurosim.specs import Model

if TYPE_CHECKING:
    from neurosim.network.graph import ConnectionNode

#: Layers whose new value depends on their own last one: they break loops.
STATEFUL = (
    "HyPerLCALayer",
    "MomentumLCALayer",
    "ISTALayer",
    "SparseSolverLayer",
    "LeakyIntegrator",
)


def _declared(model: Model) -> bool:
    """Whether any layer says its phase; a file may say 0 everywhere and mean it."""
    return any(
        spec.phase != 0 or (name in model.origins and "phase" in model.origins[name].key_lines)
        for name, spec in model.layers.items()
    )


def _reads(model: Model, connections: Mapping[str, ConnectionNode]) -> nx.DiGraph:
    """Edges from each layer to those that use its value of the same step."""
    graph: nx.DiGraph = nx.DiGraph()
    graph.add_nodes_from(model.layers)
    for node in connections.values():
        if node.delivers and not any(node.spec.delay):
            graph.add_edge(node.pre, node.post)
    for name, spec in model.layers.items():
        for key in ("originalLayerName", "inputLayerName", "maskLayerName", "labelSource"):
            source: Any = getattr(spec, key, None)
            if source in model.layers:
                graph.add_edge(source, name)
    return graph


def derive_phases(model: Model, connections: Mapping[str, ConnectionNode]) -> dict[str, int]:
    """Phase of every layer.

    Where any layer of the file gives a ``phase``, all phases are taken as they
    stand. Otherwise a layer comes after those it reads, and layers with state
    (LCA and its kin) are read at their last value, so that each step runs
    reconstruction, residual, drive, update.

    Raises
    ------
    NetworkError
        When no phases are given and stateless layers read each other in a loop.
    """
    if _declared(model):
        return {name: spec.phase for name, spec in model.layers.items()}
    graph = _reads(model, connections)
    for name, spec in model.layers.items():
        if type(spec).__name__ in STATEFUL:
            graph.remove_edges_from(list(graph.out_edges(name)))
    try:
        order = list(nx.topological_sort(graph))
    except nx.NetworkXUnfeasible:
        loop = [edge[0] for edge in nx.find_cycle(graph)]
        raise model.error(
            loop[0],
            "stateless layers read each other in a loop: "
            + " -> ".join([*loop, loop[0]])
            + "; give the layers a phase, one of the connections a delay, "
            "or make one of them a layer with state (such as LeakyIntegrator)",
        ) from None
    phases: dict[str, int] = {}
    for name in order:
        phases[name] = max((phases[p] + 1 for p in graph.predecessors(name)), default=0)
    return phases
