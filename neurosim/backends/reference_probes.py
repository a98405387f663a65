"""Norms, energies and adaptive time scales of each batch element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosim.plan.operators import Operator

Arrays = dict[str, np.ndarray]


def norm(op: Operator, arrays: Arrays, step: int) -> None:
    s = op.scalars
    a = np.abs(arrays[op.reads[0]].astype(np.float64))
    if len(op.reads) > 1:
        a = a * (arrays[op.reads[1]] != 0)
    axes = (1, 2, 3)
    if s["norm"] == "l2":
        value = np.sum(a**2, axes) ** (s["exponent"] / 2)
    elif s["norm"] == "l1":
        value = np.sum(a, axes)
    elif s["norm"] == "l0":
        value = np.sum(a > s["threshold"], axes)
    else:
        top = s["v_thresh"] + s["v_width"]
        value = np.sum(np.where(a < top, a * (1 - a / (2 * top)), top / 2), axes)
    arrays[op.target][...] = value


def stats(op: Operator, arrays: Arrays, step: int) -> None:
    a = arrays[op.reads[0]].astype(np.float64)
    a = a.reshape(a.shape[0], -1)
    value = arrays[op.target]
    value[:, 0], value[:, 1] = a.min(1), a.max(1)
    value[:, 2] = mean = a.mean(1)
    value[:, 3] = np.sqrt(np.maximum(0, np.mean(a**2, 1) - mean**2))
    value[:, 4] = np.sum(np.abs(a) > op.scalars["threshold"], 1)


def energy(op: Operator, arrays: Arrays, step: int) -> None:
    pairs = zip(op.scalars["coefficients"], op.reads, strict=True)
    arrays[op.target][...] = sum(c * arrays[n] for c, n in pairs)


def quotient(op: Operator, arrays: Arrays, step: int) -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        arrays[op.target][...] = arrays[op.reads[0]] / arrays[op.reads[1]]


def timescale(op: Operator, arrays: Arrays, step: int) -> None:
    """The time step of this step, from the energies of the last two."""
    s = op.scalars
    state, energies = arrays[op.target], arrays[op.reads[0]]
    new_image = s["trigger"].fires(step)
    for b in range(state.shape[0]):
        value = -1.0 if new_image else float(energies[b])
        state[b] = next_timescale(state[b, 0], state[b, 1], state[b, 2], value, s)


def next_timescale(
    ts: float, before: float, ts_max: float, energy: float, s: Mapping[str, Any]
) -> tuple[float, float, float]:
    """New time step, energy remembered, largest time step."""
    if energy == before:
        return ts, energy, ts_max
    last_max = ts_max
    slope = (before - energy) / ts
    if slope < 0 or before <= 0 or energy <= 0:
        ts, ts_max = s["base_min"], s["base_max"]
    else:
        ts = s["tau_factor"] * before / slope if slope > 0 else np.inf
        if ts >= ts_max:
            ts = ts_max
            growth = s["growth_factor"]
            if s.get("log_slope", 1.0) != 1.0:
                length = -(s["log_thresh"] - s["base_max"]) / np.log(s["log_slope"])
                growth *= np.exp(-(ts_max - s["base_max"]) / length)
            ts_max *= 1 + growth
    if "knee_thresh" in s and ts_max > s["knee_thresh"]:
        ts_max = last_max + (ts_max - last_max) * s["knee_slope"]
        ts = min(ts, ts_max)
    return ts, energy, ts_max


PROBES = {
    "norm": norm,
    "stats": stats,
    "energy": energy,
    "quotient": quotient,
    "timescale": timescale,
}
