"""Norms, energies and adaptive time scales on a CUDA device.

Sums are in float64 and in a fixed order: each thread adds its numbers, a tree in shared memory the
threads of a block, and one thread the blocks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda, float64

from neurosim.backends import cells
from neurosim.backends.cuda_device import (
    SIMULATED,
    THREADS,
    Device,
    Launch,
    device_function,
    larger,
    smaller,
)
from neurosim.plan.operators import Operator

next_timescale = device_function(cells.next_timescale)

#: Numbers that each thread of a reducing block takes at least, and blocks for a row at most.
EACH, MOST_SPLITS = 8, 2 if SIMULATED else 64
#: Sum, sum of squares, smallest, largest, number above a threshold.
MOMENTS = 5


@cuda.jit(cache=True)
def norm_parts(a, mask, masked, features, mask_features, size, kind, first, second, parts):
    """Sums over a part of an image: squares (0), sizes (1), count above first (2), firm cost (3).

    parts : (image, split).
    """
    sums = cuda.shared.array(THREADS, float64)
    thread = cuda.threadIdx.x
    image, split, splits = cuda.blockIdx.x, cuda.blockIdx.y, cuda.gridDim.y
    total = 0.0
    for i in range(split * THREADS + thread, size, splits * THREADS):
        x = abs(a[image * size + i])
        if masked:
            row = (image * size + i) // features
            if mask[row if mask_features == 1 else image * size + i] == 0:
                x = a.dtype.type(0)
        if kind == 0:
            total += float64(x) * float64(x)
        elif kind == 1:
            total += x
        elif kind == 2:
            if x > first:
                total += 1.0
        elif x < second:
            total += x * (1.0 - x / (2.0 * second))
        elif second > 0:
            total += second / 2.0
    sums[thread] = total
    reach = THREADS // 2
    while reach > 0:
        cuda.syncthreads()
        if thread < reach:
            sums[thread] += sums[thread + reach]
        reach //= 2
    if thread == 0:
        parts[image * splits + split] = sums[0]


@cuda.jit(cache=True)
def norm_values(parts, splits, power, value):
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for b in range(start, value.size, cuda.blockDim.x * cuda.gridDim.x):
        total = 0.0
        for s in range(splits):
            total += parts[b * splits + s]
        value[b] = total if power == 1.0 else total**power


@cuda.jit(cache=True)
def moment_parts(a, size, threshold, parts):
    """Moments of a part of a row; parts : (row, split, moment)."""
    total = cuda.shared.array(THREADS, float64)
    squares = cuda.shared.array(THREADS, float64)
    low = cuda.shared.array(THREADS, float64)
    high = cuda.shared.array(THREADS, float64)
    above = cuda.shared.array(THREADS, float64)
    thread = cuda.threadIdx.x
    row, split, splits = cuda.blockIdx.x, cuda.blockIdx.y, cuda.gridDim.y
    total[thread] = squares[thread] = above[thread] = 0.0
    low[thread] = high[thread] = a[row * size]
    for i in range(split * THREADS + thread, size, splits * THREADS):
        x = float64(a[row * size + i])
        total[thread] += x
        squares[thread] += x * x
        low[thread] = smaller(low[thread], x)
        high[thread] = larger(high[thread], x)
        if abs(a[row * size + i]) > threshold:
            above[thread] += 1.0
    reach = THREADS // 2
    while reach > 0:
        cuda.syncthreads()
        if thread < reach:
            total[thread] += total[thread + reach]
            squares[thread] += squares[thread + reach]
            low[thread] = smaller(low[thread], low[thread + reach])
            high[thread] = larger(high[thread], high[thread + reach])
            above[thread] += above[thread + reach]
        reach //= 2
    if thread == 0:
        at = (row * splits + split) * MOMENTS
        parts[at], parts[at + 1] = total[0], squares[0]
        parts[at + 2], parts[at + 3], parts[at + 4] = low[0], high[0], above[0]


@cuda.jit(cache=True)
def stats_values(parts, splits, size, rows, value):
    """Smallest, largest, mean, standard deviation and count of each row."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for b in range(start, rows, cuda.blockDim.x * cuda.gridDim.x):
        total, squares, above = 0.0, 0.0, 0.0
        low, high = parts[b * splits * MOMENTS + 2], parts[b * splits * MOMENTS + 3]
        for s in range(b * splits, (b + 1) * splits):
            total += parts[s * MOMENTS]
            squares += parts[s * MOMENTS + 1]
            low = smaller(low, parts[s * MOMENTS + 2])
            high = larger(high, parts[s * MOMENTS + 3])
            above += parts[s * MOMENTS + 4]
        mean = total / size
        value[b * 5], value[b * 5 + 1], value[b * 5 + 2] = low, high, mean
        value[b * 5 + 3] = math.sqrt(larger(0.0, squares / size - mean * mean))
        value[b * 5 + 4] = above


@cuda.jit(cache=True)
def add_terms(first, first_by, second, second_by, clear, value):
    """value = or += first_by * first + second_by * second."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for b in range(start, value.size, cuda.blockDim.x * cuda.gridDim.x):
        total = 0.0 if clear else value[b]
        total += first_by * first[b]
        if second_by != 0.0:
            total += second_by * second[b]
        value[b] = total


@cuda.jit(cache=True)
def quotients(top, bottom, value):
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for b in range(start, value.size, cuda.blockDim.x * cuda.gridDim.x):
        if bottom[b] != 0.0:
            value[b] = top[b] / bottom[b]
        elif top[b] == 0.0:
            value[b] = math.nan
        else:
            value[b] = math.copysign(math.inf, top[b]) * math.copysign(1.0, bottom[b])


@cuda.jit(cache=True)
def timescale_update(
    state, energies, images, clock, first, every, base_min, base_max, tau_factor, growth,
    per_length, knee, slope,
):  # fmt: skip
    """The time step of this step; an image is new at step ``first`` and each ``every`` after it."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    since = clock[0] - first
    fires = since == 0
    if every > 0 and since >= 0:
        fires = since % every == 0
    for b in range(start, images, cuda.blockDim.x * cuda.gridDim.x):
        energy = -1.0 if fires else energies[b]
        ts, before, ts_max = next_timescale(
            state[3 * b], state[3 * b + 1], state[3 * b + 2], energy,
            base_min, base_max, tau_factor, growth, per_length, knee, slope,
        )  # fmt: skip
        state[3 * b], state[3 * b + 1], state[3 * b + 2] = ts, before, ts_max


def splits_of(device: Device, rows: int, size: int) -> int:
    """Blocks that share a row: enough to fill the device, none with too little to do."""
    wanted = -(-2 * device.processors // rows)
    return max(1, min(wanted, size // (THREADS * EACH), MOST_SPLITS))


def bind_moments(
    device: Device, a: Any, rows: int, size: int, threshold: Any
) -> tuple[Launch, Any, int]:
    """Moments of each row of ``a``: the launch, its result and the number of parts of a row."""
    splits = splits_of(device, rows, size)
    parts = device.scratch("moments", rows * splits * MOMENTS, np.float64)
    return Launch(moment_parts, (rows, splits), THREADS, (a, size, threshold, parts)), parts, splits


def bind_norm(op: Operator, device: Device) -> list[Launch]:
    s = op.scalars
    kind = ("l2", "l1", "l0", "firm").index(s["norm"])
    a, value = device.array(op.reads[0]), device.array(op.target)
    images, size = device.images(op.reads[0])
    mask = op.reads[-1]
    splits = splits_of(device, images, size)
    parts = device.scratch("norm", images * splits, np.float64)
    arguments = (
        a, device.array(mask), len(op.reads) > 1, device.shapes[op.reads[0]][3],
        device.shapes[mask][3], size, kind, device.constant(s.get("threshold", 0.0)),
        float(s.get("v_thresh", 0.0) + s.get("v_width", 0.0)), parts,
    )  # fmt: skip
    power = float(s["exponent"]) / 2 if kind == 0 else 1.0
    return [
        Launch(norm_parts, (images, splits), THREADS, arguments),
        Launch(norm_values, *device.flat(images), (parts, splits, power, value)),
    ]


def bind_stats(op: Operator, device: Device) -> list[Launch]:
    rows, size = device.images(op.reads[0])
    threshold = device.constant(op.scalars["threshold"])
    first, parts, splits = bind_moments(device, device.array(op.reads[0]), rows, size, threshold)
    arguments = (parts, splits, size, rows, device.array(op.target))
    return [first, Launch(stats_values, *device.flat(rows), arguments)]


def bind_energy(op: Operator, device: Device) -> list[Launch]:
    """Two terms a launch."""
    value = device.array(op.target)
    terms = [
        (device.array(n), float(c))
        for c, n in zip(op.scalars["coefficients"], op.reads, strict=True)
    ]
    if len(terms) % 2:
        terms.append((terms[0][0], 0.0))
    return [
        Launch(add_terms, *device.flat(value.size), (*terms[i], *terms[i + 1], i == 0, value))
        for i in range(0, len(terms), 2)
    ]


def bind_quotient(op: Operator, device: Device) -> list[Launch]:
    arguments = (*(device.array(n) for n in op.reads), device.array(op.target))
    return [Launch(quotients, *device.flat(arguments[-1].size), arguments)]


def bind_timescale(op: Operator, device: Device) -> list[Launch]:
    s = op.scalars
    energies, state = device.array(op.reads[0]), device.array(op.target)
    per_length = 0.0
    if s.get("log_slope", 1.0) != 1.0:
        per_length = -math.log(s["log_slope"]) / (s["log_thresh"] - s["base_max"])
    names = ("base_min", "base_max", "tau_factor", "growth_factor")
    rates = (*(float(s[n]) for n in names), float(per_length))
    knee = (float(s.get("knee_thresh", math.inf)), float(s.get("knee_slope", 1.0)))
    trigger, images = s["trigger"], device.shapes[op.target][0]
    arguments = (
        state, energies, images, device.clock, trigger.first, trigger.every, *rates, *knee,
    )  # fmt: skip
    return [Launch(timescale_update, *device.flat(images), arguments)]


PROBES = {
    "norm": bind_norm,
    "stats": bind_stats,
    "energy": bind_energy,
    "quotient": bind_quotient,
    "timescale": bind_timescale,
}
