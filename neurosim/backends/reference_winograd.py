"""Drives by nested short convolutions, as plan/winograd.py states them."""

from __future__ import annotations

import numpy as np

from neurosim.backends.boundaries import extended_tables
from neurosim.plan.operators import Operator
from neurosim.plan.winograd import features, taps, transform

Arrays = dict[str, np.ndarray]


def transformed(dictionary: np.ndarray, op: Operator) -> np.ndarray:
    """Weights of the products, ``(product, fine feature and position, coarse feature)``.

    dictionary : (coarse feature, patch y, patch x, fine feature)
    """
    g = op.scalars["geometry"]
    fine, coarse = features(g)[0], len(dictionary)
    y, x = taps(g.y), taps(g.x)
    split = dictionary.reshape(coarse, y, g.y.ratio, x, g.x.ratio, -1)
    spread = np.einsum(
        "pt,qs,ctjsif->pqjifc", transform(y).weights, transform(x).weights, split, optimize=True
    )
    return spread.reshape(-1, fine, coarse)


def winograd_weights(op: Operator, arrays: Arrays, step: int) -> None:
    arrays[op.target][...] = transformed(arrays[op.reads[0]][op.scalars["arbor"]], op)


def gather_winograd(op: Operator, arrays: Arrays, step: int) -> None:
    """Each coarse unit sums its patch of the fine layer, from products of transforms."""
    s, g = op.scalars, op.scalars["geometry"]
    a, weights = (arrays[n] for n in op.reads)
    rows, columns = extended_tables(g, s["mirror"])
    edge = np.full_like(a[:, :1], s["value"])
    extended = np.concatenate([a, edge], axis=1)
    extended = np.concatenate([extended, np.full_like(extended[:, :, :1], s["value"])], axis=2)
    plane = extended[:, rows][:, :, columns]
    y, x = taps(g.y), taps(g.x)
    ty, tx = transform(y), transform(x)
    split = plane.reshape(
        a.shape[0], plane.shape[1] // g.y.ratio, g.y.ratio, -1, g.x.ratio, a.shape[3]
    )
    tiles_y = np.arange(0, g.y.coarse, y)[:, None] + np.arange(2 * y - 1)
    tiles_x = np.arange(0, g.x.coarse, x)[:, None] + np.arange(2 * x - 1)
    blocks = split[:, tiles_y][:, :, :, :, tiles_x]  # image, tile, row, position, tile, column, ...
    data = np.einsum(
        "pn,qm,bunjvmif->pqbuvjif", ty.inputs, tx.inputs, blocks, optimize=True
    ).reshape(ty.products, tx.products, a.shape[0], len(tiles_y), len(tiles_x), -1)
    weights = weights.reshape(ty.products, tx.products, *weights.shape[1:])
    found = np.einsum("pqbuvk,pqkc->pqbuvc", data, weights, optimize=True)
    out = np.einsum("yp,xq,pqbuvc->buyvxc", ty.outputs, tx.outputs, found, optimize=True)
    values = s["coefficient"] * out.reshape(arrays[op.target].shape)
    if op.sets:
        arrays[op.target][...] = values
    else:
        arrays[op.target][...] += values


WINOGRAD = {"gather_winograd": gather_winograd, "winograd_weights": winograd_weights}
