"""Weight updates on the CPU: each thread owns some kernels and sees the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from neurosim.backends import cells
from neurosim.backends.boundaries import dictionary_index, patch_tables
from neurosim.backends.cpu_layers import OPTIONS
from neurosim.backends.cpu_probes import SUMS
from neurosim.backends.reference_learning import decay_rate, momentum_factor
from neurosim.plan.operators import Operator

momentum_increment = njit(inline="always")(cells.momentum_increment)

Arrays = dict[str, np.ndarray]
#: Bytes of weights whose increments are held at a time.
TRAINED_BYTES = 1 << 21
#: Work on kernels ``first`` to ``end``, and what follows once all threads are done.
Part = Callable[[int, int], None]


@njit(**OPTIONS)
def hebbian_increments(
    pre, post, source_y, source_x, head_y, head_x, cell_y, cell_x, cells_x, value, rate,
    first, end, origin, dw, count,
):  # fmt: skip
    """dw += rate * pre * post over the patch of each active pre unit.

    pre : (image, y, x, feature); post : (image, y, x * feature);
    dw : (kernel, patch y, patch x * feature); count : (kernel, patch y, patch x).
    Only kernels from ``first`` to ``end`` are touched; that of ``origin`` comes first in dw.
    """
    nf = pre.shape[3]
    patch_y, patch_x = count.shape[1], count.shape[2]
    features = dw.shape[2] // patch_x
    post_y, post_x = post.shape[1], post.shape[2] // features
    for b in range(pre.shape[0]):
        for iy in range(source_y.size):
            y0, y1 = max(0, -head_y[iy]), min(patch_y, post_y - head_y[iy])
            for ix in range(source_x.size):
                x0, x1 = max(0, -head_x[ix]), min(patch_x, post_x - head_x[ix])
                if x1 <= x0:
                    continue
                base = (cell_y[iy] * cells_x + cell_x[ix]) * nf
                outside = source_y[iy] < 0 or source_x[ix] < 0
                for f in range(max(0, first - base), min(nf, end - base)):
                    unit = value if outside else pre[b, source_y[iy], source_x[ix], f]
                    if unit == 0.0:
                        continue
                    kernel = base + f - origin
                    scaled = rate * unit
                    start = (head_x[ix] + x0) * features
                    for j in range(y0, y1):
                        row = post[b, head_y[iy] + j, start : start + (x1 - x0) * features]
                        target = dw[kernel, j, x0 * features : x1 * features]
                        for i in range(row.size):
                            target[i] += scaled * row[i]
                        for i in range(x0, x1):
                            count[kernel, j, i] += 1


@njit(**OPTIONS)
def divide_by_count(dw, count):
    """Mean over occurrences; elements that never occurred do not change."""
    features = dw.shape[2]
    for k in range(dw.shape[0]):
        for i in range(dw.shape[1]):
            n = count[k, i]
            for f in range(features):
                dw[k, i, f] = dw[k, i, f] / n if n > 0 else dw.dtype.type(0.0)


@njit(**OPTIONS)
def add_increments(w, dw):
    for i in range(w.size):
        w[i] += dw[i]


@njit(**OPTIONS)
def add_with_momentum(w, dw, previous, gain, factor, decay):
    for i in range(w.size):
        change = momentum_increment(dw[i], previous[i], w[i], gain, factor, decay)
        dw[i] = change
        previous[i] = change
        w[i] += change


@njit(**SUMS)
def kernel_measures(w, measures):
    """Sum, sum of squares and largest weight (at least 0) of each kernel; w : (kernel, weight)."""
    for k in range(w.shape[0]):
        total, squares, largest = 0.0, 0.0, 0.0
        for start in range(0, w.shape[1], 256):
            part, part2 = w.dtype.type(0.0), w.dtype.type(0.0)
            for x in w[k, start : min(start + 256, w.shape[1])]:
                part += x
                part2 += x * x
                largest = max(largest, x)
            total += part
            squares += part2
        measures[k, 0], measures[k, 1], measures[k, 2] = total, squares, largest


@njit(**OPTIONS)
def scale_kernels(w, scale, shift):
    """w = (w - shift) * scale, kernel by kernel."""
    for k in range(w.shape[0]):
        for i in range(w.shape[1]):
            w[k, i] = (w[k, i] - shift[k]) * scale[k]


def _increments(op: Operator, arrays: Arrays) -> Callable[..., None]:
    """Function that adds the increments of some kernels, of which ``origin`` is the first held."""
    s = op.scalars
    pre, post, rate = (arrays[n] for n in op.reads)
    g = s["geometry"]
    t = patch_tables(g, s["mirror"], s["value"])
    arbor = s["arbor"]
    flat_post = post.reshape(*post.shape[:2], -1)
    value = pre.dtype.type(s["value"])

    def add(first: int, end: int, origin: int, dw: np.ndarray, count: np.ndarray) -> None:
        flat_dw = dw[arbor].reshape(*dw.shape[1:3], -1)
        hebbian_increments(
            pre, flat_post, t.source_y, t.source_x, t.head_y, t.head_x, t.cell_y, t.cell_x,
            g.kernels_x, value, pre.dtype.type(rate[0]), first, end, origin, flat_dw,
            count[arbor],
        )  # fmt: skip

    return add


def _rule(op: Operator, arrays: Arrays, previous: np.ndarray | None) -> Callable[..., None]:
    """Function that updates the weights of some kernels by their increments."""
    s: Any = op.scalars
    w, rate = arrays[op.updates[0]], arrays[op.updates[1]]

    def apply(first: int, end: int, dw: np.ndarray, count: np.ndarray) -> None:
        for arbor in range(w.shape[0]):
            new = dw[arbor]
            if s["normalize"]:
                n = count[arbor].reshape(end - first, -1)
                divide_by_count(new.reshape(end - first, -1, w.shape[-1]), n)
            if previous is None:
                add_increments(w[arbor, first:end].reshape(-1), new.reshape(-1))
                continue
            factor, decay = momentum_factor(s, rate[0])
            gain = 1.0 if s["gain_kept"] else 1 - factor
            add_with_momentum(
                w[arbor, first:end].reshape(-1),
                new.reshape(-1),
                previous[arbor, first:end].reshape(-1),
                *(w.dtype.type(x) for x in (gain, factor, decay)),
            )

    return apply


def bind_hebbian(op: Operator, arrays: Arrays) -> tuple[int, Part, Callable[[], None]]:
    rate = arrays[op.reads[2]]
    dw, count = (arrays[n] for n in (op.sets + op.incs))
    add = _increments(op, arrays)

    def part(first: int, end: int) -> None:
        if op.scalars["clear"]:
            dw[:, first:end] = 0
            count[:, first:end] = 0
        add(first, end, 0, dw, count)

    def after() -> None:
        rate[2] = 1

    return dw.shape[1], part, after


def bind_learn(op: Operator, arrays: Arrays) -> tuple[int, Part, Callable[[], None]]:
    s: Any = op.scalars
    count = arrays[op.reads[0]]
    w, rate, dw = (arrays[n] for n in op.updates[:3])
    apply = _rule(op, arrays, arrays[op.updates[3]] if s["method"] != "hebbian" else None)

    def part(first: int, end: int) -> None:
        if not (s["deferred"] and rate[2] == 0):
            apply(first, end, dw[:, first:end], count[:, first:end])

    def after() -> None:
        if not (s["deferred"] and rate[2] == 0):
            decay_rate(s, rate)

    return w.shape[1], part, after


def bind_train(op: Operator, arrays: Arrays) -> tuple[int, Part, Callable[[], None]]:
    """Increments and rule, some kernels after others: no increments of all weights are kept."""
    increments, rule = op.scalars["increments"], op.scalars["rule"]
    w, rate = arrays[op.updates[0]], arrays[op.updates[1]]
    add = _increments(increments, arrays)
    apply = _rule(rule, arrays, arrays[op.updates[2]] if len(op.updates) > 2 else None)
    block = max(1, TRAINED_BYTES * w.shape[1] // w.nbytes)

    def part(first: int, end: int) -> None:
        for start in range(first, end, block):
            stop = min(start + block, end)
            dw = np.zeros((w.shape[0], stop - start, *w.shape[2:]), w.dtype)
            count = np.zeros(dw.shape[:-1], w.dtype)
            add(start, stop, start, dw, count)
            apply(start, stop, dw, count)

    def after() -> None:
        rate[2] = 1
        decay_rate(rule.scalars, rate)

    return w.shape[1], part, after


def bind_normalize(op: Operator, arrays: Arrays) -> tuple[int, Part, Callable[[], None]]:
    """Measures kernel by kernel in parallel; the scaling follows when all are known."""
    from neurosim.backends.reference_learning import prepare_weights

    s: Any = op.scalars
    group = [arrays[n] for n in op.updates]
    kernels = group[0].shape[1]
    measures = np.zeros((len(group), group[0].shape[0], kernels, 3))

    def part(first: int, end: int) -> None:
        if first == 0 and s["method"] != "normalizeContrastZeroMean":
            prepare_weights(group, s)

    def after() -> None:
        for g, w in enumerate(group):
            for arbor in range(w.shape[0]):
                kernel_measures(w[arbor].reshape(kernels, -1), measures[g, arbor])
        scale, shift = kernel_factors(group, measures, s)
        for w in group:
            for arbor in range(w.shape[0]):
                row = arbor if s["per_arbor"] else 0
                flat = w[arbor].reshape(kernels, -1)
                scale_kernels(flat, scale[row].astype(w.dtype), shift[row].astype(w.dtype))

    return kernels, part, after


def kernel_factors(
    group: list[np.ndarray], measures: np.ndarray, s: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift of each kernel, ``(arbor or 1, kernel)``, from its measures."""
    axes = (0,) if s["per_arbor"] else (0, 1)
    total, squares = (np.atleast_2d(measures[..., i].sum(axes)) for i in (0, 1))
    largest = np.atleast_2d(measures[..., 2].max(axes))
    shift = np.zeros_like(total)
    method, strength, tolerated = s["method"], s["strength"], s["tolerated"]
    if method == "normalizeL2":
        size = np.sqrt(squares)
        small = (size if s["per_arbor"] else squares) <= tolerated
        if not s["per_arbor"]:
            # A kernel without weights ends the loop: those after it stay as they are.
            small = np.logical_or.accumulate(small, axis=1)
    elif method == "normalizeSum":
        size, small = total, np.abs(total) <= tolerated
    elif method == "normalizeMax":
        size, small = largest, largest <= tolerated
    else:
        n = sum(w[0, 0].size * (1 if s["per_arbor"] else w.shape[0]) for w in group)
        shift = total / n
        variance = squares / n - shift**2
        small = (np.abs(total) <= tolerated) | (variance <= 0)
        size = np.sqrt(np.maximum(variance, 0))
    scale = np.where(small, 1.0, strength / np.where(small, 1.0, size))
    return scale, np.where(small, 0.0, shift)


def bind_rearrange(op: Operator, arrays: Arrays) -> tuple[int, Part, Callable[[], None]]:
    source, target = arrays[op.reads[0]], arrays[op.target]
    index = dictionary_index(op.scalars["geometry"])

    def part(first: int, end: int) -> None:
        for arbor in range(source.shape[0]):
            np.take(source[arbor].reshape(-1), index[first:end], out=target[arbor, first:end])

    return target.shape[1], part, lambda: None


def bind_gram(op: Operator, arrays: Arrays) -> tuple[int, Part, Callable[[], None]]:
    dictionary, target = arrays[op.reads[0]][op.scalars["arbor"]], arrays[op.target]
    flat = dictionary.reshape(dictionary.shape[0], -1)
    coefficient = target.dtype.type(op.scalars["coefficient"])

    def part(first: int, end: int) -> None:
        np.dot(flat[first:end], flat.T, out=target[first:end])
        target[first:end] *= coefficient

    return len(flat), part, lambda: None


def bind_weight_copy(op: Operator, arrays: Arrays) -> tuple[int, Part, Callable[[], None]]:
    source, target = arrays[op.reads[0]], arrays[op.target]

    def part(first: int, end: int) -> None:
        target[:, first:end] = source[:, first:end]

    return target.shape[1], part, lambda: None


LEARNING = {
    "hebbian": bind_hebbian,
    "learn": bind_learn,
    "train": bind_train,
    "normalize": bind_normalize,
    "rearrange": bind_rearrange,
    "copy": bind_weight_copy,
    "gram": bind_gram,
}
