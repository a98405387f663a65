"""Graph to plan: buffers and the ordered operators of a step.

Within a phase every layer first receives, then, in file order, every layer
updates. So layers of one phase see each other's last value, a higher phase
sees the new one, and a layer that reads another's potential directly
(CloneVLayer, SigmoidLayer, RescaleLayer, MaskLayer) depends on the file order
when both share a phase, as in PetaVision.
"""

from __future__ import annotations

from typing import Any

from neurosim.network import Network
from neurosim.network.phases import STATEFUL
from neurosim.plan.buffers import BufferTable
from neurosim.plan.delivery import delay_steps, deliveries
from neurosim.plan.layers import GUARDED, LINEAR, LOWERINGS, RECEIVING, guard, potential
from neurosim.plan.learning import lower_learning
from neurosim.plan.operators import Operator, Plan
from neurosim.plan.probes import lower_probes
from neurosim.plan.schedules import layer_schedule, trigger_schedule


def lower(network: Network) -> Plan:
    """Plan of a network.

    Parameters
    ----------
    network : Network

    Returns
    -------
    Plan
    """
    table = BufferTable(network)
    _declare_delays(table)
    before, after, probes = lower_probes(table)
    step: list[Operator] = list(before)
    for phase in sorted({node.phase for node in network.layers.values()}):
        step += _phase(table, phase)
    step += after
    start, learn = lower_learning(table)
    layers = {n: (potential(table, n), table.activity(n)) for n in network.layers}
    return Plan(
        network.nbatch, dict(table.buffers), tuple(start), tuple(step), tuple(learn), probes, layers
    )


def _declare_delays(table: BufferTable) -> None:
    """Make the history buffers of layers that are read with a delay.

    Learning reads the pre layer of a connection at its delay also where the
    connection delivers nothing, and a plastic clone's at that of its original.
    """
    network = table.network
    for name in network.layers:
        table.activity(name)
    for node in network.connections.values():
        delays = delay_steps(network, node)
        if node.kind == "PlasticCloneConn" and node.owner is not None:
            delays = delays + delay_steps(network, network.connections[node.owner])
        for delay in delays:
            table.activity(node.pre, delay)


def _phase(table: BufferTable, phase: int) -> list[Operator]:
    network = table.network
    members = [n for n, node in network.layers.items() if node.phase == phase]
    receive: list[Operator] = []
    update: list[Operator] = []
    for name in members:
        spec: Any = network.layers[name].spec
        when = layer_schedule(network, name)
        if when is None:
            table.layer(name, "V", "state")
            continue
        g = ""
        if type(spec).__name__ in RECEIVING:
            g = _input_buffer(table, name, members)
            receive += deliveries(table, name, g, when)
        operators, v = LOWERINGS[type(spec).__name__](table, spec, g, when)
        update += _reset(table, spec, v) + operators
        if type(spec).__name__ in GUARDED:
            update.append(guard(table, spec, v, when))
    return receive + _shift(table, members) + update


def _input_buffer(table: BufferTable, name: str, members: list[str]) -> str:
    """Where a layer sums its input: its activity itself when nothing can tell.

    A layer whose activity is its summed input needs no buffer of its own,
    unless a layer of the same phase must still see the last value.
    """
    network = table.network
    linear = type(network.layers[name].spec).__name__ in LINEAR
    seen = any(c.pre == name and c.post in members for c in network.connections.values())
    keys = ("originalLayerName", "maskLayerName", "triggerLayerName", "triggerResetLayerName")
    live = any(getattr(network.layers[m].spec, key, None) == name for m in members for key in keys)
    if linear and network.incoming(name) and not (seen or live or table.delays(name)):
        return table.activity(name)
    return table.layer(name, "G")


def _reset(table: BufferTable, spec: Any, v: str) -> list[Operator]:
    """Potential taken from another layer when the trigger fires."""
    if getattr(spec, "triggerBehavior", None) != "resetStateOnTrigger":
        return []
    if type(spec).__name__ not in STATEFUL:
        return []  # its update overwrites the potential anyway
    when = trigger_schedule(table.network, spec)
    if when is None:
        return []
    source = spec.triggerResetLayerName or spec.triggerLayerName
    shapes = {n: table.network.layers[n].shape for n in (source, spec.name)}
    if shapes[source] != shapes[spec.name]:
        raise table.network.model.error(
            spec.name,
            f'triggerResetLayerName "{source}" is {shapes[source]} but the layer is '
            f"{shapes[spec.name]} (x, y, features); they must be equal",
            "triggerResetLayerName",
        )
    return [Operator("copy", spec.name, (potential(table, source),), (v,), (), (), {}, when)]


def _shift(table: BufferTable, members: list[str]) -> list[Operator]:
    """Histories advance every step, before the new activity is written."""
    operators = []
    for name in members:
        for delay in range(table.delays(name), 0, -1):
            source = table.activity(name, delay - 1)
            target = table.activity(name, delay)
            operators.append(Operator("copy", name, (source,), (target,)))
    return operators
