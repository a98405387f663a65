"""Patch arithmetic: which units of two layers a connection joins.

A connection joins a *coarse* and a *fine* layer (or two of equal size). Each
coarse unit ``X`` covers the fine units ``ratio * X + offset`` up to
``ratio * X + offset + patch - 1``, with the patch centred:
``offset = -(patch - ratio) / 2``. One pair of axes says everything about both
directions: delivery from coarse to fine scatters a patch, delivery from fine to
coarse gathers it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosim.errors import NetworkError


@dataclass(frozen=True)
class LayerShape:
    """Size of a layer in units, without margins."""

    ny: int
    nx: int
    nf: int

    @property
    def size(self) -> int:
        return self.ny * self.nx * self.nf

    def __str__(self) -> str:
        return f"{self.nx} x {self.ny} x {self.nf}"


@dataclass(frozen=True)
class PatchAxis:
    """One axis of a connection, seen from its coarse layer.

    Attributes
    ----------
    coarse, fine : int
        Units of the two layers along this axis.
    ratio : int
        Fine units per coarse unit.
    patch : int
        Fine units that one coarse unit covers.
    """

    coarse: int
    fine: int
    ratio: int
    patch: int

    @property
    def offset(self) -> int:
        """Fine position of the first unit of coarse unit 0's patch."""
        return -((self.patch - self.ratio) // 2)

    @property
    def fine_margin(self) -> int:
        """Fine units that patches reach beyond either edge."""
        return max(0, -self.offset)

    @property
    def coarse_margin(self) -> int:
        """Coarse units beyond either edge whose patches reach inside."""
        return max(0, -(-(self.offset + self.patch - self.ratio) // self.ratio))


@dataclass(frozen=True)
class PatchGeometry:
    """Both axes of a connection and the direction in which it was declared.

    ``coarse_is_pre`` is true for one-to-many and one-to-one connections: the
    weights as declared are then already one patch per coarse feature. In a
    many-to-one connection each of the ``cell_y * cell_x`` positions of a fine
    unit within its coarse unit has kernels of its own. Weights that are not
    ``shared`` have one for every unit of the pre layer with its margin.
    """

    y: PatchAxis
    x: PatchAxis
    coarse_is_pre: bool
    pre: LayerShape
    post: LayerShape
    shared: bool = True

    @property
    def cell_y(self) -> int:
        return 1 if self.coarse_is_pre else self.y.ratio

    @property
    def cell_x(self) -> int:
        return 1 if self.coarse_is_pre else self.x.ratio

    @property
    def nyp(self) -> int:
        """Patch height as declared: in units of the post layer."""
        return self.y.patch if self.coarse_is_pre else self.y.patch // self.y.ratio

    @property
    def nxp(self) -> int:
        """Patch width as declared: in units of the post layer."""
        return self.x.patch if self.coarse_is_pre else self.x.patch // self.x.ratio

    @property
    def kernels_y(self) -> int:
        """Rows of pre units that have kernels of their own."""
        return self.cell_y if self.shared else self.pre.ny + 2 * self.margin_y

    @property
    def kernels_x(self) -> int:
        return self.cell_x if self.shared else self.pre.nx + 2 * self.margin_x

    @property
    def kernels(self) -> int:
        """Number of kernels of the declared connection: by y, x and pre feature."""
        return self.kernels_y * self.kernels_x * self.pre.nf

    @property
    def multiply_adds(self) -> int:
        """Of all patches of an image, those of the margin left out."""
        patches = self.y.coarse * self.x.coarse * self.y.patch * self.x.patch
        return patches * self.pre.nf * self.post.nf

    @property
    def margin_y(self) -> int:
        """Rows of margin of the pre layer that can reach the post layer."""
        return self.y.coarse_margin if self.coarse_is_pre else self.y.fine_margin

    @property
    def margin_x(self) -> int:
        return self.x.coarse_margin if self.coarse_is_pre else self.x.fine_margin

    def patch_heads(self, axis: str) -> tuple[np.ndarray, np.ndarray]:
        """First post position and row or column of kernels of each extended pre position.

        Parameters
        ----------
        axis : {"y", "x"}

        Returns
        -------
        head : int64 array (n_pre + 2 * margin,)
            Post coordinate at which the patch starts; may lie outside.
        cell : int64 array of the same length
            Position of the pre unit within its unit cell; among all extended
            positions where weights are not shared.
        """
        head, cell = self._shared_heads(axis)
        return head, cell if self.shared else np.arange(cell.size)

    def shared_kernels(self) -> np.ndarray:
        """The kernel that each patch would use if weights were shared, int64 (kernels,)."""
        if self.shared:
            return np.arange(self.kernels)
        y, x = self._shared_heads("y")[1], self._shared_heads("x")[1]
        place = (y[:, None] * self.cell_x + x[None, :])[:, :, None]
        return (place * self.pre.nf + np.arange(self.pre.nf)).reshape(-1)

    def _shared_heads(self, axis: str) -> tuple[np.ndarray, np.ndarray]:
        """Patch heads and unit-cell positions along one axis."""
        ax: PatchAxis = getattr(self, axis)
        if self.coarse_is_pre:
            margin = ax.coarse_margin
            position = np.arange(-margin, ax.coarse + margin)
            return ax.ratio * position + ax.offset, np.zeros_like(position)
        margin = ax.fine_margin
        position = np.arange(-margin, ax.fine + margin)
        patch = ax.patch // ax.ratio
        # Coarse unit X covers fine units ratio*X+offset ..., so the lowest X that
        # covers this position is the one whose patch ends at or after it.
        head = -((ax.offset + ax.patch - 1 - position) // ax.ratio)
        assert np.all(position - (ax.ratio * head + ax.offset) < ax.patch)
        assert np.all(position - (ax.ratio * (head + patch - 1) + ax.offset) >= 0)
        return head, position % ax.ratio


def boundary_indices(n: int, margin: int, mirror: bool) -> np.ndarray:
    """Source index of each extended position; -1 where the boundary value stands.

    Mirroring repeats the edge unit: ``... b a | a b ... y z | z y ...``.

    Returns
    -------
    int64 array (n + 2 * margin,)
    """
    position = np.arange(-margin, n + margin)
    if not mirror:
        return np.where((position >= 0) & (position < n), position, -1)
    position = np.mod(position, 2 * n)
    return np.where(position < n, position, 2 * n - 1 - position)


def _axis(name: str, pre: int, post: int, patch: int) -> tuple[PatchAxis, bool]:
    """One axis from declared sizes; true when the pre layer is the finer one."""
    coarse, fine = min(pre, post), max(pre, post)
    ratio, rest = divmod(fine, coarse)
    if rest or ratio & (ratio - 1):
        raise NetworkError(
            f"the layers have {pre} (pre) and {post} (post) units along {name}; "
            "their ratio must be a power of two"
        )
    key = f"n{name}p"
    if patch < 1:
        raise NetworkError(f"{key} = {patch}; it must be at least 1")
    if pre > post:
        return PatchAxis(coarse, fine, ratio, patch * ratio), True
    if ratio == 1 and patch % 2 == 0:
        raise NetworkError(
            f"{key} = {patch}, but the layers have the same density along {name}; "
            f"{key} must be odd ({patch - 1} or {patch + 1})"
        )
    if patch % ratio:
        low = max(ratio, patch - patch % ratio)
        raise NetworkError(
            f"{key} = {patch}, but the post layer is {ratio} times denser along {name}; "
            f"{key} must be a multiple of {ratio} (such as {low})"
        )
    return PatchAxis(coarse, fine, ratio, patch), False


def patch_geometry(
    pre: LayerShape, post: LayerShape, nxp: int, nyp: int, shared: bool = True
) -> PatchGeometry:
    """Geometry of a connection declared from ``pre`` to ``post``.

    Raises
    ------
    NetworkError
        When the sizes have no power-of-two ratio, run opposite ways along the
        two axes, or do not suit the patch.
    """
    y, pre_finer_y = _axis("y", pre.ny, post.ny, nyp)
    x, pre_finer_x = _axis("x", pre.nx, post.nx, nxp)
    if (pre_finer_y or pre_finer_x) and (
        (not pre_finer_y and y.ratio > 1) or (not pre_finer_x and x.ratio > 1)
    ):
        raise NetworkError(
            f"the pre layer ({pre}) is denser than the post layer ({post}) along one axis "
            "and coarser along the other; connect them through a layer in between"
        )
    if pre_finer_y or pre_finer_x:
        # An axis of equal density is many-to-one with a ratio of 1; any patch does.
        return PatchGeometry(y, x, False, pre, post, shared)
    return PatchGeometry(y, x, True, pre, post, shared)
