"""RescaleLayer on a CUDA device: a block for each image, or a thread for each position."""

from __future__ import annotations

import math
from typing import Any

from numba import cuda, float64

from neurosim.backends.cuda_device import THREADS, Device, Launch, larger, smaller
from neurosim.plan.operators import Operator

MAXMIN, MEANSTD, L2, L2_NO_MEAN = range(4)
ZERO_TO_NEGATIVE, LOGREG, POINT_MEANSTD, RESPONSE, SOFTMAX = range(4, 9)
METHODS = (
    "maxmin",
    "meanstd",
    "l2",
    "l2NoMean",
    "zerotonegative",
    "logreg",
    "pointmeanstd",
    "pointResponseNormalization",
    "softmax",
)
#: Smallest float32 that is not denormal.
SMALLEST = 1.1754943508222875e-38


@cuda.jit(cache=True)
def rescale_images(a, out, size, method, t_max, t_min, t_mean, t_std, patch_size):
    """Methods with statistics of a whole image; the mean first, then the spread around it."""
    one = cuda.shared.array(THREADS, float64)
    two = cuda.shared.array(THREADS, float64)
    thread = cuda.threadIdx.x
    begin, end = cuda.blockIdx.x * size, (cuda.blockIdx.x + 1) * size
    mean, scale, shift = 0.0, 1.0, 0.0
    for turn in range(2):
        first = float64(a[begin]) if method == MAXMIN else 0.0
        second = first
        for i in range(begin + thread, end, THREADS):
            x = float64(a[i])
            if method == MAXMIN:
                first, second = smaller(first, x), larger(second, x)
            elif turn == 0:
                first += x
            else:
                first += (x - mean) * (x - mean)
        one[thread], two[thread] = first, second
        reach = THREADS // 2
        while reach > 0:
            cuda.syncthreads()
            if thread < reach:
                if method == MAXMIN:
                    one[thread] = smaller(one[thread], one[thread + reach])
                    two[thread] = larger(two[thread], two[thread + reach])
                else:
                    one[thread] += one[thread + reach]
            reach //= 2
        cuda.syncthreads()
        first, second = one[0], two[0]
        cuda.syncthreads()
        if method == MAXMIN:
            mean, shift = first, t_min if second > first else 0.0
            scale = (t_max - t_min) / (second - first) if second > first else 0.0
        elif turn == 0:
            mean = first / size if method != L2_NO_MEAN else 0.0
        else:
            std = math.sqrt(first / size)
            if std == 0.0:
                mean, scale, shift = 0.0, 1.0, 0.0
            elif method == MEANSTD:
                scale, shift = t_std / std, t_mean
            else:
                scale = 1.0 / (std * math.sqrt(patch_size))
    for i in range(begin + thread, end, THREADS):
        out[i] = (float64(a[i]) - mean) * scale + shift


@cuda.jit(cache=True)
def rescale_units(a, out, method):
    """Methods of each unit alone."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(start, a.size, cuda.blockDim.x * cuda.gridDim.x):
        x = a[i]
        if method == LOGREG:
            out[i] = 1.0 / (1.0 + math.exp(x))
        else:
            out[i] = -1.0 if x == 0 else x


@cuda.jit(cache=True)
def rescale_points(a, out, features, method, t_mean, t_std):
    """Methods over the features of each position."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for position in range(start, a.size // features, cuda.blockDim.x * cuda.gridDim.x):
        begin, end = position * features, (position + 1) * features
        mean, scale, shift = 0.0, 1.0, 0.0
        if method == SOFTMAX:
            mean = SMALLEST
            for i in range(begin, end):
                mean = larger(mean, float64(a[i]))
            total = 0.0
            for i in range(begin, end):
                total += math.exp(a[i] - mean)
            for i in range(begin, end):
                out[i] = math.exp(a[i] - mean) / total
        else:
            if method == POINT_MEANSTD:
                for i in range(begin, end):
                    mean += a[i]
                mean /= features
            squares = 0.0
            for i in range(begin, end):
                squares += (a[i] - mean) * (a[i] - mean)
            if squares == 0.0:
                mean = 0.0
            elif method == POINT_MEANSTD:
                scale, shift = t_std / math.sqrt(squares / features), t_mean
            else:
                scale = 1.0 / math.sqrt(squares)
            for i in range(begin, end):
                out[i] = (a[i] - mean) * scale + shift


def bind_rescale(op: Operator, device: Device) -> list[Launch]:
    s: Any = op.scalars
    a, out = device.array(op.reads[0]), device.array(op.target)
    images, size = device.images(op.target)
    method = METHODS.index(s["method"])
    if method <= L2_NO_MEAN:
        keys = ("target_max", "target_min", "target_mean", "target_std", "patch_size")
        arguments = (a, out, size, method, *(float(s[k]) for k in keys))
        return [Launch(rescale_images, (images,), THREADS, arguments)]
    if method <= LOGREG:
        return [Launch(rescale_units, *device.flat(a.size), (a, out, method))]
    features = device.shapes[op.target][3]
    means = (float(s["target_mean"]), float(s["target_std"]))
    positions = a.size // features
    arguments = (a, out, features, method, *means)
    return [Launch(rescale_points, *device.flat(positions), arguments)]


RESCALING = {"rescale": bind_rescale}
