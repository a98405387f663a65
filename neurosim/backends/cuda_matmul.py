"""Drives on a CUDA device: matrix products whose left side is formed from patches on the fly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba import cuda, int32, int64

from neurosim.backends.cuda_device import SIMULATED, Device, Launch, smaller


@dataclass(frozen=True)
class Tile:
    """Shape of the block of a product that one block of threads makes.

    ``across * down`` threads make ``columns * rows`` results each, ``depth`` products at a time.
    ``speed`` is what a multiprocessor does with it, relative to the fastest: a model, not measured.
    """

    down: int
    across: int
    rows: int
    columns: int
    depth: int
    speed: float

    @property
    def height(self) -> int:
        return self.down * self.rows

    @property
    def width(self) -> int:
        return self.across * self.columns


_MEDIUM, _SMALL = Tile(16, 16, 4, 4, 8, 0.7), Tile(16, 16, 2, 2, 16, 0.4)
#: By bytes of a number; the largest tile would need too many registers in float64.
DEVICE_TILES = {4: (Tile(16, 16, 8, 8, 8, 1.0), _MEDIUM, _SMALL), 8: (_MEDIUM, _SMALL)}
_SIMULATED_TILES = (Tile(2, 2, 4, 4, 4, 1.0), Tile(2, 2, 2, 2, 2, 0.5))
TILES = {4: _SIMULATED_TILES, 8: _SIMULATED_TILES} if SIMULATED else DEVICE_TILES
#: Parts of a long sum that blocks make side by side, at most, and the least depths of a part.
MOST_PARTS, LEAST_DEPTHS = 64, 4 if SIMULATED else 16
#: Cost of writing and reading one result of a part, in multiply-adds of the fastest tile.
PART_COST = 32.0
#: Two blocks of threads then fit into a multiprocessor together.
OPTIONS: Any = {"cache": True} if SIMULATED else {"cache": True, "max_registers": 128}
#: How the left side is laid out: as a matrix, patches all inside, patches some of which are not.
MATRIX, INSIDE, BORDERED = range(3)


def choose_tile(
    m: int, n: int, k: int, processors: int, tiles: tuple[Tile, ...]
) -> tuple[Tile, int]:
    """Tile and number of parts of the sum for an ``m x n`` product of depth ``k``.

    The estimate is the multiply-adds of the busiest multiprocessor divided by the tile's speed,
    plus the traffic of the parts; splitting the sum pays where there are few results and many
    products, as in a drive of one unit by a whole image.
    """
    best: tuple[float, Tile, int] | None = None
    for tile in tiles:
        parts = 1
        while parts <= MOST_PARTS and (parts == 1 or k >= parts * LEAST_DEPTHS * tile.depth):
            blocks = -(-m // tile.height) * -(-n // tile.width) * parts
            each = tile.height * tile.width * -(-k // parts) / tile.speed
            cost = -(-blocks // processors) * each
            cost += PART_COST * m * n * parts / processors if parts > 1 else 0.0
            if best is None or cost < best[0]:
                best = (cost, tile, parts)
            parts *= 2
    assert best is not None
    return best[1], best[2]


@cache
def product_kernel(real: Any, tile: Tile, form: int, batched: bool = False) -> Any:
    # Long: one loop whose every line shares the registers of the others.
    """Kernel of ``out[m, n] = coefficient * sum_k left[m, k] * right[n, k]``.

    Row ``m`` of the left side is the patch under unit ``m % units`` of image ``m // units``:
    ``a[image * size + starts[unit] + offsets[k]]`` where it lies inside, else looked up row by
    row and column by column. Block ``z`` of the grid sums the ``z``-th ``part`` of the products;
    batched, it multiplies the ``z``-th of many matrices, ``left[z, m, k]`` by ``right[z, k, n]``.
    """
    rows, columns, depth, down, across = tile.rows, tile.columns, tile.depth, tile.down, tile.across
    height, width, threads = tile.height, tile.width, tile.down * tile.across
    lines = threads // depth
    left_loads, right_loads = height // lines, width // lines
    # Four more than the tile: the four rows a warp stores then fall into different banks.
    left_shape, right_shape = (depth, height + 4), (depth, width + 4)
    results = rows * columns

    @cuda.jit(**OPTIONS)
    def product(
        a, starts, offsets, taps, row_starts, column_starts, units, units_x, patch_y, patch_x, size,
        value, right, m_end, n_end, k_end, part, coefficient, clear, out,
    ):  # fmt: skip
        # Long: every line shares the registers of the others.
        left_tile = cuda.shared.array(left_shape, real)
        right_tile = cuda.shared.array(right_shape, real)
        sums = cuda.local.array(results, real)
        left_now = cuda.local.array(rows, real)
        right_now = cuda.local.array(columns, real)
        left_next = cuda.local.array(left_loads, real)
        right_next = cuda.local.array(right_loads, real)
        image = cuda.local.array(left_loads, int64)
        unit = cuda.local.array(left_loads, int32)
        thread = cuda.threadIdx.x
        tx, ty = thread % across, thread // across
        lane, line = thread % depth, thread // depth
        m0, n0 = cuda.blockIdx.x * height, cuda.blockIdx.y * width
        first = 0 if batched else cuda.blockIdx.z * part
        last = smaller(k_end, first + part)
        for i in range(results):
            sums[i] = real(0.0)
        for p in range(left_loads):
            m = m0 + line + p * lines
            image[p], unit[p] = 0, -2
            if m < m_end:
                b = m // units
                u = m - b * units
                image[p], unit[p] = b * size, -1
                if batched:
                    image[p] += cuda.blockIdx.z * m_end * k_end
                if form != MATRIX:
                    start = starts[u]
                    if start >= 0:
                        image[p] += start
                    else:
                        unit[p] = u
        tiles = (last - first + depth - 1) // depth
        # The numbers of the next tile are on their way while this one is multiplied.
        for it in range(tiles + 1):
            k = first + it * depth + lane
            if it < tiles:
                for p in range(left_loads):
                    x = real(0.0)
                    if k < last:
                        if unit[p] == -1:
                            x = a[image[p] + (k if form == MATRIX else offsets[k])]
                        elif form == BORDERED and unit[p] >= 0:
                            y = unit[p] // units_x
                            r = row_starts[y * patch_y + taps[3 * k]]
                            c = column_starts[(unit[p] - y * units_x) * patch_x + taps[3 * k + 1]]
                            x = value
                            if r >= 0 and c >= 0:
                                x = a[image[p] + r + c + taps[3 * k + 2]]
                    left_next[p] = x
                for p in range(right_loads):
                    x = real(0.0)
                    if batched:
                        n = n0 + (thread + p * threads) % width
                        row = first + it * depth + (thread + p * threads) // width
                        if n < n_end and row < last:
                            x = right[(cuda.blockIdx.z * k_end + row) * n_end + n]
                    else:
                        n = n0 + line + p * lines
                        if n < n_end and k < last:
                            x = right[n * k_end + k]
                    right_next[p] = x
            if it > 0:
                for d in range(depth):
                    for r in range(rows):
                        left_now[r] = left_tile[d, ty + down * r]
                    for c in range(columns):
                        right_now[c] = right_tile[d, tx + across * c]
                    for r in range(rows):
                        for c in range(columns):
                            sums[r * columns + c] += left_now[r] * right_now[c]
            cuda.syncthreads()
            if it < tiles:
                for p in range(left_loads):
                    left_tile[lane, line + p * lines] = left_next[p]
                for p in range(right_loads):
                    if batched:
                        at = thread + p * threads
                        right_tile[at // width, at % width] = right_next[p]
                    else:
                        right_tile[lane, line + p * lines] = right_next[p]
            cuda.syncthreads()
        for r in range(rows):
            m = m0 + ty + down * r
            for c in range(columns):
                n = n0 + tx + across * c
                if m < m_end and n < n_end:
                    at = (cuda.blockIdx.z * m_end + m) * n_end + n
                    if clear:
                        out[at] = coefficient * sums[r * columns + c]
                    else:
                        out[at] += coefficient * sums[r * columns + c]

    return product


@cuda.jit(cache=True)
def sum_parts(parts, count, size, coefficient, clear, out):
    """out = or += coefficient * the sum over the parts, in their order."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(start, size, cuda.blockDim.x * cuda.gridDim.x):
        total = parts[i]
        for p in range(1, count):
            total += parts[p * size + i]
        if clear:
            out[i] = coefficient * total
        else:
            out[i] += coefficient * total


@dataclass(frozen=True)
class Patches:
    """The left side of a product: patches of a layer under each unit of another.

    Arrays are flat and on the device. ``starts[unit]`` is where the patch begins in an image, -1
    where part of it lies outside; ``offsets[k]`` leads from there to its element ``k``, which is
    row ``taps[3 * k]``, column ``taps[3 * k + 1]`` and feature ``taps[3 * k + 2]``; rows and
    columns of each row and column of units say where each of theirs begins, -1 outside.
    """

    form: int
    starts: Any
    offsets: Any
    taps: Any
    rows: Any
    columns: Any
    units: int
    units_x: int
    patch_y: int
    patch_x: int
    size: int
    depth: int
    value: Any

    @property
    def arguments(self) -> tuple[Any, ...]:
        return (
            self.starts, self.offsets, self.taps, self.rows, self.columns, self.units,
            self.units_x, self.patch_y, self.patch_x, self.size, self.value,
        )  # fmt: skip


def patch_layout(
    device: Device, rows: np.ndarray, columns: np.ndarray, nx: int, nf: int, size: int, value: float
) -> Patches:
    """Tables of the patches whose rows and columns come from ``rows`` and ``columns``.

    rows : (unit y, patch y) source row or -1; columns : (unit x, patch x).
    """
    patch_y = rows.shape[1]
    units_x, patch_x = columns.shape
    j, i, f = (x.reshape(-1) for x in np.indices((patch_y, patch_x, nf)))
    whole_y = (rows[:, 0] >= 0) & (np.diff(rows, axis=1) == 1).all(1)
    whole_x = (columns[:, 0] >= 0) & (np.diff(columns, axis=1) == 1).all(1)
    starts = (rows[:, :1] * nx + columns[None, :, 0]) * nf
    starts = np.where(whole_y[:, None] & whole_x[None, :], starts, -1)
    form = INSIDE if (starts >= 0).all() else BORDERED
    if starts.size == 1 and form == INSIDE and j.size == size:
        form = MATRIX
    up = device.upload
    return Patches(
        form,
        up(starts),
        up((j * nx + i) * nf + f),
        up(np.stack([j, i, f], axis=1)),
        up(np.where(rows < 0, -1, rows * nx * nf)),
        up(np.where(columns < 0, -1, columns * nf)),
        starts.size, units_x, patch_y, patch_x, size, j.size, device.constant(value),
    )  # fmt: skip


def matrix_layout(device: Device, depth: int) -> Patches:
    """The left side is a matrix of rows of ``depth`` numbers."""
    none = device.upload(np.zeros(1))
    zero = device.constant(0)
    return Patches(MATRIX, none, none, none, none, none, 1, 1, 1, 1, depth, depth, zero)


def bind_product(
    device: Device,
    left: Any,
    patches: Patches,
    images: int,
    right: Any,
    n: int,
    coefficient: float,
    clear: bool,
    out: Any,
    choice: tuple[Tile, int] | None = None,
) -> list[Launch]:
    """Launches of a product; ``choice`` overrides the tile and number of parts."""
    m, k = images * patches.units, patches.depth
    tiles = TILES[device.dtype.itemsize]
    tile, parts = choice or choose_tile(m, n, k, device.processors, tiles)
    kernel = product_kernel(device.real, tile, patches.form)
    depths = -(-k // tile.depth)
    part = -(-depths // parts) * tile.depth
    parts = -(-k // part)
    grid = (-(-m // tile.height), -(-n // tile.width), parts)
    threads = tile.down * tile.across
    factor = device.constant(coefficient)
    if parts == 1:
        ends = (right, m, n, k, part, factor, clear, out)
        return [Launch(kernel, grid, threads, (left, *patches.arguments, *ends))]
    work = device.scratch("parts", parts * m * n)
    ends = (right, m, n, k, part, device.constant(1), True, work)
    first = Launch(kernel, grid, threads, (left, *patches.arguments, *ends))
    second = (work, parts, m * n, factor, clear, out)
    return [first, Launch(sum_parts, *device.flat(m * n), second)]


def bind_products(
    device: Device, left: Any, right: Any, count: int, m: int, n: int, k: int, out: Any
) -> Launch:
    """``out[z] = left[z] @ right[z]`` for many matrices: (count, m, k), (count, k, n)."""
    tile, _ = choose_tile(m * count, n, k, device.processors, TILES[device.dtype.itemsize])
    kernel = product_kernel(device.real, tile, MATRIX, True)
    grid = (-(-m // tile.height), -(-n // tile.width), count)
    arguments = (
        left, *matrix_layout(device, k).arguments, right, m, n, k, k, device.constant(1), True, out,
    )  # fmt: skip
    return Launch(kernel, grid, tile.down * tile.across, arguments)
