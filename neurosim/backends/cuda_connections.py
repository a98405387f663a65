"""Deliveries on a CUDA device: products where dense, sums over active units where sparse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import cuda

from neurosim.backends.boundaries import PatchTables, gather_tables, scatter_tables
from neurosim.backends.cuda_active import bind_scaled, bind_spread
from neurosim.backends.cuda_device import Device, Launch
from neurosim.backends.cuda_matmul import bind_product, matrix_layout, patch_layout
from neurosim.plan.operators import Operator

MAXIMUM, MEAN = 0, 2


@cuda.jit(cache=True)
def pool_windows(
    a, rows, columns, ny, nx, nf, units_y, units_x, patch_y, patch_x, value, method, sparse,
    coefficient, clear, out,
):  # fmt: skip
    """Maximum (0), sum (1) or mean (2) of each feature over each window."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for at in range(start, out.size, cuda.blockDim.x * cuda.gridDim.x):
        unit = at // nf
        f = at - unit * nf
        y = unit // units_x
        x = unit - y * units_x
        b = y // units_y
        y -= b * units_y
        total = out.dtype.type(0)
        largest = out.dtype.type(0)
        found = False
        for j in range(y * patch_y, (y + 1) * patch_y):
            for i in range(x * patch_x, (x + 1) * patch_x):
                u = value
                if rows[j] >= 0 and columns[i] >= 0:
                    u = a[((b * ny + rows[j]) * nx + columns[i]) * nf + f]
                total += u
                if not (sparse and u == 0) and (not found or u > largest):
                    largest = u
                    found = True
        if method == MEAN:
            total /= out.dtype.type(patch_y * patch_x)
        elif method == MAXIMUM:
            total = largest
        if clear:
            out[at] = coefficient * total
        else:
            out[at] += coefficient * total


def bind_gather(op: Operator, device: Device) -> list[Launch]:
    """Patches formed as they are needed, times the dictionary."""
    s = op.scalars
    g = s["geometry"]
    images, ny, nx, nf = device.shapes[op.reads[0]]
    tables = gather_tables(g, s["mirror"])
    layout = patch_layout(
        device, tables.rows, tables.columns, nx, nf, ny * nx * nf, float(s["value"])
    )
    features = device.shapes[op.reads[1]][1]
    dictionary = device.part(op.reads[1], s["arbor"])
    out = device.array(op.target)
    return bind_product(
        device, device.array(op.reads[0]), layout, images, dictionary, features,
        s["coefficient"], bool(op.sets), out,
    )  # fmt: skip


def spread(
    device: Device,
    code: str,
    weights: str,
    s: Mapping[str, Any],
    sources: list[tuple[float, Any]],
    clear: bool,
    target: str,
) -> list[Launch]:
    """The reconstruction of ``target`` from one code, and what is added to it."""
    g = s["geometry"]
    tables = scatter_tables(g, s["mirror"], s["value"])
    return bind_spread(
        device, device.array(code), device.shapes[code], tables, 1, s["value"],
        device.part(weights, s["arbor"]), (g.y.patch, g.x.patch), device.shapes[target][1:],
        s["coefficient"], sources, clear, device.array(target),
    )  # fmt: skip


def bind_scatter(op: Operator, device: Device) -> list[Launch]:
    code, weights = op.reads
    return spread(device, code, weights, op.scalars, [], bool(op.sets), op.target)


def bind_residual(op: Operator, device: Device) -> list[Launch]:
    """Sources and reconstructions in one pass for each code."""
    s = op.scalars
    count = len(s["coefficients"])
    sources = [
        (float(c), device.array(n))
        for c, n in zip(s["coefficients"], op.reads[:count], strict=True)
    ]
    out = device.array(op.target)
    pairs = zip(op.reads[count::2], op.reads[count + 1 :: 2], s["patches"], strict=True)
    launches: list[Launch] = []
    clear = True
    for code, weights, patch in pairs:
        launches += spread(device, code, weights, patch, sources, clear, op.target)
        sources, clear = [], False
    for coefficient, source in sources:
        launches.append(bind_scaled(device, source, coefficient, clear, out))
        clear = False
    return launches


def bind_lateral(op: Operator, device: Device) -> list[Launch]:
    """The projected input less the rows of the competition of active units."""
    b, competition, code = op.reads
    features = device.shapes[code][3]
    none = np.zeros(1, np.int64)
    tables = PatchTables(none, none, none, none, none, none)
    return bind_spread(
        device, device.array(code), device.shapes[code], tables, 1, 0.0,
        device.array(competition), (1, 1), (1, 1, features), -1.0,
        [(1.0, device.array(b))], True, device.array(op.target),
    )  # fmt: skip


def bind_gram(op: Operator, device: Device) -> list[Launch]:
    """Inner products of the atoms of a dictionary."""
    arbor, coefficient = op.scalars.get("arbor", 0), op.scalars.get("coefficient", 1.0)
    dictionary = device.part(op.reads[0], arbor)
    features = device.shapes[op.reads[0]][1]
    layout = matrix_layout(device, dictionary.size // features)
    return bind_product(
        device, dictionary, layout, features, dictionary, features, coefficient, True,
        device.array(op.target),
    )  # fmt: skip


def bind_ident(op: Operator, device: Device) -> list[Launch]:
    source, out = device.array(op.reads[0]), device.array(op.target)
    return [bind_scaled(device, source, op.scalars["coefficient"], bool(op.sets), out)]


def bind_pool(op: Operator, device: Device) -> list[Launch]:
    s = op.scalars
    tables = gather_tables(s["geometry"], s["mirror"])
    (units_y, patch_y), (units_x, patch_x) = tables.rows.shape, tables.columns.shape
    _, ny, nx, nf = device.shapes[op.reads[0]]
    out = device.array(op.target)
    method = ("max", "sum", "avg").index(s["method"])
    arguments = (
        device.array(op.reads[0]), device.upload(tables.rows), device.upload(tables.columns),
        ny, nx, nf, units_y, units_x, patch_y, patch_x, device.constant(s["value"]), method,
        bool(s["sparse"]), device.constant(s["coefficient"]), bool(op.sets), out,
    )  # fmt: skip
    return [Launch(pool_windows, *device.flat(out.size), arguments)]


CONNECTIONS = {
    "gather": bind_gather,
    "scatter": bind_scatter,
    "residual": bind_residual,
    "lateral": bind_lateral,
    "ident": bind_ident,
    "pool": bind_pool,
}
