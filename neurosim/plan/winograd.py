"""Drives with fewer multiplications: nested short convolutions.

A drive through patches that overlap is a convolution. Two neighbouring outputs of a
convolution with two taps need three products instead of four (Winograd 1980),

    y0 = x0 w0 + x1 w1 = (x0 - x1) w0 + x1 (w0 + w1)
    y1 = x1 w0 + x2 w1 = (x2 - x1) w1 + x1 (w0 + w1),

and where taps and outputs are themselves blocks of two, the rule applies again. With
a stride ``s`` the fine units at the ``s * s`` positions within a coarse unit count as
features. In two dimensions 81 products then do the work of 256 for 4 x 4 taps. Only
sums and differences of neighbours are formed, so that rounding stays that of the
plain product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from neurosim.network.geometry import PatchAxis, PatchGeometry
from neurosim.plan.operators import Buffer, Operator, Plan

#: Multiply-adds of a matrix product that take as long as one number of a transform. Measured
#: on the sizes of the paper (0.23 and 2.1 ms for 13 and 113 million worth), rounded up.
TRANSFORM_COST = 24
#: Used where it is worth at most this share of the plain multiply-adds.
WORTHWHILE = 0.9
#: Drives below this many multiply-adds an image are not worth the memory.
LARGE_DRIVE = 1 << 24
#: Most bytes of transformed weights.
MOST_BYTES = 1 << 26

#: Transforms of inputs, weights and products for two taps and two outputs.
INPUTS = np.array([[1, -1, 0], [0, 1, 0], [0, -1, 1]])
WEIGHTS = np.array([[1, 0], [1, 1], [0, 1]])
OUTPUTS = np.array([[1, 1, 0], [0, 1, 1]])


@dataclass(frozen=True)
class Transform:
    """Matrices of one axis.

    Attributes
    ----------
    inputs : (products, 2 * taps - 1) array of -1, 0, 1
    weights : (products, taps) array of 0, 1
    outputs : (taps, products) array of 0, 1
        There are as many outputs as taps.
    """

    inputs: np.ndarray
    weights: np.ndarray
    outputs: np.ndarray

    @property
    def products(self) -> int:
        return len(self.inputs)


@lru_cache
def transform(taps: int) -> Transform:
    """The matrices for a power of two of taps."""
    if taps == 1:
        one = np.ones((1, 1), int)
        return Transform(one, one, one)
    inner = transform(taps // 2)
    half = taps // 2
    inputs = np.zeros((3, inner.products, 2 * taps - 1), int)
    for outer in range(3):
        for block in range(3):
            part = inputs[outer, :, block * half : block * half + 2 * half - 1]
            part += INPUTS[outer, block] * inner.inputs
    return Transform(
        inputs.reshape(-1, 2 * taps - 1),
        np.kron(WEIGHTS, inner.weights),
        np.kron(OUTPUTS, inner.outputs),
    )


def taps(axis: PatchAxis) -> int:
    """Coarse units that a patch spans, where the nested rule applies; else 0."""
    count = axis.patch // axis.ratio
    fits = axis.patch % axis.ratio == 0 and count & (count - 1) == 0
    return count if fits and axis.coarse % count == 0 else 0


def products(g: PatchGeometry) -> int:
    """Matrix products that make all outputs; 0 where the nested rule does not apply."""
    y, x = taps(g.y), taps(g.x)
    return transform(y).products * transform(x).products if y and x else 0


def features(g: PatchGeometry) -> tuple[int, int]:
    """Fine features of all positions within a coarse unit, and coarse features."""
    fine, coarse = (g.post.nf, g.pre.nf) if g.coarse_is_pre else (g.pre.nf, g.post.nf)
    return g.y.ratio * g.x.ratio * fine, coarse


def drive_work(g: PatchGeometry) -> tuple[int, int]:
    """Multiply-adds of a drive for one image: the plain product, and the nested one.

    Sums and differences count as the multiply-adds that take as long; the second is
    0 where the nested rule does not apply.
    """
    fine, coarse = features(g)
    count = products(g)
    if count < 2:
        return g.multiply_adds, 0
    tiles = (g.y.coarse // taps(g.y)) * (g.x.coarse // taps(g.x))
    moved = fine + 3 * coarse
    return g.multiply_adds, tiles * count * (fine * coarse + TRANSFORM_COST * moved)


def worthwhile(scalars: Mapping[str, Any]) -> bool:
    """Whether the nested product takes less time and not too much memory."""
    g = scalars["geometry"]
    plain, nested = drive_work(g)
    fine, coarse = features(g)
    small = 4 * products(g) * fine * coarse <= MOST_BYTES
    return plain >= LARGE_DRIVE and 0 < nested <= WORTHWHILE * plain and small


def shorten(plan: Plan, pays: Callable[[Mapping[str, Any]], bool] = worthwhile) -> Plan:
    """The plan in which drives that it pays for use nested short convolutions.

    Parameters
    ----------
    pays : callable
        Decides from the scalars of a drive.
    """
    buffers = dict(plan.buffers)
    step, made = [], {}
    for op in plan.step:
        if op.kind == "gather" and pays(op.scalars):
            fine, coarse = features(op.scalars["geometry"])
            shape = (products(op.scalars["geometry"]), fine, coarse)
            name = f"{op.reads[1]}/transformed{op.scalars['arbor'] or ''}"
            buffers[name] = Buffer(name, shape)
            made[name] = Operator(
                "winograd_weights", op.name, (op.reads[1],), (name,), scalars=op.scalars
            )
            op = replace(op, kind="gather_winograd", reads=(op.reads[0], name))
        step.append(op)
    updates = [
        replace(op, when=when)
        for op in made.values()
        for when in dict.fromkeys(x.when for x in plan.learn if op.reads[0] in x.writes)
    ]
    return replace(
        plan,
        buffers=buffers,
        start=(*plan.start, *made.values()),
        step=tuple(step),
        learn=(*plan.learn, *updates),
    )
