"""Drives by nested short convolutions on the CPU; see plan/winograd.py for the algebra."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache
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
#: Columns of up to this many numbers get loops of that very length, which are a third faster.
SHORT_RUN = 512


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


@lru_cache
def column_mixer(length: int) -> Any:
    """Kernel that adds columns of ``length`` numbers; 0 for any number."""

    @njit(**OPTIONS)
    def mix_columns(mixed, image, tile_columns, picks, signs, ends, data):
        """Signed sums of columns of an image: the inputs of all products of a row sum.

        mixed : (tile row, position, coarse column, number), as mix_rows leaves it;
        picks, signs : columns of a tile to add, those of one product after those of the
        other, which end at ``ends``; of each a power of two;
        data : (product, image, tile row, tile column, position, number).
        """
        tiles_y, tiles_x, positions = data.shape[2:5]
        size = length if length > 0 else data.shape[5]
        for t in range(tiles_y):
            for u in range(tiles_x):
                for p in range(positions):
                    line = mixed[t, p, u * tile_columns :]
                    k = 0
                    for q in range(ends.size):
                        out, begin, end = data[q, image, t, u, p], k, ends[q]
                        if end == k + 1:
                            s0, g0 = line[picks[k]], signs[k]
                            for i in range(size):
                                out[i] = g0 * s0[i]
                        if end == k + 2:
                            s0, s1, g0, g1 = (
                                line[picks[k]],
                                line[picks[k + 1]],
                                signs[k],
                                signs[k + 1],
                            )
                            for i in range(size):
                                out[i] = g0 * s0[i] + g1 * s1[i]
                        while k + 4 <= end:
                            s0, s1 = line[picks[k]], line[picks[k + 1]]
                            s2, s3 = line[picks[k + 2]], line[picks[k + 3]]
                            g0, g1, g2, g3 = signs[k], signs[k + 1], signs[k + 2], signs[k + 3]
                            if k == begin:
                                for i in range(size):
                                    out[i] = g0 * s0[i] + g1 * s1[i] + g2 * s2[i] + g3 * s3[i]
                            else:
                                for i in range(size):
                                    out[i] += g0 * s0[i] + g1 * s1[i] + g2 * s2[i] + g3 * s3[i]
                            k += 4
                        k = end

    return mix_columns


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
    mixed = tile.scratch("winograd rows", (1, tiles_y, g.y.ratio, len(columns), a.shape[3]))
    run = g.x.ratio * a.shape[3]
    mix_columns = column_mixer(run if run <= SHORT_RUN else 0)
    by_coarse = mixed.reshape(tiles_y, g.y.ratio, -1, run)
    data = tile.scratch("winograd data", (rule_x.products, tiles, fine))
    by_position = data.reshape(-1, images, tiles_y, tiles_x, g.y.ratio, run)
    product = tile.scratch("winograd product", (tiles, coarse))
    sums = tile.scratch("winograd sums", (across, tiles, coarse))
    split = sums.reshape(across, images, tiles_y, tiles_x, coarse)
    weights = tile.shared(op.reads[1]).reshape(rule_y.products, rule_x.products, fine, coarse)
    down_sums, across_sums = _sums(rule_y.inputs, a.dtype), _sums(rule_x.inputs, a.dtype)
    picks, signs = (np.concatenate(part) for part in zip(*across_sums, strict=True))
    ends = np.cumsum([len(part) for part, _ in across_sums])
    to_rows = rule_y.outputs.T.astype(bool).copy()
    to_columns = rule_x.outputs.T.astype(bool).copy()
    newly = to_columns & (np.cumsum(to_columns, axis=0) == 1)
    value, coefficient = tile.real(s["value"]), tile.real(s["coefficient"])
    clear = bool(op.sets)

    def call() -> None:
        if clear:
            target[...] = 0
        for p, row_sum in enumerate(down_sums):
            for n in range(images):
                here = a[n : n + 1]
                mix_rows(here, rows, columns, value, down, g.y.ratio, *row_sum, mixed)
                mix_columns(by_coarse, n, across, picks, signs, ends, by_position)
            for q in range(rule_x.products):
                np.dot(data[q], weights[p, q], out=product)
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
