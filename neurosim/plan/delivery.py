"""Connections to operators: how activity reaches the input of a layer.

A delivery from the coarse to the fine layer scatters the patch of each active
unit; one from the fine to the coarse layer gathers patches, a matrix product.
Which of the two a connection is follows from its geometry and from whether it
reads its weights transposed. Weights of one patch per pre unit are used as
declared: scattered, or gathered where they are read transposed.
"""

from __future__ import annotations

from typing import Any

from neurosim.network import ConnectionNode, Network
from neurosim.plan.buffers import BufferTable
from neurosim.plan.operators import Operator, Schedule
from neurosim.plan.solver import delivered

POOLING = {"maxpooling": "max", "sumpooling": "sum", "avgpooling": "avg"}


def weights_buffer(table: BufferTable, owner: str) -> str:
    """Weights of a connection: ``(arbor, kernel, y, x, feature)`` as declared."""
    g = table.network.connections[owner].geometry
    assert g is not None
    arbors = declared(table.network, owner).spec.numAxonalArbors
    shape = (arbors, g.kernels, g.nyp, g.nxp, g.post.nf)
    return table.add(f"{owner}:W", shape, "weights")


def declared(network: Network, owner: str) -> ConnectionNode:
    """The connection that declares the weights of ``owner``: itself, unless it copies another."""
    node = network.connections[owner]
    while node.kind == "CopyConn":
        original = network.connections[node.spec.originalConnName]
        assert original.owner is not None
        node = network.connections[original.owner]
    return node


def dictionary_buffer(table: BufferTable, owner: str) -> str:
    """Weights with one patch per coarse feature: ``(arbor, coarse, y, x, fine)``.

    The weights themselves when declared from the coarse side; otherwise a
    rearranged copy, refreshed after each update.
    """
    node = table.network.connections[owner]
    g = node.geometry
    assert g is not None
    if g.coarse_is_pre:
        return weights_buffer(table, owner)
    arbors = table.buffers[weights_buffer(table, owner)].shape[0]
    shape = (arbors, g.post.nf, g.y.patch, g.x.patch, g.pre.nf)
    return table.add(f"{owner}:D", shape, "scratch")


def delay_steps(network: Network, node: ConnectionNode) -> list[int]:
    """Delay of each arbor in steps; there are as many as the weights have."""
    spec: Any = node.spec
    dt = network.model.column.dt
    delays = [round(d / dt) for d in spec.delay] or [0]
    arbors = 1 if node.owner is None else declared(network, node.owner).spec.numAxonalArbors
    if len(delays) == 1:
        delays *= arbors
    if len(delays) != arbors:
        raise network.model.error(
            spec.name,
            f"delay has {len(delays)} values for numAxonalArbors = {arbors}; "
            "give one, or one per arbor",
            "delay",
        )
    if min(delays) < 0:
        raise network.model.error(spec.name, "delay must not be negative", "delay")
    return delays


def boundary(network: Network, layer: str) -> dict[str, Any]:
    """What stands in the margin of a layer: its mirror image or one value."""
    spec: Any = network.layers[layer].spec
    mirror = bool(getattr(spec, "mirrorBCflag", False))
    return {"mirror": mirror, "value": 0.0 if mirror else float(getattr(spec, "valueBC", 0.0))}


def coefficients(spec: Any) -> dict[int, float]:
    """Weight of each input channel of a layer: +1 and -1 for 0 and 1 by default."""
    given = zip(
        getattr(spec, "channelIndices", ()), getattr(spec, "channelCoefficients", ()), strict=True
    )
    return {0: 1.0, 1: -1.0} | {int(i): float(c) for i, c in given if i >= 0}


def deliveries(table: BufferTable, layer: str, target: str, when: Schedule) -> list[Operator]:
    """Operators that sum a layer's inputs into ``target``, in file order.

    The first sets the buffer, the others add to it. A layer without inputs
    keeps the zeros its buffer starts with.
    """
    network = table.network
    weight = coefficients(network.layers[layer].spec)
    channels: dict[int, list[Operator]] = {}
    for node in _surviving(network.incoming(layer)):
        channel = node.spec.channelCode
        coefficient = weight.get(channel, 0.0)
        if coefficient == 0.0:
            continue
        delivered = channels.setdefault(channel, [])
        for arbor, delay in enumerate(delay_steps(network, node)):
            delivered.append(_deliver(table, node, arbor, delay, target, coefficient, when))
    operators = [op for channel in channels.values() for op in channel]
    return [
        op if i else Operator(op.kind, op.name, op.reads, (target,), (), (), op.scalars, op.when)
        for i, op in enumerate(operators)
    ]


def _surviving(incoming: list[ConnectionNode]) -> list[ConnectionNode]:
    """Connections whose deliveries nothing discards.

    PetaVision delivers the connection declared last first; a maximum pooling
    then discards what its channel has collected so far.
    """
    kept: list[ConnectionNode] = []
    for node in reversed(incoming):
        if _overwrites(node):
            kept = [other for other in kept if other.spec.channelCode != node.spec.channelCode]
        kept.append(node)
    return kept[::-1]


def _overwrites(node: ConnectionNode) -> bool:
    """Pooling discards what earlier connections put on its channel."""
    if node.kind != "PoolingConn":
        return False
    spec: Any = node.spec
    return POOLING[spec.pvpatchAccumulateType] == "max" or spec.updateGSynFromPostPerspective


def _deliver(
    table: BufferTable,
    node: ConnectionNode,
    arbor: int,
    delay: int,
    target: str,
    coefficient: float,
    when: Schedule,
) -> Operator:
    pre = delivered(table, node.pre, node.post, delay)
    scalars: dict[str, Any] = {"coefficient": coefficient}
    if node.geometry is None:
        scalars["coefficient"] = coefficient * getattr(node.spec, "scale", 1.0)
        return Operator("ident", node.name, (pre,), (), (target,), (), scalars, when)
    scalars |= {"geometry": node.geometry, "arbor": arbor} | boundary(table.network, node.pre)
    if node.kind == "PoolingConn":
        scalars["method"] = POOLING[node.spec.pvpatchAccumulateType]
        scalars["sparse"] = bool(getattr(table.network.layers[node.pre].spec, "sparseLayer", False))
        g = node.geometry
        if (g.coarse_is_pre and g.y.ratio * g.x.ratio > 1) or g.pre.nf != g.post.nf:
            raise table.network.model.error(
                node.name,
                f'pools "{node.pre}" ({g.pre}) into "{node.post}" ({g.post}); the post layer must '
                "not be denser and must have as many features",
            )
        return Operator("pool", node.name, (pre,), (), (target,), (), scalars, when)
    assert node.owner is not None
    if node.geometry.shared:
        weights = dictionary_buffer(table, node.owner)
        kind = "gather" if node.geometry.coarse_is_pre == node.transposed else "scatter"
    else:
        weights = weights_buffer(table, node.owner)
        kind = "gather_local" if node.transposed else "scatter_local"
    return Operator(kind, node.name, (pre, weights), (), (target,), (), scalars, when)
