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
def mix_seven(lines, size, sums):
    """The sums of inputs for four taps: what ``transform(4).inputs`` states, in one pass.

    lines : seven arrays of at least ``size`` numbers; sums : the seven that are written.
    """
    x0, x1, x2, x3, x4, x5, x6 = lines
    y0, y1, y2, y3, y4, y5, y6 = sums
    real = x0.dtype.type
    half, two, four, five, six = real(0.5), real(2), real(4), real(5), real(6)
    one_and_half, two_and_half, three_and_half, four_and_half = (
        real(1.5),
        real(2.5),
        real(3.5),
        real(4.5),
    )
    for i in range(size):
        a, b, c, d, e = x1[i], x2[i], x3[i], x4[i], x5[i]
        y0[i] = four * a - two * x0[i] + two_and_half * b - five * c - half * d + e
        y1[i] = two * (a - b) - four_and_half * c + half * d + e
        y2[i] = six * b - two * a - three_and_half * c - one_and_half * d + e
        y3[i] = a + one_and_half * (d - b) - two * c + e
        y4[i] = two_and_half * (b - d) - a + e
        y5[i] = four * a - five * c + e
        y6[i] = four * b - two * a + two_and_half * c - five * d - half * e + x6[i]


@njit(**OPTIONS)
def add_line(line, share, first, out):
    """``out += share * line``, or ``=`` where this is the first."""
    if first:
        for i in range(out.size):
            out[i] = share * line[i]
    else:
        for i in range(out.size):
            out[i] += share * line[i]


@njit(**OPTIONS)
def line_of(lines, row, column, edge):
    """The units at a place of the fine layer; those of its edge outside."""
    return lines[row + column] if row >= 0 and column >= 0 else edge


@njit(**OPTIONS)
def mix_rows(a, rows, columns, edge, tile_rows, stride, inputs, mixed):
    """Weighted sums of rows of the fine layer, one for each product, row of tiles and position.

    a : (y, x, feature); rows, columns : sources of the extended plane, -1 outside;
    edge : (feature,) units there; inputs : (product, row of a tile) how much of each;
    mixed : (product, tile row, position, extended column, feature).
    """
    products, tiles, positions, width, features = mixed.shape
    lines = a.reshape(-1, features)
    sources = np.empty(inputs.shape[1], np.int64)
    for t in range(tiles):
        for p in range(positions):
            for k in range(sources.size):
                row = rows[(t * tile_rows + k) * stride + p]
                sources[k] = row * a.shape[1] if row >= 0 else -1
            for c in range(width):
                column = columns[c]
                if tile_rows == 4:
                    seven = (
                        line_of(lines, sources[0], column, edge),
                        line_of(lines, sources[1], column, edge),
                        line_of(lines, sources[2], column, edge),
                        line_of(lines, sources[3], column, edge),
                        line_of(lines, sources[4], column, edge),
                        line_of(lines, sources[5], column, edge),
                        line_of(lines, sources[6], column, edge),
                    )
                    sums = (
                        mixed[0, t, p, c], mixed[1, t, p, c], mixed[2, t, p, c], mixed[3, t, p, c],
                        mixed[4, t, p, c], mixed[5, t, p, c], mixed[6, t, p, c],
                    )  # fmt: skip
                    mix_seven(seven, features, sums)
                    continue
                for q in range(products):
                    first = True
                    for k in range(sources.size):
                        if inputs[q, k] != 0:
                            line = line_of(lines, sources[k], column, edge)
                            add_line(line, inputs[q, k], first, mixed[q, t, p, c])
                            first = False


@lru_cache
def column_mixer(length: int) -> Any:
    """Kernel that adds columns of ``length`` numbers; 0 for any number."""

    @njit(**OPTIONS)
    def mix_columns(mixed, image, tile_columns, inputs, data):
        """Weighted sums of columns of an image: the inputs of all products of a row sum.

        mixed : (tile row, position, coarse column, number), as mix_rows leaves it;
        inputs : (product, column of a tile) how much of each;
        data : (product, image, tile row, tile column, position, number).
        """
        tiles_y, tiles_x, positions = data.shape[2:5]
        size = length if length > 0 else data.shape[5]
        for t in range(tiles_y):
            for u in range(tiles_x):
                for p in range(positions):
                    line, c = mixed[t, p], u * tile_columns
                    if tile_columns == 4:
                        seven = (
                            line[c], line[c + 1], line[c + 2], line[c + 3], line[c + 4],
                            line[c + 5], line[c + 6],
                        )  # fmt: skip
                        sums = (
                            data[0, image, t, u, p], data[1, image, t, u, p],
                            data[2, image, t, u, p], data[3, image, t, u, p],
                            data[4, image, t, u, p], data[5, image, t, u, p],
                            data[6, image, t, u, p],
                        )  # fmt: skip
                        mix_seven(seven, size, sums)
                        continue
                    for q in range(inputs.shape[0]):
                        first = True
                        for k in range(inputs.shape[1]):
                            if inputs[q, k] != 0:
                                out = data[q, image, t, u, p]
                                add_line(line[c + k], inputs[q, k], first, out)
                                first = False

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
    shape = (images, y.transform.products, y.tiles, y.span, len(columns), a.shape[3])
    mixed = tile.scratch("winograd rows", shape)
    by_coarse = mixed.reshape(*shape[:4], -1, run)
    data = tile.scratch("winograd data", (x.transform.products, tiles, rule.fine))
    by_position = data.reshape(-1, images, y.tiles, x.tiles, y.span, run)
    product = tile.scratch("winograd product", (tiles, rule.coarse))
    sums = tile.scratch("winograd sums", (x.taps, tiles, rule.coarse))
    split = sums.reshape(x.taps, images, y.tiles, x.tiles, rule.coarse)
    weights = tile.shared(op.reads[1])
    weights = weights.reshape(y.transform.products, -1, *weights.shape[1:])
    down, across = (cut.transform.inputs.astype(a.dtype) for cut in (y, x))
    edge = np.full(a.shape[3], s["value"], a.dtype)
    to_rows = _to_rows(op, a.dtype)
    to_columns = x.transform.outputs.T.astype(a.dtype)
    reached = to_columns != 0
    newly = reached & (np.cumsum(reached, axis=0) == 1)

    def call() -> None:
        for n in range(images):
            mix_rows(a[n], rows, columns, edge, y.taps, y.ratio, down, mixed[n])
        for p in range(len(weights)):
            for n in range(images):
                mix_columns(by_coarse[n, p], n, x.taps, across, by_position)
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
    mixed = tile.scratch("winograd rows", (images, y.transform.products, y.tiles, y.span, 1, line))
    by_row = mixed.reshape(images, y.transform.products, 1, -1, line)
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
    down = y.transform.inputs.astype(a.dtype)
    beyond = value * down.sum(axis=1)
    to_rows = _to_rows(op, a.dtype)
    whole, edge = np.zeros(1, np.int64), np.full(line, s["value"], a.dtype)
    of_image = patches.reshape(images, -1, rule.fine)

    def call() -> None:
        for n in range(images):
            mix_rows(lines[n], rows, whole, edge, y.taps, y.ratio, down, mixed[n])
        for p in range(len(down)):
            for n in range(images):
                lay_out(by_row[n, p], *tables_and_firsts, beyond[p], of_image[n])
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
