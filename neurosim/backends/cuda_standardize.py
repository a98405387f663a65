"""Standardised units on a CUDA device; the statistics of a unit belong to one thread."""

from __future__ import annotations

import math

from numba import cuda, float64

from neurosim.backends import cells
from neurosim.backends.cuda_device import Device, Launch, device_function
from neurosim.plan.operators import Operator
from neurosim.plan.standardize import BATCHES, MEAN, VARIANCE

moments_with_batch = device_function(cells.moments_with_batch)


@cuda.jit(cache=True)
def standardize_units(a, moments, units, t_mean, t_std, out):
    """One thread a unit and image; moments : (3 * unit,)."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(start, a.size, cuda.blockDim.x * cuda.gridDim.x):
        unit = i % units
        variance = moments[VARIANCE * units + unit]
        scale = t_std / math.sqrt(variance) if variance > 0.0 else 0.0
        out[i] = (float64(a[i]) - moments[MEAN * units + unit]) * scale + t_mean


@cuda.jit(cache=True)
def add_to_moments(a, moments, units, images, time_constant):
    """Two passes over the images of a unit."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for unit in range(start, units, cuda.blockDim.x * cuda.gridDim.x):
        total, squares = 0.0, 0.0
        for image in range(images):
            total += float64(a[image * units + unit])
        batch_mean = total / images
        for image in range(images):
            apart = float64(a[image * units + unit]) - batch_mean
            squares += apart * apart
        mean, variance, batches = moments_with_batch(
            moments[MEAN * units + unit], moments[VARIANCE * units + unit],
            moments[BATCHES * units + unit], batch_mean, squares / images, time_constant,
        )  # fmt: skip
        moments[MEAN * units + unit] = mean
        moments[VARIANCE * units + unit] = variance
        moments[BATCHES * units + unit] = batches


def bind_standardize(op: Operator, device: Device) -> list[Launch]:
    a, moments = (device.array(n) for n in op.reads)
    units = device.images(op.target)[1]
    goal = (float(op.scalars["target_mean"]), float(op.scalars["target_std"]))
    arguments = (a, moments, units, *goal, device.array(op.target))
    return [Launch(standardize_units, *device.flat(a.size), arguments)]


def bind_moments(op: Operator, device: Device) -> list[Launch]:
    images, units = device.images(op.reads[0])
    a, moments = device.array(op.reads[0]), device.array(op.target)
    arguments = (a, moments, units, images, float(op.scalars["time_constant"]))
    return [Launch(add_to_moments, *device.flat(units), arguments)]


STANDARDIZING = {"standardize": bind_standardize, "moments": bind_moments}
