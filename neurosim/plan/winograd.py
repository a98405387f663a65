"""Drives with fewer multiplications: short convolutions by their values at a few points.

A drive through patches that overlap is a convolution. ``n`` neighbouring outputs of a
convolution with ``n`` taps are the coefficients of a product of polynomials, transposed, and
need ``2n - 1`` products instead of ``n * n``: one at each of as many points, infinity among
them (Toom 1963, Cook 1966; Winograd 1980). For two taps, at 0, 1 and infinity,

    y0 = (x0 - x1) w0 + x1 (w0 + w1)
    y1 = x1 (w0 + w1) + (x2 - x1) w1.

Four taps take seven points; more are blocks of two, to which the rule applies again. With a
stride ``s`` the fine units at the ``s * s`` positions within a coarse unit count as features. In
two dimensions 49 products then do the work of 256 for 4 x 4 taps. Where the fine layer has few
features the products get too thin for that: then only rows are cut short (7 for 16), and patches
are laid out across. In single precision they round by up to 6e-6 of a drive's own spread, the plain
product by 4e-7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from neurosim.network.geometry import PatchAxis, PatchGeometry
from neurosim.plan.operators import Buffer, Operator, Plan

#: Multiply-adds of a matrix product that take as long as one number of a transform, of rows alone
#: and of both axes. Measured on V1 and VP1 of the paper (0.18 and 0.33 ms).
TRANSFORM_COST = {False: 10, True: 20}
#: Used where it is worth at most this share of the plain multiply-adds.
WORTHWHILE = 0.9
#: Drives below this many multiply-adds an image are not worth the memory.
LARGE_DRIVE = 1 << 24
#: Most bytes of transformed weights.
MOST_BYTES = 1 << 26
#: Points at which products are taken, besides infinity; the first two of them for two taps. These
#: round least of those tried: with 3/2 or 1/4 among them errors are 1.5 and 5 times as large.
POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5)
#: Most taps that are not split into blocks.
MOST_TAPS = 4


@dataclass(frozen=True)
class Transform:
    """Matrices of one axis: ``outputs @ ((weights @ w) * (inputs @ x))`` is the convolution.

    Attributes
    ----------
    inputs : (products, 2 * taps - 1) array
    weights : (products, taps) array
    outputs : (taps, products) array
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
    if taps <= MOST_TAPS:
        return _at_points(taps)
    half = taps // 2
    inner, outer = transform(half), transform(2)
    inputs = np.zeros((outer.products, inner.products, 2 * taps - 1))
    for product, block in np.ndindex(outer.inputs.shape):
        part = inputs[product, :, block * half : block * half + 2 * half - 1]
        part += outer.inputs[product, block] * inner.inputs
    return Transform(
        inputs.reshape(-1, 2 * taps - 1),
        np.kron(outer.weights, inner.weights),
        np.kron(outer.outputs, inner.outputs),
    )


def _at_points(taps: int) -> Transform:
    """One product at each point, and one at infinity."""
    points = np.array(POINTS[: 2 * taps - 2])
    powers = points[:, None] ** np.arange(taps)
    at_infinity = np.eye(taps)[-1:]
    # Lagrange's polynomials; what they are divided by goes to the weights, which change seldom.
    others = [np.delete(points, i) for i in range(len(points))]
    lagrange = [np.append(np.poly(o)[::-1], 0) for o in others]
    divisors = np.array([np.prod(x - o) for x, o in zip(points, others, strict=True)])
    return Transform(
        np.array([*lagrange, np.atleast_1d(np.poly(points))[::-1]]),
        np.concatenate([powers / divisors[:, None], at_infinity]),
        np.concatenate([powers, at_infinity]).T,
    )


@dataclass(frozen=True)
class Cut:
    """How one axis of a drive is cut into tiles.

    Attributes
    ----------
    taps : int
        Outputs of a tile, and taps of its convolution; 1 where patches stay as they are.
    ratio : int
        Fine units per coarse unit.
    span : int
        Fine units that a tap covers: ``ratio``, or the whole patch where this is the one tap.
    tiles : int
    """

    taps: int
    ratio: int
    span: int
    tiles: int

    @property
    def transform(self) -> Transform:
        return transform(self.taps)

    @property
    def sources(self) -> np.ndarray:
        """Places on the extended axis, ``(tile, input, unit)``."""
        coarse = np.arange(self.tiles)[:, None] * self.taps + np.arange(2 * self.taps - 1)
        return coarse[:, :, None] * self.ratio + np.arange(self.span)


@dataclass(frozen=True)
class Rule:
    """How a drive is computed by short convolutions.

    Attributes
    ----------
    y, x : Cut
    fine, coarse : int
        Numbers that a product sums over, and features of the coarse layer.
    """

    y: Cut
    x: Cut
    fine: int
    coarse: int

    @property
    def products(self) -> int:
        return self.y.transform.products * self.x.transform.products

    @property
    def work(self) -> int:
        """Multiply-adds for one image; numbers moved count as those that take as long."""
        tiles = self.y.tiles * self.x.tiles
        moved = TRANSFORM_COST[self.x.taps > 1] * (self.fine + 3 * self.coarse)
        return tiles * self.products * (self.fine * self.coarse + moved)


def short(axis: PatchAxis) -> Cut | None:
    """An axis cut into short convolutions; None where patches are no power of two of taps."""
    count = axis.patch // axis.ratio
    fits = axis.patch % axis.ratio == 0 and count & (count - 1) == 0
    if not fits or count < 2 or axis.coarse % count:
        return None
    return Cut(count, axis.ratio, axis.ratio, axis.coarse // count)


def rules(g: PatchGeometry) -> tuple[Rule, ...]:
    """The ways to cut a drive: both axes, only rows, or those that there are of them."""
    y, x = short(g.y), short(g.x)
    if y is None:
        return ()
    fine, coarse = (g.post.nf, g.pre.nf) if g.coarse_is_pre else (g.pre.nf, g.post.nf)
    across = [Cut(1, g.x.ratio, g.x.patch, g.x.coarse)]
    cuts = across if x is None else [x, *across]
    return tuple(Rule(y, cut, y.span * cut.span * fine, coarse) for cut in cuts)


def best(g: PatchGeometry) -> Rule | None:
    """The rule that takes the least time; None where there is none."""
    return min(rules(g), key=lambda rule: rule.work, default=None)


def worthwhile(scalars: Mapping[str, Any]) -> Rule | None:
    """The rule for a drive, where it takes less time than the plain product and fits in memory."""
    g = scalars["geometry"]
    rule = best(g)
    if rule is None or g.multiply_adds < LARGE_DRIVE:
        return None
    small = 4 * rule.products * rule.fine * rule.coarse <= MOST_BYTES
    return rule if small and rule.work <= WORTHWHILE * g.multiply_adds else None


def shorten(
    plan: Plan, choose: Callable[[Mapping[str, Any]], Rule | None] = worthwhile
) -> Plan:  # fmt: skip
    """The plan in which drives are computed by short convolutions.

    Parameters
    ----------
    choose : callable
        Tells the rule from the scalars of a drive; None leaves it as it is.
    """
    buffers = dict(plan.buffers)
    step, made = [], {}
    for op in plan.step:
        rule = choose(op.scalars) if op.kind == "gather" else None
        if rule is not None:
            scalars = {**op.scalars, "rule": rule}
            name = f"{op.reads[1]}/transformed{op.scalars['arbor'] or ''}"
            buffers[name] = Buffer(name, (rule.products, rule.fine, rule.coarse))
            made[name] = Operator(
                "winograd_weights", op.name, (op.reads[1],), (name,), scalars=scalars
            )
            op = replace(
                op, kind="gather_winograd", reads=(op.reads[0], name), scalars=scalars
            )  # fmt: skip
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
