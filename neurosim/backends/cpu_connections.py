"""Deliveries on the CPU: matrix products where dense, active units only where sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from neurosim.backends.boundaries import gather_tables, scatter_tables
from neurosim.backends.cpu_tile import Call, Tile
from neurosim.plan.operators import Operator

OPTIONS: Any = {"nogil": True, "cache": True, "fastmath": {"contract", "nsz"}}
#: Bytes of patches laid out for one matrix product; more images wait their turn.
PATCH_BYTES = 8 << 20
#: Patches up to this many weights are summed over the features before they are added.
SMALL_PATCH = 16384


@njit(**OPTIONS)
def lay_out_patches(a, rows, columns, starts, value, patches):
    """Copy the patch under each coarse unit into a row of ``patches``.

    a : (image, y, x * feature); rows, columns : (coarse, patch) source, -1 outside;
    starts : (coarse,) first column where a patch row is contiguous, else -1;
    patches : (image * coarse y * coarse x, patch y * patch x * feature).
    """
    images = a.shape[0]
    coarse_y, patch_y = rows.shape
    coarse_x, patch_x = columns.shape
    features = patches.shape[1] // (patch_y * patch_x)
    width = patch_x * features
    for b in range(images):
        for y in range(coarse_y):
            for j in range(patch_y):
                source = rows[y, j]
                for x in range(coarse_x):
                    row = (b * coarse_y + y) * coarse_x + x
                    if source < 0:
                        for i in range(width):
                            patches[row, j * width + i] = value
                    elif starts[x] >= 0:
                        first = starts[x] * features
                        for i in range(width):
                            patches[row, j * width + i] = a[b, source, first + i]
                    else:
                        for i in range(patch_x):
                            column = columns[x, i]
                            for f in range(features):
                                at = j * width + i * features + f
                                if column < 0:
                                    patches[row, at] = value
                                else:
                                    patches[row, at] = a[b, source, column * features + f]


@njit(**OPTIONS)
def add_scaled(source, coefficient, target):
    """target += coefficient * source, flat."""
    for i in range(source.size):
        target[i] += coefficient * source[i]


@njit(**OPTIONS)
def set_scaled(source, coefficient, target):
    """target = coefficient * source, flat."""
    for i in range(source.size):
        target[i] = coefficient * source[i]


@njit(**OPTIONS)
def add_patch(patch, coefficient, row, column, target):
    """Add a patch where it lies inside; patch : (y, x * feature), target : (y, x * feature)."""
    patch_y, width = patch.shape
    first = max(0, -column)
    count = min(width, target.shape[1] - column) - first
    for j in range(max(0, -row), min(patch_y, target.shape[0] - row)):
        into = target[row + j, column + first : column + first + count]
        source = patch[j, first : first + count]
        for i in range(count):
            into[i] += coefficient * source[i]


@njit(**OPTIONS)
def sum_patches(units, dictionary, patch):
    """patch = sum of units[f] * dictionary[f] over the units that are not zero.

    Returns how many there are; four are added in one pass over the patch.
    """
    found = 0
    f0 = f1 = f2 = 0
    u0 = u1 = u2 = units.dtype.type(0.0)
    active = 0
    for f in range(units.size):
        u = units[f]
        if u == 0.0:
            continue
        active += 1
        if found == 0:
            f0, u0 = f, u
        elif found == 1:
            f1, u1 = f, u
        elif found == 2:
            f2, u2 = f, u
        else:
            d0, d1, d2, d3 = dictionary[f0], dictionary[f1], dictionary[f2], dictionary[f]
            if active == 4:
                for i in range(patch.size):
                    patch[i] = u0 * d0[i] + u1 * d1[i] + u2 * d2[i] + u * d3[i]
            else:
                for i in range(patch.size):
                    patch[i] += u0 * d0[i] + u1 * d1[i] + u2 * d2[i] + u * d3[i]
            found = -1
        found += 1
    if 0 < active < 4:
        for i in range(patch.size):
            patch[i] = u0 * dictionary[f0, i]
        found -= 1
        f0, u0, f1, u1 = f1, u1, f2, u2
    if found > 0:
        for i in range(patch.size):
            patch[i] += u0 * dictionary[f0, i]
    if found > 1:
        for i in range(patch.size):
            patch[i] += u1 * dictionary[f1, i]
    if found > 2:
        for i in range(patch.size):
            patch[i] += u2 * dictionary[f2, i]
    return active


@njit(**OPTIONS)
def scatter_active(
    a, source_y, source_x, head_y, head_x, edge, dictionary, coefficient, clear, patch, target
):
    """Add the weighted patches of the units that are not zero.

    a : (image, y, x, coarse feature); edge : (coarse feature,) value of the margin;
    dictionary : (coarse feature, patch y, patch x * fine feature);
    patch : (patch y, patch x * fine feature), work memory, of size 0 where patches
    are large and go to the target one by one; target : (image, y, x * fine feature).
    """
    summed = patch.size > 0
    flat = dictionary.reshape(dictionary.shape[0], -1)
    flat_patch = patch.reshape(-1)
    for b in range(target.shape[0]):
        if clear:
            target[b] = 0.0
        for iy in range(source_y.size):
            for ix in range(source_x.size):
                if source_y[iy] < 0 or source_x[ix] < 0:
                    units = edge
                else:
                    units = a[b, source_y[iy], source_x[ix]]
                if summed:
                    if sum_patches(units, flat, flat_patch) > 0:
                        add_patch(patch, coefficient, head_y[iy], head_x[ix], target[b])
                    continue
                for f in range(units.size):
                    if units[f] != 0.0:
                        unit = coefficient * units[f]
                        add_patch(dictionary[f], unit, head_y[iy], head_x[ix], target[b])


@njit(**OPTIONS)
def pool_windows(a, rows, columns, value, method, sparse, coefficient, clear, target):
    """Maximum (0), sum (1) or mean (2) of each feature over each window."""
    images, _, _, nf = a.shape
    for b in range(images):
        for y in range(rows.shape[0]):
            for x in range(columns.shape[0]):
                for f in range(nf):
                    total = 0.0
                    largest = -np.inf
                    for j in range(rows.shape[1]):
                        for i in range(columns.shape[1]):
                            unit = value
                            if rows[y, j] >= 0 and columns[x, i] >= 0:
                                unit = a[b, rows[y, j], columns[x, i], f]
                            total += unit
                            if unit > largest and not (sparse and unit == 0.0):
                                largest = unit
                    if method == 2:
                        total /= rows.shape[1] * columns.shape[1]
                    elif method == 0:
                        total = largest if largest > -np.inf else 0.0
                    if clear:
                        target[b, y, x, f] = coefficient * total
                    else:
                        target[b, y, x, f] += coefficient * total


def bind_gather(op: Operator, tile: Tile) -> Call:
    """Patches laid out in rows, times the dictionary: one matrix product."""
    s = op.scalars
    g = s["geometry"]
    a = tile.view(op.reads[0])
    dictionary = tile.shared(op.reads[1])[s["arbor"]]
    weights = dictionary.reshape(dictionary.shape[0], -1).T
    target = tile.view(op.target).reshape(a.shape[0], -1)
    units, size = g.y.coarse * g.x.coarse, weights.shape[0]
    coefficient = tile.real(s["coefficient"])
    plain = bool(op.sets)
    whole = units == 1 and (g.y.patch, g.x.patch) == (g.y.fine, g.x.fine)
    group = a.shape[0] if whole else max(1, PATCH_BYTES // (units * size * a.itemsize))
    group = min(group, a.shape[0])
    patches = None if whole else tile.scratch("patches", (group * units, size))
    out = tile.scratch("gather", (group * units, weights.shape[1]))
    tables = gather_tables(g, s["mirror"])
    steps = np.diff(tables.columns, axis=1)
    starts = np.where((tables.columns[:, 0] >= 0) & (steps == 1).all(1), tables.columns[:, 0], -1)
    starts = np.where((tables.columns < 0).any(1), -1, starts)
    rows, columns, value = tables.rows, tables.columns, tile.real(s["value"])
    pieces = []
    for first in range(0, a.shape[0], group):
        images = slice(first, min(first + group, a.shape[0]))
        n = images.stop - images.start
        block = a[images].reshape(n, -1) if whole else a[images].reshape(n, a.shape[1], -1)
        laid = block if patches is None else patches[: n * units]
        pieces.append((block, laid, target[images].reshape(n * units, -1), out[: n * units]))

    def call(step: int) -> None:
        for block, laid, result, product in pieces:
            if patches is not None:
                lay_out_patches(block, rows, columns, starts, value, laid)
            if plain and coefficient == 1:
                np.dot(laid, weights, out=result)
                continue
            np.dot(laid, weights, out=product)
            scaled = set_scaled if plain else add_scaled
            scaled(product.reshape(-1), coefficient, result.reshape(-1))

    return call


def bind_scatter(op: Operator, tile: Tile) -> Call:
    """Patches of active units added one by one."""
    s = op.scalars
    g = s["geometry"]
    t = scatter_tables(g, s["mirror"], s["value"])
    dictionary = tile.shared(op.reads[1])[s["arbor"]]
    flat = dictionary.reshape(*dictionary.shape[:2], -1)
    a, target = tile.view(op.reads[0]), tile.view(op.target)
    target = target.reshape(*target.shape[:2], -1)
    head_x = t.head_x * dictionary.shape[3]
    edge = np.full(a.shape[3], s["value"], tile.dtype)
    coefficient, clear = tile.real(s["coefficient"]), bool(op.sets)
    size = flat[0].size if flat[0].size <= SMALL_PATCH else 0
    patch = tile.scratch("patch", (flat.shape[1] if size else 0, flat.shape[2]))
    tables = (t.source_y, t.source_x, t.head_y, head_x)

    def call(step: int) -> None:
        scatter_active(a, *tables, edge, flat, coefficient, clear, patch, target)

    return call


def bind_ident(op: Operator, tile: Tile) -> Call:
    source, target = tile.view(op.reads[0]).reshape(-1), tile.view(op.target).reshape(-1)
    coefficient = tile.real(op.scalars["coefficient"])
    kernel = set_scaled if op.sets else add_scaled

    def call(step: int) -> None:
        kernel(source, coefficient, target)

    return call


def bind_pool(op: Operator, tile: Tile) -> Call:
    s = op.scalars
    tables = gather_tables(s["geometry"], s["mirror"])
    a, target = tile.view(op.reads[0]), tile.view(op.target)
    method = ("max", "sum", "avg").index(s["method"])
    value, coefficient = tile.real(s["value"]), tile.real(s["coefficient"])
    clear = bool(op.sets)

    def call(step: int) -> None:
        pool_windows(
            a, tables.rows, tables.columns, value, method, s["sparse"], coefficient, clear, target
        )

    return call


CONNECTIONS = {
    "gather": bind_gather,
    "scatter": bind_scatter,
    "ident": bind_ident,
    "pool": bind_pool,
}
