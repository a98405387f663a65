"""PetaVision's patch rules, one unit at a time: nothing here is shared with neurosim.

Positions are those of the layer without its margin; a margin cell has a negative
position or one beyond the last. Layers are ``(y, x, feature)``, weights
``(kernel, y, x, feature)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Axis:
    """One axis of a connection from ``pre`` to ``post`` units with patches of ``n``."""

    pre: int
    post: int
    n: int

    @property
    def m(self) -> int:
        """Pre units per post unit, at least 1."""
        return max(1, self.pre // self.post)

    @property
    def s(self) -> int:
        """Post units per pre unit, at least 1."""
        return max(1, self.post // self.pre)

    @property
    def margin(self) -> int:
        if self.m > 1:
            return (self.n - 1) * self.m // 2
        if self.s > 1:
            return (self.n // self.s) // 2
        return (self.n - 1) // 2

    def start(self, x: int) -> int:
        """First post unit of the patch of pre unit ``x``."""
        if self.m > 1:
            return int(np.floor((x - (self.m / 2) * (self.n - 1)) / self.m))
        if self.s > 1:
            return self.s * x - (self.n - self.s) // 2
        return x - (self.n - 1) // 2

    @property
    def turned(self) -> Axis:
        """The same axis for the transposed connection."""
        return Axis(self.post, self.pre, self.n * self.m // self.s)

    def turned_item(self, cell: int, i: int) -> tuple[int, int]:
        """Where item ``i`` of unit-cell position ``cell`` stands after transposing: cell, item."""
        n, m, s = self.n, self.m, self.s
        conjugate = n - 1 - i
        shifted = (cell - (n - 1) * m // 2) % m
        item = (m * conjugate + shifted) // s
        return (i - (n - s) // 2) % s if s > 1 else 0, item


def kernels(y: Axis, x: Axis, nf: int) -> int:
    return y.m * x.m * nf


def transposed(w: np.ndarray, y: Axis, x: Axis) -> np.ndarray:
    """Weights of the TransposeConn of a connection with weights ``w``."""
    nf_pre, nf_post = len(w) // (y.m * x.m), w.shape[3]
    turned = np.full((kernels(y.turned, x.turned, nf_post), y.turned.n, x.turned.n, nf_pre), np.nan)
    for kernel in range(len(w)):
        cell, f_pre = divmod(kernel, nf_pre)
        cell_y, cell_x = divmod(cell, x.m)
        for j in range(y.n):
            for i in range(x.n):
                to_y, item_y = y.turned_item(cell_y, j)
                to_x, item_x = x.turned_item(cell_x, i)
                for f_post in range(nf_post):
                    to = (to_y * x.turned.m + to_x) * nf_post + f_post
                    assert np.isnan(turned[to, item_y, item_x, f_pre]), "two items in one place"
                    turned[to, item_y, item_x, f_pre] = w[kernel, j, i, f_post]
    assert not np.isnan(turned).any()
    return turned


def extended(a: np.ndarray, y: int, x: int, mirror: bool, value: float) -> float | np.ndarray:
    """Features at any position of a layer with its margin."""
    ny, nx = a.shape[:2]
    if mirror:
        y = -1 - y if y < 0 else 2 * ny - 1 - y if y >= ny else y
        x = -1 - x if x < 0 else 2 * nx - 1 - x if x >= nx else x
    elif not (0 <= y < ny and 0 <= x < nx):
        return np.full(a.shape[2], value)
    return a[y, x]


def meetings(
    a: np.ndarray, y: Axis, x: Axis, mirror: bool, value: float
) -> Iterator[tuple[int, float, int, int, int, int]]:
    """Each kernel, pre value, patch item and post unit that meet: kernel, a, j, i, post y, x."""
    nf = a.shape[2]
    for py in range(-y.margin, y.pre + y.margin):
        for px in range(-x.margin, x.pre + x.margin):
            unit = extended(a, py, px, mirror, value)
            for j in range(y.n):
                for i in range(x.n):
                    qy, qx = y.start(py) + j, x.start(px) + i
                    if 0 <= qy < y.post and 0 <= qx < x.post:
                        for f in range(nf):
                            kernel = ((py % y.m) * x.m + px % x.m) * nf + f
                            yield kernel, unit[f], j, i, qy, qx


def delivered(
    a: np.ndarray, w: np.ndarray, y: Axis, x: Axis, mirror: bool, value: float
) -> np.ndarray:
    """Input that the post layer gets."""
    out = np.zeros((y.post, x.post, w.shape[3]))
    for kernel, unit, j, i, qy, qx in meetings(a, y, x, mirror, value):
        out[qy, qx] += unit * w[kernel, j, i]
    return out


def increments(
    a: np.ndarray, post: np.ndarray, y: Axis, x: Axis, mirror: bool, value: float
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of products, and number of occurrences, of each weight."""
    nf = a.shape[2]
    total = np.zeros((kernels(y, x, nf), y.n, x.n, post.shape[2]))
    count = np.zeros(total.shape[:3])
    for kernel, unit, j, i, qy, qx in meetings(a, y, x, mirror, value):
        if unit != 0:
            total[kernel, j, i] += unit * post[qy, qx]
            count[kernel, j, i] += 1
    return total, count
