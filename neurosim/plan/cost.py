"""Memory and arithmetic of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from neurosim.plan.operators import Plan
from neurosim.plan.work import SIZES, is_weights, operator_work


@dataclass(frozen=True)
class Cost:
    """What a plan asks of a machine.

    Attributes
    ----------
    bytes, weight_bytes : int
        All buffers, and those of weights, at 4 bytes a real number.
    dense, sparse : int
        Multiply-adds per image and step of drives, which are dense, and of
        reconstructions if every unit were active.
    """

    bytes: int
    weight_bytes: int
    dense: int
    sparse: int


def plan_cost(plan: Plan) -> Cost:
    """Cost of a plan in float32, and of its steps but those after a change from outside."""
    total = weights = 0
    for buffer in plan.buffers.values():
        size = prod(buffer.shape) * SIZES[buffer.dtype]
        total += size
        weights += size if is_weights(buffer) else 0
    dense = sparse = 0.0
    for op in plan.step:
        if op.when.always and op.at in ("every", "rest"):
            work = operator_work(op, plan.buffers)
            dense += work.dense / 2
            sparse += sum(flops for _, flops in work.sparse) / 2
    return Cost(total, weights, round(dense), round(sparse))
