"""Deliveries from one layer to the input of another."""

from __future__ import annotations

import numpy as np

from neurosim.backends.boundaries import gather_tables, scatter_tables
from neurosim.plan.operators import Operator

Arrays = dict[str, np.ndarray]


def _deliver(op: Operator, arrays: Arrays, values: np.ndarray) -> None:
    """Set or add to the target, weighted by the channel's coefficient."""
    if op.sets:
        arrays[op.target][...] = op.scalars["coefficient"] * values
    else:
        arrays[op.target][...] += op.scalars["coefficient"] * values


def patches(a: np.ndarray, op: Operator) -> np.ndarray:
    """Patches of a fine layer under each coarse unit.

    Returns
    -------
    array (batch, coarse y, coarse x, patch y, patch x, feature)
    """
    tables = gather_tables(op.scalars["geometry"], op.scalars["mirror"])
    extended = np.concatenate([a, np.full_like(a[:, :1], op.scalars["value"])], axis=1)
    column = np.full_like(extended[:, :, :1], op.scalars["value"])
    extended = np.concatenate([extended, column], axis=2)
    rows = tables.rows[:, None, :, None]
    columns = tables.columns[None, :, None, :]
    return extended[:, rows, columns]


def gather(op: Operator, arrays: Arrays, step: int) -> None:
    """Each coarse unit sums its patch of the fine layer, weighted."""
    a, dictionary = arrays[op.reads[0]], arrays[op.reads[1]][op.scalars["arbor"]]
    values = np.einsum("byxjif,cjif->byxc", patches(a, op), dictionary, optimize=True)
    _deliver(op, arrays, values)


def scatter(op: Operator, arrays: Arrays, step: int) -> None:
    """Each coarse unit adds its weighted patch to the fine layer."""
    a, dictionary = arrays[op.reads[0]], arrays[op.reads[1]][op.scalars["arbor"]]
    g = op.scalars["geometry"]
    t = scatter_tables(g, op.scalars["mirror"], op.scalars["value"])
    y, x = g.y, g.x
    # Large enough for every patch, also those that begin or end outside.
    pad_y, pad_x = max(0, -int(t.head_y.min())), max(0, -int(t.head_x.min()))
    height = pad_y + max(int(t.head_y.max()) + y.patch, y.fine)
    width = pad_x + max(int(t.head_x.max()) + x.patch, x.fine)
    plane = np.zeros((a.shape[0], height, width, dictionary.shape[-1]))
    for source_y, head_y in zip(t.source_y, t.head_y, strict=True):
        for source_x, head_x in zip(t.source_x, t.head_x, strict=True):
            if source_y < 0 or source_x < 0:
                unit = np.full_like(a[:, 0, 0], op.scalars["value"])
            else:
                unit = a[:, source_y, source_x]
            top, left = head_y + pad_y, head_x + pad_x
            plane[:, top : top + y.patch, left : left + x.patch] += np.tensordot(
                unit, dictionary, axes=1
            )
    _deliver(op, arrays, plane[:, pad_y : pad_y + y.fine, pad_x : pad_x + x.fine])


def ident(op: Operator, arrays: Arrays, step: int) -> None:
    """Unit to unit."""
    _deliver(op, arrays, arrays[op.reads[0]])


def pool(op: Operator, arrays: Arrays, step: int) -> None:
    """Maximum, sum or mean of each feature over a window."""
    window = patches(arrays[op.reads[0]], op)
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


CONNECTIONS = {"gather": gather, "scatter": scatter, "ident": ident, "pool": pool}
