"""Drives by nested short convolutions on the CPU; see plan/winograd.py for the algebra."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from neurosim.backends.boundaries import extended_tables
from neurosim.backends.cpu_layers import OPTIONS
from neurosim.backends.cpu_learning import Part
from neurosim.backends.cpu_tile import Call, Tile
from neurosim.backends.reference_winograd import transformed
from neurosim.plan.operators import Operator
from neurosim.plan.winograd import features, taps, transform

#: Bytes of the transformed inputs of one matrix product; more images wait their turn.
BLOCK_BYTES = 1 << 19


@njit(**OPTIONS)
def mix_rows(a, rows, columns, value, tile_rows, stride, picks, signs, mixed):
    """Signed sums of rows of the fine layer, one for each row of tiles and position.

    a : (image, y, x, feature); rows, columns : sources of the extended plane, -1 outside;
    picks, signs : rows of a tile to add, a power of two of them;
    mixed : (image, tile row, position, extended column, feature).
    """
    images, tiles, positions, width, features = mixed.shape
    for b in range(images):
        for t in range(tiles):
            for p in range(positions):
                for c in range(width):
                    out = mixed[b, t, p, c]
                    column = columns[c]
                    for k in range(picks.size):
                        row = rows[(t * tile_rows + picks[k]) * stride + p]
                        sign = signs[k]
                        if row < 0 or column < 0:
                            edge = sign * value
                            for f in range(features):
                                out[f] = edge if k == 0 else out[f] + edge
                        elif k == 0:
                            source = a[b, row, column]
                            for f in range(features):
                                out[f] = sign * source[f]
                        else:
                            source = a[b, row, column]
                            for f in range(features):
                                out[f] += sign * source[f]


@njit(**OPTIONS)
def mix_columns(mixed, tile_columns, stride, picks, signs, data):
    """Signed sums of columns: the inputs of one product.

    mixed : as mix_rows leaves it; data : (image, tile row, tile column, feature of a position).
    """
    images, tiles_y, tiles_x = data.shape[:3]
    positions, features = mixed.shape[2], mixed.shape[4]
    for b in range(images):
        for t in range(tiles_y):
            for u in range(tiles_x):
                for p in range(positions):
                    for q in range(stride):
                        first = (p * stride + q) * features
                        out = data[b, t, u, first : first + features]
                        left = (u * tile_columns + picks[0]) * stride + q
                        source = mixed[b, t, p, left]
                        sign = signs[0]
                        if picks.size == 1:
                            for f in range(features):
                                out[f] = sign * source[f]
                            continue
                        other = mixed[b, t, p, (u * tile_columns + picks[1]) * stride + q]
                        second = signs[1]
                        if picks.size == 2:
                            for f in range(features):
                                out[f] = sign * source[f] + second * other[f]
                            continue
                        for k in range(0, picks.size, 4):
                            left = u * tile_columns
                            s0 = mixed[b, t, p, (left + picks[k]) * stride + q]
                            s1 = mixed[b, t, p, (left + picks[k + 1]) * stride + q]
                            s2 = mixed[b, t, p, (left + picks[k + 2]) * stride + q]
                            s3 = mixed[b, t, p, (left + picks[k + 3]) * stride + q]
                            g0, g1, g2, g3 = signs[k], signs[k + 1], signs[k + 2], signs[k + 3]
                            if k == 0:
                                for f in range(features):
                                    out[f] = g0 * s0[f] + g1 * s1[f] + g2 * s2[f] + g3 * s3[f]
                            else:
                                for f in range(features):
                                    out[f] += g0 * s0[f] + g1 * s1[f] + g2 * s2[f] + g3 * s3[f]


@njit(**OPTIONS)
def add_product(product, outputs, first, columns_sum):
    """Add a product to the columns of outputs that it is part of.

    product : (tile, feature); outputs : (output column,) 0 or 1; first : (output column,)
    whether this is the first to be added there; columns_sum : (output column, tile, feature).
    """
    for x in range(outputs.size):
        if outputs[x]:
            total = columns_sum[x]
            for t in range(product.shape[0]):
                if first[x]:
                    for f in range(product.shape[1]):
                        total[t, f] = product[t, f]
                else:
                    for f in range(product.shape[1]):
                        total[t, f] += product[t, f]


@njit(**OPTIONS)
def add_rows(columns_sum, outputs, coefficient, target):
    """Add sums over columns to the rows of outputs that they are part of.

    columns_sum : (output column, image, tile row, tile column, feature);
    target : (image, y, x, feature).
    """
    across, images, tiles_y, tiles_x, features = columns_sum.shape
    down = outputs.size
    for b in range(images):
        for t in range(tiles_y):
            for y in range(down):
                if not outputs[y]:
                    continue
                for u in range(tiles_x):
                    for x in range(across):
                        out = target[b, t * down + y, u * across + x]
                        source = columns_sum[x, b, t, u]
                        for f in range(features):
                            out[f] += coefficient * source[f]


def _sums(inputs: np.ndarray, dtype: np.dtype) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each product the places that it adds, and their signs."""
    found = []
    for row in inputs:
        picks = np.flatnonzero(row)
        found.append((picks, row[picks].astype(dtype)))
    return found


def bind_gather_winograd(op: Operator, tile: Tile) -> Call:
    """One matrix product for each product of the nested rule, some images at a time."""
    a, target = tile.view(op.reads[0]), tile.view(op.target)
    g = op.scalars["geometry"]
    fine, _ = features(g)
    tiles = (g.y.coarse // taps(g.y)) * (g.x.coarse // taps(g.x))
    group = max(1, BLOCK_BYTES // (tiles * fine * a.itemsize))
    parts = -(-a.shape[0] // group)
    edges = np.linspace(0, a.shape[0], parts + 1).astype(int).tolist()
    calls = [_group_call(op, tile, a[i:j], target[i:j]) for i, j in itertools.pairwise(edges)]

    def call(step: int) -> None:
        for part in calls:
            part()

    return call


def _group_call(op: Operator, tile: Tile, a: np.ndarray, target: np.ndarray) -> Callable[[], None]:
    """The drive of some images."""
    s, g = op.scalars, op.scalars["geometry"]
    fine, coarse = features(g)
    down, across = taps(g.y), taps(g.x)
    rule_y, rule_x = transform(down), transform(across)
    rows, columns = extended_tables(g, s["mirror"])
    images, tiles_y, tiles_x = a.shape[0], g.y.coarse // down, g.x.coarse // across
    tiles = images * tiles_y * tiles_x
    shape = (images, tiles_y, g.y.ratio, len(columns), a.shape[3])
    mixed = tile.scratch("winograd rows", shape)
    data = tile.scratch("winograd data", (images, tiles_y, tiles_x, fine))
    product = tile.scratch("winograd product", (tiles, coarse))
    sums = tile.scratch("winograd sums", (across, tiles, coarse))
    split = sums.reshape(across, images, tiles_y, tiles_x, coarse)
    weights = tile.shared(op.reads[1]).reshape(rule_y.products, rule_x.products, fine, coarse)
    down_sums, across_sums = _sums(rule_y.inputs, a.dtype), _sums(rule_x.inputs, a.dtype)
    to_rows = rule_y.outputs.T.astype(bool).copy()
    to_columns = rule_x.outputs.T.astype(bool).copy()
    newly = to_columns & (np.cumsum(to_columns, axis=0) == 1)
    value, coefficient = tile.real(s["value"]), tile.real(s["coefficient"])
    flat, clear = data.reshape(tiles, fine), bool(op.sets)

    def call() -> None:
        if clear:
            target[...] = 0
        for p, row_sum in enumerate(down_sums):
            mix_rows(a, rows, columns, value, down, g.y.ratio, *row_sum, mixed)
            for q, column_sum in enumerate(across_sums):
                mix_columns(mixed, across, g.x.ratio, *column_sum, data)
                np.dot(flat, weights[p, q], out=product)
                add_product(product, to_columns[q], newly[q], sums)
            add_rows(split, to_rows[p], coefficient, target)

    return call


def bind_winograd_weights(
    op: Operator, arrays: dict[str, Any]
) -> tuple[int, Part, Callable[[], None]]:
    source, target = arrays[op.reads[0]][op.scalars["arbor"]], arrays[op.target]

    def part(first: int, end: int) -> None:
        for c in range(first, end):
            target[:, :, c : c + 1] = transformed(source[c : c + 1], op)

    return len(source), part, lambda: None


WINOGRAD = {"gather_winograd": bind_gather_winograd}
WINOGRAD_WEIGHTS = {"winograd_weights": bind_winograd_weights}
