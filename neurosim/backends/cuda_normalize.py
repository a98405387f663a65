"""Normalisation of weights on a CUDA device."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda, float64, int64

from neurosim.backends.cuda_device import THREADS, Device, Launch, larger, smaller
from neurosim.backends.cuda_probes import MOMENTS, bind_moments
from neurosim.plan.operators import Operator

METHODS = ("normalizeL2", "normalizeSum", "normalizeMax", "normalizeContrastZeroMean")
L2, SUM, MAX, ZERO_MEAN = range(len(METHODS))


@cuda.jit(cache=True)
def prepare_weights(w, patch_y, patch_x, nf, edge_y, edge_x, nonnegative):
    """Hollow centre, then no negative weights; edges at least half a patch leave it as it is."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for at in range(start, w.size, cuda.blockDim.x * cuda.gridDim.x):
        line = at // nf
        y = (line // patch_x) % patch_y
        x = line % patch_x
        if edge_y <= y and y < patch_y - edge_y and edge_x <= x and x < patch_x - edge_x:
            w[at] = 0
        if nonnegative and w[at] < 0:
            w[at] = 0


@cuda.jit(cache=True)
def largest_weight(parts, count, clear, largest):
    """Largest size of a weight, from the moments of its kernels; one block."""
    sizes = cuda.shared.array(THREADS, float64)
    thread = cuda.threadIdx.x
    sizes[thread] = 0.0
    for i in range(thread, count, THREADS):
        size = larger(-parts[i * MOMENTS + 2], parts[i * MOMENTS + 3])
        sizes[thread] = larger(sizes[thread], size)
    reach = THREADS // 2
    while reach > 0:
        cuda.syncthreads()
        if thread < reach:
            sizes[thread] = larger(sizes[thread], sizes[thread + reach])
        reach //= 2
    if thread == 0:
        largest[0] = sizes[0] if clear else larger(largest[0], sizes[0])


@cuda.jit(cache=True)
def cut_small(w, cutoff, largest):
    """Weights below a fraction of the largest become zero."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    limit = cutoff * largest[0]
    for i in range(start, w.size, cuda.blockDim.x * cuda.gridDim.x):
        if abs(w[i]) < limit:
            w[i] = 0


@cuda.jit(cache=True)
def collect_moments(parts, splits, arbors, kernels, joint, clear, moments):
    """Sum, squares and maximum of each kernel, of each arbor or (joint) of all.

    parts : (arbor, kernel, split, moment); moments : (arbor or 1, kernel, 3).
    """
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(start, (1 if joint else arbors) * kernels, cuda.blockDim.x * cuda.gridDim.x):
        total = 0.0 if clear else moments[3 * i]
        squares = 0.0 if clear else moments[3 * i + 1]
        largest = 0.0 if clear else moments[3 * i + 2]
        for arbor in range(arbors if joint else 1):
            row = (arbor * kernels + i) * splits
            for s in range(row, row + splits):
                total += parts[s * MOMENTS]
                squares += parts[s * MOMENTS + 1]
                largest = larger(largest, parts[s * MOMENTS + 3])
        moments[3 * i], moments[3 * i + 1], moments[3 * i + 2] = total, squares, largest


@cuda.jit(cache=True)
def kernel_factors(moments, kernels, method, strength, tolerated, per_arbor, weights, scales):
    """Scale and shift of each kernel; scales : (kernel, 2). One block.

    A kernel without weights ends joint L2 normalisation: those after it stay as they are.
    """
    firsts = cuda.shared.array(THREADS, int64)
    thread = cuda.threadIdx.x
    firsts[thread] = kernels
    for k in range(thread, kernels, THREADS):
        total, squares, size = moments[3 * k], moments[3 * k + 1], moments[3 * k + 2]
        shift = 0.0
        if method == L2:
            size = math.sqrt(squares)
            small = (size if per_arbor else squares) <= tolerated
            if small and k < firsts[thread]:
                firsts[thread] = k
        elif method == SUM:
            size = total
            small = abs(total) <= tolerated
        elif method == MAX:
            small = size <= tolerated
        else:
            mean = total / weights
            variance = squares / weights - mean * mean
            small = abs(total) <= tolerated or variance <= 0.0
            if not small:
                shift = mean
                size = math.sqrt(variance)
        scales[2 * k], scales[2 * k + 1] = 1.0 if small else strength / size, shift
    reach = THREADS // 2
    while reach > 0:
        cuda.syncthreads()
        if thread < reach:
            firsts[thread] = smaller(firsts[thread], firsts[thread + reach])
        reach //= 2
    cuda.syncthreads()
    if method == L2 and not per_arbor:
        for k in range(thread, kernels, THREADS):
            if k >= firsts[0]:
                scales[2 * k] = 1.0


@cuda.jit(cache=True)
def scale_kernels(w, length, kernels, scales):
    """w = (w - shift) * scale, kernel by kernel."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(start, w.size, cuda.blockDim.x * cuda.gridDim.x):
        k = (i // length) % kernels
        scale, shift = w.dtype.type(scales[2 * k]), w.dtype.type(scales[2 * k + 1])
        w[i] = (w[i] - shift) * scale


def bind_prepare(op: Operator, device: Device) -> list[Launch]:
    """Hollow centre, no negative weights, small weights to zero; in this order."""
    s: Any = op.scalars
    launches = []
    hollow = s["r_min_x"] > 0.5 and s["r_min_y"] > 0.5
    for name in op.updates:
        w = device.array(name)
        patch_y, patch_x, nf = device.shapes[name][2:]
        edges = [patch_y, patch_x]
        if hollow:
            for i, radius in enumerate((s["r_min_y"], s["r_min_x"])):
                edges[i] = max(0, math.ceil((edges[i] - math.floor(2 * radius)) / 2))
        if hollow or s["nonnegative"]:
            arguments = (w, patch_y, patch_x, nf, *edges, bool(s["nonnegative"]))
            launches.append(Launch(prepare_weights, *device.flat(w.size), arguments))
    if s["cutoff"] <= 0:
        return launches
    largest = device.scratch("largest weight", 1, np.float64)
    for i, name in enumerate(op.updates):
        rows, length = _kernels(device, name)
        measure, parts, splits = bind_moments(
            device, device.array(name), rows, length, device.constant(0)
        )
        launches.append(measure)
        launches.append(
            Launch(largest_weight, (1,), THREADS, (parts, rows * splits, i == 0, largest))
        )
    for name in op.updates:
        w = device.array(name)
        arguments = (w, float(s["cutoff"]), largest)
        launches.append(Launch(cut_small, *device.flat(w.size), arguments))
    return launches


def _kernels(device: Device, name: str) -> tuple[int, int]:
    """Kernels of all arbors of a connection, and weights of each."""
    shape = device.shapes[name]
    return shape[0] * shape[1], int(np.prod(shape[2:]))


def bind_normalize(op: Operator, device: Device) -> list[Launch]:
    """Moments of each kernel, its scale and shift, then all weights at once."""
    s: Any = op.scalars
    method, joint = METHODS.index(s["method"]), not s["per_arbor"]
    launches = [] if method == ZERO_MEAN else bind_prepare(op, device)
    arbors, kernels = device.shapes[op.updates[0]][:2]
    rows = kernels if joint else arbors * kernels
    moments = device.scratch("kernel moments", 3 * rows, np.float64)
    scales = device.scratch("kernel scales", 2 * rows, np.float64)
    weights = 0
    for i, name in enumerate(op.updates):
        count, length = _kernels(device, name)
        weights += length * (arbors if joint else 1)
        measure, parts, splits = bind_moments(
            device, device.array(name), count, length, device.constant(0)
        )
        arguments = (parts, splits, arbors, kernels, joint, i == 0, moments)
        launches += [measure, Launch(collect_moments, *device.flat(rows), arguments)]
    factors = (
        moments, rows, method, float(s["strength"]), float(s["tolerated"]), not joint,
        float(weights), scales,
    )  # fmt: skip
    launches.append(Launch(kernel_factors, (1,), THREADS, factors))
    for name in op.updates:
        w = device.array(name)
        length = _kernels(device, name)[1]
        launches.append(Launch(scale_kernels, *device.flat(w.size), (w, length, rows, scales)))
    return launches
