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
def scatter_active(
    a, source_y, source_x, head_y, head_x, value, dictionary, coefficient, clear, target
):
    """Add the weighted patch of each unit that is not zero.

    a : (image, y, x, coarse feature); dictionary : (coarse feature, patch y,
    patch x * fine feature); target : (image, y, x * fine feature).
    """
    images, fine_y, width = target.shape
    nf, patch_y, patch_width = dictionary.shape
    for b in range(images):
        if clear:
            for y in range(fine_y):
                for i in range(width):
                    target[b, y, i] = 0.0
        for iy in range(source_y.size):
            first_row = max(0, -head_y[iy])
            end_row = min(patch_y, fine_y - head_y[iy])
            for ix in range(source_x.size):
                left = head_x[ix]
                first = max(0, -left)
                count = min(patch_width, width - left) - first
                outside = source_y[iy] < 0 or source_x[ix] < 0
                for f in range(nf):
                    unit = value if outside else a[b, source_y[iy], source_x[ix], f]
                    if unit != 0.0 and count > 0:
                        unit = coefficient * unit
                        for j in range(first_row, end_row):
                            row = target[b, head_y[iy] + j, left + first : left + first + count]
                            patch = dictionary[f, j, first : first + count]
                            for i in range(count):
                                row[i] += unit * patch[i]


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
    value, coefficient = tile.real(s["value"]), tile.real(s["coefficient"])
    clear = bool(op.sets)

    def call(step: int) -> None:
        scatter_active(
            a, t.source_y, t.source_x, t.head_y, head_x, value, flat, coefficient, clear, target
        )

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
