"""Deliveries on the CPU that multiply no weights, and the table of all deliveries."""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.backends.boundaries import gather_tables
from neurosim.backends.cpu_gather import DRIVES
from neurosim.backends.cpu_lateral import LATERAL
from neurosim.backends.cpu_layers import OPTIONS, add_scaled, set_scaled
from neurosim.backends.cpu_scatter import RECONSTRUCTIONS
from neurosim.backends.cpu_tile import Call, Tile
from neurosim.plan.operators import Operator


@njit(**OPTIONS)
def pool_windows(a, rows, columns, value, method, sparse, coefficient, clear, target):
    """Maximum (0), sum (1) or mean (2) of each feature over each window."""
    images, _, _, nf = a.shape
    for b in range(images):
        for y in range(rows.shape[0]):
            for x in range(columns.shape[0]):
                for f in range(nf):
                    total = 0.0
                    largest = -np.inf
                    for j in range(rows.shape[1]):
                        for i in range(columns.shape[1]):
                            unit = value
                            if rows[y, j] >= 0 and columns[x, i] >= 0:
                                unit = a[b, rows[y, j], columns[x, i], f]
                            total += unit
                            if unit > largest and not (sparse and unit == 0.0):
                                largest = unit
                    if method == 2:
                        total /= rows.shape[1] * columns.shape[1]
                    elif method == 0:
                        total = largest if largest > -np.inf else 0.0
                    if clear:
                        target[b, y, x, f] = coefficient * total
                    else:
                        target[b, y, x, f] += coefficient * total


def bind_ident(op: Operator, tile: Tile) -> Call:
    source, target = tile.view(op.reads[0]).reshape(-1), tile.view(op.target).reshape(-1)
    coefficient = tile.real(op.scalars["coefficient"])
    kernel = set_scaled if op.sets else add_scaled

    def call(step: int) -> None:
        kernel(source, coefficient, target)

    return call


def bind_pool(op: Operator, tile: Tile) -> Call:
    s = op.scalars
    tables = gather_tables(s["geometry"], s["mirror"])
    a, target = tile.view(op.reads[0]), tile.view(op.target)
    method = ("max", "sum", "avg").index(s["method"])
    value, coefficient = tile.real(s["value"]), tile.real(s["coefficient"])
    clear = bool(op.sets)

    def call(step: int) -> None:
        pool_windows(
            a, tables.rows, tables.columns, value, method, s["sparse"], coefficient, clear, target
        )

    return call


CONNECTIONS = {**DRIVES, **LATERAL, **RECONSTRUCTIONS, "ident": bind_ident, "pool": bind_pool}
