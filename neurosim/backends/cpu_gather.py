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


DRIVES = {"gather": bind_gather}
