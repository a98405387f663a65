"""Sparse solvers on a CUDA device: three passes over the units, the decisions on the device too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda, float64

from neurosim.backends import search
from neurosim.backends.cuda_active import bind_scaled
from neurosim.backends.cuda_device import THREADS, Device, Launch, device_function
from neurosim.backends.cuda_probes import splits_of
from neurosim.plan.operators import Operator
from neurosim.plan.searching import (
    ACTION,
    AGAINST,
    ALONG,
    BACK,
    BEHIND,
    CHANGE,
    COMMON,
    CONTROL,
    DISTANCE,
    FREE,
    HOLD,
    MOVED,
    PEAK,
    RELEASE,
    SETTLE,
    SHARE,
    SLOPE,
    SQUARE,
    STEP,
    SUMS,
    TURN,
)

#: What becomes of the last column of sums: it is another sum, a maximum, or left as it is.
ADD, LARGEST, LEAVE = range(3)

interrupted = device_function(search.interrupted)
searched = device_function(search.searched)
turned = device_function(search.turned)
relaxed = device_function(search.relaxed)
relax_unit = device_function(search.relax_unit)


@cuda.jit(cache=True)
def interrupt_images(control, images, event, clock):
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for b in range(start, images, cuda.blockDim.x * cuda.gridDim.x):
        interrupted(control[b * CONTROL : (b + 1) * CONTROL], event, clock[0])


@cuda.jit(cache=True)
def measure_parts(g, a, known, trial, size, threshold, parts):
    """Sums over a part of an image of d d, d (known - g), d (known - threshold); d = trial - a.

    And the largest g - threshold where the trial is inactive, or 0. parts : (image, split, column).
    """
    distance = cuda.shared.array(THREADS, float64)
    along = cuda.shared.array(THREADS, float64)
    slope = cuda.shared.array(THREADS, float64)
    peak = cuda.shared.array(THREADS, float64)
    t = cuda.threadIdx.x
    image, split, splits = cuda.blockIdx.x, cuda.blockIdx.y, cuda.gridDim.y
    distance[t] = along[t] = slope[t] = peak[t] = 0.0
    for i in range(image * size + split * THREADS + t, (image + 1) * size, splits * THREADS):
        d = trial[i] - a[i]
        distance[t] += float64(d) * float64(d)
        along[t] += float64(d) * float64(known[i] - g[i])
        slope[t] += float64(d) * float64(known[i] - threshold)
        if not trial[i] > 0 and g[i] - threshold > peak[t]:
            peak[t] = g[i] - threshold
    reach = THREADS // 2
    while reach > 0:
        cuda.syncthreads()
        if t < reach:
            distance[t] += distance[t + reach]
            along[t] += along[t + reach]
            slope[t] += slope[t + reach]
            if peak[t + reach] > peak[t]:
                peak[t] = peak[t + reach]
        reach //= 2
    if t == 0:
        at = (image * splits + split) * SUMS
        parts[at + DISTANCE], parts[at + ALONG] = distance[0], along[0]
        parts[at + SLOPE], parts[at + PEAK] = slope[0], peak[0]


@cuda.jit(cache=True)
def weigh_parts(g, a, known, trial, control, sums, size, threshold, parts):
    """Sums over a part of an image of descent (known - g), d e and e e, the latter where active.

    e is the drive of the code that is taken, less the threshold; descent is e where the code is
    active, and elsewhere e if it is among the largest.
    """
    change = cuda.shared.array(THREADS, float64)
    behind = cuda.shared.array(THREADS, float64)
    free = cuda.shared.array(THREADS, float64)
    t = cuda.threadIdx.x
    image, split, splits = cuda.blockIdx.x, cuda.blockIdx.y, cuda.gridDim.y
    change[t] = behind[t] = free[t] = 0.0
    share = a.dtype.type(control[image * CONTROL + SHARE])
    whole = control[image * CONTROL + SHARE] == 1.0
    least = a.dtype.type(RELEASE * sums[image * SUMS + PEAK])
    for i in range(image * size + split * THREADS + t, (image + 1) * size, splits * THREADS):
        d, y = trial[i] - a[i], g[i] - known[i]
        code = trial[i] if whole else a[i] + share * d
        e = (g[i] if whole else known[i] + share * y) - threshold
        if code > 0:
            behind[t] += float64(d) * float64(e)
            free[t] += float64(e) * float64(e)
        if code > 0 or e > least:
            change[t] -= float64(e) * float64(y)
    reach = THREADS // 2
    while reach > 0:
        cuda.syncthreads()
        if t < reach:
            change[t] += change[t + reach]
            behind[t] += behind[t + reach]
            free[t] += free[t + reach]
        reach //= 2
    if t == 0:
        at = (image * splits + split) * SUMS
        parts[at + CHANGE], parts[at + BEHIND] = change[0], behind[0]
        parts[at + FREE] = free[0]


@cuda.jit(cache=True)
def sum_splits(parts, splits, images, last, sums):
    """Add the parts of each image, in their order; the last column as ``last`` says."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(start, images * SUMS, cuda.blockDim.x * cuda.gridDim.x):
        b = i // SUMS
        column = i - b * SUMS
        total = 0.0
        if column != PEAK or last == ADD:
            for s in range(b * splits, (b + 1) * splits):
                total += parts[s * SUMS + column]
            sums[i] = total
        elif last == LARGEST:
            for s in range(b * splits, (b + 1) * splits):
                if parts[s * SUMS + column] > total:
                    total = parts[s * SUMS + column]
            sums[i] = total


@cuda.jit(cache=True)
def search_images(sums, control, won):
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for b in range(start, won.size, cuda.blockDim.x * cuda.gridDim.x):
        at = b * SUMS
        row = control[b * CONTROL : (b + 1) * CONTROL]
        won[b] = searched(row, sums[at + DISTANCE], sums[at + ALONG], sums[at + SLOPE])


@cuda.jit(cache=True)
def turn_images(sums, control, images):
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for b in range(start, images, cuda.blockDim.x * cuda.gridDim.x):
        at = b * SUMS
        row = control[b * CONTROL : (b + 1) * CONTROL]
        turned(row, sums[at + CHANGE], sums[at + BEHIND], sums[at + FREE])


@cuda.jit(cache=True)
def move_units(g, control, sums, a, known, trial, v, images, size, threshold):
    """Take the share of the trial, and make the next trial."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    zero = a.dtype.type(0)
    for b in range(cuda.blockIdx.y, images, cuda.gridDim.y):
        action = control[b * CONTROL + ACTION]
        whole = control[b * CONTROL + SHARE] == 1.0
        share = a.dtype.type(control[b * CONTROL + SHARE])
        turn = a.dtype.type(control[b * CONTROL + TURN])
        least = a.dtype.type(RELEASE * sums[b * SUMS + PEAK])
        length = zero if action == SETTLE else a.dtype.type(control[b * CONTROL + STEP])
        for i in range(b * size + start, (b + 1) * size, cuda.blockDim.x * cuda.gridDim.x):
            if action == HOLD:
                trial[i] = a[i]
            else:
                d, y = trial[i] - a[i], g[i] - known[i]
                code = trial[i] if whole else a[i] + share * d
                drive = g[i] if whole else known[i] + share * y
                e = drive - threshold
                if code > zero:
                    v[i] = code + threshold
                    direction = e + turn * d
                else:
                    v[i] = drive if drive < threshold else threshold
                    direction = (e if e > least else zero) + turn * d
                    direction = direction if direction > zero else zero
                following = code + length * direction
                a[i] = code
                known[i] = drive
                trial[i] = following if following > zero else zero


@cuda.jit(cache=True)
def relax_parts(g, v, a, earlier, rest, size, threshold, parts):
    """Sums over the active units of a part of an image of r r, y y, y r, -y d.

    r = g + a - v is the residual, y its change since ``rest``, d = v - earlier.
    """
    square = cuda.shared.array(THREADS, float64)
    moved = cuda.shared.array(THREADS, float64)
    common = cuda.shared.array(THREADS, float64)
    against = cuda.shared.array(THREADS, float64)
    t = cuda.threadIdx.x
    image, split, splits = cuda.blockIdx.x, cuda.blockIdx.y, cuda.gridDim.y
    square[t] = moved[t] = common[t] = against[t] = 0.0
    for i in range(image * size + split * THREADS + t, (image + 1) * size, splits * THREADS):
        if v[i] > threshold:
            r = g[i] + a[i] - v[i]
            y = r - rest[i]
            square[t] += float64(r) * float64(r)
            moved[t] += float64(y) * float64(y)
            common[t] += float64(y) * float64(r)
            against[t] -= float64(y) * float64(v[i] - earlier[i])
    reach = THREADS // 2
    while reach > 0:
        cuda.syncthreads()
        if t < reach:
            square[t] += square[t + reach]
            moved[t] += moved[t + reach]
            common[t] += common[t + reach]
            against[t] += against[t + reach]
        reach //= 2
    if t == 0:
        at = (image * splits + split) * SUMS
        parts[at + SQUARE], parts[at + MOVED] = square[0], moved[0]
        parts[at + COMMON], parts[at + AGAINST] = common[0], against[0]


@cuda.jit(cache=True)
def relax_search_images(sums, control, images):
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for b in range(start, images, cuda.blockDim.x * cuda.gridDim.x):
        at = b * SUMS
        row = control[b * CONTROL : (b + 1) * CONTROL]
        relaxed(row, sums[at + SQUARE], sums[at + MOVED], sums[at + COMMON], sums[at + AGAINST])


@cuda.jit(cache=True)
def relax_units(g, control, v, a, earlier, rest, images, size, threshold, natural):
    """Next potentials, from these or from those of the step before."""
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    zero = v.dtype.type(0)
    for b in range(cuda.blockIdx.y, images, cuda.gridDim.y):
        action = control[b * CONTROL + ACTION]
        rate = v.dtype.type(control[b * CONTROL + STEP])
        undone = v.dtype.type(control[b * CONTROL + TURN])
        if action != HOLD:
            for i in range(b * size + start, (b + 1) * size, cuda.blockDim.x * cuda.gridDim.x):
                if action == BACK:
                    w = earlier[i]
                    u = relax_unit(w, rest[i], rate, natural, threshold, w > threshold)
                else:
                    w = v[i]
                    r = g[i] + a[i] - w
                    begin = w - undone * (w - earlier[i])
                    force = r - undone * (r - rest[i])
                    u = relax_unit(begin, force, rate, natural, threshold, w > threshold)
                    earlier[i], rest[i] = w, r
                v[i] = u
                a[i] = u - threshold if u > threshold else zero


def bind_interrupt(op: Operator, device: Device) -> list[Launch]:
    images = device.shapes[op.target][0]
    arguments = (device.array(op.target), images, op.scalars["event"], device.clock)
    return [Launch(interrupt_images, *device.flat(images), arguments)]


def _bind_sums(
    op: Operator, device: Device, kernel: Any, last: int, more: tuple[Any, ...] = ()
) -> list[Launch]:
    """A pass that leaves sums over each image."""
    images, size = device.images(op.reads[0])
    splits = splits_of(device, images, size)
    parts = device.scratch("solver", images * splits * SUMS, np.float64)
    sums = device.array(op.target)
    state = tuple(device.array(n) for n in op.reads)
    threshold = device.constant(op.scalars["v_thresh"])
    return [
        Launch(kernel, (images, splits), THREADS, (*state, *more, size, threshold, parts)),
        Launch(sum_splits, *device.flat(images * SUMS), (parts, splits, images, last, sums)),
    ]


def bind_measure(op: Operator, device: Device) -> list[Launch]:
    return _bind_sums(op, device, measure_parts, LARGEST)


def bind_weigh(op: Operator, device: Device) -> list[Launch]:
    return _bind_sums(op, device, weigh_parts, LEAVE, (device.array(op.target),))


def _total(op: Operator, device: Device) -> tuple[list[Launch], Any]:
    """Sums over all members of a circuit."""
    members = [device.array(n) for n in op.reads]
    if len(members) == 1:
        return [], members[0]
    total = device.scratch("solver total", members[0].size, np.float64)[: members[0].size]
    launches = [bind_scaled(device, m, 1.0, i == 0, total) for i, m in enumerate(members)]
    return launches, total


def bind_search(op: Operator, device: Device) -> list[Launch]:
    launches, sums = _total(op, device)
    won, control = device.array(op.sets[0]), device.array(op.updates[0])
    return [*launches, Launch(search_images, *device.flat(won.size), (sums, control, won))]


def bind_turn(op: Operator, device: Device) -> list[Launch]:
    launches, sums = _total(op, device)
    images = device.shapes[op.target][0]
    arguments = (sums, device.array(op.target), images)
    return [*launches, Launch(turn_images, *device.flat(images), arguments)]


def bind_move(op: Operator, device: Device) -> list[Launch]:
    images, size = device.images(op.reads[0])
    arrays = tuple(device.array(n) for n in (*op.reads, *op.updates))
    arguments = (*arrays, images, size, device.constant(op.scalars["v_thresh"]))
    return [Launch(move_units, *device.by_image(images, size), arguments)]


def bind_relax_measure(op: Operator, device: Device) -> list[Launch]:
    return _bind_sums(op, device, relax_parts, ADD)


def bind_relax_search(op: Operator, device: Device) -> list[Launch]:
    launches, sums = _total(op, device)
    images = device.shapes[op.target][0]
    arguments = (sums, device.array(op.target), images)
    return [*launches, Launch(relax_search_images, *device.flat(images), arguments)]


def bind_relax_move(op: Operator, device: Device) -> list[Launch]:
    images, size = device.images(op.reads[0])
    arrays = tuple(device.array(n) for n in (*op.reads, *op.updates))
    constants = tuple(device.constant(op.scalars[key]) for key in ("v_thresh", "natural"))
    arguments = (*arrays, images, size, *constants)
    return [Launch(relax_units, *device.by_image(images, size), arguments)]


SOLVERS = {
    "relax_measure": bind_relax_measure,
    "relax_search": bind_relax_search,
    "relax_move": bind_relax_move,
    "solver_interrupt": bind_interrupt,
    "solver_measure": bind_measure,
    "solver_search": bind_search,
    "solver_weigh": bind_weigh,
    "solver_turn": bind_turn,
    "solver_move": bind_move,
}
