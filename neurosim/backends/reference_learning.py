"""Weight updates: increments, momentum, normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosim.backends.boundaries import dictionary_index, patch_tables
from neurosim.plan.operators import Operator

Arrays = dict[str, np.ndarray]


def hebbian(op: Operator, arrays: Arrays, step: int) -> None:
    """dW += rate * pre * post and the number of occurrences, over the batch."""
    s = op.scalars
    pre, post, rate = (arrays[n] for n in op.reads)
    dw, count = (arrays[n] for n in (op.sets + op.incs))
    if s["clear"]:
        dw[...] = 0
        count[...] = 0
    g = s["geometry"]
    t = patch_tables(g, s["mirror"], s["value"])
    dw, count = dw[s["arbor"]], count[s["arbor"]]
    for source_y, head_y, cell_y in zip(t.source_y, t.head_y, t.cell_y, strict=True):
        y0, y1 = max(0, -head_y), min(g.nyp, g.post.ny - head_y)
        for source_x, head_x, cell_x in zip(t.source_x, t.head_x, t.cell_x, strict=True):
            x0, x1 = max(0, -head_x), min(g.nxp, g.post.nx - head_x)
            if y1 <= y0 or x1 <= x0:
                continue
            if source_y < 0 or source_x < 0:
                unit = np.full((pre.shape[0], g.pre.nf), s["value"])
            else:
                unit = pre[:, source_y, source_x]
            patch = post[:, head_y + y0 : head_y + y1, head_x + x0 : head_x + x1]
            first = (cell_y * g.kernels_x + cell_x) * g.pre.nf
            kernels = slice(first, first + g.pre.nf)
            dw[kernels, y0:y1, x0:x1] += rate[0] * np.tensordot(unit, patch, axes=(0, 0))
            count[kernels, y0:y1, x0:x1] += (unit != 0).sum(0)[:, None, None]
    rate[2] = 1


def learn(op: Operator, arrays: Arrays, step: int) -> None:
    """Mean over occurrences, momentum, update; then the rate decays."""
    s = op.scalars
    count = arrays[op.reads[0]]
    w, rate, dw = (arrays[n] for n in op.updates[:3])
    if s["deferred"] and rate[2] == 0:
        return
    if s["normalize"]:
        dw[...] = np.where(count[..., None] > 0, dw / np.maximum(count, 1)[..., None], 0)
    if s["method"] != "hebbian":
        previous = arrays[op.updates[3]]
        factor, decay = momentum_factor(s, rate[0])
        new = 1.0 if s["gain_kept"] else 1 - factor
        dw[...] = new * dw + factor * previous - decay * w
        previous[...] = dw
    w += dw
    decay_rate(s, rate)


def train(op: Operator, arrays: Arrays, step: int) -> None:
    """Increments and rule, without increments that anybody else sees."""
    increments, rule = op.scalars["increments"], op.scalars["rule"]
    w = arrays[op.updates[0]]
    dw, count = increments.sets
    held = {**arrays, dw: np.zeros_like(w), count: np.zeros(w.shape[:-1])}
    hebbian(increments, held, step)
    learn(rule, held, step)


def momentum_factor(s: Mapping[str, Any], rate: float) -> tuple[float, float]:
    """Share of the last increment kept, and the pull of weights to zero."""
    tau, decay = s["time_constant"], s["weight_decay"]
    if s["method"] == "viscosity":
        return (float(np.exp(-1 / tau)) if tau else 0.0), decay
    return tau, decay * rate if s["method"] == "alex" else decay


def decay_rate(s: Mapping[str, Any], rate: np.ndarray) -> None:
    """dWMax shrinks at the first update and then every ``interval + 1``."""
    if s["decay_interval"] > 0:
        rate[1] -= 1
        if rate[1] < 0:
            rate[1] = s["decay_interval"]
            rate[0] *= 1 - s["decay_factor"]


def normalize(op: Operator, arrays: Arrays, step: int) -> None:
    """Scale each kernel, alone or jointly over arbors and a group."""
    s = op.scalars
    group = [arrays[n] for n in op.updates]
    if s["method"] != "normalizeContrastZeroMean":
        prepare_weights(group, s)
    arbors = group[0].shape[0]
    blocks = [slice(a, a + 1) for a in range(arbors)] if s["per_arbor"] else [slice(None)]
    for block in blocks:
        for kernel in range(group[0].shape[1]):
            members = [w[block, kernel] for w in group]
            if not _scale(members, s):
                break


def prepare_weights(group: list[np.ndarray], s: Mapping[str, Any]) -> None:
    """Hollow centre, no negative weights, small weights to zero; in this order."""
    for w in group:
        if s["r_min_x"] > 0.5 and s["r_min_y"] > 0.5:
            edges = []
            for size, radius in ((w.shape[2], s["r_min_y"]), (w.shape[3], s["r_min_x"])):
                edge = max(0, int(np.ceil((size - np.floor(2 * radius)) / 2)))
                edges.append(slice(edge, size - edge))
            w[:, :, edges[0], edges[1]] = 0
        if s["nonnegative"]:
            np.maximum(w, 0, out=w)
    if s["cutoff"] > 0:
        limit = s["cutoff"] * max(float(np.abs(w).max()) for w in group)
        for w in group:
            w[np.abs(w) < limit] = 0


def _scale(members: list[np.ndarray], s: Mapping[str, Any]) -> bool:
    """Normalise one kernel; false where PetaVision leaves the later ones as they are."""
    method = s["method"]
    total = sum(float(m.sum()) for m in members)
    if method == "normalizeContrastZeroMean":
        n = sum(m.size for m in members)
        mean = total / n
        variance = sum(float((m**2).sum()) for m in members) / n - mean**2
        if abs(total) <= s["tolerated"] or variance <= 0:
            return True
        for m in members:
            m[...] = (m - mean) / np.sqrt(variance) * s["strength"]
        return True
    if method == "normalizeL2":
        squares = sum(float((m**2).sum()) for m in members)
        size = np.sqrt(squares)
        small = (size if s["per_arbor"] else squares) <= s["tolerated"]
    elif method == "normalizeSum":
        size, small = total, abs(total) <= s["tolerated"]
    else:
        size = max(0.0, *(float(m.max()) for m in members))
        small = size <= s["tolerated"]
    if small:
        return method != "normalizeL2" or s["per_arbor"]
    for m in members:
        m *= s["strength"] / size
    return True


def rearrange(op: Operator, arrays: Arrays, step: int) -> None:
    """Many-to-one weights as one patch of the fine layer per coarse feature."""
    source, target = arrays[op.reads[0]], arrays[op.target]
    index = dictionary_index(op.scalars["geometry"])
    for arbor in range(source.shape[0]):
        target[arbor] = source[arbor].reshape(-1)[index]


def gram(op: Operator, arrays: Arrays, step: int) -> None:
    """Inner products of the atoms of a dictionary, ``(feature, feature)``."""
    dictionary = arrays[op.reads[0]][op.scalars["arbor"]]
    flat = dictionary.reshape(dictionary.shape[0], -1)
    arrays[op.target][...] = op.scalars["coefficient"] * (flat @ flat.T)


LEARNING = {
    "hebbian": hebbian,
    "learn": learn,
    "train": train,
    "normalize": normalize,
    "rearrange": rearrange,
    "gram": gram,
}
