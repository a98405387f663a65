"""Nested short convolutions on a CUDA device: transforms, many small products, sums.

Made for completeness: the products are so much faster here than the memory that holds them that
no plan uses these unless it is told to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from neurosim.backends.boundaries import extended_tables
from neurosim.backends.cuda_device import Device, Launch
from neurosim.backends.cuda_matmul import bind_products
from neurosim.plan.operators import Operator
from neurosim.plan.winograd import features, taps, transform


@cuda.jit(cache=True)
def transform_weights(
    d, weights_y, weights_x, taps_y, taps_x, products_x, ratio_y, ratio_x, nf, coarse, out
):
    """out : (product, position and fine feature, coarse feature) from (coarse, y, x, feature)."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    fine = ratio_y * ratio_x * nf
    for at in range(start, out.size, cuda.blockDim.x * cuda.gridDim.x):
        row = at // coarse
        c = at - row * coarse
        product = row // fine
        place = row - product * fine
        p = product // products_x
        q = product - p * products_x
        cell = place // nf
        f = place - cell * nf
        j = cell // ratio_x
        i = cell - j * ratio_x
        total = out.dtype.type(0)
        for t in range(taps_y):
            for s in range(taps_x):
                if weights_y[p * taps_y + t] != 0 and weights_x[q * taps_x + s] != 0:
                    line = (c * taps_y + t) * ratio_y + j
                    total += d[((line * taps_x + s) * ratio_x + i) * nf + f]
        out[at] = total


@cuda.jit(cache=True)
def transform_inputs(
    a, rows, columns, inputs_y, inputs_x, many_y, many_x, products_x, tiles_y, tiles_x,
    taps_y, taps_x, ratio_y, ratio_x, nf, size, images, value, out,
):  # fmt: skip
    """out : (product, image and tile, position and fine feature).

    inputs : (product, many) with 1 + the place within a tile, negative where it is subtracted, 0
    for none.
    """
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    fine = ratio_y * ratio_x * nf
    tiles = images * tiles_y * tiles_x
    for at in range(start, out.size, cuda.blockDim.x * cuda.gridDim.x):
        row = at // fine
        place = at - row * fine
        product = row // tiles
        tile = row - product * tiles
        p = product // products_x
        q = product - p * products_x
        line = tile // tiles_x
        v = tile - line * tiles_x
        b = line // tiles_y
        u = line - b * tiles_y
        cell = place // nf
        f = place - cell * nf
        j = cell // ratio_x
        i = cell - j * ratio_x
        total = out.dtype.type(0)
        for n in range(p * many_y, (p + 1) * many_y):
            if inputs_y[n] == 0:
                break
            y = rows[(u * taps_y + abs(inputs_y[n]) - 1) * ratio_y + j]
            for m in range(q * many_x, (q + 1) * many_x):
                if inputs_x[m] == 0:
                    break
                x = columns[(v * taps_x + abs(inputs_x[m]) - 1) * ratio_x + i]
                unit = value
                if y >= 0 and x >= 0:
                    unit = a[b * size + y + x + f]
                if (inputs_y[n] > 0) == (inputs_x[m] > 0):
                    total += unit
                else:
                    total -= unit
        out[at] = total


@cuda.jit(cache=True)
def sum_products(
    found, outputs_y, outputs_x, many_y, many_x, products_x, tiles_y, tiles_x, taps_y, taps_x,
    features_, images, coefficient, clear, out,
):  # fmt: skip
    """Each coarse unit sums its products; outputs : (place in a tile, many), -1 for none."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    tiles = images * tiles_y * tiles_x
    for at in range(start, out.size, cuda.blockDim.x * cuda.gridDim.x):
        line = at // features_
        c = at - line * features_
        row = line // (tiles_x * taps_x)
        x = line - row * (tiles_x * taps_x)
        b = row // (tiles_y * taps_y)
        y = row - b * (tiles_y * taps_y)
        tile = (b * tiles_y + y // taps_y) * tiles_x + x // taps_x
        total = out.dtype.type(0)
        for n in range((y % taps_y) * many_y, (y % taps_y + 1) * many_y):
            for m in range((x % taps_x) * many_x, (x % taps_x + 1) * many_x):
                if outputs_y[n] >= 0 and outputs_x[m] >= 0:
                    product = outputs_y[n] * products_x + outputs_x[m]
                    total += found[(product * tiles + tile) * features_ + c]
        if clear:
            out[at] = coefficient * total
        else:
            out[at] += coefficient * total


def listed(matrix: np.ndarray, first: int, none: int) -> np.ndarray:
    """Places of the numbers of each row that are not zero, from ``first`` on, with their sign."""
    many = int((matrix != 0).sum(1).max())
    table = np.full((len(matrix), many), none)
    for line, row in zip(table, matrix, strict=True):
        places = np.flatnonzero(row)
        line[: len(places)] = (places + first) * row[places]
    return table


def bind_winograd_weights(op: Operator, device: Device) -> list[Launch]:
    g = op.scalars["geometry"]
    y, x = taps(g.y), taps(g.x)
    coarse = features(g)[1]
    ty, tx = transform(y), transform(x)
    out = device.array(op.target)
    arguments = (
        device.part(op.reads[0], op.scalars["arbor"]), device.upload(ty.weights),
        device.upload(tx.weights), y, x, tx.products, g.y.ratio, g.x.ratio,
        device.shapes[op.reads[0]][4], coarse, out,
    )  # fmt: skip
    return [Launch(transform_weights, *device.flat(out.size), arguments)]


def bind_gather_winograd(op: Operator, device: Device) -> list[Launch]:
    s: Any = op.scalars
    g = s["geometry"]
    images, ny, nx, nf = device.shapes[op.reads[0]]
    y, x = taps(g.y), taps(g.x)
    ty, tx = transform(y), transform(x)
    fine, coarse = features(g)
    tiles = (g.y.coarse // y, g.x.coarse // x)
    count, m = ty.products * tx.products, images * tiles[0] * tiles[1]
    data = device.scratch("transformed", count * m * fine)[: count * m * fine]
    found = device.scratch("products", count * m * coarse)
    rows, columns = extended_tables(g, s["mirror"])
    inputs = [listed(t.inputs, 1, 0) for t in (ty, tx)]
    outputs = [listed(t.outputs, 0, -1) for t in (ty, tx)]
    up, out = device.upload, device.array(op.target)
    layout = (tx.products, *tiles, y, x)
    first = (
        device.array(op.reads[0]), up(np.where(rows < 0, -1, rows * nx * nf)),
        up(np.where(columns < 0, -1, columns * nf)), *(up(t) for t in inputs),
        *(t.shape[1] for t in inputs), *layout, g.y.ratio, g.x.ratio, nf, ny * nx * nf, images,
        device.constant(s["value"]), data,
    )  # fmt: skip
    last = (
        found, *(up(t) for t in outputs), *(t.shape[1] for t in outputs), *layout, coarse, images,
        device.constant(s["coefficient"]), bool(op.sets), out,
    )  # fmt: skip
    return [
        Launch(transform_inputs, *device.flat(data.size), first),
        bind_products(device, data, device.array(op.reads[1]), count, m, coarse, fine, found),
        Launch(sum_products, *device.flat(out.size), last),
    ]


WINOGRAD = {"gather_winograd": bind_gather_winograd, "winograd_weights": bind_winograd_weights}
