"""Plans for a backend that computes on the host: less arithmetic, less memory."""

from __future__ import annotations

from dataclasses import replace

from neurosim.plan.operators import Operator, Plan
from neurosim.plan.winograd import shorten


def tune(plan: Plan) -> Plan:
    """The plan with short convolutions where they pay, learning a few kernels at a time."""
    return learn_in_blocks(shorten(plan))


def learn_in_blocks(plan: Plan) -> Plan:
    """The plan in which no increments of all weights of a connection are kept.

    Increments that only the rule reads are made and used kernel by kernel (``train``),
    which saves an array as large as the weights.
    """
    learn: list[Operator] = []
    dropped: set[str] = set()
    for op in plan.learn:
        before = learn[-1] if learn else None
        if before is not None and _belong(plan, before, op):
            increments = before.sets
            learn[-1] = Operator(
                "train",
                op.name,
                before.reads[:2],
                updates=tuple(n for n in op.updates if n not in increments),
                scalars={"increments": before, "rule": op},
                when=op.when,
            )
            dropped |= set(increments)
        else:
            learn.append(op)
    kept = {name: b for name, b in plan.buffers.items() if name not in dropped}
    return replace(plan, buffers=kept, learn=tuple(learn))


def _belong(plan: Plan, increments: Operator, rule: Operator) -> bool:
    """Whether a rule alone uses all the increments that one operator makes."""
    if (increments.kind, rule.kind) != ("hebbian", "learn") or rule.scalars["deferred"]:
        return False
    if rule.reads[0] not in increments.sets or increments.when != rule.when:
        return False
    users = [op for op in plan.learn if {*op.reads, *op.writes} & {*increments.sets}]
    scratch = all(plan.buffers[n].role == "scratch" for n in increments.sets)
    return scratch and users == [increments, rule]
