"""Reconstructions on the CPU: patches of the active units, and what they leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit

from neurosim.backends.boundaries import scatter_tables
from neurosim.backends.cpu_layers import OPTIONS, add_scaled, set_scaled
from neurosim.backends.cpu_tile import Call, Tile
from neurosim.plan.operators import Operator

#: Patches up to this many weights are summed over the features before they are added.
SMALL_PATCH = 2048
#: Weights beyond a core's cache: worth reading once for all images, not once per image.
LARGE_WEIGHTS_BYTES = 1 << 20
#: Bytes of the part of a dictionary that stays in cache while it is added everywhere.
PART_BYTES = 1 << 19
#: What a matrix product with large weights costs, in the time that it takes to read the
#: patch of one active unit: for each patch, and for each patch and image. Measured.
STREAMED, MULTIPLIED = 1.5, 0.05


@njit(**OPTIONS)
def find_active(units, found):
    """Features of the units that are not zero, into ``found``; returns how many.

    ``found`` has room for one more than there are: a place is written before it is known
    to hold.
    """
    n = 0
    for f in range(units.size):
        found[n] = f
        n += units[f] != 0.0
    return n


@lru_cache
def scatter_small(patch_y: int, width: int) -> Any:
    """Kernel for patches of ``patch_y`` rows of ``width`` numbers.

    Loops of a known, short length take half the time of others.
    """
    size = patch_y * width

    @njit(**OPTIONS)
    def add_small_patches(a, tables, edge, dictionary, coefficient, found, patch, target):
        """Sum the patches of each unit's active features, then add the sum to the target.

        a : (image, y, x, coarse feature); edge : (coarse feature,) value of the margin;
        dictionary : (coarse feature, weights); patch : (weights,) work memory;
        target : (image, y, x * fine feature).
        """
        source_y, source_x, head_y, head_x = tables
        height, length = target.shape[1:]
        for b in range(target.shape[0]):
            for iy in range(source_y.size):
                top = head_y[iy]
                for ix in range(source_x.size):
                    outside = source_y[iy] < 0 or source_x[ix] < 0
                    units = edge if outside else a[b, source_y[iy], source_x[ix]]
                    n = find_active(units, found)
                    if n == 0:
                        continue
                    for i in range(size):
                        patch[i] = 0.0
                    k = 0
                    while k + 4 <= n:
                        f0, f1, f2, f3 = found[k], found[k + 1], found[k + 2], found[k + 3]
                        u0, u1, u2, u3 = units[f0], units[f1], units[f2], units[f3]
                        for i in range(size):
                            patch[i] += (
                                u0 * dictionary[f0, i]
                                + u1 * dictionary[f1, i]
                                + u2 * dictionary[f2, i]
                                + u3 * dictionary[f3, i]
                            )
                        k += 4
                    while k < n:
                        f0 = found[k]
                        u0 = units[f0]
                        for i in range(size):
                            patch[i] += u0 * dictionary[f0, i]
                        k += 1
                    left = head_x[ix]
                    inside = left >= 0 and left + width <= length
                    if inside and top >= 0 and top + patch_y <= height:
                        for j in range(patch_y):
                            for i in range(width):
                                target[b, top + j, left + i] += coefficient * patch[j * width + i]
                        continue
                    for j in range(max(0, -top), min(patch_y, height - top)):
                        for i in range(max(0, -left), min(width, length - left)):
                            target[b, top + j, left + i] += coefficient * patch[j * width + i]

    return add_small_patches


@njit(**OPTIONS)
def find_all(a, tables, edge, found, ends):
    """Active features of all positions of all images, in a row; ``ends`` says where each ends."""
    source_y, source_x, _, _ = tables
    n = 0
    for b in range(a.shape[0]):
        for i in range(ends.shape[1]):
            iy, ix = i // source_x.size, i % source_x.size
            outside = source_y[iy] < 0 or source_x[ix] < 0
            n += find_active(edge if outside else a[b, source_y[iy], source_x[ix]], found[n:])
            ends[b, i] = n


@njit(**OPTIONS)
def add_large_patches(a, tables, edge, dictionary, coefficient, found, ends, shape, target):
    """As the kernel for small patches, but one part of all patches after the other.

    A part of the dictionary then stays in cache while it is added to every place of
    every image, four features at a time. found : (coarse unit,), ends : (image, coarse
    position) work memory; shape : rows of a patch, numbers in one, and in a part of it.
    """
    source_y, source_x, head_y, head_x = tables
    height, length = target.shape[1:]
    patch_y, width, part = shape
    find_all(a, tables, edge, found, ends)
    for j in range(patch_y):
        for begin in range(0, width, part):
            end_of_part = min(begin + part, width)
            k = 0
            for b in range(a.shape[0]):
                for i in range(ends.shape[1]):
                    end = ends[b, i]
                    if k == end:
                        continue
                    iy, ix = i // source_x.size, i % source_x.size
                    y, left = head_y[iy] + j, head_x[ix]
                    first, last = max(begin, -left), min(end_of_part, length - left)
                    if y < 0 or y >= height or first >= last:
                        k = end
                        continue
                    outside = source_y[iy] < 0 or source_x[ix] < 0
                    units = edge if outside else a[b, source_y[iy], source_x[ix]]
                    row = target[b, y, left + first : left + last]
                    start = j * width + first
                    while k + 4 <= end:
                        f0, f1, f2, f3 = found[k], found[k + 1], found[k + 2], found[k + 3]
                        u0, u1 = coefficient * units[f0], coefficient * units[f1]
                        u2, u3 = coefficient * units[f2], coefficient * units[f3]
                        d0, d1 = dictionary[f0, start:], dictionary[f1, start:]
                        d2, d3 = dictionary[f2, start:], dictionary[f3, start:]
                        for c in range(row.size):
                            row[c] += u0 * d0[c] + u1 * d1[c] + u2 * d2[c] + u3 * d3[c]
                        k += 4
                    if k + 2 <= end:
                        f0, f1 = found[k], found[k + 1]
                        u0, u1 = coefficient * units[f0], coefficient * units[f1]
                        d0, d1 = dictionary[f0, start:], dictionary[f1, start:]
                        for c in range(row.size):
                            row[c] += u0 * d0[c] + u1 * d1[c]
                        k += 2
                    if k < end:
                        u0 = coefficient * units[found[k]]
                        d0 = dictionary[found[k], start:]
                        for c in range(row.size):
                            row[c] += u0 * d0[c]
                        k += 1


def patch_adder(
    a: np.ndarray, name: str, s: Mapping[str, Any], target: np.ndarray, tile: Tile
) -> Callable[[], None]:
    """Call that adds the weighted patches of the active units of ``a`` to ``target``."""
    t = scatter_tables(s["geometry"], s["mirror"], s["value"])
    dictionary = tile.shared(name)[s["arbor"]]
    patch_y, width = dictionary.shape[1], dictionary.shape[2] * dictionary.shape[3]
    tables = (t.source_y, t.source_x, t.head_y, t.head_x * dictionary.shape[3])
    edge = np.full(a.shape[3], s["value"], tile.dtype)
    flat = dictionary.reshape(dictionary.shape[0], -1)
    coefficient = tile.real(s["coefficient"])
    lines = target.reshape(*target.shape[:2], -1)
    arguments = (a, tables, edge, flat, coefficient)
    if patch_y * width <= SMALL_PATCH:
        kernel = scatter_small(patch_y, width)
        found = np.empty(a.shape[3] + 1, np.int64)
        patch = tile.scratch("patch", (patch_y * width,))
        return lambda: kernel(*arguments, found, patch, lines)
    positions = t.source_y.size * t.source_x.size
    found = tile.places(len(a) * positions * a.shape[3] + 1)
    ends = np.empty((len(a), positions), np.int64)
    shape = (patch_y, width, max(1, PART_BYTES // (len(flat) * flat.itemsize)))

    def add() -> None:
        add_large_patches(*arguments, found, ends, shape, lines)

    if positions > 1 or lines[0].shape != shape[:2] or flat.nbytes <= LARGE_WEIGHTS_BYTES:
        return add
    codes, fields = a.reshape(len(a), -1), target.reshape(len(a), -1)
    whole = tile.scratch("field", fields.shape)
    enough = flat.shape[0] * (STREAMED + len(a) * MULTIPLIED)

    def add_either() -> None:
        if np.count_nonzero(codes) < enough:
            add()
            return
        np.dot(codes, flat, out=whole)
        add_scaled(whole.reshape(-1), coefficient, fields.reshape(-1))

    return add_either


def bind_scatter(op: Operator, tile: Tile) -> Call:
    """Patches of active units, added to a cleared or a filled target."""
    target, clear = tile.view(op.target), bool(op.sets)
    add = patch_adder(tile.view(op.reads[0]), op.reads[1], op.scalars, target, tile)

    def call(step: int) -> None:
        if clear:
            target[...] = 0
        add()

    return call


def bind_residual(op: Operator, tile: Tile) -> Call:
    """Weighted sum of layers, then the patches of active units."""
    s = op.scalars
    count = len(s["coefficients"])
    target = tile.view(op.target)
    flat = target.reshape(-1)
    sources = [
        (tile.view(name).reshape(-1), tile.real(c))
        for name, c in zip(op.reads[:count], s["coefficients"], strict=True)
    ]
    adders = [
        patch_adder(tile.view(a), weights, patch, target, tile)
        for a, weights, patch in zip(
            op.reads[count::2], op.reads[count + 1 :: 2], s["patches"], strict=True
        )
    ]

    def call(step: int) -> None:
        if not sources:
            target[...] = 0
        for i, (source, coefficient) in enumerate(sources):
            (add_scaled if i else set_scaled)(source, coefficient, flat)
        for add in adders:
            add()

    return call


RECONSTRUCTIONS = {"scatter": bind_scatter, "residual": bind_residual}
