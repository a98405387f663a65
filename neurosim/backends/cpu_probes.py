"""Norms, energies and adaptive time scales on the CPU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from neurosim.backends import cells
from neurosim.backends.cpu_layers import OPTIONS
from neurosim.backends.cpu_tile import Call, Tile
from neurosim.plan.operators import Operator

#: Numbers summed in the run's precision before they join a float64 total.
BLOCK = 512
SUMS: Any = {"nogil": True, "cache": True, "fastmath": {"contract", "nsz", "reassoc"}}

next_timescale = njit(inline="always")(cells.next_timescale)


@njit(**SUMS)
def norm_value(a, kind, first, second):
    """Sum over one image: squares (0), sizes (1), count above first (2), firm cost (3)."""
    total = 0.0
    for start in range(0, a.size, BLOCK):
        block = a[start : start + BLOCK]
        part = a.dtype.type(0.0)
        if kind == 0:
            for i in range(block.size):
                part += block[i] * block[i]
        elif kind == 1:
            for i in range(block.size):
                part += abs(block[i])
        elif kind == 2:
            for i in range(block.size):
                part += a.dtype.type(1.0) if abs(block[i]) > first else a.dtype.type(0.0)
        else:
            for i in range(block.size):
                r = abs(block[i])
                part += r * (1 - r / (2 * second)) if r < second else second / 2
        total += part
    return total


@njit(**SUMS)
def masked_norm_value(a, mask, kind, first, second):
    """As norm_value, over the units where the mask is not zero; a, mask : (units, feature)."""
    total = 0.0
    for i in range(a.shape[0]):
        for f in range(a.shape[1]):
            if mask[i, f if mask.shape[1] > 1 else 0] != 0.0:
                r = abs(a[i, f])
                if kind == 0:
                    total += r * r
                elif kind == 1:
                    total += r
                elif kind == 2:
                    total += 1.0 if r > first else 0.0
                else:
                    total += r * (1 - r / (2 * second)) if r < second else second / 2
    return total


@njit(**SUMS)
def stats_value(a, threshold, value):
    low, high, total, squares, nnz = a[0], a[0], 0.0, 0.0, 0
    for x in a:
        low, high = min(low, x), max(high, x)
        total += x
        squares += np.float64(x) * x
        nnz += 1 if abs(x) > threshold else 0
    mean = total / a.size
    value[0], value[1], value[2] = low, high, mean
    value[3] = math.sqrt(max(0.0, squares / a.size - mean * mean))
    value[4] = nnz


@njit(**OPTIONS)
def rescale_image(a, target, method, t_max, t_min, t_mean, t_std, patch_size):
    """One image of a RescaleLayer; a, target : (units, feature)."""
    n = a.size
    if method == 0:  # maxmin
        low, high = a.min(), a.max()
        for i in range(a.shape[0]):
            for f in range(a.shape[1]):
                part = 0.0 if high == low else (a[i, f] - low) / (high - low)
                target[i, f] = 0.0 if high == low else part * (t_max - t_min) + t_min
    elif method <= 3:  # meanstd, l2, l2NoMean
        mean = 0.0
        if method != 3:
            for i in range(a.shape[0]):
                for f in range(a.shape[1]):
                    mean += a[i, f]
            mean /= n
        squares = 0.0
        for i in range(a.shape[0]):
            for f in range(a.shape[1]):
                squares += (a[i, f] - mean) ** 2
        std = math.sqrt(squares / n)
        if std == 0.0:
            target[:] = a
            return
        scale = t_std / std if method == 1 else 1.0 / (std * math.sqrt(patch_size))
        shift = t_mean if method == 1 else 0.0
        for i in range(a.shape[0]):
            for f in range(a.shape[1]):
                target[i, f] = (a[i, f] - mean) * scale + shift
    elif method <= 5:  # zerotonegative, logreg
        for i in range(a.shape[0]):
            for f in range(a.shape[1]):
                x = a[i, f]
                if method == 4:
                    target[i, f] = -1.0 if x == 0.0 else x
                else:
                    target[i, f] = 1.0 / (1.0 + math.exp(x))
    else:
        rescale_points(a, target, method, t_mean, t_std)


@njit(**OPTIONS)
def rescale_points(a, target, method, t_mean, t_std):
    """Methods over the features of each position: 6 pointmeanstd, 7 response, 8 softmax."""
    nf = a.shape[1]
    for i in range(a.shape[0]):
        if method == 6:
            mean = 0.0
            for f in range(nf):
                mean += a[i, f]
            mean /= nf
            squares = 0.0
            for f in range(nf):
                squares += (a[i, f] - mean) ** 2
            std = math.sqrt(squares / nf)
            for f in range(nf):
                scaled = 0.0 if std == 0.0 else (a[i, f] - mean) * (t_std / std) + t_mean
                target[i, f] = a[i, f] if std == 0.0 else scaled
        elif method == 7:
            squares = 0.0
            for f in range(nf):
                squares += a[i, f] ** 2
            scale = 1.0 if squares == 0.0 else 1.0 / math.sqrt(squares)
            for f in range(nf):
                target[i, f] = a[i, f] * scale
        else:
            shift = 1.1754943508222875e-38
            for f in range(nf):
                shift = max(shift, a[i, f])
            total = 0.0
            for f in range(nf):
                total += math.exp(a[i, f] - shift)
            for f in range(nf):
                target[i, f] = math.exp(a[i, f] - shift) / total


@njit(**OPTIONS)
def timescale_update(
    state, energies, new_image, base_min, base_max, tau_factor, growth, per_length, knee, slope
):
    for b in range(state.shape[0]):
        energy = -1.0 if new_image else energies[b]
        ts, before, ts_max = next_timescale(
            state[b, 0], state[b, 1], state[b, 2], energy,
            base_min, base_max, tau_factor, growth, per_length, knee, slope,
        )  # fmt: skip
        state[b, 0], state[b, 1], state[b, 2] = ts, before, ts_max


def bind_norm(op: Operator, tile: Tile) -> Call:
    s = op.scalars
    kind = ("l2", "l1", "l0", "firm").index(s["norm"])
    a, value = tile.view(op.reads[0]), tile.view(op.target)
    first = tile.real(s.get("threshold", 0.0))
    second = tile.real(s.get("v_thresh", 0.0) + s.get("v_width", 0.0))
    power = s.get("exponent", 2.0) / 2
    if len(op.reads) > 1:
        mask = tile.view(op.reads[1])
        pairs = [
            (x.reshape(-1, x.shape[-1]), m.reshape(-1, m.shape[-1]))
            for x, m in zip(a, mask, strict=True)
        ]

        def masked(step: int) -> None:
            for b, (units, kept) in enumerate(pairs):
                total = masked_norm_value(units, kept, kind, first, second)
                value[b] = total**power if kind == 0 else total

        return masked
    images = [x.reshape(-1) for x in a]

    def call(step: int) -> None:
        for b, image in enumerate(images):
            total = norm_value(image, kind, first, second)
            value[b] = total**power if kind == 0 else total

    return call


def bind_stats(op: Operator, tile: Tile) -> Call:
    images = [x.reshape(-1) for x in tile.view(op.reads[0])]
    value, threshold = tile.view(op.target), tile.real(op.scalars["threshold"])

    def call(step: int) -> None:
        for b, image in enumerate(images):
            stats_value(image, threshold, value[b])

    return call


def bind_energy(op: Operator, tile: Tile) -> Call:
    terms = list(zip(op.scalars["coefficients"], map(tile.view, op.reads), strict=True))
    value = tile.view(op.target)

    def call(step: int) -> None:
        for b in range(value.size):
            value[b] = sum(c * term[b] for c, term in terms)

    return call


def bind_quotient(op: Operator, tile: Tile) -> Call:
    top, bottom = (tile.view(n) for n in op.reads)
    value = tile.view(op.target)

    def call(step: int) -> None:
        with np.errstate(divide="ignore", invalid="ignore"):
            np.divide(top, bottom, out=value)

    return call


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


def bind_rescale(op: Operator, tile: Tile) -> Call:
    s = op.scalars
    sources, targets = (
        [x.reshape(-1, x.shape[-1]) for x in tile.view(n)] for n in (op.reads[0], op.target)
    )
    method = METHODS.index(s["method"])
    keys = ("target_max", "target_min", "target_mean", "target_std", "patch_size")
    constants = tuple(float(s[k]) for k in keys)

    def call(step: int) -> None:
        for source, target in zip(sources, targets, strict=True):
            rescale_image(source, target, method, *constants)

    return call


def bind_timescale(op: Operator, tile: Tile) -> Call:
    s = op.scalars
    energies, state = tile.view(op.reads[0]), tile.view(op.target)
    per_length = 0.0
    if s.get("log_slope", 1.0) != 1.0:
        per_length = -math.log(s["log_slope"]) / (s["log_thresh"] - s["base_max"])
    knee = (s.get("knee_thresh", math.inf), s.get("knee_slope", 1.0))
    rates = (s["base_min"], s["base_max"], s["tau_factor"], s["growth_factor"], per_length, *knee)
    trigger = s["trigger"]

    def call(step: int) -> None:
        timescale_update(state, energies, trigger.fires(step), *rates)

    return call


PROBES = {
    "norm": bind_norm,
    "stats": bind_stats,
    "energy": bind_energy,
    "quotient": bind_quotient,
    "rescale": bind_rescale,
    "timescale": bind_timescale,
}
