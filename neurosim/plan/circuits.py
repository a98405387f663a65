"""The circuits that sparse solvers solve: which layers belong together, how old what they see is.

Layers of kind ``SparseSolverLayer`` that can be reached from each other through
connections and through layers that read others directly are one circuit. In
step ``t`` a solver has to see the response to what it tried in step ``t - 1``,
all of it and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from neurosim.network import Network
from neurosim.network.phases import STATEFUL
from neurosim.plan.operators import Schedule
from neurosim.plan.schedules import INPUTS, layer_schedule, steps

KIND = "SparseSolverLayer"
#: Keys by which a layer reads another one directly.
LIVE = ("originalLayerName", "maskLayerName", "inputLayerName", "labelSource")
#: Layers that show the potential of another one.
POTENTIALS = ("CloneVLayer", "SigmoidLayer")


@dataclass(frozen=True)
class Circuit:
    """Solver layers that are solved together.

    Attributes
    ----------
    members : tuple of str
        Layers, in file order; the first gives the circuit its name.
    phase : int
        The last phase of its members, in which all of them update.
    potential : bool
        A potential of a member comes back to it: there is no energy, only a rest.
    """

    members: tuple[str, ...]
    phase: int
    potential: bool

    @property
    def name(self) -> str:
        return self.members[0]

    def last(self, network: Network) -> str:
        """The member after which all have received their input."""
        return [m for m in self.members if network.layers[m].phase == self.phase][-1]


def sources(network: Network, layer: str) -> Iterator[tuple[str, int]]:
    """Layers that a layer reads in a step, each with its delay in steps."""
    for node in network.incoming(layer):
        for delay in node.spec.delay or (0.0,):
            yield node.pre, steps(network, delay)
    for key in LIVE:
        name: str = getattr(network.layers[layer].spec, key, None) or ""
        if name in network.layers:
            yield name, 0


def readers(network: Network) -> dict[str, set[str]]:
    """Layers that read each layer."""
    found: dict[str, set[str]] = {name: set() for name in network.layers}
    for name in network.layers:
        for source, _ in sources(network, name):
            found[source].add(name)
    return found


def reached(graph: dict[str, set[str]], layer: str) -> set[str]:
    """Layers that what ``layer`` shows comes to, itself only if it comes back."""
    found: set[str] = set()
    waiting = list(graph[layer])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph[name]
    return found


def circuits(network: Network) -> dict[str, Circuit]:
    """The circuit of each solver layer.

    Raises
    ------
    NetworkError
        Where a solver sees nothing of its own code, shares a loop with a coding
        layer of another kind, or sees responses that are older than a step.
    """
    solvers = [n for n, node in network.layers.items() if node.kind == KIND]
    if not solvers:
        return {}
    graph = readers(network)
    reach = {name: reached(graph, name) for name in network.layers}
    found: dict[str, Circuit] = {}
    for name in solvers:
        loop = [n for n in network.layers if n in reach[name] and name in reach[n]]
        _check_loop(network, name, loop)
        members = tuple(n for n in loop if n in solvers)
        if members[0] in found:
            found[name] = found[members[0]]
            continue
        phase = max(network.layers[m].phase for m in members)
        potential = any(network.layers[n].kind in POTENTIALS for n in loop)
        found[name] = Circuit(members, phase, potential)
    for circuit in dict.fromkeys(found.values()):
        _check_ages(network, circuit)
    return found


def delivers_trial(network: Network, pre: str, post: str) -> bool:
    """Whether a delivery from ``pre`` to ``post`` is part of a circuit with an energy."""
    if network.layers[pre].kind != KIND:
        return False
    circuit = circuits(network)[pre]
    graph = readers(network)
    inside = post in circuit.members or bool(reached(graph, post) & set(circuit.members))
    return inside and not circuit.potential


def presentations(network: Network) -> list[Schedule]:
    """Steps at which the inputs of a network show something new."""
    shown = (n for n, node in network.layers.items() if node.kind in (*INPUTS, "NameLayer"))
    found = dict.fromkeys(layer_schedule(network, name) for name in shown)
    return [when for when in found if when is not None and when.every]


def input_changes(network: Network, circuit: Circuit) -> list[tuple[int, int]]:
    """First step and period at which new inputs come to a circuit, ``(first, every)``.

    An input is an input layer, or a layer that updates on a trigger only and holds its
    activity in between.
    """
    found = []
    for name in network.layers:
        when = layer_schedule(network, name)
        if when is None or when.always:
            continue
        ages: set[int] = set()
        node = network.layers[name]
        for member in circuit.members:
            ages |= _ages(network, member, {name: node.phase}.get, ())
        if when.every:
            found += [(when.first + age, when.every) for age in sorted(ages)]
    return found


def _check_loop(network: Network, name: str, loop: list[str]) -> None:
    if not loop:
        raise network.model.error(
            name,
            f"nothing that {name} drives comes back to it, so there is nothing to solve; let it "
            "reconstruct what it codes, or use HyPerLCALayer",
        )
    for other in loop:
        kind = network.layers[other].kind
        if kind in STATEFUL and kind != KIND:
            raise network.model.error(
                name, f'shares a loop with {kind} "{other}"; give both the kind {KIND}'
            )
        when = layer_schedule(network, other)
        if when is None or not when.always:
            raise network.model.error(
                name, f'its loop goes through "{other}", which does not update in every step'
            )


def _check_ages(network: Network, circuit: Circuit) -> None:
    """Every member sees the response to the last step's trial."""
    updates = dict.fromkeys(circuit.members, circuit.phase)
    for member in circuit.members:
        ages = _ages(network, member, updates.get, ())
        if ages - {1}:
            raise network.model.error(
                member,
                f"sees its own code, or that of a layer it is solved with, {max(ages)} steps late; "
                "a solver needs the response of exactly one step ago: give reconstructions a "
                "higher phase than codes, and errors a lower one (or no layer a phase), and no "
                "connection of the loop a delay",
                "phase",
            )


def _ages(
    network: Network, layer: str, update: Callable[[str], int | None], path: tuple[str, ...]
) -> set[int]:
    """How many steps ago what a layer shows, after its own update, was shown by some layers.

    ``update`` gives the phase in which one of those updates, None for others. Through
    other layers with state changes come bit by bit, at no particular time.
    """
    if layer in path:
        return set()
    phase = network.layers[layer].phase
    found: set[int] = set()
    for source, delay in sources(network, layer):
        shown = update(source)
        if shown is not None:
            ages = {0}
        elif network.layers[source].kind in STATEFUL:
            continue
        else:
            ages = _ages(network, source, update, (*path, layer))
            shown = network.layers[source].phase
        late = delay + (0 if phase > shown else 1)
        found |= {age + late for age in ages}
    return found
