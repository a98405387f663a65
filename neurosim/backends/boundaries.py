"""Index tables of a delivery, shared by the backends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosim.network import PatchGeometry, boundary_indices


@dataclass(frozen=True)
class GatherTables:
    """Where each patch row and column of a gather comes from.

    ``rows[Y, k]`` is the fine row under row ``k`` of the patch of coarse row
    ``Y``; -1 stands for the boundary value.
    """

    rows: np.ndarray
    columns: np.ndarray


def gather_tables(geometry: PatchGeometry, mirror: bool) -> GatherTables:
    """Tables for patches of the fine layer, one per coarse unit."""

    def axis(ax: Any) -> np.ndarray:
        source = boundary_indices(ax.fine, ax.fine_margin, mirror)
        start = ax.ratio * np.arange(ax.coarse) + ax.offset + ax.fine_margin
        return source[start[:, None] + np.arange(ax.patch)[None, :]].astype(np.int64)

    return GatherTables(axis(geometry.y), axis(geometry.x))


def extended_tables(geometry: PatchGeometry, mirror: bool) -> tuple[np.ndarray, np.ndarray]:
    """Source row and column of each place of the plane that all patches cover together."""

    def axis(ax: Any) -> np.ndarray:
        source = boundary_indices(ax.fine, ax.fine_margin, mirror)
        start = ax.offset + ax.fine_margin
        return source[start : start + ax.ratio * (ax.coarse - 1) + ax.patch].astype(np.int64)

    return axis(geometry.y), axis(geometry.x)


def local_tables(geometry: PatchGeometry, mirror: bool) -> GatherTables:
    """Tables for patches of the post layer, one per pre unit, as declared."""

    def axis(name: str, n: int, margin: int, post: int, patch: int) -> np.ndarray:
        head = geometry.patch_heads(name)[0][margin : margin + n]
        beyond = max(0, -int(head.min()), int(head.max()) + patch - post)
        source = boundary_indices(post, beyond, mirror)
        return source[head[:, None] + beyond + np.arange(patch)[None, :]].astype(np.int64)

    g = geometry
    return GatherTables(
        axis("y", g.pre.ny, g.margin_y, g.post.ny, g.nyp),
        axis("x", g.pre.nx, g.margin_x, g.post.nx, g.nxp),
    )


@dataclass(frozen=True)
class PatchTables:
    """Source, patch head and row or column of kernels of each extended pre position."""

    source_y: np.ndarray
    source_x: np.ndarray
    head_y: np.ndarray
    head_x: np.ndarray
    cell_y: np.ndarray
    cell_x: np.ndarray


def patch_tables(geometry: PatchGeometry, mirror: bool, value: float) -> PatchTables:
    """Tables of the weights as declared, over the pre layer with its margin.

    A zero boundary needs no margin: nothing is delivered from it.
    """
    head_y, cell_y = geometry.patch_heads("y")
    head_x, cell_x = geometry.patch_heads("x")
    source_y = boundary_indices(geometry.pre.ny, geometry.margin_y, mirror)
    source_x = boundary_indices(geometry.pre.nx, geometry.margin_x, mirror)
    if not mirror and value == 0.0:
        inside_y, inside_x = source_y >= 0, source_x >= 0
        source_y, head_y, cell_y = source_y[inside_y], head_y[inside_y], cell_y[inside_y]
        source_x, head_x, cell_x = source_x[inside_x], head_x[inside_x], cell_x[inside_x]
    return PatchTables(source_y, source_x, head_y, head_x, cell_y, cell_x)


def scatter_tables(geometry: PatchGeometry, mirror: bool, value: float) -> PatchTables:
    """Tables of a scatter from the coarse layer with its margin to the fine one."""

    def axis(ax: Any) -> tuple[np.ndarray, np.ndarray]:
        margin = ax.coarse_margin
        source = boundary_indices(ax.coarse, margin, mirror)
        head = ax.ratio * np.arange(-margin, ax.coarse + margin) + ax.offset
        if not mirror and value == 0.0:
            inside = source >= 0
            source, head = source[inside], head[inside]
        return source.astype(np.int64), head.astype(np.int64)

    source_y, head_y = axis(geometry.y)
    source_x, head_x = axis(geometry.x)
    return PatchTables(
        source_y, source_x, head_y, head_x, np.zeros_like(head_y), np.zeros_like(head_x)
    )


def dictionary_index(geometry: PatchGeometry) -> np.ndarray:
    """For many-to-one weights: flat source index of each dictionary element.

    Returns
    -------
    int64 array (coarse features, patch y, patch x, fine features)
        Index into ``(kernel, y, x, feature)`` as declared.
    """

    def axis(ax: Any) -> tuple[np.ndarray, np.ndarray]:
        position = ax.offset + np.arange(ax.patch)
        head = -((ax.offset + ax.patch - 1 - position) // ax.ratio)
        return -head, position % ax.ratio

    ky, cy = axis(geometry.y)
    kx, cx = axis(geometry.x)
    nf_pre, nf_post = geometry.pre.nf, geometry.post.nf
    kernel = (cy[:, None] * geometry.cell_x + cx[None, :])[:, :, None] * nf_pre + np.arange(nf_pre)
    inside = ky[:, None] * geometry.nxp + kx[None, :]
    flat = (kernel * geometry.nyp * geometry.nxp + inside[:, :, None]) * nf_post
    return (np.arange(nf_post)[:, None, None, None] + flat[None]).astype(np.int64)
