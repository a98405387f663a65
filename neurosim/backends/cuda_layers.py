"""Layer updates on a CUDA device: one pass over the units of all images."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numba import cuda

from neurosim.backends import cells
from neurosim.backends.cuda_active import bind_scaled
from neurosim.backends.cuda_device import Device, Launch, device_function, larger, smaller
from neurosim.plan.operators import Operator

threshold_activity = device_function(cells.threshold_activity)
leaky_drive = device_function(cells.leaky_drive)
soft_sign = device_function(cells.soft_sign)

ANN, LCA, MOMENTUM, ISTA, LEAKY = range(5)
RULES = {"ann": ANN, "lca": LCA, "momentum_lca": MOMENTUM, "ista": ISTA, "leaky": LEAKY}
#: Terms of the drive that the update itself adds up; more are summed beforehand.
MOST_TERMS = 2


@cuda.jit(device=True)
def vertices_activity(u, xs, ys, low, high):
    """Piecewise linear activity through the vertices (xs, ys)."""
    last = xs.size - 1
    if u < xs[0]:
        return ys[0] + low * (u - xs[0])
    if u >= xs[last]:
        return ys[last] + high * (u - xs[last])
    k = 0
    while xs[k + 1] <= u:
        k += 1
    return ys[k] + (ys[k + 1] - ys[k]) * (u - xs[k]) / (xs[k + 1] - xs[k])


@cache
def update_kernel(
    real: Any, rule: int, terms: int, adaptive: bool, interacts: bool, vertices: bool
) -> Any:
    """Kernel of leak, drive and threshold; what a layer does not use is not compiled in.

    ``sizes`` holds the time step of each image at every third place (adaptive); ``decay`` and
    ``gain`` are the constants of the rule else.
    """

    @cuda.jit(cache=True)
    def update(
        g, term, term_by, other, other_by, v, a, previous, sizes, images, size, tau, decay, gain,
        rate, momentum, v_thresh, v_top, a_min, slope, a_shift, a_max, xs, ys, low, high,
    ):  # fmt: skip
        start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        for b in range(cuda.blockIdx.y, images, cuda.gridDim.y):
            leak, gained = decay, gain
            if adaptive:
                step = sizes[3 * b] / tau
                if rule == ISTA:
                    gained = real(step)
                else:
                    leak = real(math.exp(-step))
                    gained = real(1.0 - math.exp(-step))
            for i in range(b * size + start, (b + 1) * size, cuda.blockDim.x * cuda.gridDim.x):
                drive = g[i]
                if terms > 0:
                    drive += term_by * term[i]
                if terms > 1:
                    drive += other_by * other[i]
                if interacts:
                    drive += rate * a[i]
                if rule == ANN:
                    u = gained * drive
                elif rule == MOMENTUM:
                    drive *= gained
                    u = leak * v[i] + drive + momentum * previous[i]
                    previous[i] = drive
                elif rule == ISTA:
                    u = v[i] + gained * (drive - rate * real(soft_sign(a[i])))
                else:
                    u = real(leaky_drive(v[i], drive, leak, gained))
                v[i] = u
                if vertices:
                    a[i] = vertices_activity(u, xs, ys, low, high)
                else:
                    a[i] = threshold_activity(u, v_thresh, v_top, a_min, slope, a_shift, a_max)

    return update


@cuda.jit(cache=True)
def mask_by_layer(a, mask, features, mask_features, keep):
    """Zero where the mask is zero (keep) or where it is not; the mask may have one feature."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(start, a.size, cuda.blockDim.x * cuda.gridDim.x):
        at = i if mask_features > 1 else i // features
        if (mask[at] != 0) != keep:
            a[i] = 0


@cuda.jit(cache=True)
def mask_by_feature(a, kept, features):
    """Zero the features that are not kept."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(start, a.size, cuda.blockDim.x * cuda.gridDim.x):
        if kept[i % features] == 0:
            a[i] = 0


@cuda.jit(cache=True)
def sigmoid_update(v, a, middle, slope, smooth, inverse):
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(start, v.size, cuda.blockDim.x * cuda.gridDim.x):
        if smooth:
            r = 1.0 / (1.0 + math.exp(2.0 * (v[i] - middle) * slope))
        else:
            r = smaller(1.0, larger(0.0, 0.5 - (v[i] - middle) * slope * 0.5))
        a[i] = 1.0 - r if inverse else r


@cuda.jit(cache=True)
def guard_potentials(v, images, size, limit, every, clock, flag):
    """Remember the first step at which an image has a potential beyond the limit or NaN."""
    step = clock[0]
    if step % every == 0:
        start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        for b in range(cuda.blockIdx.y, images, cuda.gridDim.y):
            fine = True
            for i in range(b * size + start, (b + 1) * size, cuda.blockDim.x * cuda.gridDim.x):
                if not abs(v[i]) < limit:
                    fine = False
            # Whoever finds one writes the same number.
            if not fine and flag[b] == 0:
                flag[b] = step


def threshold_constants(s: Any, device: Device) -> tuple[Any, ...]:
    """Arguments of threshold_activity after the potential."""
    width = s["v_width"]
    slope = 0.0
    if width > 0:
        slope = (s["v_thresh"] + width - s["a_shift"] - s["a_min"]) / width
    top = s["v_thresh"] + max(0.0, width)
    values = (s["v_thresh"], top, s["a_min"], slope, s["a_shift"], s["a_max"])
    return tuple(device.constant(x) for x in values)


def transfer_arguments(s: Any, device: Device) -> tuple[Any, ...]:
    """Constants of the transfer function, of either form."""
    if "vertices_v" not in s:
        none = device.upload(np.zeros(1), device.dtype)
        zero = device.constant(0)
        return (*threshold_constants(s, device), none, none, zero, zero)
    xs, ys = (device.upload(np.array(s[k]), device.dtype) for k in ("vertices_v", "vertices_a"))
    ends = (device.constant(s["slope_neg"]), device.constant(s["slope_pos"]))
    return (*(device.constant(0) for _ in range(6)), xs, ys, *ends)


def drive_terms(
    op: Operator, device: Device
) -> tuple[list[Launch], Any, list[tuple[Any, Any]], tuple[str, ...]]:
    """Launches that sum all but a few terms of the drive, what is left, and the other reads."""
    coefficients = tuple(op.scalars.get("terms", ()))
    count = len(coefficients)
    g = device.array(op.reads[0])
    terms = [
        (device.array(n), c) for n, c in zip(op.reads[1 : 1 + count], coefficients, strict=True)
    ]
    launches: list[Launch] = []
    if count > MOST_TERMS:
        total = device.scratch("drive", g.size)[: g.size]
        launches.append(bind_scaled(device, g, 1.0, True, total))
        launches += [bind_scaled(device, array, c, False, total) for array, c in terms]
        g, terms = total, []
    return launches, g, [(t, device.constant(c)) for t, c in terms], op.reads[1 + count :]


def bind_update(op: Operator, device: Device) -> list[Launch]:
    """Update of a layer with a membrane potential."""
    s: Any = op.scalars
    rule = RULES[op.kind]
    v, a, *more = (device.array(n) for n in op.sets + op.updates)
    launches, g, terms, rest = drive_terms(op, device)
    images, size = device.images(op.target)
    adaptive = bool(rest)
    sizes = device.array(rest[0]) if adaptive else device.clock
    tau = s.get("tau", 1.0)
    decay, gain, rate = 1.0, 1.0, float(s.get("self_interact", 0.0))
    if rule == ANN:
        gain = s["gain"]
    elif rule == LEAKY:
        decay = math.exp(-s["dt"] / tau)
    elif rule == ISTA:
        gain, rate = s["dt"] / tau, s["v_thresh"]
    else:
        decay = math.exp(-s["dt"] / tau)
        gain = 1.0 - decay
    interacts = rule in (LCA, MOMENTUM) and rate != 0
    kernel = update_kernel(device.real, rule, len(terms), adaptive, interacts, "vertices_v" in s)
    padded = [*terms, (g, device.constant(0)), (g, device.constant(0))][:MOST_TERMS]
    numbers = (decay, gain, rate, s.get("momentum", 0.0))
    arguments = (
        g, *(x for pair in padded for x in pair), v, a, more[0] if more else v, sizes, images, size,
        float(tau), *(device.constant(x) for x in numbers), *transfer_arguments(s, device),
    )  # fmt: skip
    launches.append(Launch(kernel, *device.by_image(images, size), arguments))
    return launches


def bind_copy(op: Operator, device: Device) -> list[Launch]:
    return [bind_scaled(device, device.array(op.reads[0]), 1.0, True, device.array(op.target))]


def bind_mask(op: Operator, device: Device) -> list[Launch]:
    s = op.scalars
    a, features = device.array(op.target), device.shapes[op.target][3]
    if s["method"] in ("layer", "invertLayer"):
        mask = op.reads[0]
        arguments: tuple[Any, ...] = (
            a, device.array(mask), features, device.shapes[mask][3], s["method"] == "layer",
        )  # fmt: skip
        return [Launch(mask_by_layer, *device.flat(a.size), arguments)]
    kept = np.full(features, s["method"] == "maskFeatures")
    kept[list(s["features"])] ^= True
    return [Launch(mask_by_feature, *device.flat(a.size), (a, device.upload(kept), features))]


def bind_sigmoid(op: Operator, device: Device) -> list[Launch]:
    s = op.scalars
    v, a = device.array(op.reads[0]), device.array(op.target)
    middle = (s["threshold"] + s["rest"]) / 2
    slope = -math.log(1 / s["alpha"] - 1) / (middle - s["rest"])
    slope = slope if s["smooth"] else slope / math.log(3)
    arguments = (v, a, float(middle), slope, bool(s["smooth"]), bool(s["inverse"]))
    return [Launch(sigmoid_update, *device.flat(v.size), arguments)]


def bind_guard(op: Operator, device: Device) -> list[Launch]:
    images, size = device.images(op.reads[0])
    limit, every = device.constant(op.scalars["limit"]), op.scalars["every"]
    arguments = (
        device.array(op.reads[0]), images, size, limit, every, device.clock,
        device.array(op.updates[0]),
    )  # fmt: skip
    return [Launch(guard_potentials, *device.by_image(images, size), arguments)]


LAYERS = {
    "copy": bind_copy,
    "ann": bind_update,
    "lca": bind_update,
    "momentum_lca": bind_update,
    "ista": bind_update,
    "leaky": bind_update,
    "mask": bind_mask,
    "sigmoid": bind_sigmoid,
    "guard": bind_guard,
}
