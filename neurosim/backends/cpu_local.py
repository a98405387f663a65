"""Deliveries on the CPU through weights that every neuron has of its own."""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.backends.boundaries import local_tables, patch_tables
from neurosim.backends.cpu_gather import PATCH_BYTES, patch_layer
from neurosim.backends.cpu_layers import OPTIONS
from neurosim.backends.cpu_probes import SUMS
from neurosim.backends.cpu_tile import Call, Tile
from neurosim.plan.operators import Operator


@njit(**OPTIONS)
def add_patch(patch, coefficient, row, column, target):
    """Add a patch where it lies inside; patch : (y, x * feature), target : (y, x * feature)."""
    patch_y, width = patch.shape
    first = max(0, -column)
    count = min(width, target.shape[1] - column) - first
    for j in range(max(0, -row), min(patch_y, target.shape[0] - row)):
        into = target[row + j, column + first : column + first + count]
        source = patch[j, first : first + count]
        for i in range(count):
            into[i] += coefficient * source[i]


@njit(**OPTIONS)
def scatter_own_patches(
    a, source_y, source_x, head_y, head_x, cell_y, cell_x, cells_x, value, weights, coefficient,
    clear, target,
):  # fmt: skip
    """Add the own patch of each unit that is not zero, weighted.

    a : (image, y, x, feature); weights : (kernel, patch y, patch x * feature);
    target : (image, y, x * feature). A patch is read once for all images.
    """
    if clear:
        for b in range(target.shape[0]):
            target[b] = 0.0
    features = a.shape[3]
    for iy in range(source_y.size):
        for ix in range(source_x.size):
            outside = source_y[iy] < 0 or source_x[ix] < 0
            first = (cell_y[iy] * cells_x + cell_x[ix]) * features
            for f in range(features):
                for b in range(a.shape[0]):
                    unit = value if outside else a[b, source_y[iy], source_x[ix], f]
                    if unit != 0.0:
                        scaled = coefficient * unit
                        add_patch(weights[first + f], scaled, head_y[iy], head_x[ix], target[b])


@njit(**SUMS)
def sum_own_patches(patches, first_kernel, weights, coefficient, clear, target):
    """Each unit sums its laid out patch, weighted, for each of its features.

    patches : (image, unit, weight); first_kernel : (unit,); weights : (kernel, weight);
    target : (image, unit, feature). A patch is read once for all images.
    """
    size = weights.shape[1]
    for u in range(first_kernel.size):
        for f in range(target.shape[2]):
            kernel = weights[first_kernel[u] + f]
            for b in range(target.shape[0]):
                patch = patches[b, u]
                total = kernel.dtype.type(0.0)
                for i in range(size):
                    total += kernel[i] * patch[i]
                if clear:
                    target[b, u, f] = coefficient * total
                else:
                    target[b, u, f] += coefficient * total


def bind_scatter_local(op: Operator, tile: Tile) -> Call:
    s = op.scalars
    g = s["geometry"]
    t = patch_tables(g, s["mirror"], s["value"])
    weights = tile.shared(op.reads[1])[s["arbor"]]
    flat = weights.reshape(*weights.shape[:2], -1)
    a, target = tile.view(op.reads[0]), tile.view(op.target)
    target = target.reshape(*target.shape[:2], -1)
    head_x = t.head_x * weights.shape[3]
    tables = (t.source_y, t.source_x, t.head_y, head_x, t.cell_y, t.cell_x, g.kernels_x)
    value, coefficient = tile.real(s["value"]), tile.real(s["coefficient"])
    clear = bool(op.sets)

    def call(step: int) -> None:
        scatter_own_patches(a, *tables, value, flat, coefficient, clear, target)

    return call


def bind_gather_local(op: Operator, tile: Tile) -> Call:
    s = op.scalars
    g = s["geometry"]
    a = tile.view(op.reads[0])
    weights = tile.shared(op.reads[1])[s["arbor"]]
    flat = weights.reshape(weights.shape[0], -1)
    units, size = g.pre.ny * g.pre.nx, flat.shape[1]
    target = tile.view(op.target).reshape(a.shape[0], units, -1)
    place = np.add.outer(
        (np.arange(g.pre.ny) + g.margin_y) * g.kernels_x, np.arange(g.pre.nx) + g.margin_x
    )
    first_kernel = place.reshape(-1) * g.pre.nf
    found = local_tables(g, s["mirror"])
    lay_out, tables, value = patch_layer(found, size // found.rows.shape[1], tile.real(s["value"]))
    coefficient = tile.real(s["coefficient"])
    clear = bool(op.sets)
    group = min(a.shape[0], max(1, PATCH_BYTES // (units * size * a.itemsize)))
    patches = tile.scratch("patches", (group, units, size))
    pieces = []
    for first in range(0, a.shape[0], group):
        block = a[first : first + group]
        n = block.shape[0]
        laid = patches[:n]
        pieces.append(
            (
                block.reshape(n, a.shape[1], -1),
                laid.reshape(-1, size),
                laid,
                target[first : first + n],
            )
        )

    def call(step: int) -> None:
        for block, flat_laid, laid, result in pieces:
            lay_out(block, *tables, value, flat_laid)
            sum_own_patches(laid, first_kernel, flat, coefficient, clear, result)

    return call


LOCAL_CONNECTIONS = {"scatter_local": bind_scatter_local, "gather_local": bind_gather_local}
