"""Reconstructions on a CUDA device: lists of active units, then sums of their patches.

The work is in proportion to activity and no two threads add to the same number: each number of
the target belongs to one thread, which goes through the units whose patches cover it in a fixed
order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba import cuda, int32

from neurosim.backends.boundaries import PatchTables
from neurosim.backends.cuda_device import SIMULATED, THREADS, Device, Launch, smaller

#: Threads that list the active features of one position, at most, and features for each.
LISTERS, FEATURES_EACH = 2 if SIMULATED else 256, 4
#: Rows of the target that one thread sums: those that the same units cover.
MOST_ROWS = 4
#: No unit covers; the boundary value stands at the unit.
NONE, EDGE = -2, -1


@cache
def list_kernel(listers: int, positions_each: int) -> Any:
    """Kernel that lists the features that are not zero, in order, of each position."""
    shape = (positions_each, listers)

    @cuda.jit(cache=True)
    def list_active(a, positions, features, value, counts, index, units):
        """One more position than there are holds the boundary value in every feature."""
        found = cuda.shared.array(shape, int32)
        t, p = cuda.threadIdx.x, cuda.threadIdx.y
        position = cuda.blockIdx.x * positions_each + p
        each = (features + listers - 1) // listers
        first = t * each
        last = smaller(features, first + each)
        here = position * features
        count = 0
        if position <= positions:
            for f in range(first, last):
                if (a[here + f] if position < positions else value) != 0:
                    count += 1
        found[p, t] = count
        cuda.syncthreads()
        reach = 1
        while reach < listers:
            before = found[p, t - reach] if t >= reach else 0
            cuda.syncthreads()
            found[p, t] += before
            cuda.syncthreads()
            reach *= 2
        if position <= positions:
            at = here + found[p, t] - count
            for f in range(first, last):
                x = a[here + f] if position < positions else value
                if x != 0:
                    index[at] = f
                    units[at] = x
                    at += 1
            if t == listers - 1:
                counts[position] = found[p, t]

    return list_active


@cache
def spread_kernel(real: Any, rows_each: int, sources: int) -> Any:
    """Kernel of ``out = sum_i c_i source_i + coefficient * sum of active units' patches``."""

    @cuda.jit(cache=True)
    def spread(
        counts, index, units, features, positions, unit_rows, unit_columns,
        group_row, group_rows, source_y, head_y, cell_y, many_y,
        source_x, head_x, cell_x, many_x, cells_x,
        weights, patch_x, patch_size, nf, ny, width, groups, images, coefficient,
        first, first_by, second, second_by, clear, out,
    ):  # fmt: skip
        sums = cuda.local.array(rows_each, real)
        start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        stride = cuda.blockDim.x * cuda.gridDim.x
        line = patch_x * nf
        for image_group in range(cuda.blockIdx.y, images * groups, cuda.gridDim.y):
            b = image_group // groups
            group = image_group - b * groups
            rows = group_rows[group]
            for e in range(start, width, stride):
                x = e // nf
                f = e - x * nf
                for r in range(rows_each):
                    sums[r] = real(0.0)
                for iy in range(group * many_y, (group + 1) * many_y):
                    if source_y[iy] == NONE:
                        break
                    for ix in range(x * many_x, (x + 1) * many_x):
                        if source_x[ix] == NONE:
                            break
                        position = positions
                        if source_y[iy] != EDGE and source_x[ix] != EDGE:
                            position = (b * unit_rows + source_y[iy]) * unit_columns + source_x[ix]
                        listed = position * features
                        kernel = (cell_y[iy] * cells_x + cell_x[ix]) * features
                        inside = (head_y[iy] * patch_x + head_x[ix]) * nf + f
                        for q in range(listed, listed + counts[position]):
                            unit = units[q]
                            at = (kernel + index[q]) * patch_size + inside
                            for r in range(rows_each):
                                if r < rows:
                                    sums[r] += unit * weights[at + r * line]
                at = (b * ny + group_row[group]) * width + e
                for r in range(rows_each):
                    if r < rows:
                        total = coefficient * sums[r]
                        if sources > 0:
                            total += first_by * first[at + r * width]
                        if sources > 1:
                            total += second_by * second[at + r * width]
                        if clear:
                            out[at + r * width] = total
                        else:
                            out[at + r * width] += total

    return spread


@cuda.jit(cache=True)
def add_scaled(source, coefficient, clear, target):
    """target = or += coefficient * source."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(start, target.size, cuda.blockDim.x * cuda.gridDim.x):
        if clear:
            target[i] = coefficient * source[i]
        else:
            target[i] += coefficient * source[i]


def bind_scaled(device: Device, source: Any, coefficient: float, clear: bool, out: Any) -> Launch:
    """``out = or += coefficient * source``."""
    arguments = (source, device.constant(coefficient), clear, out)
    return Launch(add_scaled, *device.flat(out.size), arguments)


@dataclass(frozen=True)
class Cover:
    """Along one axis: which units cover each group of rows (or columns) of the target.

    ``source``, ``head`` and ``cell`` are (group, many): the unit, the first row of its patch that
    lies in the group, and the row of kernels it uses; unused places hold NONE.
    """

    row: np.ndarray
    rows: np.ndarray
    source: np.ndarray
    head: np.ndarray
    cell: np.ndarray


def cover(
    sources: np.ndarray, heads: np.ndarray, cells: np.ndarray, patch: int, n: int, most: int
) -> Cover:
    """Units whose patches cover each group of at most ``most`` neighbouring rows."""
    covering = [np.flatnonzero((heads <= y) & (y < heads + patch)) for y in range(n)]
    starts: list[int] = []
    for y in range(n):
        same = y > 0 and y - starts[-1] < most and np.array_equal(covering[y], covering[y - 1])
        if not same:
            starts.append(y)
    many = max(1, max(len(covering[y]) for y in starts))
    table = np.full((3, len(starts), many), NONE)
    for group, y in enumerate(starts):
        units = covering[y]
        table[:, group, : len(units)] = sources[units], y - heads[units], cells[units]
    row = np.array(starts)
    return Cover(row, np.diff(np.append(row, n)), *table)


def bind_spread(
    device: Device,
    code: Any,
    shape: tuple[int, ...],
    tables: PatchTables,
    cells_x: int,
    value: float,
    weights: Any,
    patch: tuple[int, int],
    target: tuple[int, ...],
    coefficient: float,
    sources: list[tuple[float, Any]],
    clear: bool,
    out: Any,
) -> list[Launch]:
    # Long: one argument table.
    """Launches of a sparse reconstruction.

    Parameters
    ----------
    code : flat device array of ``shape`` (image, unit y, unit x, feature)
    weights : flat device array (kernel, patch y, patch x, target feature)
    patch : rows and columns of a patch
    target : rows, columns and features of an image of ``out``
    sources : coefficients and arrays of the size of ``out`` that are added to it
    """
    images, unit_rows, unit_columns, features = shape
    positions = images * unit_rows * unit_columns
    ny, nx, nf = target
    launches = []
    if len(sources) > 2:
        for coefficient_i, source in sources:
            launches.append(bind_scaled(device, source, coefficient_i, clear, out))
            clear = False
        sources = []
    listers = 1
    while listers < LISTERS and listers * FEATURES_EACH < features:
        listers *= 2
    each = max(1, THREADS // listers)
    counts = device.scratch("counts", positions + 1, np.int32)
    index = device.scratch("index", (positions + 1) * features, np.int32)
    units = device.scratch("units", (positions + 1) * features)
    edge = device.constant(value)
    listing = (code, positions, features, edge, counts, index, units)
    grid = (-(-(positions + 1) // each),)
    launches.append(Launch(list_kernel(listers, each), grid, (listers, each), listing))
    y = cover(tables.source_y, tables.head_y, tables.cell_y, patch[0], ny, MOST_ROWS)
    x = cover(tables.source_x, tables.head_x, tables.cell_x, patch[1], nx, 1)
    up = device.upload
    padded = [*sources, (0.0, out), (0.0, out)][:2]
    given = tuple(item for c, array in padded for item in (array, device.constant(c)))
    groups, width = len(y.row), nx * nf
    arguments = (
        counts, index, units, features, positions, unit_rows, unit_columns,
        up(y.row), up(y.rows), up(y.source), up(y.head), up(y.cell), y.source.shape[1],
        up(x.source), up(x.head), up(x.cell), x.source.shape[1], cells_x,
        weights, patch[1], patch[0] * patch[1] * nf, nf, ny, width, groups, images,
        device.constant(coefficient), *given, clear, out,
    )  # fmt: skip
    kernel = spread_kernel(device.real, int(y.rows.max()), len(sources))
    launches.append(Launch(kernel, *device.by_image(images * groups, width), arguments))
    return launches
