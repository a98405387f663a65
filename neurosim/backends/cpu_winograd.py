"""Drives by short convolutions on the CPU; see plan/winograd.py for the algebra."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit

from neurosim.backends.boundaries import GatherTables, extended_tables, gather_tables
from neurosim.backends.cpu_gather import patch_layer
from neurosim.backends.cpu_layers import OPTIONS
from neurosim.backends.cpu_learning import Part
from neurosim.backends.cpu_tile import Call, Tile
from neurosim.backends.reference_winograd import transformed
from neurosim.plan.operators import Operator

#: Bytes of the transformed inputs of one matrix product; more images wait their turn.
BLOCK_BYTES = 1 << 19
#: Columns of up to this many numbers get loops of that very length, which are a third faster.
SHORT_RUN = 512


@njit(**OPTIONS)
def mix_lines(lines, first, picks, shares, begin, end, size, out):
    """The weighted sum of some lines, three of them in a pass.

    lines : (line, number); picks, shares : which lines after the ``first``, and how much of
    each, from ``begin`` to ``end``; size : how many numbers; out : (number,).
    """
    for k in range(begin, end, 3):
        s0, g0 = lines[first + picks[k]], shares[k]
        if k + 3 <= end:
            s1, g1 = lines[first + picks[k + 1]], shares[k + 1]
            s2, g2 = lines[first + picks[k + 2]], shares[k + 2]
            if k == begin:
                for i in range(size):
                    out[i] = g0 * s0[i] + g1 * s1[i] + g2 * s2[i]
            else:
                for i in range(size):
                    out[i] += g0 * s0[i] + g1 * s1[i] + g2 * s2[i]
        elif k + 2 == end:
            s1, g1 = lines[first + picks[k + 1]], shares[k + 1]
            if k == begin:
                for i in range(size):
                    out[i] = g0 * s0[i] + g1 * s1[i]
            else:
                for i in range(size):
                    out[i] += g0 * s0[i] + g1 * s1[i]
        elif k == begin:
            for i in range(size):
                out[i] = g0 * s0[i]
        else:
            for i in range(size):
                out[i] += g0 * s0[i]


@njit(**OPTIONS)
def mix_rows(a, rows, columns, value, tile_rows, stride, picks, shares, mixed):
    """Weighted sums of rows of the fine layer, one for each row of tiles and position.

    a : (y, x, feature); rows, columns : sources of the extended plane, -1 outside;
    picks, shares : rows of a tile to add, and how much of each;
    mixed : (tile row, position, extended column, feature).
    """
    tiles, positions, width, features = mixed.shape
    lines = a.reshape(-1, features)
    sources = np.empty(picks.size, np.int64)
    for t in range(tiles):
        for p in range(positions):
            for k in range(picks.size):
                sources[k] = rows[(t * tile_rows + picks[k]) * stride + p]
            inside = sources.min() >= 0
            for k in range(picks.size):
                sources[k] *= a.shape[1]
            for c in range(width):
                out, column = mixed[t, p, c], columns[c]
                if inside and column >= 0:
                    mix_lines(lines, column, sources, shares, 0, picks.size, features, out)
                    continue
                edge = a.dtype.type(0)
                for k in range(picks.size):
                    if sources[k] < 0 or column < 0:
                        edge += shares[k] * value
                out[:] = edge
                for k in range(picks.size):
                    if sources[k] >= 0 and column >= 0:
                        source, share = lines[sources[k] + column], shares[k]
                        for f in range(features):
                            out[f] += share * source[f]


@lru_cache
def column_mixer(length: int) -> Any:
    """Kernel that adds columns of ``length`` numbers; 0 for any number."""

    @njit(**OPTIONS)
    def mix_columns(mixed, image, tile_columns, picks, shares, ends, data):
        """Weighted sums of columns of an image: the inputs of all products of a row sum.

        mixed : (tile row, position, coarse column, number), as mix_rows leaves it;
        picks, shares : columns of a tile to add and how much of each, those of one product
        after those of the other, which end at ``ends``;
        data : (product, image, tile row, tile column, position, number).
        """
        tiles_y, tiles_x, positions = data.shape[2:5]
        size = length if length > 0 else data.shape[5]
        for t in range(tiles_y):
            for u in range(tiles_x):
                for p in range(positions):
                    begin = 0
                    for q in range(ends.size):
                        out = data[q, image, t, u, p]
                        mix_lines(
                            mixed[t, p], u * tile_columns, picks, shares, begin, ends[q], size, out
                        )
                        begin = ends[q]

    return mix_columns


@njit(**OPTIONS)
def add_product(product, shares, first, columns_sum):
    """Add a product to the columns of outputs that it is part of.

    product : (tile, feature); shares : (output column,); first : (output column,) whether this
    is the first to be added there; columns_sum : (output column, tile, feature).
    """
    for x in range(shares.size):
        share, total = shares[x], columns_sum[x]
        if share == 0:
            continue
        for t in range(product.shape[0]):
            if first[x]:
                for f in range(product.shape[1]):
                    total[t, f] = share * product[t, f]
            else:
                for f in range(product.shape[1]):
                    total[t, f] += share * product[t, f]


@njit(**OPTIONS)
def add_rows(columns_sum, shares, target):
    """Add sums over columns to the rows of outputs that they are part of.

    columns_sum : (output column, image, tile row, tile column, feature);
    shares : (output row,); target : (image, y, x, feature).
    """
    across, images, tiles_y, tiles_x, features = columns_sum.shape
    down = shares.size
    for b in range(images):
        for t in range(tiles_y):
            for y in range(down):
                share = shares[y]
                if share == 0:
                    continue
                for u in range(tiles_x):
                    for x in range(across):
                        out = target[b, t * down + y, u * across + x]
                        source = columns_sum[x, b, t, u]
                        for f in range(features):
                            out[f] += share * source[f]


def _sums(inputs: np.ndarray, dtype: np.dtype) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each product the places that it adds, and how much of each."""
    found = []
    for row in inputs:
        picks = np.flatnonzero(row)
        found.append((picks, row[picks].astype(dtype)))
    return found


def bind_gather_winograd(op: Operator, tile: Tile) -> Call:
    """One matrix product for each product of the rule, some images at a time."""
    a, target, rule = tile.view(op.reads[0]), tile.view(op.target), op.scalars["rule"]
    bind = _both_axes if rule.x.taps > 1 else _rows_only
    group = max(1, BLOCK_BYTES // (rule.y.tiles * rule.x.tiles * rule.fine * a.itemsize))
    parts = -(-a.shape[0] // group)
    edges = np.linspace(0, a.shape[0], parts + 1).astype(int).tolist()
    calls = [bind(op, tile, a[i:j], target[i:j]) for i, j in itertools.pairwise(edges)]

    def call(step: int) -> None:
        if op.sets:
            target[...] = 0
        for part in calls:
            part()

    return call


def _both_axes(op: Operator, tile: Tile, a: np.ndarray, target: np.ndarray) -> Callable[[], None]:
    """The drive of some images, by short convolutions down and across."""
    s, rule = op.scalars, op.scalars["rule"]
    y, x, images = rule.y, rule.x, a.shape[0]
    rows, columns = extended_tables(s["geometry"], s["mirror"])
    tiles = images * y.tiles * x.tiles
    run = x.span * a.shape[3]
    mix_columns = column_mixer(run if run <= SHORT_RUN else 0)
    mixed = tile.scratch("winograd rows", (y.tiles, y.span, len(columns), a.shape[3]))
    by_coarse = mixed.reshape(y.tiles, y.span, -1, run)
    data = tile.scratch("winograd data", (x.transform.products, tiles, rule.fine))
    by_position = data.reshape(-1, images, y.tiles, x.tiles, y.span, run)
    product = tile.scratch("winograd product", (tiles, rule.coarse))
    sums = tile.scratch("winograd sums", (x.taps, tiles, rule.coarse))
    split = sums.reshape(x.taps, images, y.tiles, x.tiles, rule.coarse)
    weights = tile.shared(op.reads[1])
    weights = weights.reshape(y.transform.products, -1, *weights.shape[1:])
    row_sums = _sums(y.transform.inputs, a.dtype)
    column_sums = _sums(x.transform.inputs, a.dtype)
    picks, shares = (np.concatenate(part) for part in zip(*column_sums, strict=True))
    ends = np.cumsum([len(part) for part, _ in column_sums])
    to_rows = _to_rows(op, a.dtype)
    to_columns = x.transform.outputs.T.astype(a.dtype)
    reached = to_columns != 0
    newly = reached & (np.cumsum(reached, axis=0) == 1)
    value = tile.real(s["value"])

    def call() -> None:
        for p, row_sum in enumerate(row_sums):
            for n in range(images):
                mix_rows(a[n], rows, columns, value, y.taps, y.ratio, *row_sum, mixed)
                mix_columns(by_coarse, n, x.taps, picks, shares, ends, by_position)
            for q in range(len(data)):
                np.dot(data[q], weights[p, q], out=product)
                add_product(product, to_columns[q], newly[q], sums)
            add_rows(split, to_rows[p], target)

    return call


def _rows_only(op: Operator, tile: Tile, a: np.ndarray, target: np.ndarray) -> Callable[[], None]:
    """The drive of some images, by short convolutions down; patches are laid out across."""
    s, rule = op.scalars, op.scalars["rule"]
    y, x, images = rule.y, rule.x, a.shape[0]
    rows = extended_tables(s["geometry"], s["mirror"])[0]
    line = a.shape[2] * a.shape[3]
    lines = a.reshape(images, a.shape[1], 1, line)
    mixed = tile.scratch("winograd rows", (images, y.tiles, y.span, 1, line))
    tables = GatherTables(
        np.arange(y.tiles * y.span).reshape(y.tiles, y.span),
        gather_tables(s["geometry"], s["mirror"]).columns,
    )
    lay_out, tables_and_firsts, value = patch_layer(
        tables, x.span * a.shape[3], tile.real(s["value"])
    )
    patches = tile.scratch("winograd data", (images * y.tiles * x.tiles, rule.fine))
    product = tile.scratch("winograd product", (len(patches), rule.coarse))
    split = product.reshape(1, images, y.tiles, x.tiles, rule.coarse)
    weights = tile.shared(op.reads[1])
    row_sums = _sums(y.transform.inputs, a.dtype)
    to_rows = _to_rows(op, a.dtype)
    whole = np.zeros(1, np.int64)
    across = mixed.reshape(images, -1, line)

    def call() -> None:
        for p, (picks, shares) in enumerate(row_sums):
            for n in range(images):
                mix_rows(lines[n], rows, whole, value, y.taps, y.ratio, picks, shares, mixed[n])
            lay_out(across, *tables_and_firsts, value * shares.sum(), patches)
            np.dot(patches, weights[p], out=product)
            add_rows(split, to_rows[p], target)

    return call


def _to_rows(op: Operator, dtype: np.dtype) -> np.ndarray:
    """How much of each product of rows goes to each row of a tile."""
    return (op.scalars["coefficient"] * op.scalars["rule"].y.transform.outputs.T).astype(dtype)


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
