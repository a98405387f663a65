"""A dictionary as a linear map with its transpose: codes to reconstructions, errors to drives."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import neurosim

Shape = tuple[int, int, int]


class Dictionary:
    """The map from the code of a level to what it reconstructs below, shared over positions.

    Parameters
    ----------
    atoms : ndarray
        ``(feature, y, x, feature below)``: what each feature of the level reconstructs, in the
        whole of the lower layer, the unit standing at the middle position of its own;
        :meth:`neurosim.Decoder.atoms` gives it.
    shape : tuple of int
        ``(y, x, feature)`` of the level.
    dtype : numpy dtype
        Precision; float32 by default.

    Raises
    ------
    neurosim.RequestError
        The positions of the level do not divide those of the layer below.
    """

    def __init__(self, atoms: np.ndarray, shape: Shape, dtype: type = np.float32) -> None:
        self.shape = shape
        self.below: Shape = (atoms.shape[1], atoms.shape[2], atoms.shape[3])
        if any(b % s for b, s in zip(self.below[:2], shape[:2], strict=True)):
            raise neurosim.RequestError(
                f"a level of {shape[0]} x {shape[1]} positions over {self.below[0]} x "
                f"{self.below[1]}: gradients need the one to divide the other"
            )
        self.stride = self.below[0] // shape[0], self.below[1] // shape[1]
        rows, columns = (self._extent(atoms, axis) for axis in (1, 2))
        self.patch = rows.stop - rows.start, columns.stop - columns.start
        first = [
            part.start - (size // 2) * step
            for part, size, step in zip((rows, columns), shape, self.stride, strict=False)
        ]
        last = [
            f + (size - 1) * step + length
            for f, size, step, length in zip(first, shape, self.stride, self.patch, strict=False)
        ]
        self._before = [max(0, -f) for f in first]
        self._after = [max(0, end - b) for end, b in zip(last, self.below, strict=False)]
        self._skip = [max(0, f) for f in first]
        # (feature, row, column, feature below), one row per feature.
        self.matrix: np.ndarray = np.ascontiguousarray(
            atoms[:, rows, columns].reshape(len(atoms), -1).astype(dtype)
        )

    @staticmethod
    def _extent(atoms: np.ndarray, axis: int) -> slice:
        """Rows or columns in which some atom is not zero."""
        others = tuple(a for a in range(4) if a != axis)
        used = np.flatnonzero(np.any(atoms != 0, axis=others))
        return slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1)

    def apply(self, code: np.ndarray) -> np.ndarray:
        """Reconstruction ``Φ a``: ``(image, y, x, feature)`` to that of the layer below."""
        count = len(code)
        parts = code.reshape(-1, self.shape[2]) @ self.matrix
        blocks = parts.reshape(count, *self.shape[:2], *self.patch, self.below[2])
        (ny, nx), (sy, sx) = self.shape[:2], self.stride
        whole = np.zeros((count, *self._padded(), self.below[2]), parts.dtype)
        for row in range(self.patch[0]):
            for column in range(self.patch[1]):
                y, x = self._skip[0] + row, self._skip[1] + column
                whole[:, y : y + ny * sy : sy, x : x + nx * sx : sx] += blocks[:, :, :, row, column]
        return whole[:, *self._inside()]

    def transpose(self, error: np.ndarray) -> np.ndarray:
        """Drive ``Φᵀ e``: ``(image, y, x, feature below)`` to that of the level."""
        (ny, nx), (sy, sx) = self.shape[:2], self.stride
        whole = np.zeros((len(error), *self._padded(), self.below[2]), error.dtype)
        whole[:, *self._inside()] = error
        windows = sliding_window_view(whole, self.patch, axis=(1, 2))
        windows = windows[:, self._skip[0] :: sy, self._skip[1] :: sx][:, :ny, :nx]
        # (image, y, x, feature below, row, column) to rows of the matrix.
        columns = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, self.matrix.shape[1])
        return (columns @ self.matrix.T).reshape(len(error), *self.shape)

    def _padded(self) -> tuple[int, int]:
        """Size of the layer below with what patches cover outside it, which is cut off."""
        y, x = (
            before + size + after
            for before, size, after in zip(self._before, self.below, self._after, strict=False)
        )
        # Strided slices reach one stride past the last patch.
        return y + self.stride[0], x + self.stride[1]

    def _inside(self) -> tuple[slice, slice]:
        y, x = (slice(b, b + size) for b, size in zip(self._before, self.below, strict=False))
        return y, x
