"""Memory and arithmetic of a plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosim.plan.operators import Plan


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
    """Cost of a plan in float32."""
    size = {"real": 4, "float64": 8, "int64": 8}
    total = weights = 0
    for buffer in plan.buffers.values():
        n = int(np.prod(buffer.shape)) * size[buffer.dtype]
        total += n
        if buffer.name.endswith((":W", ":D", ":dW", ":prev_dW", ":count")):
            weights += n
    work = {"gather": 0, "scatter": 0}
    for op in plan.step:
        kind = op.kind.removesuffix("_local")
        if kind in work and op.when.always:
            g = op.scalars["geometry"]
            units = g.y.coarse * g.x.coarse
            features = g.pre.nf * g.post.nf
            work[kind] += units * g.y.patch * g.x.patch * features
    return Cost(total, weights, work["gather"], work["scatter"])
