"""Drives by short convolutions, as plan/winograd.py states them."""

from __future__ import annotations

import numpy as np

from neurosim.backends.boundaries import extended_tables
from neurosim.plan.operators import Operator

Arrays = dict[str, np.ndarray]


def transformed(dictionary: np.ndarray, op: Operator) -> np.ndarray:
    """Weights of the products, ``(product, fine feature and position, coarse feature)``.

    dictionary : (coarse feature, patch y, patch x, fine feature)
    """
    rule = op.scalars["rule"]
    y, x = rule.y, rule.x
    split = dictionary.reshape(len(dictionary), y.taps, y.span, x.taps, x.span, -1)
    spread = np.einsum(
        "pt,qs,ctjsif->pqjifc", y.transform.weights, x.transform.weights, split, optimize=True
    )
    return spread.reshape(-1, rule.fine, len(dictionary))


def winograd_weights(op: Operator, arrays: Arrays, step: int) -> None:
    arrays[op.target][...] = transformed(arrays[op.reads[0]][op.scalars["arbor"]], op)


def gather_winograd(op: Operator, arrays: Arrays, step: int) -> None:
    """Each coarse unit sums its patch of the fine layer, from products of transforms."""
    s, rule = op.scalars, op.scalars["rule"]
    a, weights = (arrays[n] for n in op.reads)
    rows, columns = extended_tables(s["geometry"], s["mirror"])
    edge = np.full_like(a[:, :1], s["value"])
    extended = np.concatenate([a, edge], axis=1)
    extended = np.concatenate([extended, np.full_like(extended[:, :, :1], s["value"])], axis=2)
    rows, columns = rows[rule.y.sources], columns[rule.x.sources]
    # (image, tile, input, unit, tile, input, unit, feature): those of y, then those of x
    blocks = extended[:, rows][:, :, :, :, columns]
    ty, tx = rule.y.transform, rule.x.transform
    data = np.einsum("pn,qm,bunjvmif->pqbuvjif", ty.inputs, tx.inputs, blocks, optimize=True)
    data = data.reshape(*data.shape[:5], -1)
    weights = weights.reshape(ty.products, tx.products, *weights.shape[1:])
    found = np.einsum("pqbuvk,pqkc->pqbuvc", data, weights, optimize=True)
    out = np.einsum("yp,xq,pqbuvc->buyvxc", ty.outputs, tx.outputs, found, optimize=True)
    values = s["coefficient"] * out.reshape(arrays[op.target].shape)
    if op.sets:
        arrays[op.target][...] = values
    else:
        arrays[op.target][...] += values


WINOGRAD = {"gather_winograd": gather_winograd, "winograd_weights": winograd_weights}
