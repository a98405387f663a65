"""Plastic connections to operators: increments, momentum, normalisation.

At the end of a step whose trigger fires: increments are summed over the batch,
the rule is applied, weights are normalised, and rearranged copies follow.
"""

from __future__ import annotations

from typing import Any

from neurosim.network import ConnectionNode
from neurosim.plan.buffers import BufferTable
from neurosim.plan.delivery import (
    boundary,
    declared,
    delay_steps,
    dictionary_buffer,
    weights_buffer,
)
from neurosim.plan.operators import Operator, Role, Schedule
from neurosim.plan.schedules import update_schedule

OWN_WEIGHTS = ("HyPerConn", "MomentumConn")


def lower_learning(table: BufferTable) -> tuple[list[Operator], list[Operator]]:
    """Operators before the first step, and those that end a learning step.

    All rules come first, then copies of weights, then all normalisers, then
    rearranged dictionaries: PetaVision's order.
    """
    network = table.network
    learn: list[Operator] = []
    schedules: dict[str, Schedule | None] = {}
    for node in network.connections.values():
        if node.kind in OWN_WEIGHTS:
            weights_buffer(table, node.name)
            schedules[node.name] = when = update_schedule(network, node.spec)
            if when is not None:
                learn += _rule(table, node, when)
    start: list[Operator] = []
    for node in network.connections.values():
        if node.kind == "CopyConn":
            original, when = (
                declared(network, node.name).name,
                _copy_schedule(table, node, schedules),
            )
            schedules[node.name] = when
            start.append(_copy(table, node.name, original, None))
            if when is not None:
                learn.append(_copy(table, node.name, original, when))
    start += _normalisers(table, dict.fromkeys(schedules), initial=True)
    plastic: dict[str, Schedule | None] = {
        n: when for n, when in schedules.items() if when is not None
    }
    learn += _normalisers(table, plastic, initial=False)
    for name in schedules:
        if f"{name}:D" in table.buffers:
            start.append(_rearrange(table, name, None))
            if name in plastic:
                learn.append(_rearrange(table, name, plastic[name]))
    return start, learn


def _copy_schedule(
    table: BufferTable, node: ConnectionNode, schedules: dict[str, Schedule | None]
) -> Schedule | None:
    """A copy follows its original; one declared before it, a step later."""
    original = declared(table.network, node.name).name
    when = schedules.get(original)
    order = list(table.network.connections)
    late = order.index(node.name) < order.index(original)
    return when.shifted(-1) if late and when is not None else when


def _operator(kind: str, name: str, when: Schedule | None, **fields: Any) -> Operator:
    return Operator(kind, name, when=when or Schedule(), **fields)


def _copy(table: BufferTable, name: str, original: str, when: Schedule | None) -> Operator:
    reads = (weights_buffer(table, original),)
    return _operator("copy", name, when, reads=reads, sets=(weights_buffer(table, name),))


def _rearrange(table: BufferTable, name: str, when: Schedule | None) -> Operator:
    geometry = table.network.connections[name].geometry
    return _operator(
        "rearrange",
        name,
        when,
        reads=(weights_buffer(table, name),),
        sets=(dictionary_buffer(table, name),),
        scalars={"geometry": geometry},
    )


def _rule(table: BufferTable, node: ConnectionNode, when: Schedule) -> list[Operator]:
    """Increments of a connection and of its plastic clones, then the rule."""
    spec: Any = node.spec
    if spec.combine_dW_with_W_flag:
        raise table.network.model.error(
            node.name,
            "combine_dW_with_W_flag = true adds the weights to themselves at each update; "
            "set it to false",
            "combine_dW_with_W_flag",
        )
    weights = weights_buffer(table, node.name)
    shape = table.buffers[weights].shape
    immediate = bool(spec.immediateWeightUpdate)
    role: Role = "scratch" if immediate else "momentum"
    dw = table.add(f"{node.name}:dW", shape, role)
    count = table.add(f"{node.name}:count", shape[:-1], role)
    rate = table.add(f"{node.name}:rate", (3,), "state", "float64")
    increments: list[Operator] = []
    for pair in _pairs(table, node):
        for arbor, delay in enumerate(delay_steps(table.network, node)):
            scalars: dict[str, Any] = {"geometry": pair.geometry, "arbor": arbor}
            scalars |= boundary(table.network, pair.pre) | {"clear": not increments}
            reads = (table.activity(pair.pre, delay), table.activity(pair.post), rate)
            fields: dict[str, Any] = {"reads": reads, "scalars": scalars}
            fields["incs" if increments else "sets"] = (dw, count)
            increments.append(_operator("hebbian", pair.name, when, **fields))
    scalars = {
        "normalize": bool(spec.normalizeDw) and bool(spec.sharedWeights),
        "decay_interval": int(spec.dWMaxDecayInterval),
        "decay_factor": spec.dWMaxDecayFactor,
        "deferred": not immediate,
    } | _momentum(spec)
    updates = [weights, rate, dw]
    if scalars["method"] != "hebbian":
        updates.append(table.add(f"{node.name}:prev_dW", shape, "momentum"))
    rule = _operator(
        "learn", node.name, when, reads=(count,), updates=tuple(updates), scalars=scalars
    )
    return [*increments, rule] if immediate else [rule, *increments]


def _pairs(table: BufferTable, node: ConnectionNode) -> list[ConnectionNode]:
    """The connection itself and the PlasticCloneConns that also train it."""
    clones = [
        c
        for c in table.network.connections.values()
        if c.kind == "PlasticCloneConn" and c.owner == node.name
    ]
    return [node, *clones]


def _momentum(spec: Any) -> dict[str, Any]:
    """The momentum rule and its factor."""
    if type(spec).__name__ != "MomentumConn":
        return {"method": "hebbian"}
    old = getattr(spec, "momentumTau", None)
    rule = {
        "method": spec.momentumMethod,
        "time_constant": spec.timeConstantTau if old is None else old,
        "weight_decay": spec.momentumDecay,
    }
    # Files that still say momentumTau were written for a rule without (1 - f).
    return rule | {"gain_kept": old is not None}


def _normalisers(
    table: BufferTable, connections: dict[str, Schedule | None], initial: bool
) -> list[Operator]:
    """Normalisation of each connection, or of a whole group with its head."""
    network = table.network
    operators = []
    for name, when in connections.items():
        spec: Any = network.connections[name].spec
        method = spec.normalizeMethod
        if method in (None, "", "none", "normalizeGroup"):
            continue
        if not (spec.normalizeOnInitialize if initial else spec.normalizeOnWeightUpdate):
            continue
        group = [name] + [
            c.name
            for c in network.connections.values()
            if getattr(c.spec, "normalizeMethod", None) == "normalizeGroup"
            and c.spec.normalizeGroupName == name
        ]
        _check_group(table, group)
        g = network.connections[name].geometry
        assert g is not None
        if spec.normalizeFromPostPerspective and not g.shared:
            raise network.model.error(
                name,
                "normalizeFromPostPerspective = true needs sharedWeights = true; "
                "set one of them differently",
                "normalizeFromPostPerspective",
            )
        scalars: dict[str, Any] = {
            "method": method,
            "strength": spec.strength,
            "per_arbor": bool(spec.normalizeArborsIndividually),
            "r_min_x": spec.rMinX,
            "r_min_y": spec.rMinY,
            "nonnegative": bool(spec.nonnegativeConstraintFlag),
            "cutoff": spec.normalize_cutoff,
            "tolerated": _tolerated(spec),
        }
        if spec.normalizeFromPostPerspective:
            scalars["strength"] = spec.strength * g.post.size / g.pre.size
        updates = tuple(weights_buffer(table, n) for n in group)
        operators.append(_operator("normalize", name, when, updates=updates, scalars=scalars))
    return operators


def _tolerated(spec: Any) -> float:
    key = {
        "normalizeL2": "minL2NormTolerated",
        "normalizeSum": "minSumTolerated",
        "normalizeContrastZeroMean": "minSumTolerated",
        "normalizeMax": "minMaxTolerated",
    }[spec.normalizeMethod]
    return float(getattr(spec, key))


def _check_group(table: BufferTable, group: list[str]) -> None:
    """Members of a normaliser group have as many kernels and arbors as the head."""
    network = table.network
    shapes = {n: table.buffers[weights_buffer(table, n)].shape for n in group}
    head = group[0]
    for name in group[1:]:
        if declared(network, name).spec.sharedWeights != declared(network, head).spec.sharedWeights:
            raise network.model.error(
                name,
                f'the head of its normalizeGroup, "{head}", has another sharedWeights',
                "normalizeGroupName",
            )
        if shapes[name][:2] != shapes[head][:2]:
            raise network.model.error(
                name,
                f"has {shapes[name][0]} arbors of {shapes[name][1]} kernels, but the head of its "
                f'normalizeGroup, "{head}", has {shapes[head][0]} of {shapes[head][1]}',
                "normalizeGroupName",
            )
