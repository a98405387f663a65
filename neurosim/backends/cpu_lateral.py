"""Whole-field codes on the CPU: competition through inner products of the active atoms.

Where nothing else happens in a step, one kernel does many steps of an image before the next
one: the atoms that are active, and all of the image's own numbers, then stay next to the core.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numba import njit

from neurosim.backends.cpu_layers import (
    OPTIONS,
    guard_potentials,
    lca_units,
    threshold_constants,
)
from neurosim.backends.cpu_tile import Call, Tile
from neurosim.plan.operators import Operator

#: Atoms that are added in one pass over the units.
TOGETHER = 5
#: Does steps ``first, ..., first + steps - 1``; returns how many.
Stretch = Callable[[int, int], int]


@njit(**OPTIONS)
def find_units(units, before, found, strength):
    """Places and values of the units that are not zero; returns how many.

    ``before`` of them were found the last time: where none was added or lost, only
    their values are new. Places up to the next multiple of TOGETHER are filled with the
    last one, times zero. found, strength : (units + TOGETHER,) work memory.
    """
    n = np.int32(0)
    for f in range(units.size):
        n = np.int32(n + np.int32(units[f] != 0.0))
    same = n == before
    for k in range(before):
        same &= units[found[k]] != 0.0
    if not same:
        n = np.int32(0)
        for f in range(units.size):
            found[n] = f
            n += np.int32(units[f] != 0.0)
        found[n : n + TOGETHER] = found[n - 1] if n > 0 else 0
    for k in range(n):
        strength[k] = units[found[k]]
    strength[n : n + TOGETHER] = 0.0
    return n


@njit(**OPTIONS)
def compete_units(start, products, n, found, strength, row):
    """row = start - the ``n`` units found, times their rows of products."""
    if n == 0:
        row[:] = start
    for k in range(0, n, TOGETHER):
        u0, u1, u2, u3, u4 = (
            strength[k], strength[k + 1], strength[k + 2], strength[k + 3], strength[k + 4],
        )  # fmt: skip
        p0, p1, p2 = products[found[k]], products[found[k + 1]], products[found[k + 2]]
        p3, p4 = products[found[k + 3]], products[found[k + 4]]
        if k == 0:
            for i in range(row.size):
                row[i] = start[i] - (u0 * p0[i] + u1 * p1[i] + u2 * p2[i] + u3 * p3[i] + u4 * p4[i])
        else:
            for i in range(row.size):
                row[i] -= u0 * p0[i] + u1 * p1[i] + u2 * p2[i] + u3 * p3[i] + u4 * p4[i]


@njit(**OPTIONS)
def compete(projected, products, a, found, strength, target):
    """target = projected - a @ products, from the units that are not zero.

    projected, a, target : (image, feature); products : (feature, feature).
    """
    for b in range(a.shape[0]):
        n = find_units(a[b], 0, found, strength)
        compete_units(projected[b], products, n, found, strength, target[b])


@njit(**OPTIONS)
def compete_and_update(
    projected, products, g, v, a, found, strength, first, steps, decay, gain, self_interact,
    limit, every, flag, v_thresh, v_top, a_min, slope, a_shift, a_max,
):  # fmt: skip
    """Competition, update and guard of some steps, one image after the other.

    The same numbers as by ``compete``, ``lca_update`` and ``guard_potentials`` in turn.
    """
    for b in range(a.shape[0]):
        n = 0
        for step in range(first, first + steps):
            n = find_units(a[b], n, found, strength)
            compete_units(projected[b], products, n, found, strength, g[b])
            lca_units(
                g[b], None, decay, v[b], a[b], decay, gain, self_interact,
                v_thresh, v_top, a_min, slope, a_shift, a_max,
            )  # fmt: skip
            if step % every == 0:
                guard_potentials(v[b : b + 1], limit, step, flag[b : b + 1])


def _work(op: Operator, tile: Tile) -> tuple[np.ndarray, ...]:
    """Arrays of a competition: projected input, products, code, work memory, target."""
    projected, a, target = (tile.images_of(n) for n in (op.reads[0], op.reads[2], op.target))
    room = a.shape[1] + TOGETHER
    found, strength = np.zeros(room, np.int32), np.zeros(room, tile.dtype)
    return projected, tile.shared(op.reads[1]), a, found, strength, target


def bind_lateral(op: Operator, tile: Tile) -> Call:
    """Projected input less the inner products with the active atoms."""
    arguments = _work(op, tile)

    def call(step: int) -> None:
        compete(*arguments)

    return call


def bind_stretch(operators: Sequence[Operator], tile: Tile) -> Stretch | None:
    """Many steps of images whose step is a competition, its update and its guard, if it is."""
    if [op.kind for op in operators] != ["lateral", "lca", "guard"]:
        return None
    lateral, update, guard = operators
    s = update.scalars
    alone = update.reads == (lateral.target,) and guard.reads == update.updates[:1]
    if not alone or update.updates[1] != lateral.reads[2] or "vertices_v" in s:
        return None
    projected, products, a, found, strength, g = _work(lateral, tile)
    v, flag = tile.images_of(update.updates[0]), tile.view(guard.updates[0])
    decay = math.exp(-s["dt"] / s["tau"])
    factors = (tile.real(decay), tile.real(1.0 - decay), tile.real(s["self_interact"]))
    watch = (tile.real(guard.scalars["limit"]), guard.scalars["every"], flag)
    constants = (*factors, *watch, *threshold_constants(s, tile))

    def stretch(first: int, steps: int) -> int:
        compete_and_update(projected, products, g, v, a, found, strength, first, steps, *constants)
        return steps

    return stretch


LATERAL = {"lateral": bind_lateral}
