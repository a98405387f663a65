"""Short convolutions on a CUDA device: transforms, many small products, sums.

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


@cuda.jit(cache=True)
def transform_weights(
    d, weights_y, weights_x, taps_y, taps_x, products_x, span_y, span_x, nf, coarse, out
):
    """out : (product, position and fine feature, coarse feature) from (coarse, y, x, feature)."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    fine = span_y * span_x * nf
    for at in range(start, out.size, cuda.blockDim.x * cuda.gridDim.x):
        row = at // coarse
        c = at - row * coarse
        product = row // fine
        place = row - product * fine
        p = product // products_x
        q = product - p * products_x
        cell = place // nf
        f = place - cell * nf
        j = cell // span_x
        i = cell - j * span_x
        total = out.dtype.type(0)
        for t in range(taps_y):
            for s in range(taps_x):
                share = weights_y[p * taps_y + t] * weights_x[q * taps_x + s]
                if share != 0:
                    line = (c * taps_y + t) * span_y + j
                    total += share * d[((line * taps_x + s) * span_x + i) * nf + f]
        out[at] = total


@cuda.jit(cache=True)
def transform_inputs(
    a, rows, columns, inputs_y, inputs_x, products_x, tiles_y, tiles_x,
    taps_y, taps_x, ratio_y, ratio_x, span_y, span_x, nf, size, images, value, out,
):  # fmt: skip
    """out : (product, image and tile, position and fine feature).

    inputs_y, inputs_x : (product, place within a tile), flat.
    """
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    fine = span_y * span_x * nf
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
        j = cell // span_x
        i = cell - j * span_x
        total = out.dtype.type(0)
        for n in range(2 * taps_y - 1):
            down = inputs_y[p * (2 * taps_y - 1) + n]
            if down == 0:
                continue
            y = rows[(u * taps_y + n) * ratio_y + j]
            for m in range(2 * taps_x - 1):
                share = down * inputs_x[q * (2 * taps_x - 1) + m]
                if share == 0:
                    continue
                x = columns[(v * taps_x + m) * ratio_x + i]
                unit = value
                if y >= 0 and x >= 0:
                    unit = a[b * size + y + x + f]
                total += share * unit
        out[at] = total


@cuda.jit(cache=True)
def sum_products(
    found, outputs_y, outputs_x, products_y, products_x, tiles_y, tiles_x, taps_y, taps_x,
    features_, images, coefficient, clear, out,
):  # fmt: skip
    """Each coarse unit sums its products; outputs : (place in a tile, product), flat."""
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
        for p in range(products_y):
            down = outputs_y[(y % taps_y) * products_y + p]
            if down == 0:
                continue
            for q in range(products_x):
                share = down * outputs_x[(x % taps_x) * products_x + q]
                if share != 0:
                    product = p * products_x + q
                    total += share * found[(product * tiles + tile) * features_ + c]
        if clear:
            out[at] = coefficient * total
        else:
            out[at] += coefficient * total


def bind_winograd_weights(op: Operator, device: Device) -> list[Launch]:
    rule, out = op.scalars["rule"], device.array(op.target)
    y, x = rule.y, rule.x
    arguments = (
        device.part(op.reads[0], op.scalars["arbor"]),
        device.upload(y.transform.weights, out.dtype),
        device.upload(x.transform.weights, out.dtype), y.taps, x.taps, x.transform.products,
        y.span, x.span, device.shapes[op.reads[0]][4], rule.coarse, out,
    )  # fmt: skip
    return [Launch(transform_weights, *device.flat(out.size), arguments)]


def bind_gather_winograd(op: Operator, device: Device) -> list[Launch]:
    s: Any = op.scalars
    rule = s["rule"]
    y, x = rule.y, rule.x
    images, ny, nx, nf = device.shapes[op.reads[0]]
    count, m = rule.products, images * y.tiles * x.tiles
    data = device.scratch("transformed", count * m * rule.fine)[: count * m * rule.fine]
    found = device.scratch("products", count * m * rule.coarse)
    rows, columns = extended_tables(s["geometry"], s["mirror"])
    up, out = device.upload, device.array(op.target)
    layout = (x.transform.products, y.tiles, x.tiles, y.taps, x.taps)
    first = (
        device.array(op.reads[0]), up(np.where(rows < 0, -1, rows * nx * nf)),
        up(np.where(columns < 0, -1, columns * nf)), up(y.transform.inputs, out.dtype),
        up(x.transform.inputs, out.dtype), *layout, y.ratio, x.ratio, y.span, x.span, nf,
        ny * nx * nf, images, device.constant(s["value"]), data,
    )  # fmt: skip
    last = (
        found, up(y.transform.outputs, out.dtype), up(x.transform.outputs, out.dtype),
        y.transform.products, *layout, rule.coarse, images, device.constant(s["coefficient"]),
        bool(op.sets), out,
    )  # fmt: skip
    product = bind_products(
        device, data, device.array(op.reads[1]), count, m, rule.coarse, rule.fine, found
    )
    return [
        Launch(transform_inputs, *device.flat(data.size), first),
        product,
        Launch(sum_products, *device.flat(out.size), last),
    ]


WINOGRAD = {"gather_winograd": bind_gather_winograd, "winograd_weights": bind_winograd_weights}
