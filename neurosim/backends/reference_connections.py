"""Deliveries from one layer to the input of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosim.backends.boundaries import (
    GatherTables,
    gather_tables,
    local_tables,
    patch_tables,
    scatter_tables,
)
from neurosim.plan.operators import Operator

Arrays = dict[str, np.ndarray]


def _deliver(op: Operator, arrays: Arrays, values: np.ndarray) -> None:
    """Set or add to the target, weighted by the channel's coefficient."""
    if op.sets:
        arrays[op.target][...] = op.scalars["coefficient"] * values
    else:
        arrays[op.target][...] += op.scalars["coefficient"] * values


def patches(a: np.ndarray, tables: GatherTables, op: Operator) -> np.ndarray:
    """Patches of a layer under each unit of another.

    Returns
    -------
    array (batch, unit y, unit x, patch y, patch x, feature)
    """
    extended = np.concatenate([a, np.full_like(a[:, :1], op.scalars["value"])], axis=1)
    column = np.full_like(extended[:, :, :1], op.scalars["value"])
    extended = np.concatenate([extended, column], axis=2)
    rows = tables.rows[:, None, :, None]
    columns = tables.columns[None, :, None, :]
    return extended[:, rows, columns]


def gather(op: Operator, arrays: Arrays, step: int) -> None:
    """Each coarse unit sums its patch of the fine layer, weighted."""
    a, dictionary = arrays[op.reads[0]], arrays[op.reads[1]][op.scalars["arbor"]]
    tables = gather_tables(op.scalars["geometry"], op.scalars["mirror"])
    values = np.einsum("byxjif,cjif->byxc", patches(a, tables, op), dictionary, optimize=True)
    _deliver(op, arrays, values)


def spread(a: np.ndarray, weights: np.ndarray, scalars: Mapping[str, Any]) -> np.ndarray:
    """Sum over the coarse units of their patches, each times its unit."""
    dictionary = weights[scalars["arbor"]]
    g = scalars["geometry"]
    t = scatter_tables(g, scalars["mirror"], scalars["value"])
    y, x = g.y, g.x
    # Large enough for every patch, also those that begin or end outside.
    pad_y, pad_x = max(0, -int(t.head_y.min())), max(0, -int(t.head_x.min()))
    height = pad_y + max(int(t.head_y.max()) + y.patch, y.fine)
    width = pad_x + max(int(t.head_x.max()) + x.patch, x.fine)
    plane = np.zeros((a.shape[0], height, width, dictionary.shape[-1]))
    for source_y, head_y in zip(t.source_y, t.head_y, strict=True):
        for source_x, head_x in zip(t.source_x, t.head_x, strict=True):
            if source_y < 0 or source_x < 0:
                unit = np.full_like(a[:, 0, 0], scalars["value"])
            else:
                unit = a[:, source_y, source_x]
            top, left = head_y + pad_y, head_x + pad_x
            plane[:, top : top + y.patch, left : left + x.patch] += np.tensordot(
                unit, dictionary, axes=1
            )
    return plane[:, pad_y : pad_y + y.fine, pad_x : pad_x + x.fine]


def scatter(op: Operator, arrays: Arrays, step: int) -> None:
    """Each coarse unit adds its weighted patch to the fine layer."""
    a, weights = (arrays[n] for n in op.reads)
    _deliver(op, arrays, spread(a, weights, op.scalars))


def residual(op: Operator, arrays: Arrays, step: int) -> None:
    """What reconstructions leave of the layers they reconstruct, in one operator."""
    s = op.scalars
    sources = op.reads[: len(s["coefficients"])]
    codes = op.reads[len(sources) :: 2]
    dictionaries = op.reads[len(sources) + 1 :: 2]
    total = np.zeros_like(arrays[op.target])
    for coefficient, name in zip(s["coefficients"], sources, strict=True):
        total += coefficient * arrays[name]
    for patch, a, w in zip(s["patches"], codes, dictionaries, strict=True):
        total += patch["coefficient"] * spread(arrays[a], arrays[w], patch)
    arrays[op.target][...] = total


def lateral(op: Operator, arrays: Arrays, step: int) -> None:
    """Drive of a whole-field code: the projected input less what competes with it."""
    b, competition, a = (arrays[n] for n in op.reads)
    inhibition = a.reshape(a.shape[0], -1) @ competition
    arrays[op.target][...] = b - inhibition.reshape(b.shape)


def gather_local(op: Operator, arrays: Arrays, step: int) -> None:
    """Each pre unit of the weights sums its own patch of the post layer, weighted."""
    a, weights = arrays[op.reads[0]], arrays[op.reads[1]][op.scalars["arbor"]]
    g = op.scalars["geometry"]
    grid = weights.reshape(g.kernels_y, g.kernels_x, g.pre.nf, *weights.shape[1:])
    inside = grid[g.margin_y :, g.margin_x :][: g.pre.ny, : g.pre.nx]
    window = patches(a, local_tables(g, op.scalars["mirror"]), op)
    _deliver(op, arrays, np.einsum("byxjif,yxcjif->byxc", window, inside))


def scatter_local(op: Operator, arrays: Arrays, step: int) -> None:
    """Each pre unit, those of the margin too, adds its own patch to the post layer."""
    a, weights = arrays[op.reads[0]], arrays[op.reads[1]][op.scalars["arbor"]]
    g = op.scalars["geometry"]
    t = patch_tables(g, op.scalars["mirror"], op.scalars["value"])
    plane = np.zeros((a.shape[0], g.post.ny, g.post.nx, g.post.nf))
    for source_y, head_y, cell_y in zip(t.source_y, t.head_y, t.cell_y, strict=True):
        y0, y1 = max(0, -head_y), min(g.nyp, g.post.ny - head_y)
        for source_x, head_x, cell_x in zip(t.source_x, t.head_x, t.cell_x, strict=True):
            x0, x1 = max(0, -head_x), min(g.nxp, g.post.nx - head_x)
            if y1 <= y0 or x1 <= x0:
                continue
            if source_y < 0 or source_x < 0:
                unit = np.full((a.shape[0], g.pre.nf), op.scalars["value"])
            else:
                unit = a[:, source_y, source_x]
            first = (cell_y * g.kernels_x + cell_x) * g.pre.nf
            own = weights[first : first + g.pre.nf, y0:y1, x0:x1]
            plane[:, head_y + y0 : head_y + y1, head_x + x0 : head_x + x1] += np.tensordot(
                unit, own, axes=1
            )
    _deliver(op, arrays, plane)


def ident(op: Operator, arrays: Arrays, step: int) -> None:
    """Unit to unit."""
    _deliver(op, arrays, arrays[op.reads[0]])


def pool(op: Operator, arrays: Arrays, step: int) -> None:
    """Maximum, sum or mean of each feature over a window."""
    tables = gather_tables(op.scalars["geometry"], op.scalars["mirror"])
    window = patches(arrays[op.reads[0]], tables, op)
    axes = (3, 4)
    method = op.scalars["method"]
    if method == "max":
        if op.scalars["sparse"]:
            values = np.where(window == 0, -np.inf, window).max(axes)
            values = np.where(np.isneginf(values), 0.0, values)
        else:
            values = window.max(axes)
    else:
        values = window.sum(axes) if method == "sum" else window.mean(axes)
    _deliver(op, arrays, values)


CONNECTIONS = {
    "gather": gather,
    "scatter": scatter,
    "gather_local": gather_local,
    "scatter_local": scatter_local,
    "ident": ident,
    "pool": pool,
    "residual": residual,
    "lateral": lateral,
}
