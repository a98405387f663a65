"""The images that one thread steps together, and its scratch memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Call = Callable[[int], None]


class Scratch:
    """Work memory of one thread; operators of a step use it in turn."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self._blocks: dict[str, np.ndarray] = {}

    def block(self, use: str, size: int, dtype: np.dtype | None = None) -> np.ndarray:
        """A flat block of at least ``size`` numbers."""
        block = self._blocks.get(use)
        if block is None or block.size < size:
            block = self._blocks[use] = np.empty(size, dtype or self.dtype)
        return block


class Tile:
    """Views of the buffers for some images of a batch.

    Parameters
    ----------
    arrays : dict
        All buffers by name.
    images : slice
        Which batch elements.
    scratch : Scratch
        Work memory of the thread that runs this tile.
    """

    def __init__(
        self, arrays: dict[str, np.ndarray], images: slice, scratch: Scratch, dtype: np.dtype
    ) -> None:
        self.arrays, self.images, self._scratch, self.dtype = arrays, images, scratch, dtype

    def view(self, name: str) -> np.ndarray:
        """The tile's part of a buffer with a batch axis; contiguous."""
        return self.arrays[name][self.images]

    def images_of(self, name: str) -> np.ndarray:
        """The same, one row of units an image."""
        array = self.view(name)
        return array.reshape(array.shape[0], -1)

    def shared(self, name: str) -> np.ndarray:
        """A buffer without a batch axis, such as weights."""
        return self.arrays[name]

    def real(self, value: float) -> np.floating:
        """A constant in the precision of the run, so that kernels stay in it."""
        return self.dtype.type(value)

    def scratch(self, use: str, shape: tuple[int, ...]) -> np.ndarray:
        """Work memory that the next operator may overwrite."""
        size = int(np.prod(shape))
        return self._scratch.block(use, size)[:size].reshape(shape)

    def places(self, size: int) -> np.ndarray:
        """Work memory for the places of active units."""
        return self._scratch.block("places", size, np.dtype(np.int32))[:size]
