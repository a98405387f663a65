"""Drives on the CPU: patches laid out in rows, times the dictionary."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit

from neurosim.backends.boundaries import GatherTables, gather_tables
from neurosim.backends.cpu_layers import OPTIONS, add_scaled, set_scaled
from neurosim.backends.cpu_scatter import LARGE_WEIGHTS_BYTES
from neurosim.backends.cpu_tile import Call, Tile
from neurosim.plan.operators import Operator

#: Bytes of patches laid out for one matrix product; more images wait their turn.
PATCH_BYTES = 8 << 20
#: Patch rows up to this many numbers get loops of that very length: half the time.
SHORT_ROW = 128
#: Up to this many rows are multiplied by large weights without the copy of these that a matrix
#: library makes, so many numbers of each row at a time: 4 rows take two thirds of the time, 24
#: rows three quarters.
STREAMED_ROWS, STREAMED_PART = 32, 4096


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
    multiply = multiplier(group * units, weights)

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


def multiplier(count: int, weights: np.ndarray) -> Callable[..., None]:
    """What multiplies at most ``count`` rows by weights, ``(number, feature)``, the fastest."""
    features = weights.shape[1]
    if count >= features:
        return rows_times
    if not 1 < count <= STREAMED_ROWS or features % 4 or weights.nbytes <= LARGE_WEIGHTS_BYTES:
        return few_rows_times
    padded = -(-count // 4) * 4
    part = np.zeros((padded, STREAMED_PART), weights.dtype)
    sums = np.zeros((padded, features), weights.dtype)

    def streamed(rows: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
        stream_weights(rows, weights.T, part, sums)
        out[...] = sums[: len(out)]

    return streamed


@njit(nogil=True, cache=True, fastmath={"contract", "nsz", "reassoc"})
def add_four_by_four(x, w, k0, k1, b, f, out):
    """out[b : b + 4, f : f + 4] += the products of four rows of x and four of w, summed."""
    x0, x1, x2, x3 = x[b], x[b + 1], x[b + 2], x[b + 3]
    w0, w1, w2, w3 = w[f, k0:k1], w[f + 1, k0:k1], w[f + 2, k0:k1], w[f + 3, k0:k1]
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = x.dtype.type(0)
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = x.dtype.type(0)
    for k in range(k1 - k0):
        p0, p1, p2, p3 = x0[k], x1[k], x2[k], x3[k]
        q0, q1, q2, q3 = w0[k], w1[k], w2[k], w3[k]
        s00, s01, s02, s03 = s00 + p0 * q0, s01 + p0 * q1, s02 + p0 * q2, s03 + p0 * q3
        s10, s11, s12, s13 = s10 + p1 * q0, s11 + p1 * q1, s12 + p1 * q2, s13 + p1 * q3
        s20, s21, s22, s23 = s20 + p2 * q0, s21 + p2 * q1, s22 + p2 * q2, s23 + p2 * q3
        s30, s31, s32, s33 = s30 + p3 * q0, s31 + p3 * q1, s32 + p3 * q2, s33 + p3 * q3
    sums = ((s00, s01, s02, s03), (s10, s11, s12, s13), (s20, s21, s22, s23), (s30, s31, s32, s33))
    for i in range(4):
        for j in range(4):
            out[b + i, f + j] += sums[i][j]


@njit(**OPTIONS)
def stream_weights(rows, weights, part, out):
    """out = rows @ weights.T, reading the weights once and copying none of them.

    rows : (row, number); weights : (feature, number), a multiple of four features;
    part : (rows to the next multiple of four, some numbers) work memory, zero beyond the
    rows; out : (as many, feature).
    """
    size = part.shape[1]
    out[:] = 0
    for first in range(0, rows.shape[1], size):
        end = min(first + size, rows.shape[1])
        for b in range(rows.shape[0]):
            for k in range(end - first):
                part[b, k] = rows[b, first + k]
        for f in range(0, weights.shape[0], 4):
            for b in range(0, part.shape[0], 4):
                add_four_by_four(part, weights, first, end, b, f, out)


DRIVES = {"gather": bind_gather}
