"""Sparse solvers on the CPU: three passes over the units of each image, scalars between them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from neurosim.backends import search
from neurosim.backends.cpu_layers import OPTIONS
from neurosim.backends.cpu_tile import Call, Tile
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

#: Numbers summed in the run's precision before they join a float64 total.
BLOCK = 512
#: Maxima taken side by side.
LANES = 32
PASS: Any = {"nogil": True, "cache": True, "fastmath": {"contract", "nsz", "reassoc"}}

interrupted = njit(nogil=True, cache=True)(search.interrupted)
searched = njit(nogil=True, cache=True)(search.searched)
turned = njit(nogil=True, cache=True)(search.turned)
relaxed = njit(nogil=True, cache=True)(search.relaxed)
relax_unit = njit(inline="always")(search.relax_unit)


@njit(nogil=True, cache=True)
def interrupt_images(control, event, step):
    for b in range(control.shape[0]):
        interrupted(control[b], event, step)


@njit(**OPTIONS)
def largest_excess(g, trial, threshold, lanes):
    """Largest g - threshold where the trial is inactive, or 0.

    In as many lanes as there are numbers in ``lanes``, side by side: a running maximum is
    not vectorised.
    """
    zero = g.dtype.type(0.0)
    lanes[:] = zero
    width = lanes.size
    for start in range(0, g.size, width):
        gs, ts = g[start : start + width], trial[start : start + width]
        for i in range(gs.size):
            excess = gs[i] - threshold
            excess = zero if ts[i] > zero else excess
            lanes[i] = excess if excess > lanes[i] else lanes[i]
    return lanes.max()


@njit(**PASS)
def measure_images(g, a, known, trial, threshold, lanes, sums):
    """Sums over each image of d d, d (known - g), d (known - threshold); d = trial - a.

    And the largest g - threshold where the trial is inactive, or 0.
    """
    zero = a.dtype.type(0.0)
    for b in range(a.shape[0]):
        distance, along, slope = 0.0, 0.0, 0.0
        for start in range(0, a.shape[1], BLOCK):
            part = slice(start, start + BLOCK)
            gb, ab, kb, tb = g[b, part], a[b, part], known[b, part], trial[b, part]
            p0, p1, p2 = zero, zero, zero
            for i in range(ab.size):
                d = tb[i] - ab[i]
                p0 += d * d
                p1 += d * (kb[i] - gb[i])
                p2 += d * (kb[i] - threshold)
            distance += p0
            along += p1
            slope += p2
        sums[b, DISTANCE], sums[b, ALONG], sums[b, SLOPE] = distance, along, slope
        sums[b, PEAK] = largest_excess(g[b], trial[b], threshold, lanes)


@njit(nogil=True, cache=True)
def search_images(sums, control, won):
    """sums : (members, image, column)."""
    for b in range(control.shape[0]):
        total = sums[:, b].sum(0)
        won[b] = searched(control[b], total[DISTANCE], total[ALONG], total[SLOPE])


@njit(nogil=True, cache=True)
def turn_images(sums, control):
    for b in range(control.shape[0]):
        total = sums[:, b].sum(0)
        turned(control[b], total[CHANGE], total[BEHIND], total[FREE])


@njit(**PASS)
def weigh_images(g, a, known, trial, control, threshold, dust, sums):
    """Sums over each image of descent (known - g), d e and e e, the latter where active.

    e is the drive of the code that is taken, less the threshold; descent is e where
    the code is active, and elsewhere e if it is among the largest. What a unit that
    falls silent leaves behind is nothing once it is less than dust.
    """
    zero = a.dtype.type(0.0)
    for b in range(a.shape[0]):
        share = a.dtype.type(control[b, SHARE])
        whole = control[b, SHARE] == 1.0
        least = a.dtype.type(RELEASE * sums[b, PEAK])
        change, behind, free = 0.0, 0.0, 0.0
        for start in range(0, a.shape[1], BLOCK):
            part = slice(start, start + BLOCK)
            gb, ab, kb, tb = g[b, part], a[b, part], known[b, part], trial[b, part]
            p0, p1, p2 = zero, zero, zero
            for i in range(ab.size):
                d, y = tb[i] - ab[i], gb[i] - kb[i]
                code = tb[i] if whole else ab[i] + share * d
                code = code if code > dust else zero
                e = (gb[i] if whole else kb[i] + share * y) - threshold
                active = e if code > zero else zero
                p0 -= (e if code > zero or e > least else zero) * y
                p1 += d * active
                p2 += active * active
            change += p0
            behind += p1
            free += p2
        sums[b, CHANGE], sums[b, BEHIND], sums[b, FREE] = change, behind, free


@njit(**OPTIONS)
def move_images(g, control, sums, a, known, trial, v, threshold, dust):
    """Take the share of the trial, and make the next trial."""
    zero = a.dtype.type(0.0)
    for b in range(a.shape[0]):
        gb, ab, kb, tb, vb = g[b], a[b], known[b], trial[b], v[b]
        if control[b, ACTION] == HOLD:
            tb[:] = ab
            continue
        share, turn = a.dtype.type(control[b, SHARE]), a.dtype.type(control[b, TURN])
        whole, settle = control[b, SHARE] == 1.0, control[b, ACTION] == SETTLE
        least = a.dtype.type(RELEASE * sums[b, PEAK])
        length = zero if settle else a.dtype.type(control[b, STEP])
        for i in range(ab.size):
            d, y = tb[i] - ab[i], gb[i] - kb[i]
            code = tb[i] if whole else ab[i] + share * d
            code = code if code > dust else zero
            drive = gb[i] if whole else kb[i] + share * y
            e = drive - threshold
            if code > zero:
                vb[i] = code + threshold
                direction = e + turn * d
            else:
                vb[i] = min(drive, threshold)
                direction = max((e if e > least else zero) + turn * d, zero)
            ab[i] = code
            kb[i] = drive
            tb[i] = max(code + length * direction, zero)


@njit(**PASS)
def relax_measure_images(g, v, a, earlier, rest, threshold, sums):
    """Sums over the active units of each image of r r, y y, y r, -y d.

    r = g + a - v is the residual, y its change since ``rest``, d = v - earlier.
    """
    zero = v.dtype.type(0.0)
    for b in range(v.shape[0]):
        square, moved, common, against = 0.0, 0.0, 0.0, 0.0
        for start in range(0, v.shape[1], BLOCK):
            part = slice(start, start + BLOCK)
            gb, vb, ab = g[b, part], v[b, part], a[b, part]
            wb, rb = earlier[b, part], rest[b, part]
            p0, p1, p2, p3 = zero, zero, zero, zero
            for i in range(vb.size):
                active = vb[i] > threshold
                r = gb[i] + ab[i] - vb[i] if active else zero
                y = r - rb[i] if active else zero
                p0 += r * r
                p1 += y * y
                p2 += y * r
                p3 -= y * (vb[i] - wb[i])
            square += p0
            moved += p1
            common += p2
            against += p3
        sums[b, SQUARE], sums[b, MOVED] = square, moved
        sums[b, COMMON], sums[b, AGAINST] = common, against


@njit(nogil=True, cache=True)
def relax_search_images(sums, control):
    for b in range(control.shape[0]):
        total = sums[:, b].sum(0)
        relaxed(control[b], total[SQUARE], total[MOVED], total[COMMON], total[AGAINST])


@njit(**OPTIONS)
def relax_move_images(g, control, v, a, earlier, rest, threshold, natural):
    """Next potentials, from these or from those of the step before."""
    zero = v.dtype.type(0.0)
    for b in range(v.shape[0]):
        gb, vb, ab, wb, rb = g[b], v[b], a[b], earlier[b], rest[b]
        action = control[b, ACTION]
        rate, undone = v.dtype.type(control[b, STEP]), v.dtype.type(control[b, TURN])
        if action == HOLD:
            continue
        for i in range(vb.size):
            if action == BACK:
                u = relax_unit(wb[i], rb[i], rate, natural, threshold, wb[i] > threshold)
            else:
                r = gb[i] + ab[i] - vb[i]
                start, force = vb[i] - undone * (vb[i] - wb[i]), r - undone * (r - rb[i])
                u = relax_unit(start, force, rate, natural, threshold, vb[i] > threshold)
                wb[i], rb[i] = vb[i], r
            vb[i] = u
            ab[i] = max(u - threshold, zero)


def _limits(op: Operator, tile: Tile) -> tuple[np.floating, np.floating]:
    """Threshold, and what is nothing beside it."""
    threshold = op.scalars["v_thresh"]
    return tile.real(threshold), tile.real(threshold * np.finfo(tile.dtype).eps)


def bind_interrupt(op: Operator, tile: Tile) -> Call:
    control, event = tile.view(op.target), op.scalars["event"]
    return lambda step: interrupt_images(control, event, step)


def bind_measure(op: Operator, tile: Tile) -> Call:
    state = tuple(tile.images_of(n) for n in op.reads)
    threshold, sums = tile.real(op.scalars["v_thresh"]), tile.view(op.target)
    lanes = np.empty(LANES, tile.dtype)
    return lambda step: measure_images(*state, threshold, lanes, sums)


def bind_search(op: Operator, tile: Tile) -> Call:
    parts = [tile.view(n) for n in op.reads]
    won, control = tile.view(op.sets[0]), tile.view(op.updates[0])
    return lambda step: search_images(np.stack(parts), control, won)


def bind_weigh(op: Operator, tile: Tile) -> Call:
    state = tuple(tile.images_of(n) for n in op.reads[:-1])
    control, sums = tile.view(op.reads[-1]), tile.view(op.target)
    limits = _limits(op, tile)
    return lambda step: weigh_images(*state, control, *limits, sums)


def bind_turn(op: Operator, tile: Tile) -> Call:
    parts, control = [tile.view(n) for n in op.reads], tile.view(op.target)
    return lambda step: turn_images(np.stack(parts), control)


def bind_move(op: Operator, tile: Tile) -> Call:
    g, control, sums = tile.images_of(op.reads[0]), *(tile.view(n) for n in op.reads[1:])
    state = tuple(tile.images_of(n) for n in op.updates)
    limits = _limits(op, tile)
    return lambda step: move_images(g, control, sums, *state, *limits)


def bind_relax_measure(op: Operator, tile: Tile) -> Call:
    state = tuple(tile.images_of(n) for n in op.reads)
    threshold, sums = tile.real(op.scalars["v_thresh"]), tile.view(op.target)
    return lambda step: relax_measure_images(*state, threshold, sums)


def bind_relax_search(op: Operator, tile: Tile) -> Call:
    parts, control = [tile.view(n) for n in op.reads], tile.view(op.target)
    return lambda step: relax_search_images(np.stack(parts), control)


def bind_relax_move(op: Operator, tile: Tile) -> Call:
    g, control = tile.images_of(op.reads[0]), tile.view(op.reads[1])
    state = tuple(tile.images_of(n) for n in op.updates)
    constants = tuple(tile.real(op.scalars[key]) for key in ("v_thresh", "natural"))
    return lambda step: relax_move_images(g, control, *state, *constants)


SOLVERS = {
    "relax_measure": bind_relax_measure,
    "relax_search": bind_relax_search,
    "relax_move": bind_relax_move,
    "solver_interrupt": bind_interrupt,
    "solver_measure": bind_measure,
    "solver_search": bind_search,
    "solver_weigh": bind_weigh,
    "solver_turn": bind_turn,
    "solver_move": bind_move,
}
