"""Features that a readout of the top layer is compared with, made from codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Positions on a side of a cell over which a level is pooled.
CELL = 4


def pooled(code: csr_array, shape: tuple[int, int, int], cell: int = CELL) -> np.ndarray:
    """Largest activity of each feature in cells of positions.

    Parameters
    ----------
    code : csr_array
        (image, y*x*feature).
    shape : tuple of int
        (y, x, feature) of the layer.
    cell : int
        Positions on a side; cells at the right and lower edge may be smaller.

    Returns
    -------
    ndarray
        float32 (image, cells * feature).
    """
    ny, nx, nf = shape
    rows, columns = -(-ny // cell), -(-nx // cell)
    entries = code.tocoo()
    image, unit = entries.coords
    y, x, feature = np.unravel_index(unit, shape)
    found = np.zeros((code.shape[0], rows, columns, nf), np.float32)
    np.maximum.at(found, (image, y // cell, x // cell, feature), entries.data)
    return found.reshape(len(found), -1)
