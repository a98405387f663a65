"""Arithmetic and memory traffic of an operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from neurosim.plan.operators import Buffer, Operator

GATHERS = ("gather", "gather_local", "gather_winograd")
SCATTERS = ("scatter", "scatter_local")
SIZES = {"real": 4, "float64": 8, "int64": 8}


@dataclass(frozen=True)
class Work:
    """What an operator has to do, for one image or, on weights, for the batch.

    Attributes
    ----------
    dense : float
        Multiplications and additions, whatever the activity. Methods that save
        some of them are counted as if they did not.
    sparse : tuple of (str, float)
        Activity buffers, and multiplications and additions if all their units were
        active.
    bytes : float
        Read from and written to buffers, once each, in float32.
    per_batch : bool
        Whether it is done once for all images.
    call_bytes : float
        Of the weights that a dense product reads at each call, for however many
        images.
    """

    dense: float
    sparse: tuple[tuple[str, float], ...]
    bytes: float
    per_batch: bool = False
    call_bytes: float = 0.0

    def flops(self, active: Mapping[str, float]) -> float:
        """Multiplications and additions at these active fractions."""
        return self.dense + sum(active.get(name, 1.0) * flops for name, flops in self.sparse)


def operator_work(op: Operator, buffers: Mapping[str, Buffer]) -> Work:
    """Work of one call of an operator on one image."""
    s, per_batch = op.scalars, is_weights(buffers[op.target])
    dense, sparse, weights = 0.0, [], 0.0
    if op.kind in GATHERS:
        dense = 2.0 * s["geometry"].multiply_adds
        weights = _bytes(buffers[op.reads[1]], True)
    elif op.kind in SCATTERS:
        sparse = [(op.reads[0], 2.0 * s["geometry"].multiply_adds)]
    elif op.kind == "residual":
        codes = op.reads[len(s["coefficients"]) :: 2]
        sparse = [
            (code, 2.0 * patch["geometry"].multiply_adds)
            for code, patch in zip(codes, s["patches"], strict=True)
        ]
    elif op.kind == "lateral":
        features = buffers[op.reads[1]].shape[0]
        sparse = [(op.reads[2], 2.0 * features * features)]
    elif op.kind == "gram":
        dense = 2.0 * buffers[op.target].shape[0] * prod(buffers[op.reads[0]].shape)
    moved = sum(_bytes(buffers[name], per_batch) for name in (*op.reads, *op.sets))
    moved += 2 * sum(_bytes(buffers[name], per_batch) for name in (*op.incs, *op.updates))
    return Work(dense, tuple(sparse), moved, per_batch, weights)


def is_weights(buffer: Buffer) -> bool:
    """Whether a buffer has no batch axis: weights and what is made of them."""
    made = len(buffer.shape) in (3, 5) or buffer.name.endswith(":products")
    return made or buffer.role in ("weights", "momentum")


def _bytes(buffer: Buffer, whole: bool) -> float:
    """Of all of a buffer, or of one image's part of it; weights have none."""
    size = SIZES[buffer.dtype] * prod(buffer.shape)
    if whole:
        return float(size)
    return 0.0 if is_weights(buffer) else size / buffer.shape[0]
