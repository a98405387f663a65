"""Deliveries on a CUDA device through weights that every neuron has of its own."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import cuda

from neurosim.backends.boundaries import local_tables, patch_tables
from neurosim.backends.cuda_active import bind_spread
from neurosim.backends.cuda_device import SIMULATED, THREADS, Device, Launch
from neurosim.plan.operators import Operator

#: Images that a weight serves once it is read.
IMAGES_EACH = 2 if SIMULATED else 8


@cache
def own_patches_kernel(real: Any) -> Any:
    """Kernel in which a block sums the own patch of one feature of one unit, weighted."""
    shape = (IMAGES_EACH, THREADS)

    @cuda.jit(cache=True)
    def sum_own_patches(
        a, rows, columns, units_x, patch_y, patch_x, nf, size, images, value, first_kernel,
        weights, features, coefficient, clear, out,
    ):  # fmt: skip
        part = cuda.shared.array(shape, real)
        sums = cuda.local.array(IMAGES_EACH, real)
        thread = cuda.threadIdx.x
        unit = cuda.blockIdx.x // features
        feature = cuda.blockIdx.x - unit * features
        length = patch_y * patch_x * nf
        kernel = (first_kernel[unit] + feature) * length
        y = unit // units_x
        x = unit - y * units_x
        units = cuda.gridDim.x // features
        for b0 in range(0, images, IMAGES_EACH):
            for i in range(IMAGES_EACH):
                sums[i] = real(0.0)
            for k in range(thread, length, THREADS):
                place = k // nf
                j = place // patch_x
                row = rows[y * patch_y + j]
                column = columns[x * patch_x + place - j * patch_x]
                outside = row < 0 or column < 0
                at = row + column + k - place * nf
                for i in range(IMAGES_EACH):
                    if b0 + i < images:
                        u = value
                        if not outside:
                            u = a[(b0 + i) * size + at]
                        sums[i] += weights[kernel + k] * u
            for i in range(IMAGES_EACH):
                part[i, thread] = sums[i]
            reach = THREADS // 2
            while reach > 0:
                cuda.syncthreads()
                if thread < reach:
                    for i in range(IMAGES_EACH):
                        part[i, thread] += part[i, thread + reach]
                reach //= 2
            cuda.syncthreads()
            if thread == 0:
                for i in range(IMAGES_EACH):
                    if b0 + i < images:
                        at = ((b0 + i) * units + unit) * features + feature
                        if clear:
                            out[at] = coefficient * part[i, 0]
                        else:
                            out[at] += coefficient * part[i, 0]
            cuda.syncthreads()

    return sum_own_patches


def bind_scatter_local(op: Operator, device: Device) -> list[Launch]:
    """As with shared weights, but each unit has kernels of its own."""
    s = op.scalars
    g = s["geometry"]
    tables = patch_tables(g, s["mirror"], s["value"])
    code, weights = op.reads
    return bind_spread(
        device, device.array(code), device.shapes[code], tables, g.kernels_x, s["value"],
        device.part(weights, s["arbor"]), (g.nyp, g.nxp), device.shapes[op.target][1:],
        s["coefficient"], [], bool(op.sets), device.array(op.target),
    )  # fmt: skip


def bind_gather_local(op: Operator, device: Device) -> list[Launch]:
    s = op.scalars
    g = s["geometry"]
    images, ny, nx, nf = device.shapes[op.reads[0]]
    tables = local_tables(g, s["mirror"])
    (units_y, patch_y), (units_x, patch_x) = tables.rows.shape, tables.columns.shape
    place = np.add.outer(
        (np.arange(units_y) + g.margin_y) * g.kernels_x, np.arange(units_x) + g.margin_x
    )
    features = g.pre.nf
    arguments = (
        device.array(op.reads[0]),
        device.upload(np.where(tables.rows < 0, -1, tables.rows * nx * nf)),
        device.upload(np.where(tables.columns < 0, -1, tables.columns * nf)),
        units_x, patch_y, patch_x, nf, ny * nx * nf, images, device.constant(s["value"]),
        device.upload(place * features), device.part(op.reads[1], s["arbor"]), features,
        device.constant(s["coefficient"]), bool(op.sets), device.array(op.target),
    )  # fmt: skip
    grid = (units_y * units_x * features,)
    return [Launch(own_patches_kernel(device.real), grid, THREADS, arguments)]


LOCAL_CONNECTIONS = {"scatter_local": bind_scatter_local, "gather_local": bind_gather_local}
