"""Sparse solvers to operators.

A solver layer has, besides its potential ``V`` and its activity ``A``,

- ``trial``: the code whose response comes in the next step; what is delivered inside
  the circuit (``A`` is delivered elsewhere, written and learned from);
- ``known``: the drive that belongs to ``A``;
- ``sums``: its parts of inner products, for each image.

A circuit has ``control``, the state of the search of each image (columns in
:mod:`neurosim.plan.searching`), and ``gain``, the energy of ``A`` less that of the
trial it was made from. docs/numerics.md has the equations.
"""

from __future__ import annotations

from typing import Any

from neurosim.plan.buffers import BufferTable
from neurosim.plan.circuits import (
    Circuit,
    circuits,
    delivers_trial,
    input_changes,
    presentations,
)
from neurosim.plan.operators import Operator, Schedule
from neurosim.plan.schedules import trigger_schedule
from neurosim.plan.searching import CHANGED, CONTROL, ENDS, SHOWN, SUMS
from neurosim.plan.transfer import transfer

#: Inputs that change more often than this leave no time for a search of their own.
SHORTEST = 8


def lower_solver(
    table: BufferTable, spec: Any, g: str, when: Schedule
) -> tuple[list[Operator], str]:
    """Operators of a whole circuit at its last member, none at the others."""
    v = table.layer(spec.name, "V", "state")
    operators = _taken_up(table, spec, v)
    circuit = circuits(table.network)[spec.name]
    if spec.name == circuit.last(table.network):
        operators += _circuit(table, circuit)
    return operators, v


def delivered(table: BufferTable, pre: str, post: str, delay: int) -> str:
    """Buffer that a connection delivers: the activity, or inside a circuit the trial."""
    if delay == 0 and delivers_trial(table.network, pre, post):
        return trial(table, pre)
    return table.activity(pre, delay)


def trial(table: BufferTable, layer: str) -> str:
    """The code of a solver layer whose response comes next."""
    return table.layer(layer, "trial", "state")


def measured_on_trial(table: BufferTable, spec: Any) -> bool:
    """Whether a norm is part of an energy whose errors are those of a solver's trial."""
    found = circuits(table.network).get(spec.targetLayer)
    return bool(spec.energyProbe) and found is not None and not found.potential


def gain(table: BufferTable, circuit: Circuit) -> str:
    """Energy of the activities less that of the trials they were made from, per image."""
    return table.add(f"{circuit.name}:gain", (table.nbatch,), "scratch", "float64")


def gains(table: BufferTable, layers: list[str]) -> list[str]:
    """The gains that belong to an energy which counts the activities of these layers."""
    found = circuits(table.network)
    solved = dict.fromkeys(found[n] for n in layers if n in found and not found[n].potential)
    return [gain(table, circuit) for circuit in solved if set(circuit.members) <= set(layers)]


def _taken_up(table: BufferTable, spec: Any, v: str) -> list[Operator]:
    """The activity of a potential that was just reset."""
    when = trigger_schedule(table.network, spec)
    if spec.triggerBehavior != "resetStateOnTrigger" or when is None:
        return []
    sets = (v, table.activity(spec.name))
    scalars = transfer(spec) | {"gain": 1.0}
    return [Operator("ann", spec.name, (v,), sets, (), (), scalars, when)]


def _circuit(table: BufferTable, circuit: Circuit) -> list[Operator]:
    """All that a circuit does in a step, once its members have received their input."""
    control = table.add(f"{circuit.name}:control", (table.nbatch, CONTROL), "state", "float64")
    sums = {
        member: table.add(f"{member}:sums", (table.nbatch, SUMS), "scratch", "float64")
        for member in circuit.members
    }
    solve = _relaxation if circuit.potential else _search
    return _interruptions(table, circuit, control) + solve(table, circuit, control, sums)


def _search(
    table: BufferTable, circuit: Circuit, control: str, sums: dict[str, str]
) -> list[Operator]:
    """Descent of the joint energy along conjugate directions."""
    measure, weigh, move = [], [], []
    for member, part in sums.items():
        g, *state = _state(table, member)
        scalars = {"v_thresh": table.network.layers[member].spec.VThresh}
        known = (g, *state)
        moved = (*state, table.layer(member, "V", "state"))
        measure.append(Operator("solver_measure", member, known, (part,), (), (), scalars))
        weigh.append(Operator("solver_weigh", member, (*known, control), (), (), (part,), scalars))
        move.append(Operator("solver_move", member, (g, control, part), (), (), moved, scalars))
    parts, won = tuple(sums.values()), gain(table, circuit)
    search = Operator("solver_search", circuit.name, parts, (won,), (), (control,))
    turn = Operator("solver_turn", circuit.name, parts, (), (), (control,))
    return [*measure, search, *weigh, turn, *move]


def _relaxation(
    table: BufferTable, circuit: Circuit, control: str, sums: dict[str, str]
) -> list[Operator]:
    """Fixed-point iteration towards the rest of the plain dynamics."""
    measure, move = [], []
    for member, part in sums.items():
        g = table.layer(member, "G")
        v, a = table.layer(member, "V", "state"), table.activity(member)
        last = (table.layer(member, "earlier", "state"), table.layer(member, "rest", "state"))
        threshold = table.network.layers[member].spec.VThresh
        # A potential whose clone is taken from its drive rests at half its residual.
        pulled = any(getattr(s, "originalLayerName", "") == member for s in _specs(table))
        scalars = {"v_thresh": threshold, "natural": 0.5 if pulled else 1.0}
        reads = (g, v, a, *last)
        measure.append(Operator("relax_measure", member, reads, (part,), (), (), scalars))
        updates = (v, a, *last)
        move.append(Operator("relax_move", member, (g, control), (), (), updates, scalars))
    search = Operator("relax_search", circuit.name, tuple(sums.values()), (), (), (control,))
    return [*measure, search, *move]


def _specs(table: BufferTable) -> list[Any]:
    return [node.spec for node in table.network.layers.values()]


def _state(table: BufferTable, member: str) -> tuple[str, ...]:
    """Drive, activity, its known drive, trial."""
    return (
        table.layer(member, "G"),
        table.activity(member),
        table.layer(member, "known", "state"),
        trial(table, member),
    )


def _interruptions(table: BufferTable, circuit: Circuit, control: str) -> list[Operator]:
    """What is known is no longer true after a change of weights, buffers or inputs.

    Before the last two steps of a presentation the code itself is delivered, so that
    at its end errors and reconstructions are those of the code that is shown: it is
    then that weights learn and results are written.
    """
    network = table.network

    def interrupt(event: int, **when: Any) -> Operator:
        scalars = {"event": event}
        return Operator(
            "solver_interrupt", circuit.name, updates=(control,), scalars=scalars, **when
        )

    found = [interrupt(CHANGED, at="first")]
    for first, every in input_changes(network, circuit):
        if every >= SHORTEST:
            found.append(interrupt(SHOWN, when=Schedule(first, every)))
    if not circuit.potential:
        for shown in presentations(network):
            if shown.every >= SHORTEST:
                found += [interrupt(ENDS, when=shown.shifted(early)) for early in (2, 1)]
    for member in circuit.members:
        spec = network.layers[member].spec
        when = trigger_schedule(network, spec)
        if spec.triggerBehavior == "resetStateOnTrigger" and when is not None:
            found.append(interrupt(CHANGED, when=when))
    return found
