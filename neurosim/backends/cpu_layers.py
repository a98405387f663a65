"""Layer updates on the CPU: one pass over the units of each image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from neurosim.backends import cells
from neurosim.backends.cpu_tile import Call, Tile
from neurosim.plan.operators import Operator

OPTIONS: Any = {"nogil": True, "cache": True, "fastmath": {"contract", "nsz"}}

threshold_activity = njit(inline="always")(cells.threshold_activity)
leaky_drive = njit(inline="always")(cells.leaky_drive)
soft_sign = njit(inline="always")(cells.soft_sign)


@njit(**OPTIONS)
def add_scaled(source, coefficient, target):
    """target += coefficient * source, flat."""
    for i in range(source.size):
        target[i] += coefficient * source[i]


@njit(**OPTIONS)
def set_scaled(source, coefficient, target):
    """target = coefficient * source, flat."""
    for i in range(source.size):
        target[i] = coefficient * source[i]


@njit(**OPTIONS)
def copy_flat(source, target):
    for i in range(source.size):
        target[i] = source[i]


@njit(**OPTIONS)
def ann_update(g, v, a, gain, v_thresh, v_top, a_min, slope, a_shift, a_max):
    for i in range(g.size):
        u = gain * g[i]
        v[i] = u
        a[i] = threshold_activity(u, v_thresh, v_top, a_min, slope, a_shift, a_max)


@njit(**OPTIONS)
def lca_units(
    g, term, coefficient, v, a, decay, gain, self_interact,
    v_thresh, v_top, a_min, slope, a_shift, a_max,
):  # fmt: skip
    """Leak, drive and threshold of the units of an image; term : (units,) or None."""
    for i in range(v.size):
        drive = g[i] + self_interact * a[i]
        if term is not None:
            drive += coefficient * term[i]
        u = leaky_drive(v[i], drive, decay, gain)
        v[i] = u
        a[i] = threshold_activity(u, v_thresh, v_top, a_min, slope, a_shift, a_max)


@njit(**OPTIONS)
def lca_update(
    g, term, coefficient, v, a, ts, tau, self_interact,
    v_thresh, v_top, a_min, slope, a_shift, a_max,
):  # fmt: skip
    """Leak, drive and threshold of each image; ts : (image,) step sizes; term : array or None."""
    for b in range(v.shape[0]):
        decay = v.dtype.type(math.exp(-ts[b] / tau))
        gain = v.dtype.type(1.0 - math.exp(-ts[b] / tau))
        lca_units(
            g[b], None if term is None else term[b], coefficient, v[b], a[b], decay, gain,
            self_interact, v_thresh, v_top, a_min, slope, a_shift, a_max,
        )  # fmt: skip


@njit(**OPTIONS)
def momentum_lca_update(
    g, term, coefficient, v, a, previous, ts, tau, self_interact, momentum,
    v_thresh, v_top, a_min, slope, a_shift, a_max,
):  # fmt: skip
    """As lca_update, plus a part of the last drive."""
    for b in range(v.shape[0]):
        decay = v.dtype.type(math.exp(-ts[b] / tau))
        gain = v.dtype.type(1.0 - math.exp(-ts[b] / tau))
        vb, ab, gb, pb = v[b], a[b], g[b], previous[b]
        for i in range(vb.size):
            drive = gb[i] + self_interact * ab[i]
            if term is not None:
                drive += coefficient * term[b, i]
            drive *= gain
            u = decay * vb[i] + drive + momentum * pb[i]
            pb[i] = drive
            vb[i] = u
            ab[i] = threshold_activity(u, v_thresh, v_top, a_min, slope, a_shift, a_max)


@njit(**OPTIONS)
def ista_update(
    g, term, coefficient, v, a, ts, tau, penalty, v_thresh, v_top, a_min, slope, a_shift, a_max
):
    for b in range(v.shape[0]):
        rate = v.dtype.type(ts[b] / tau)
        vb, ab, gb = v[b], a[b], g[b]
        for i in range(vb.size):
            drive = gb[i] - penalty * v.dtype.type(soft_sign(ab[i]))
            if term is not None:
                drive += coefficient * term[b, i]
            u = vb[i] + rate * drive
            vb[i] = u
            ab[i] = threshold_activity(u, v_thresh, v_top, a_min, slope, a_shift, a_max)


@njit(**OPTIONS)
def leaky_update(g, v, a, decay, v_thresh, v_top, a_min, slope, a_shift, a_max):
    for i in range(g.size):
        u = leaky_drive(v[i], g[i], decay, v.dtype.type(1.0))
        v[i] = u
        a[i] = threshold_activity(u, v_thresh, v_top, a_min, slope, a_shift, a_max)


@njit(**OPTIONS)
def vertices_activity(v, a, xs, ys, slope_neg, slope_pos):
    """Piecewise linear activity through the vertices (xs, ys)."""
    last = xs.size - 1
    for i in range(v.size):
        u = v[i]
        if u < xs[0]:
            a[i] = ys[0] + slope_neg * (u - xs[0])
        elif u >= xs[last]:
            a[i] = ys[last] + slope_pos * (u - xs[last])
        else:
            k = np.searchsorted(xs, u, side="right") - 1
            a[i] = ys[k] + (ys[k + 1] - ys[k]) * (u - xs[k]) / (xs[k + 1] - xs[k])


@njit(**OPTIONS)
def mask_by_layer(a, mask, keep):
    """Zero where the mask is zero (keep) or where it is not; mask features may be one."""
    images, ny, nx, nf = a.shape
    for b in range(images):
        for y in range(ny):
            for x in range(nx):
                for f in range(nf):
                    inside = mask[b, y, x, f if mask.shape[3] > 1 else 0] != 0.0
                    if inside != keep:
                        a[b, y, x, f] = 0.0


@njit(**OPTIONS)
def mask_by_feature(a, kept):
    """Zero the features that are not kept; a : (units, feature)."""
    for i in range(a.shape[0]):
        for f in range(a.shape[1]):
            if not kept[f]:
                a[i, f] = 0.0


@njit(**OPTIONS)
def sigmoid_update(v, a, middle, slope, smooth, inverse):
    for i in range(v.size):
        if smooth:
            r = 1.0 / (1.0 + math.exp(2.0 * (v[i] - middle) * slope))
        else:
            r = min(1.0, max(0.0, 0.5 - (v[i] - middle) * slope * 0.5))
        a[i] = 1.0 - r if inverse else r


@njit(nogil=True, cache=True)
def guard_potentials(v, limit, step, flag):
    """Remember the first step at which an image has a potential beyond the limit or NaN."""
    for b in range(v.shape[0]):
        fine = True
        for i in range(v.shape[1]):
            fine &= abs(v[b, i]) < limit
        if not fine and flag[b] == 0:
            flag[b] = step


def threshold_constants(s: Any, tile: Tile) -> tuple[np.floating | None, ...]:
    """Arguments of threshold_activity after the potential."""
    top, slope = s["v_thresh"], None
    if s["v_width"] > 0:
        top = s["v_thresh"] + s["v_width"]
        slope = tile.real((top - s["a_shift"] - s["a_min"]) / s["v_width"])
    limit = tile.real(s["a_max"]) if s["a_max"] < NO_LIMIT else None
    first = (tile.real(s["v_thresh"]), tile.real(top), tile.real(s["a_min"]))
    return (*first, slope, tile.real(s["a_shift"]), limit)


#: A params file's infinity: the largest float32.
NO_LIMIT = 3.4e38
#: Thresholds that pass a potential through as it is; vertices are applied afterwards.
PASS = {"v_thresh": -np.inf, "a_min": 0.0, "a_max": np.inf, "a_shift": 0.0, "v_width": 0.0}


def _updater(op: Operator, tile: Tile, kernel: Any, arguments: tuple, v: Any, a: Any) -> Call:
    """A layer update with its transfer function, in one pass or with vertices in two."""
    s = op.scalars
    if "vertices_v" not in s:
        constants = threshold_constants(s, tile)

        def call(step: int) -> None:
            kernel(*arguments, *constants)

        return call
    # The activity of the last step is still needed while potentials are updated.
    constants = threshold_constants(PASS, tile)
    last = tile.scratch("last activity", a.shape)
    xs, ys = np.array(s["vertices_v"], tile.dtype), np.array(s["vertices_a"], tile.dtype)
    low, high = tile.real(s["slope_neg"]), tile.real(s["slope_pos"])
    replaced = tuple(last if argument is a else argument for argument in arguments)

    def call_with_vertices(step: int) -> None:
        last[...] = a
        kernel(*replaced, *constants)
        vertices_activity(v.reshape(-1), a.reshape(-1), xs, ys, low, high)

    return call_with_vertices


def _coding(op: Operator, tile: Tile, kernel: Any, *constants: Any) -> Call:
    """Update of a coding layer: drive and its terms, potential, activity, other state.

    The last term is added while the potential is updated, others before.
    """
    coefficients = [tile.real(c) for c in op.scalars["terms"]]
    adaptive = len(op.reads) > 1 + len(coefficients)
    ts = tile.view(op.reads[-1])[:, 0] if adaptive else np.full(1, op.scalars["dt"])

    def view(name: str) -> np.ndarray:
        # Images with one step size are one long image.
        return tile.images_of(name) if adaptive else tile.view(name).reshape(1, -1)

    g, v, a = (view(n) for n in (op.reads[0], *op.updates[:2]))
    terms = [view(n) for n in op.reads[1 : 1 + len(coefficients)]]
    term, coefficient = (terms.pop(), coefficients.pop()) if terms else (None, tile.real(0))
    others = [view(n) for n in op.updates[2:]]
    arguments = (g, term, coefficient, v, a, *others, ts, op.scalars["tau"], *constants)
    update = _updater(op, tile, kernel, arguments, v, a)
    if not terms:
        return update
    flat = [(term.reshape(-1), c) for term, c in zip(terms, coefficients, strict=True)]

    def call(step: int) -> None:
        for values, c in flat:
            add_scaled(values, c, g.reshape(-1))
        update(step)

    return call


def bind_copy(op: Operator, tile: Tile) -> Call:
    source, target = tile.view(op.reads[0]).reshape(-1), tile.view(op.target).reshape(-1)

    def call(step: int) -> None:
        copy_flat(source, target)

    return call


def bind_ann(op: Operator, tile: Tile) -> Call:
    g, (v, a) = tile.view(op.reads[0]).reshape(-1), (tile.view(n).reshape(-1) for n in op.sets)
    return _updater(op, tile, ann_update, (g, v, a, tile.real(op.scalars["gain"])), v, a)


def bind_lca(op: Operator, tile: Tile) -> Call:
    return _coding(op, tile, lca_update, tile.real(op.scalars["self_interact"]))


def bind_momentum_lca(op: Operator, tile: Tile) -> Call:
    rates = (tile.real(op.scalars["self_interact"]), tile.real(op.scalars["momentum"]))
    return _coding(op, tile, momentum_lca_update, *rates)


def bind_ista(op: Operator, tile: Tile) -> Call:
    return _coding(op, tile, ista_update, tile.real(op.scalars["v_thresh"]))


def bind_leaky(op: Operator, tile: Tile) -> Call:
    s = op.scalars
    g = tile.view(op.reads[0]).reshape(-1)
    v, a = (tile.view(n).reshape(-1) for n in op.updates)
    decay = tile.real(math.exp(-s["dt"] / s["tau"]))
    return _updater(op, tile, leaky_update, (g, v, a, decay), v, a)


def bind_mask(op: Operator, tile: Tile) -> Call:
    s = op.scalars
    a = tile.view(op.target)
    if s["method"] in ("layer", "invertLayer"):
        mask, keep = tile.view(op.reads[0]), s["method"] == "layer"
        return lambda step: mask_by_layer(a, mask, keep)
    kept = np.full(a.shape[-1], s["method"] == "maskFeatures")
    kept[list(s["features"])] ^= True
    units = a.reshape(-1, a.shape[-1])
    return lambda step: mask_by_feature(units, kept)


def bind_sigmoid(op: Operator, tile: Tile) -> Call:
    s = op.scalars
    v, a = tile.view(op.reads[0]).reshape(-1), tile.view(op.target).reshape(-1)
    middle = (s["threshold"] + s["rest"]) / 2
    slope = -math.log(1 / s["alpha"] - 1) / (middle - s["rest"])
    slope = slope if s["smooth"] else slope / math.log(3)
    return lambda step: sigmoid_update(v, a, middle, slope, s["smooth"], s["inverse"])


def bind_guard(op: Operator, tile: Tile) -> Call:
    v, flag = tile.images_of(op.reads[0]), tile.view(op.updates[0])
    limit, every = tile.real(op.scalars["limit"]), op.scalars["every"]

    def call(step: int) -> None:
        if step % every == 0:
            guard_potentials(v, limit, step, flag)

    return call


LAYERS = {
    "copy": bind_copy,
    "ann": bind_ann,
    "lca": bind_lca,
    "momentum_lca": bind_momentum_lca,
    "ista": bind_ista,
    "leaky": bind_leaky,
    "mask": bind_mask,
    "sigmoid": bind_sigmoid,
    "guard": bind_guard,
}
