"""Sparse solvers, as docs/numerics.md states them.

``g`` is a layer's drive, the response to its ``trial``; ``known`` the drive that
belongs to its activity ``a``. Every inner product is over all members of a circuit.
"""

from __future__ import annotations

import numpy as np

from neurosim.backends import search
from neurosim.plan.operators import Operator
from neurosim.plan.searching import (
    ACTION,
    AGAINST,
    ALONG,
    BACK,
    BEHIND,
    CHANGE,
    COMMON,
    DISTANCE,
    FREE,
    HOLD,
    MOVED,
    PEAK,
    RELEASE,
    SETTLE,
    SHARE,
    SLOPE,
    SQUARE,
    STEP,
    TURN,
)

Arrays = dict[str, np.ndarray]


def dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Inner product of each image."""
    return np.sum(one * other, axis=(1, 2, 3))


def column(control: np.ndarray, which: int) -> np.ndarray:
    """A column of the control buffer, shaped to multiply a layer."""
    return control[:, which, None, None, None]


def interrupt(op: Operator, arrays: Arrays, step: int) -> None:
    for row in arrays[op.target]:
        search.interrupted(row, op.scalars["event"], step)


def measure(op: Operator, arrays: Arrays, step: int) -> None:
    """Squared distance to the trial, curvature along it, slope towards it, largest excess.

    The threshold is part of the slope: ``d . (known - v_thresh)``.
    """
    g, a, known, trial = (arrays[n] for n in op.reads)
    sums, d = arrays[op.target], trial - a
    excess = np.where(trial > 0, 0, g - op.scalars["v_thresh"])
    sums[:, PEAK] = np.maximum(excess.max((1, 2, 3)), 0)
    sums[:, DISTANCE] = dot(d, d)
    sums[:, ALONG] = dot(d, known - g)
    sums[:, SLOPE] = dot(d, known - op.scalars["v_thresh"])


def choose(op: Operator, arrays: Arrays, step: int) -> None:
    total = np.sum([arrays[n] for n in op.reads], axis=0)
    won, control = arrays[op.sets[0]], arrays[op.updates[0]]
    for b, row in enumerate(control):
        won[b] = search.searched(row, total[b, DISTANCE], total[b, ALONG], total[b, SLOPE])


def taken(
    op: Operator, state: tuple[np.ndarray, ...], share: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The code between activity and trial, and its drive, which is linear between them.

    What a unit that falls silent leaves behind is nothing once it is rounding beside
    the threshold.
    """
    g, a, known, trial = state
    whole = share == 1
    code = np.where(whole, trial, a + share * (trial - a))
    dust = op.scalars["v_thresh"] * np.finfo(code.dtype).eps
    return np.where(code > dust, code, 0), np.where(whole, g, known + share * (g - known))


def descents(code: np.ndarray, e: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Direction of descent: the gradient, where inactive only if it is among the largest."""
    joins = e > RELEASE * column(sums, PEAK)
    return np.where((code > 0) | joins, e, 0)


def weigh(op: Operator, arrays: Arrays, step: int) -> None:
    """How the new direction of descent and the last one go together."""
    g, a, known, trial, control = (arrays[n] for n in op.reads)
    sums = arrays[op.target]
    code, drive = taken(op, (g, a, known, trial), column(control, SHARE))
    e = drive - op.scalars["v_thresh"]
    sums[:, CHANGE] = dot(descents(code, e, sums), known - g)
    sums[:, BEHIND] = dot(trial - a, np.where(code > 0, e, 0))
    sums[:, FREE] = dot(e, np.where(code > 0, e, 0))


def turn(op: Operator, arrays: Arrays, step: int) -> None:
    total = np.sum([arrays[n] for n in op.reads], axis=0)
    for b, row in enumerate(arrays[op.target]):
        search.turned(row, total[b, CHANGE], total[b, BEHIND], total[b, FREE])


def move(op: Operator, arrays: Arrays, step: int) -> None:
    """Take the share of the trial, and make the next trial."""
    g, control, sums = (arrays[n] for n in op.reads)
    a, known, trial, v = (arrays[n] for n in op.updates)
    threshold = op.scalars["v_thresh"]
    action = column(control, ACTION)
    code, drive = taken(op, (g, a, known, trial), column(control, SHARE))
    e = drive - threshold
    direction = descents(code, e, sums) + column(control, TURN) * (trial - a)
    direction = np.where(code > 0, direction, np.maximum(direction, 0))
    following = np.maximum(code + column(control, STEP) * direction, 0)
    hold = action == HOLD
    trial[...] = np.where(hold, a, np.where(action == SETTLE, code, following))
    a[...] = np.where(hold, a, code)
    known[...] = np.where(hold, known, drive)
    v[...] = np.where(hold, v, np.where(code > 0, code + threshold, np.minimum(drive, threshold)))


def relax_measure(op: Operator, arrays: Arrays, step: int) -> None:
    """Residuals of the active units and their last change."""
    g, v, a, earlier, rest = (arrays[n] for n in op.reads)
    r, sums = g + a - v, arrays[op.target]
    active = v > op.scalars["v_thresh"]
    change = np.where(active, r - rest, 0)
    sums[:, SQUARE] = dot(r, np.where(active, r, 0))
    sums[:, MOVED] = dot(change, change)
    sums[:, COMMON] = dot(change, r)
    sums[:, AGAINST] = -dot(change, v - earlier)


def relax_search(op: Operator, arrays: Arrays, step: int) -> None:
    total = np.sum([arrays[n] for n in op.reads], axis=0)
    for b, row in enumerate(arrays[op.target]):
        search.relaxed(row, *total[b])


def relax_move(op: Operator, arrays: Arrays, step: int) -> None:
    """Next potentials, from these or from those of the step before."""
    g, control = (arrays[n] for n in op.reads)
    v, a, earlier, rest = (arrays[n] for n in op.updates)
    threshold, natural = op.scalars["v_thresh"], op.scalars["natural"]
    action, rate, undone = (column(control, which) for which in (ACTION, STEP, TURN))
    back, r = action == BACK, g + a - v
    active = np.where(back, earlier, v) > threshold
    start = np.where(back, earlier, v - undone * (v - earlier))
    force = np.where(back, rest, r - undone * (r - rest))
    u = start + natural * force
    crossed = threshold + rate * (u - threshold) / natural
    inactive = np.where(u > threshold, crossed, u)
    following = np.where(active, start + rate * force, inactive)
    keep = back | (action == HOLD)
    earlier[...] = np.where(keep, earlier, v)
    rest[...] = np.where(keep, rest, r)
    v[...] = np.where(action == HOLD, v, following)
    a[...] = np.maximum(v - threshold, 0)


SOLVERS = {
    "relax_measure": relax_measure,
    "relax_search": relax_search,
    "relax_move": relax_move,
    "solver_interrupt": interrupt,
    "solver_measure": measure,
    "solver_search": choose,
    "solver_weigh": weigh,
    "solver_turn": turn,
    "solver_move": move,
}
