"""Probes to operators: norms, energies and adaptive time scales."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from neurosim.network import Network
from neurosim.plan.buffers import BufferTable
from neurosim.plan.layers import potential, timescale_buffer
from neurosim.plan.operators import ALWAYS, Operator, ProbeColumns, Schedule
from neurosim.plan.schedules import trigger_schedule
from neurosim.plan.solver import gains, measured_on_trial, trial

TIMESCALES = ("AdaptiveTimeScaleProbe", "KneeTimeScaleProbe", "LogTimeScaleProbe")
NORMS = {
    "L2NormProbe": "l2",
    "L1NormProbe": "l1",
    "L1NormLCAProbe": "l1",
    "L0NormProbe": "l0",
    "L0NormLCAProbe": "l0",
    "FirmThresholdCostFnProbe": "firm",
    "FirmThresholdCostFnLCAProbe": "firm",
}
STATS = ("min", "max", "mean", "sigma", "nnz")

Lowered = tuple[list[Operator], list[Operator], dict[str, ProbeColumns]]


def lower_probes(table: BufferTable) -> Lowered:
    """Operators before the phases, operators after them, and what to record.

    Energies are computed at the end of every step, also where a trigger lets
    the probe record fewer, since time scales and energy sums need them.
    """
    network = table.network
    before: list[Operator] = []
    after: list[Operator] = []
    columns: dict[str, ProbeColumns] = {}
    buffer: str
    names: tuple[str, ...]
    for spec in _ordered(network):
        kind = type(spec).__name__
        if kind in TIMESCALES:
            before += _timescale(table, spec)
            buffer, names = f"{spec.name}:timescale", ("timescale", "energy", "max")
        elif kind == "StatsProbe" or kind == "RequireAllZeroActivityProbe":
            buffer, names = _stats(table, spec, after), STATS
        elif kind == "ColumnEnergyProbe":
            buffer, names = _energy_sum(table, spec, after), ("value",)
        elif kind == "QuotientProbe":
            buffer, names = _quotient(table, spec, after), ("value",)
        else:
            # The errors of a step are those of the codes from before it.
            slot = before if measured_on_trial(table, spec) else after
            buffer, names = _norm(table, spec, slot), ("value",)
        when = trigger_schedule(network, spec) if kind not in TIMESCALES else None
        columns[spec.name] = ProbeColumns(buffer, kind, names, when or ALWAYS)
    return before, after, {n: columns[n] for n in network.model.probes}


def _ordered(network: Network) -> list[Any]:
    """Probes with those they read first."""
    done: dict[str, Any] = {}
    probes: Mapping[str, Any] = network.model.probes

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in done:
            return
        if name in path:
            raise network.model.error(
                name, "probes read each other in a loop: " + " -> ".join([*path, name])
            )
        for other in _sources(probes, name):
            visit(other, (*path, name))
        done[name] = probes[name]

    for name in probes:
        visit(name, ())
    return list(done.values())


def _sources(probes: Mapping[str, Any], name: str) -> list[str]:
    """Probes whose values the probe ``name`` reads at the end of a step."""
    spec = probes[name]
    kind = type(spec).__name__
    if kind == "ColumnEnergyProbe":
        return [p for p, s in probes.items() if getattr(s, "energyProbe", None) == name]
    if kind == "QuotientProbe":
        return [spec.numerator, spec.denominator]
    return []


def _value(table: BufferTable, spec: Any) -> str:
    return table.add(f"{spec.name}:value", (table.nbatch,), "probe", "float64")


def _norm(table: BufferTable, spec: Any, after: list[Operator]) -> str:
    kind = type(spec).__name__
    target: Any = table.network.layers[spec.targetLayer].spec
    scalars: dict[str, Any] = {"norm": NORMS[kind]}
    if scalars["norm"] == "l2":
        scalars["exponent"] = spec.exponent
    elif scalars["norm"] == "l0":
        lca = kind == "L0NormLCAProbe"
        scalars["threshold"] = target.VThresh if lca else spec.nnzThreshold
    elif scalars["norm"] == "firm":
        of = target if kind == "FirmThresholdCostFnLCAProbe" else spec
        scalars |= {"v_thresh": of.VThresh, "v_width": of.VWidth}
    target_buffer = trial if measured_on_trial(table, spec) else BufferTable.activity
    reads = [target_buffer(table, spec.targetLayer)]
    if getattr(spec, "maskLayerName", None):
        reads.append(table.activity(spec.maskLayerName))
    value = _value(table, spec)
    after.append(Operator("norm", spec.name, tuple(reads), (value,), (), (), scalars))
    return value


def coefficient(network: Network, spec: Any) -> float:
    """Weight of a probe in the energy it belongs to.

    The LCA forms take it from their layer, so that the sum is the energy the
    layer descends: the threshold for the L1 norm, half its square for L0.
    """
    kind = type(spec).__name__
    if kind in ("L1NormLCAProbe", "FirmThresholdCostFnLCAProbe"):
        target: Any = network.layers[spec.targetLayer].spec
        return float(target.VThresh)
    if kind == "L0NormLCAProbe":
        target = network.layers[spec.targetLayer].spec
        return float(target.VThresh) ** 2 / 2
    return float(getattr(spec, "coefficient", 1.0))


def _costs(network: Network, specs: list[Any]) -> list[str]:
    """Layers whose activity costs in a sum of squared errors what they descend; else none.

    That is their threshold, and half of what a neuron inhibits itself by.
    """
    prices = [s for s in specs if NORMS.get(type(s).__name__) == "l1"]
    costs = [
        s.targetLayer
        for s in prices
        if coefficient(network, s) == getattr(network.layers[s.targetLayer].spec, "VThresh", None)
    ]
    squares = [s for s in specs if type(s).__name__ == "L2NormProbe"]
    errors = [s for s in squares if s.targetLayer not in costs]
    if any(s.exponent != 2.0 for s in squares) or any(
        coefficient(network, s) != 0.5 for s in errors
    ):
        return []
    weights = dict.fromkeys(costs, 0.0)
    for s in squares:
        if s.targetLayer in weights:
            weights[s.targetLayer] += coefficient(network, s)
    return [n for n, weight in weights.items() if 2 * weight == _self_inhibition(network, n)]


def _self_inhibition(network: Network, layer: str) -> float:
    """What each neuron inhibits itself by, per activity; NaN where it cannot be told."""
    total = 0.0
    for node in network.incoming(layer):
        if node.pre == layer:
            plain = type(node.spec).__name__ == "RescaleConn" and node.spec.channelCode == 1
            total += node.spec.scale if plain else math.nan
    return total


def _energy_sum(table: BufferTable, spec: Any, after: list[Operator]) -> str:
    network = table.network
    probes = network.model.probes
    members = _sources(probes, spec.name)
    if not members:
        raise network.model.error(
            spec.name,
            f'no probe belongs to this energy; give at least one probe energyProbe = "{spec.name}"',
        )
    reads = tuple(f"{m}:value" for m in members)
    weights = tuple(coefficient(network, probes[m]) for m in members)
    won = gains(table, _costs(network, [probes[m] for m in members]))
    reads, weights = (*reads, *won), (*weights, *(1.0 for _ in won))
    value = _value(table, spec)
    scalars = {"coefficients": weights}
    after.append(Operator("energy", spec.name, reads, (value,), (), (), scalars))
    return value


def _quotient(table: BufferTable, spec: Any, after: list[Operator]) -> str:
    reads = (f"{spec.numerator}:value", f"{spec.denominator}:value")
    value = _value(table, spec)
    after.append(Operator("quotient", spec.name, reads, (value,)))
    return value


def _stats(table: BufferTable, spec: Any, after: list[Operator]) -> str:
    buffer = getattr(spec, "buffer", "Activity") or "Activity"
    of_potential = buffer.lower() in ("membranepotential", "v")
    target = spec.targetLayer
    read = potential(table, target) if of_potential else table.activity(target)
    value = table.add(f"{spec.name}:value", (table.nbatch, len(STATS)), "probe", "float64")
    scalars = {"threshold": spec.nnzThreshold}
    after.append(Operator("stats", spec.name, (read,), (value,), (), (), scalars))
    return value


def _timescale(table: BufferTable, spec: Any) -> list[Operator]:
    """The adaptive time step of each batch element from its energy of the last step."""
    network = table.network
    state = timescale_buffer(table, spec.name)
    scalars: dict[str, Any] = {
        "base_max": spec.baseMax,
        "base_min": spec.baseMin,
        "tau_factor": spec.tauFactor,
        "growth_factor": spec.growthFactor,
        "dt": network.model.column.dt,
    }
    kind = type(spec).__name__
    if kind == "KneeTimeScaleProbe":
        scalars |= {"knee_thresh": spec.kneeThresh, "knee_slope": spec.kneeSlope}
    elif kind == "LogTimeScaleProbe":
        scalars |= {"log_thresh": spec.logThresh, "log_slope": spec.logSlope}
    # A new image is told to the probe; without a trigger it never hears of one.
    scalars["trigger"] = trigger_schedule(network, spec) or Schedule(0, 0)
    energy = f"{spec.targetName}:value"
    return [Operator("timescale", spec.name, (energy,), (), (), (state,), scalars)]
