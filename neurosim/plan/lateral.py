"""Whole-field codes of an input that stays: drives carried by inner products of atoms.

The drive of a code with dictionary Φ over ``x - Φa`` is ``Φᵀx - ΦᵀΦ a``. The first
term changes with the input and the weights only; where the field is larger than the
code, the product with ``ΦᵀΦ`` is less work than two with Φ, and it costs in
proportion to the activity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from neurosim.plan.flow import Flow
from neurosim.plan.operators import Buffer, Operator, Plan


def carry_drives(plan: Plan) -> Plan:
    """A fused plan in which such drives are made from inner products."""
    for op in plan.step:
        if op.kind == "gather" and op.steady:
            plan = _carry(plan, op)
    return plan


def _carry(plan: Plan, drive: Operator) -> Plan:
    """The plan with one drive carried, or as it is."""
    flow = Flow(plan.step)
    place = plan.step.index(drive)
    error, dictionary = drive.reads
    made = next((op for op in plan.step if op.kind == "residual" and op.target == error), None)
    if made is None or flow.readers.get(error) != [place] or not drive.sets:
        return plan
    s = made.scalars
    if len(s["coefficients"]) != 1 or len(s["patches"]) != 1:
        return plan
    source, code, reconstructing = made.reads
    patch = s["patches"][0]
    same = reconstructing == dictionary and patch["arbor"] == drive.scalars["arbor"]
    if not (same and _whole_field(drive.scalars) and _whole_field(patch)):
        return plan
    if not flow.unchanged(code, plan.step.index(made), place):
        return plan
    shows = [plan.step[w] for w in flow.writers.get(source, [])]
    if any(op.when.always or op.at != "every" for op in shows):
        return plan
    return _replaced(plan, drive, made, shows, (source, code, patch["coefficient"]))


def _whole_field(scalars: Mapping[str, Any]) -> bool:
    """Whether one unit sees all of a field that is larger than the code."""
    g = scalars["geometry"]
    whole = all(
        ax.coarse == 1 and ax.patch == ax.fine and ax.offset == 0 and not ax.coarse_margin
        for ax in (g.y, g.x)
    )
    fine, coarse = (g.post.nf, g.pre.nf) if g.coarse_is_pre else (g.pre.nf, g.post.nf)
    return whole and 2 * coarse <= fine * g.y.fine * g.x.fine


def _replaced(
    plan: Plan,
    drive: Operator,
    made: Operator,
    shows: list[Operator],
    circuit: tuple[str, str, float],
) -> Plan:
    """The plan in which the drive is the projected input less the competition."""
    source, code, reconstruction = circuit
    dictionary = drive.reads[1]
    summed = plan.buffers[drive.target]
    features = summed.shape[3]
    projected = replace(summed, name=f"{drive.name}:projection", role="scratch")
    products = Buffer(f"{drive.name}:products", (features, features))
    scale = drive.scalars["coefficient"]
    scalars = {**drive.scalars, "coefficient": scale * made.scalars["coefficients"][0]}
    project = replace(
        drive, reads=(source, dictionary), sets=(projected.name,), scalars=scalars, at="renew"
    )
    reads = (projected.name, products.name, code)
    compete = Operator("lateral", drive.name, reads, drive.sets, at="rest")
    step: list[Operator] = []
    for op in plan.step:
        if op is made:
            step.append(replace(op, at="last_rest"))
        elif op is drive:
            again = (replace(project, when=show.when, at="rest") for show in shows)
            step += [project, *again, replace(op, at="first"), compete]
        else:
            step.append(op)
    weights = {"arbor": drive.scalars["arbor"], "coefficient": -scale * reconstruction}
    gram = Operator("gram", drive.name, (dictionary,), (products.name,), scalars=weights)
    updates = {op.when for op in plan.learn if dictionary in op.writes}
    return replace(
        plan,
        buffers={**plan.buffers, projected.name: projected, products.name: products},
        start=(*plan.start, gram),
        step=tuple(step),
        learn=(*plan.learn, *(replace(gram, when=when) for when in updates)),
    )
