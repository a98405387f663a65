"""Layers to operators: how potentials and activities follow from the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neurosim.network import Network
from neurosim.plan.buffers import BufferTable
from neurosim.plan.operators import Operator, Schedule
from neurosim.plan.solver import lower_solver
from neurosim.plan.transfer import transfer

#: Potentials beyond this size, in units of the largest threshold or 1, mean divergence.
POTENTIAL_LIMIT = 1e6
#: Steps between two looks at the potentials.
GUARD_EVERY = 8


def decay(network: Network, spec: Any) -> dict[str, Any]:
    """Time constant and step size; see docs/numerics.md for the step size quirk."""
    dt = network.model.column.dt
    tau = spec.timeConstantTau / dt
    if tau <= 0:
        raise network.model.error(
            spec.name,
            f"timeConstantTau = {spec.timeConstantTau:g}; it must be above 0",
            "timeConstantTau",
        )
    return {"tau": tau, "dt": dt, "terms": ()}


def timescale_buffer(table: BufferTable, probe: str) -> str:
    """Per batch element: the time step, the last energy, the largest time step."""
    return table.add(f"{probe}:timescale", (table.nbatch, 3), "state", "float64")


def timescale(table: BufferTable, spec: Any) -> tuple[str, ...]:
    """The buffer of adaptive time steps a layer follows, if any."""
    probe = spec.adaptiveTimeScaleProbe
    return (timescale_buffer(table, probe),) if probe else ()


Lowered = tuple[list[Operator], str]
LayerLowering = Callable[[BufferTable, Any, str, Schedule], Lowered]


def _linear(table: BufferTable, spec: Any, g: str, when: Schedule) -> Lowered:
    """V = A = summed input."""
    a = table.activity(spec.name)
    if g == a:
        return [], a
    return [Operator("copy", spec.name, (g,), (a,), (), (), {}, when)], a


def _ann(table: BufferTable, spec: Any, g: str, when: Schedule) -> Lowered:
    v, a = table.layer(spec.name, "V", "state"), table.activity(spec.name)
    scalars = transfer(spec) | {"gain": getattr(spec, "errScale", 1.0)}
    operators = [Operator("ann", spec.name, (g,), (v, a), (), (), scalars, when)]
    if type(spec).__name__ == "MaskLayer":
        mask = (table.activity(spec.maskLayerName),) if spec.maskLayerName else ()
        kept = {"method": spec.maskMethod, "features": tuple(int(f) for f in spec.featureIdxs)}
        operators.append(Operator("mask", spec.name, mask, (), (), (a,), kept, when))
    return operators, v


def _lca(table: BufferTable, spec: Any, g: str, when: Schedule) -> Lowered:
    v, a = table.layer(spec.name, "V", "state"), table.activity(spec.name)
    scalars = transfer(spec) | decay(table.network, spec)
    scalars["self_interact"] = 1.0 if spec.selfInteract else 0.0
    reads = (g, *timescale(table, spec))
    return [Operator("lca", spec.name, reads, (), (), (v, a), scalars, when)], v


def _momentum_lca(table: BufferTable, spec: Any, g: str, when: Schedule) -> Lowered:
    operators, v = _lca(table, spec, g, when)
    drive = table.layer(spec.name, "prevDrive", "state")
    lca = operators[0]
    scalars = dict(lca.scalars) | {"momentum": spec.LCAMomentumRate}
    updates = (*lca.updates, drive)
    return [Operator("momentum_lca", lca.name, lca.reads, (), (), updates, scalars, when)], v


def _ista(table: BufferTable, spec: Any, g: str, when: Schedule) -> Lowered:
    v, a = table.layer(spec.name, "V", "state"), table.activity(spec.name)
    scalars = transfer(spec) | decay(table.network, spec)
    reads = (g, *timescale(table, spec))
    return [Operator("ista", spec.name, reads, (), (), (v, a), scalars, when)], v


def _leaky(table: BufferTable, spec: Any, g: str, when: Schedule) -> Lowered:
    v, a = table.layer(spec.name, "V", "state"), table.activity(spec.name)
    dt = table.network.model.column.dt
    scalars = transfer(spec) | {"tau": spec.integrationTime, "dt": dt}
    return [Operator("leaky", spec.name, (g,), (), (), (v, a), scalars, when)], v


def _clone_v(table: BufferTable, spec: Any, g: str, when: Schedule) -> Lowered:
    v = potential(table, spec.originalLayerName)
    a = table.activity(spec.name)
    return [Operator("copy", spec.name, (v,), (a,), (), (), {}, when)], v


def _sigmoid(table: BufferTable, spec: Any, g: str, when: Schedule) -> Lowered:
    v = potential(table, spec.originalLayerName)
    a = table.activity(spec.name)
    scalars = {
        "rest": spec.Vrest,
        "threshold": spec.VthRest,
        "alpha": spec.SigmoidAlpha,
        "smooth": spec.SigmoidFlag,
        "inverse": spec.InverseFlag,
    }
    return [Operator("sigmoid", spec.name, (v,), (a,), (), (), scalars, when)], v


def _rescale(table: BufferTable, spec: Any, g: str, when: Schedule) -> Lowered:
    source, a = table.activity(spec.originalLayerName), table.activity(spec.name)
    scalars = {
        "method": spec.rescaleMethod,
        "target_max": spec.targetMax,
        "target_min": spec.targetMin,
        "target_mean": spec.targetMean,
        "target_std": spec.targetStd,
        "patch_size": spec.patchSize,
    }
    return [Operator("rescale", spec.name, (source,), (a,), (), (), scalars, when)], a


def _stimulus(table: BufferTable, spec: Any, g: str, when: Schedule) -> Lowered:
    """Activity comes from a frame that the simulator writes beforehand."""
    frame = table.layer(spec.name, "frame", "stimulus")
    a = table.activity(spec.name)
    return [Operator("copy", spec.name, (frame,), (a,), (), (), {}, when)], a


LOWERINGS: dict[str, LayerLowering] = {
    "HyPerLayer": _linear,
    "ANNLayer": _ann,
    "ANNErrorLayer": _ann,
    "MaskLayer": _ann,
    "HyPerLCALayer": _lca,
    "MomentumLCALayer": _momentum_lca,
    "ISTALayer": _ista,
    "SparseSolverLayer": lower_solver,
    "LeakyIntegrator": _leaky,
    "CloneVLayer": _clone_v,
    "SigmoidLayer": _sigmoid,
    "RescaleLayer": _rescale,
    "ImageLayer": _stimulus,
    "PvpLayer": _stimulus,
    "FilenameParsingLayer": _stimulus,
    "NameLayer": _stimulus,
}

#: Layers filled from outside at their schedule.
STIMULI = tuple(kind for kind, lower in LOWERINGS.items() if lower is _stimulus)
#: Layers whose activity is their summed input.
LINEAR = ("HyPerLayer",)
#: Layers that receive through connections.
RECEIVING = (
    "HyPerLayer",
    "ANNLayer",
    "ANNErrorLayer",
    "MaskLayer",
    "HyPerLCALayer",
    "MomentumLCALayer",
    "ISTALayer",
    "SparseSolverLayer",
    "LeakyIntegrator",
)
#: Layers whose potentials are watched for growth without bound.
GUARDED = (
    "HyPerLCALayer",
    "MomentumLCALayer",
    "ISTALayer",
    "SparseSolverLayer",
    "LeakyIntegrator",
)


def potential(table: BufferTable, layer: str) -> str:
    """Buffer of the live membrane potential of a layer."""
    spec: Any = table.network.layers[layer].spec
    kind = type(spec).__name__
    if kind in ("CloneVLayer", "SigmoidLayer"):
        return potential(table, spec.originalLayerName)
    if kind in RECEIVING and kind not in LINEAR:
        return table.layer(layer, "V", "state")
    if kind == "ConstantLayer":
        return table.layer(layer, "V", "state")
    return table.activity(layer)


def guard(table: BufferTable, spec: Any, v: str, when: Schedule) -> Operator:
    """Remembers the first step at which a potential is too large or NaN."""
    flag = table.add(f"{spec.name}:diverged", (table.nbatch,), "scratch", "int64")
    finite = [abs(x) for x in (spec.VThresh,) if abs(x) < 1e30]
    limit = POTENTIAL_LIMIT * max(1.0, *finite) if finite else POTENTIAL_LIMIT
    scalars = {"limit": limit, "every": GUARD_EVERY if when.always else 1}
    return Operator("guard", spec.name, (v,), (), (), (flag,), scalars, when)
