"""Standardised units on the CPU, and the statistics they are standardised by."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numba import njit

from neurosim.backends import cells
from neurosim.backends.cpu_layers import OPTIONS
from neurosim.backends.cpu_tile import Call, Tile
from neurosim.plan.operators import Operator
from neurosim.plan.standardize import BATCHES, MEAN, VARIANCE

moments_with_batch = njit(inline="always")(cells.moments_with_batch)


@njit(**OPTIONS)
def standardize_units(a, moments, t_mean, t_std, target):
    """a, target : (image, unit); moments : (3, unit)."""
    for unit in range(a.shape[1]):
        mean, variance = moments[MEAN, unit], moments[VARIANCE, unit]
        scale = t_std / math.sqrt(variance) if variance > 0.0 else 0.0
        for image in range(a.shape[0]):
            target[image, unit] = (a[image, unit] - mean) * scale + t_mean


@njit(**OPTIONS)
def add_to_moments(a, moments, time_constant):
    """Two passes over the images of a unit; a : (image, unit), moments : (3, unit)."""
    for unit in range(a.shape[1]):
        total, squares = 0.0, 0.0
        for image in range(a.shape[0]):
            total += a[image, unit]
        batch_mean = total / a.shape[0]
        for image in range(a.shape[0]):
            squares += (a[image, unit] - batch_mean) ** 2
        mean, variance, batches = moments_with_batch(
            moments[MEAN, unit], moments[VARIANCE, unit], moments[BATCHES, unit],
            batch_mean, squares / a.shape[0], time_constant,
        )  # fmt: skip
        moments[MEAN, unit], moments[VARIANCE, unit] = mean, variance
        moments[BATCHES, unit] = batches


def bind_standardize(op: Operator, tile: Tile) -> Call:
    source, target = tile.images_of(op.reads[0]), tile.images_of(op.target)
    moments = tile.shared(op.reads[1])
    moments = moments.reshape(len(moments), -1)
    goal = (float(op.scalars["target_mean"]), float(op.scalars["target_std"]))

    def call(step: int) -> None:
        standardize_units(source, moments, *goal, target)

    return call


def bind_moments(
    op: Operator, arrays: dict[str, np.ndarray]
) -> tuple[int, Callable[[int, int], None], Callable[[], None]]:
    source, moments = arrays[op.reads[0]], arrays[op.target]
    source, moments = source.reshape(len(source), -1), moments.reshape(len(moments), -1)
    time_constant = float(op.scalars["time_constant"])

    def part(first: int, end: int) -> None:
        add_to_moments(source[:, first:end], moments[:, first:end], time_constant)

    return moments.shape[1], part, lambda: None


STANDARDIZING = {"standardize": bind_standardize}
STATISTICS = {"moments": bind_moments}
