"""Drives on the CPU: patches laid out in rows, times the dictionary."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit

from neurosim.backends.boundaries import GatherTables, gather_tables
from neurosim.backends.cpu_layers import OPTIONS, add_scaled, set_scaled
from neurosim.backends.cpu_tile import Call, Tile
from neurosim.plan.operators import Operator

#: Bytes of patches laid out for one matrix product; more images wait their turn.
PATCH_BYTES = 8 << 20
#: Patch rows up to this many numbers get loops of that very length: half the time.
SHORT_ROW = 128


@lru_cache
def patch_layout(length: int) -> Any:
    """Kernel that lays out patches whose rows have ``length`` numbers; 0 for any number."""

    @njit(**OPTIONS)
    def lay_out_patches(a, rows, columns, first_row, first_column, value, patches):
        """Copy the patch under each coarse unit into a row of ``patches``.

        a : (image, y, x * feature); rows, columns : (coarse, patch) source, -1 outside;
        first_row, first_column : (coarse,) the first of them where all are inside and
        follow each other, else -1; patches : (image * coarse units, patch weights).
        """
        patch_y, patch_x = rows.shape[1], columns.shape[1]
        width = length if length > 0 else patches.shape[1] // patch_y
        features = width // patch_x
        row = 0
        for b in range(a.shape[0]):
            for y in range(rows.shape[0]):
                for x in range(columns.shape[0]):
                    patch = patches[row]
                    row += 1
                    left = first_column[x] * features
                    if left >= 0 and first_row[y] >= 0:
                        for j in range(patch_y):
                            for i in range(width):
                                patch[j * width + i] = a[b, first_row[y] + j, left + i]
                        continue
                    for j in range(patch_y):
                        source = rows[y, j]
                        for k in range(patch_x):
                            column = columns[x, k]
                            inside = source >= 0 and column >= 0
                            for f in range(features):
                                at = j * width + k * features + f
                                patch[at] = a[b, source, column * features + f] if inside else value

    return lay_out_patches


def first_of(table: np.ndarray) -> np.ndarray:
    """First source of each patch, or -1 where it is broken by an edge."""
    whole = (table >= 0).all(1) & (np.diff(table, axis=1) == 1).all(1)
    return np.where(whole, table[:, 0], -1)


def patch_layer(
    tables: GatherTables, length: int, value: np.floating
) -> tuple[Any, tuple[np.ndarray, ...], np.floating]:
    """Layout kernel for patch rows of ``length`` numbers, with its tables and edge value."""
    kernel = patch_layout(length if length <= SHORT_ROW else 0)
    rows, columns = tables.rows, tables.columns
    return kernel, (rows, columns, first_of(rows), first_of(columns)), value


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
    length = size // g.y.patch
    lay_out, tables, value = patch_layer(
        gather_tables(g, s["mirror"]), length, tile.real(s["value"])
    )
    pieces = []
    for first in range(0, a.shape[0], group):
        images = slice(first, min(first + group, a.shape[0]))
        n = images.stop - images.start
        block = a[images].reshape(n, -1) if whole else a[images].reshape(n, a.shape[1], -1)
        laid = block if patches is None else patches[: n * units]
        pieces.append((block, laid, target[images].reshape(n * units, -1), out[: n * units]))
    multiply = few_rows_times if group * units < weights.shape[1] else rows_times

    def call(step: int) -> None:
        for block, laid, result, product in pieces:
            if patches is not None:
                lay_out(block, *tables, value, laid)
            if plain and coefficient == 1:
                multiply(laid, weights, result)
                continue
            multiply(laid, weights, product)
            scaled = set_scaled if plain else add_scaled
            scaled(product.reshape(-1), coefficient, result.reshape(-1))

    return call


def rows_times(rows: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    np.dot(rows, weights, out=out)


def few_rows_times(rows: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """The same from the transposed product, which packs the smaller factor: a quarter faster."""
    out[...] = np.dot(weights.T, rows.T).T


def bind_lateral(op: Operator, tile: Tile) -> Call:
    """Projected input less the inner products with the active atoms."""
    projected, a, target = (tile.images_of(n) for n in (op.reads[0], op.reads[2], op.target))
    products = tile.shared(op.reads[1])
    # One more than there are: a place is written before it is known to hold.
    found = np.empty(a.shape[1] + 1, np.int64)

    def call(step: int) -> None:
        compete(projected, products, a, found, target)

    return call


@njit(**OPTIONS)
def compete(projected, products, a, found, target):
    """target = projected - a @ products, from the units that are not zero.

    projected, a, target : (image, feature); products : (feature, feature).
    """
    for b in range(a.shape[0]):
        units, row, start = a[b], target[b], projected[b]
        n = 0
        for f in range(units.size):
            found[n] = f
            n += units[f] != 0.0
        if n == 0:
            row[:] = start
            continue
        # Past the last feature, the last one again, times zero (in the run's precision).
        last = n - 1
        zero = units[found[last]] - units[found[last]]
        f0, f1, f2, f3 = found[0], found[min(1, last)], found[min(2, last)], found[min(3, last)]
        f4, f5 = found[min(4, last)], found[min(5, last)]
        f6, f7 = found[min(6, last)], found[min(7, last)]
        u0, u1 = units[f0], units[f1] if n > 1 else zero
        u2, u3 = units[f2] if n > 2 else zero, units[f3] if n > 3 else zero
        u4, u5 = units[f4] if n > 4 else zero, units[f5] if n > 5 else zero
        u6, u7 = units[f6] if n > 6 else zero, units[f7] if n > 7 else zero
        p0, p1, p2, p3 = products[f0], products[f1], products[f2], products[f3]
        p4, p5, p6, p7 = products[f4], products[f5], products[f6], products[f7]
        for i in range(row.size):
            first = u0 * p0[i] + u1 * p1[i] + u2 * p2[i] + u3 * p3[i]
            row[i] = start[i] - (first + u4 * p4[i] + u5 * p5[i] + u6 * p6[i] + u7 * p7[i])
        for k in range(8, n, 4):
            f0, f1 = found[k], found[min(k + 1, last)]
            f2, f3 = found[min(k + 2, last)], found[min(k + 3, last)]
            u0, u1 = units[f0], units[f1] if k + 1 < n else zero
            u2, u3 = units[f2] if k + 2 < n else zero, units[f3] if k + 3 < n else zero
            p0, p1, p2, p3 = products[f0], products[f1], products[f2], products[f3]
            for i in range(row.size):
                row[i] -= u0 * p0[i] + u1 * p1[i] + u2 * p2[i] + u3 * p3[i]


DRIVES = {"gather": bind_gather, "lateral": bind_lateral}
