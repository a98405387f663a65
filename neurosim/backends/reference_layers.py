"""Layer updates, as docs/numerics.md states them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosim.plan.operators import Operator
from neurosim.plan.transfer import transfer_activity

Arrays = dict[str, np.ndarray]


def step_size(op: Operator, arrays: Arrays) -> np.ndarray:
    """Step of each batch element in time constants, shaped to multiply a layer."""
    s = op.scalars
    dt = np.full(arrays[op.reads[0]].shape[0], s["dt"])
    if len(op.reads) > 1 + len(s["terms"]):
        dt = arrays[op.reads[-1]][:, 0]
    return (dt / s["tau"])[:, None, None, None]


def summed_drive(op: Operator, arrays: Arrays) -> np.ndarray:
    """Summed input and the terms that a fused plan adds to it here."""
    drive = arrays[op.reads[0]]
    for coefficient, name in zip(op.scalars["terms"], op.reads[1:], strict=False):
        drive = drive + coefficient * arrays[name]
    return drive


def copy(op: Operator, arrays: Arrays, step: int) -> None:
    arrays[op.target][...] = arrays[op.reads[0]]


def ann(op: Operator, arrays: Arrays, step: int) -> None:
    v, a = (arrays[n] for n in op.sets)
    v[...] = op.scalars["gain"] * arrays[op.reads[0]]
    a[...] = transfer_activity(v, op.scalars)


def mask(op: Operator, arrays: Arrays, step: int) -> None:
    a = arrays[op.target]
    method = op.scalars["method"]
    if method in ("layer", "invertLayer"):
        kept = (arrays[op.reads[0]] != 0) == (method == "layer")
        a *= kept
        return
    chosen = np.zeros(a.shape[-1], bool)
    chosen[list(op.scalars["features"])] = True
    a *= chosen == (method == "noMaskFeatures")


def lca(op: Operator, arrays: Arrays, step: int) -> None:
    v, a = arrays[op.updates[0]], arrays[op.updates[1]]
    e = np.exp(-step_size(op, arrays))
    drive = summed_drive(op, arrays) + op.scalars["self_interact"] * a
    v[...] = e * v + (1 - e) * drive
    a[...] = transfer_activity(v, op.scalars)


def momentum_lca(op: Operator, arrays: Arrays, step: int) -> None:
    v, a, previous = (arrays[n] for n in op.updates)
    e = np.exp(-step_size(op, arrays))
    drive = (1 - e) * (summed_drive(op, arrays) + op.scalars["self_interact"] * a)
    v[...] = e * v + drive + op.scalars["momentum"] * previous
    previous[...] = drive
    a[...] = transfer_activity(v, op.scalars)


def ista(op: Operator, arrays: Arrays, step: int) -> None:
    v, a = arrays[op.updates[0]], arrays[op.updates[1]]
    s = op.scalars
    v += step_size(op, arrays) * (summed_drive(op, arrays) - s["v_thresh"] * np.sign(a))
    a[...] = transfer_activity(v, s)


def leaky(op: Operator, arrays: Arrays, step: int) -> None:
    v, a = arrays[op.updates[0]], arrays[op.updates[1]]
    v[...] = v * np.exp(-op.scalars["dt"] / op.scalars["tau"]) + arrays[op.reads[0]]
    a[...] = transfer_activity(v, op.scalars)


def sigmoid(op: Operator, arrays: Arrays, step: int) -> None:
    s = op.scalars
    v, a = arrays[op.reads[0]], arrays[op.target]
    middle = (s["threshold"] + s["rest"]) / 2
    slope = -np.log(1 / s["alpha"] - 1) / (middle - s["rest"])
    if s["smooth"]:
        a[...] = 1 / (1 + np.exp(2 * (v - middle) * slope))
    else:
        a[...] = np.clip(0.5 - (v - middle) * slope / np.log(3) / 2, 0, 1)
    if s["inverse"]:
        a[...] = 1 - a


def rescale(op: Operator, arrays: Arrays, step: int) -> None:
    source, target = arrays[op.reads[0]], arrays[op.target]
    for b in range(source.shape[0]):
        target[b] = rescaled(source[b], op.scalars)


def rescaled(a: np.ndarray, s: Mapping[str, Any]) -> np.ndarray:
    """One batch element of a RescaleLayer, ``(y, x, feature)``."""
    method = s["method"]
    if method == "maxmin":
        low, high = a.min(), a.max()
        if high == low:
            return np.zeros_like(a)
        return (a - low) / (high - low) * (s["target_max"] - s["target_min"]) + s["target_min"]
    if method in ("meanstd", "pointmeanstd"):
        axis = None if method == "meanstd" else -1
        mean, std = a.mean(axis, keepdims=True), a.std(axis, keepdims=True)
        scaled = (a - mean) * (s["target_std"] / np.where(std == 0, 1, std)) + s["target_mean"]
        return np.where(std == 0, a, scaled)
    if method == "l2":
        std = a.std()
        return a if std == 0 else (a - a.mean()) / (std * np.sqrt(s["patch_size"]))
    if method == "l2NoMean":
        rms = np.sqrt(np.mean(a**2))
        return a if rms == 0 else a / (rms * np.sqrt(s["patch_size"]))
    if method == "pointResponseNormalization":
        norm = np.sqrt(np.sum(a**2, -1, keepdims=True))
        return np.where(norm == 0, a, a / np.where(norm == 0, 1, norm))
    if method == "zerotonegative":
        return np.where(a == 0, -1.0, a)
    if method == "softmax":
        shift = np.maximum(np.finfo(np.float32).tiny, a.max(-1, keepdims=True))
        rising = np.exp(a - shift)
        return rising / rising.sum(-1, keepdims=True)
    if method == "logreg":
        return 1 / (1 + np.exp(a))
    raise ValueError(f"unknown rescale method {method!r}")


def guard(op: Operator, arrays: Arrays, step: int) -> None:
    if step % op.scalars["every"]:
        return
    v, flag = arrays[op.reads[0]], arrays[op.updates[0]]
    with np.errstate(invalid="ignore"):
        fine = (np.abs(v) < op.scalars["limit"]).reshape(v.shape[0], -1).all(1)
    flag[...] = np.where((flag == 0) & ~fine, step, flag)


LAYERS = {
    "copy": copy,
    "ann": ann,
    "mask": mask,
    "lca": lca,
    "momentum_lca": momentum_lca,
    "ista": ista,
    "leaky": leaky,
    "sigmoid": sigmoid,
    "rescale": rescale,
    "guard": guard,
}
