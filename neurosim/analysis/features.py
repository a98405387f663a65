"""Features that a readout of the top layer is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.decomposition import PCA

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


def principal(
    train: np.ndarray, others: dict[str, np.ndarray], wanted: int, seed: int = 0
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Principal components of the training images.

    Parameters
    ----------
    train : ndarray
        (image, feature).
    others : dict of str to ndarray
        Further sets, projected onto the same components.
    wanted : int
        Number of components; fewer where there are fewer images or features.
    """
    size = min(wanted, *train.shape)
    solver = "randomized" if size < 0.8 * min(train.shape) else "full"
    found = PCA(size, svd_solver=solver, random_state=seed).fit(train)
    return found.transform(train), {name: found.transform(x) for name, x in others.items()}
