"""Weight updates on a CUDA device: each weight belongs to one thread, sums go in a fixed order."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import cuda, int32

from neurosim.backends import cells
from neurosim.backends.boundaries import dictionary_index, patch_tables
from neurosim.backends.cuda_connections import bind_gram
from neurosim.backends.cuda_device import SIMULATED, THREADS, Device, Launch, device_function, fill
from neurosim.backends.cuda_normalize import bind_normalize
from neurosim.backends.reference_learning import momentum_factor
from neurosim.plan.operators import Operator

momentum_increment = device_function(cells.momentum_increment)

#: Weights of a patch that one thread of a block owns.
WEIGHTS_EACH = 8 if SIMULATED else 4
#: What one update keeps of the last: nothing, a fixed share, or a decay that follows the rate.
PLAIN, FIXED, FOLLOWS = range(3)


@cache
def hebbian_kernel(real: Any) -> Any:
    # Long: listing and summing share the chunk in shared memory.
    """Kernel in which a block sums the increments of some weights of one kernel.

    The block goes through the positions that use the kernel in chunks of one a thread, lists those
    where the pre unit is not zero, and each thread adds the post units under its own weights.
    """
    owned = WEIGHTS_EACH

    @cuda.jit(cache=True)
    def hebbian(
        pre, post, rate, rows, columns, rows_each, columns_each, source_y, source_x,
        head_y, head_x, kernels_x, images, ny, nx, nf, value, post_y, post_x, post_nf,
        patch_y, patch_x, clear, dw, count,
    ):  # fmt: skip
        # Long: every line shares the chunk in shared memory.
        found = cuda.shared.array(THREADS, int32)
        unit = cuda.shared.array(THREADS, real)
        image = cuda.shared.array(THREADS, int32)
        top = cuda.shared.array(THREADS, int32)
        left = cuda.shared.array(THREADS, int32)
        sums = cuda.local.array(owned, real)
        times = cuda.local.array(owned, int32)
        thread = cuda.threadIdx.x
        kernel = cuda.blockIdx.x
        place = kernel // nf
        feature = kernel - place * nf
        cell_y = place // kernels_x
        cell_x = place - cell_y * kernels_x
        length = patch_y * patch_x * post_nf
        first = cuda.blockIdx.y * THREADS * owned + thread
        for w in range(owned):
            sums[w], times[w] = real(0.0), 0
        positions = images * rows_each * columns_each
        for chunk in range(0, positions, THREADS):
            at = chunk + thread
            x = real(0.0)
            b, iy, ix = 0, -1, -1
            if at < positions:
                line = at // columns_each
                b = line // rows_each
                iy = rows[cell_y * rows_each + line - b * rows_each]
                ix = columns[cell_x * columns_each + at - line * columns_each]
            if iy >= 0 and ix >= 0:
                x = value
                if source_y[iy] >= 0 and source_x[ix] >= 0:
                    x = pre[((b * ny + source_y[iy]) * nx + source_x[ix]) * nf + feature]
            mine = 1 if x != 0 else 0
            found[thread] = mine
            cuda.syncthreads()
            reach = 1
            while reach < THREADS:
                before = found[thread - reach] if thread >= reach else 0
                cuda.syncthreads()
                found[thread] += before
                cuda.syncthreads()
                reach *= 2
            if mine == 1:
                slot = found[thread] - 1
                unit[slot], image[slot] = x, b
                top[slot], left[slot] = head_y[iy], head_x[ix]
            cuda.syncthreads()
            active = found[THREADS - 1]
            for w in range(owned):
                weight = first + w * THREADS
                if weight < length:
                    line = weight // post_nf
                    f = weight - line * post_nf
                    j = line // patch_x
                    i = line - j * patch_x
                    for q in range(active):
                        y, x_post = top[q] + j, left[q] + i
                        if y >= 0 and y < post_y and x_post >= 0 and x_post < post_x:
                            under = ((image[q] * post_y + y) * post_x + x_post) * post_nf + f
                            sums[w] += unit[q] * post[under]
                            times[w] += 1
            cuda.syncthreads()
        learned = real(rate[0])
        for w in range(owned):
            weight = first + w * THREADS
            if weight < length:
                at = kernel * length + weight
                line = at // post_nf
                if clear:
                    dw[at] = learned * sums[w]
                else:
                    dw[at] += learned * sums[w]
                if line * post_nf == at:
                    if clear:
                        count[line] = times[w]
                    else:
                        count[line] += times[w]
        if kernel == 0 and first == 0:
            rate[2] = 1.0

    return hebbian


@cuda.jit(cache=True)
def apply_increments(
    w, dw, previous, count, rate, features, normalize, deferred, rule, gain, factor, decay
):
    """Mean over occurrences, momentum, update."""
    if not deferred or rate[2] != 0.0:
        start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        pull = decay
        if rule == FOLLOWS:
            pull = decay * w.dtype.type(rate[0])
        for i in range(start, w.size, cuda.blockDim.x * cuda.gridDim.x):
            change = dw[i]
            if normalize:
                n = count[i // features]
                change = change / n if n > 0 else w.dtype.type(0)
            if rule != PLAIN:
                change = momentum_increment(change, previous[i], w[i], gain, factor, pull)
                previous[i] = change
            dw[i] = change
            w[i] += change


@cuda.jit(cache=True)
def decay_rate(rate, deferred, interval, kept):
    """dWMax shrinks at the first update and then every ``interval + 1``."""
    if not deferred or rate[2] != 0.0:
        rate[1] -= 1.0
        if rate[1] < 0.0:
            rate[1] = interval
            rate[0] *= kept


@cuda.jit(cache=True)
def take(source, index, target):
    start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for i in range(start, target.size, cuda.blockDim.x * cuda.gridDim.x):
        target[i] = source[index[i]]


def bind_hebbian(op: Operator, device: Device) -> list[Launch]:
    s = op.scalars
    g = s["geometry"]
    t = patch_tables(g, s["mirror"], s["value"])
    pre, post, rate = op.reads
    dw, count = (op.sets + op.incs)[:2]
    images, ny, nx, nf = device.shapes[pre]
    _, post_y, post_x, post_nf = device.shapes[post]
    arbors, kernels, patch_y, patch_x, _ = device.shapes[dw]
    rows, columns = (
        positions_by_cell(cells_, n)
        for cells_, n in ((t.cell_y, g.kernels_y), (t.cell_x, g.kernels_x))
    )
    launches = []
    if s["clear"] and arbors > 1:
        for name in (dw, count):
            array = device.array(name)
            launches.append(Launch(fill, *device.flat(array.size), (array, device.constant(0))))
    up = device.upload
    arguments = (
        device.array(pre), device.array(post), device.array(rate), up(rows), up(columns),
        rows.shape[1], columns.shape[1], up(t.source_y), up(t.source_x), up(t.head_y), up(t.head_x),
        g.kernels_x, images, ny, nx, nf, device.constant(s["value"]), post_y, post_x, post_nf,
        patch_y, patch_x, bool(s["clear"]), device.part(dw, s["arbor"]),
        device.part(count, s["arbor"]),
    )  # fmt: skip
    blocks = -(-(patch_y * patch_x * post_nf) // (THREADS * WEIGHTS_EACH))
    launches.append(Launch(hebbian_kernel(device.real), (kernels, blocks), THREADS, arguments))
    return launches


def positions_by_cell(cell: np.ndarray, cells_: int) -> np.ndarray:
    """Positions along one axis that use each row of kernels, (cell, position); -1 where fewer."""
    listed = [np.flatnonzero(cell == c) for c in range(cells_)]
    table = np.full((cells_, max(1, max(len(x) for x in listed))), -1)
    for c, positions in enumerate(listed):
        table[c, : len(positions)] = positions
    return table


def bind_learn(op: Operator, device: Device) -> list[Launch]:
    s: Any = op.scalars
    w, rate, dw, *more = (device.array(n) for n in op.updates)
    rule, factor, decay = PLAIN, 0.0, 0.0
    if s["method"] != "hebbian":
        rule = FOLLOWS if s["method"] == "alex" else FIXED
        factor, decay = momentum_factor(s, 1.0)
    gain = 1.0 if s.get("gain_kept", False) else 1.0 - factor
    deferred = bool(s["deferred"])
    arguments = (
        w, dw, more[0] if more else dw, device.array(op.reads[0]), rate,
        device.shapes[op.updates[0]][-1], bool(s["normalize"]), deferred, rule,
        *(device.constant(x) for x in (gain, factor, decay)),
    )  # fmt: skip
    launches = [Launch(apply_increments, *device.flat(w.size), arguments)]
    if s["decay_interval"] > 0:
        rates = (rate, deferred, float(s["decay_interval"]), 1.0 - float(s["decay_factor"]))
        launches.append(Launch(decay_rate, (1,), 1, rates))
    return launches


def bind_train(op: Operator, device: Device) -> list[Launch]:
    """Increments that nobody else sees, in memory that such operators share, then the rule."""
    increments, rule = op.scalars["increments"], op.scalars["rule"]
    dw, count = increments.sets
    shape = device.shapes[op.updates[0]]
    device.borrow(dw, shape, "increments")
    device.borrow(count, shape[:-1], "occurrences")
    return bind_hebbian(increments, device) + bind_learn(rule, device)


def bind_rearrange(op: Operator, device: Device) -> list[Launch]:
    index = device.upload(dictionary_index(op.scalars["geometry"]), np.int64)
    launches = []
    for arbor in range(device.shapes[op.target][0]):
        source, target = device.part(op.reads[0], arbor), device.part(op.target, arbor)
        launches.append(Launch(take, *device.flat(target.size), (source, index, target)))
    return launches


LEARNING = {
    "hebbian": bind_hebbian,
    "learn": bind_learn,
    "train": bind_train,
    "normalize": bind_normalize,
    "rearrange": bind_rearrange,
    "gram": bind_gram,
}
