"""Plan to a plan with the same results: the sparse-coding circuit in fewer operators.

A params file says with separate layers that an error is an input less its
reconstruction, that a clone shows a potential, that an error is also fed back.
Executed as written, each is a pass over memory. Here, in whatever order and
phases the file gives them:

- an error is made by one operator from the layers and the sparse codes it stands
  for (``residual``); reconstructions and clones that nothing else reads are made
  only before somebody looks;
- a one-to-one delivery into a coding layer becomes a term of its update;
- the drive of a whole-field code over an input that stays is carried by inner
  products of its dictionary (``lateral``), where that is less work.

A reconstruction stored before weights were learned, or before a buffer was
written from outside, is not the one that codes and weights give now; in a step
after such a change the operators of the plain plan run (see ``Operator.at``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from neurosim.plan.flow import Flow
from neurosim.plan.lateral import carry_drives
from neurosim.plan.operators import Operator, Plan

#: Updates that take terms besides their summed input.
CODING = ("lca", "momentum_lca", "ista")


@dataclass(frozen=True)
class Leaf:
    """What a delivery comes down to: a layer, or the scatter of one, as of a place.

    ``chain`` holds the places of the operators that carried it to the delivery.
    """

    coefficient: float
    buffer: str
    place: int
    scatter: Operator | None = None
    chain: tuple[int, ...] = ()


@dataclass
class Residuals:
    """Errors found so far: the operators that make them, and those they stand for."""

    slots: dict[int, list[Operator]] = field(default_factory=dict)
    deliveries: set[int] = field(default_factory=set)
    chains: set[int] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)

    def put(self, slot: int, op: Operator) -> None:
        """Add an operator before place ``slot``, ahead of those there that read its error."""
        others = self.slots.setdefault(slot, [])
        index = next((i for i, o in enumerate(others) if op.target in o.reads), len(others))
        others.insert(index, op)


def fuse(plan: Plan) -> Plan:
    """The same plan with the sparse-coding circuits in fewer operators.

    Buffers keep their names and, whenever the simulator is between two stretches,
    their values up to rounding; so observers, checkpoints and learning see no
    difference.

    Parameters
    ----------
    plan : Plan
        As :func:`neurosim.plan.lower` makes it.

    Returns
    -------
    Plan
    """
    step = fuse_residuals(fold_terms(plan.step))
    return carry_drives(replace(plan, step=step))


def fold_terms(step: tuple[Operator, ...]) -> tuple[Operator, ...]:
    """One-to-one deliveries into coding layers become terms of their updates."""
    flow = Flow(step)
    changed: dict[int, Operator | None] = {}
    for place, op in enumerate(step):
        if op.kind not in CODING or not op.steady:
            continue
        drive = op.reads[0]
        writers = flow.writers.get(drive, [])
        if flow.readers[drive] != [place] or not all(w < place for w in writers):
            continue
        if not all(step[w].steady for w in writers):
            continue
        movable = [
            w
            for w in writers
            if step[w].kind == "ident" and flow.unchanged(step[w].reads[0], w, place)
        ]
        kept = [w for w in writers if w not in movable]
        if not kept or not movable:
            continue
        changed |= dict.fromkeys(movable)
        changed[kept[0]] = replace(step[kept[0]], sets=(drive,), incs=())
        terms = tuple(step[w].scalars["coefficient"] for w in movable)
        sources = tuple(step[w].reads[0] for w in movable)
        reads = (drive, *sources, *op.reads[1:])
        changed[place] = replace(op, reads=reads, scalars={**op.scalars, "terms": terms})
    now = (changed.get(place, op) for place, op in enumerate(step))
    return tuple(op for op in now if op is not None)


def fuse_residuals(step: tuple[Operator, ...]) -> tuple[Operator, ...]:
    """Errors straight from inputs, potentials and codes."""
    flow = Flow(step)
    found = Residuals()
    for error in flow.writers:
        _find_residual(flow, error, found)
    unseen = _unseen(flow, found)
    merged: list[Operator] = []
    for place, op in enumerate(step):
        merged += found.slots.get(place, [])
        if place in found.deliveries:
            op = replace(op, at="first")
        elif place in unseen:
            op = replace(op, at="last")
        merged.append(op)
    return (*merged, *found.slots.get(len(step), []))


def _find_residual(flow: Flow, error: str, found: Residuals) -> None:
    """Add the operator that makes an error, if it comes from several things or from afar."""
    group = flow.writers[error]
    operators = [flow.operators[place] for place in group]
    first, last = group[0], group[-1]
    if not all(op.steady and op.kind in ("ident", "scatter") for op in operators):
        return
    if not operators[0].sets or any(op.sets for op in operators[1:]):
        return
    if not flow.unread(error, first + 1, last + 1):
        return
    choices = []
    for slot in _slots(flow, error, first, last):
        leaves = [_leaf(flow, place, slot) for place in group]
        usable = [leaf for leaf in leaves if leaf is not None]
        moves = slot <= first
        clash = (moves and error in found.read) or any(x.buffer in found.moved for x in usable)
        several = len(group) > 1 or any(leaf.chain for leaf in usable)
        if len(usable) == len(group) and several and not clash:
            followed = sum(bool(leaf.scatter or leaf.chain) for leaf in usable)
            choices.append((followed, slot, usable))
    if not choices:
        return
    _, slot, chosen = max(choices, key=lambda c: c[:2])
    found.put(slot, _operator(operators[0].name, error, chosen))
    found.deliveries |= set(group)
    found.chains |= {place % len(flow) for leaf in chosen for place in leaf.chain}
    found.read |= {leaf.buffer for leaf in chosen}
    if slot <= first:
        found.moved.add(error)


def _slots(flow: Flow, error: str, first: int, last: int) -> Iterator[int]:
    """Places at which an error may be made: where it is, or earlier, after its last readers."""
    yield last + 1
    for slot in range(first, -1, -1):
        if not flow.unread(error, slot, first):
            return
        yield slot


def _leaf(flow: Flow, place: int, slot: int) -> Leaf | None:
    """What a delivery brings, if it can be had at ``slot``."""
    op = flow.operators[place]
    coefficient = op.scalars["coefficient"]
    if op.kind == "scatter":
        choices = [Leaf(coefficient, op.reads[0], place, op)]
    else:
        origin, itself = _origin(flow, op.reads[0], place), Leaf(1.0, op.reads[0], place)
        choices = [
            replace(leaf, coefficient=leaf.coefficient * coefficient)
            for leaf in (origin, itself)
            if leaf is not None
        ]
    usable = (x for x in choices if flow.unchanged(x.buffer, x.place, slot))
    return next(usable, None)


def _origin(flow: Flow, buffer: str, place: int) -> Leaf | None:
    """Follow a buffer back through copies to a potential, or to a scatter it is alone to show.

    No further than into the last step: what that one left is all that a step after a
    change from outside makes anew.
    """
    made = flow.producer(buffer, place)
    if made is None or made < -len(flow):
        return None
    op = flow.at(made)
    alone = len(flow.readers.get(buffer, [])) == 1
    if op.kind == "scatter" and alone:
        return Leaf(op.scalars["coefficient"], op.reads[0], made, op, (made,))
    if op.kind != "copy":
        return None
    inner = _origin(flow, op.reads[0], made) or Leaf(1.0, op.reads[0], made)
    if inner.scatter and not alone:
        return None
    return replace(inner, chain=(*inner.chain, made))


def _operator(name: str, error: str, leaves: list[Leaf]) -> Operator:
    sources = [leaf for leaf in leaves if leaf.scatter is None]
    reads = [leaf.buffer for leaf in sources]
    patches = []
    for leaf in leaves:
        if leaf.scatter is not None:
            reads += [leaf.buffer, leaf.scatter.reads[1]]
            patches.append({**leaf.scatter.scalars, "coefficient": leaf.coefficient})
    scalars: dict[str, Any] = {
        "coefficients": tuple(leaf.coefficient for leaf in sources),
        "patches": tuple(patches),
    }
    return Operator("residual", name, tuple(reads), (error,), scalars=scalars, at="rest")


def _unseen(flow: Flow, found: Residuals) -> set[int]:
    """Operators of chains whose results nothing reads any more between two looks."""
    unseen = {place for place in found.chains if flow.operators[place].target not in found.read}
    while True:
        seen = {
            place
            for place in unseen
            for reader in flow.readers.get(flow.operators[place].target, [])
            if reader not in found.deliveries and reader not in unseen
        }
        if not seen:
            return unseen
        unseen -= seen
