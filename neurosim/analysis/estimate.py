"""What a code tells of the picture where no dictionary leads down to it: the best linear guess.

A layer that pools keeps no way back, so :class:`~neurosim.analysis.decode.Decoder` ends there. How
the pictures of the training set hang on their codes is still known, and that is what is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosim.errors import RequestError

#: Ridges on the units that are tried, in shares of their mean square.
RIDGES = tuple(10.0**power for power in range(-6, 3))
#: Units beyond which no guess is made: their covariance has as many rows.
LARGEST = 8192


@dataclass(frozen=True)
class Estimate:
    """Pictures as a linear function of the codes of a level, fitted on training images.

    As a dictionary's, the picture of a code of zeros is zero: for images whose mean image is
    subtracted, the average one.

    Attributes
    ----------
    layer, to : str
        The level, and the input whose pictures are guessed.
    weights : ndarray
        float32 (unit, y, x, feature): a picture for each unit, as the network sees pictures.
    explained : float
        Share of the variance of **validation** pictures that the guess explains.
    """

    layer: str
    to: str
    weights: np.ndarray
    explained: float = float("nan")

    def decode(self, code: np.ndarray) -> np.ndarray:
        """The guess for each code: float32 (image, y, x, feature).

        Parameters
        ----------
        code : ndarray
            ``(image, unit)`` or ``(image, y, x, feature)`` of the level.

        Raises
        ------
        RequestError
            The codes are of another size.
        """
        flat = self.weights.reshape(len(self.weights), -1)
        codes = np.asarray(code, np.float32)
        if codes.ndim < 2 or np.prod(codes.shape[1:]) != len(flat):
            raise RequestError(
                f'codes {codes.shape} are not those of "{self.layer}"; one code is {len(flat)} '
                "units, the images first"
            )
        codes = codes.reshape(len(codes), -1)
        return (codes @ flat).reshape(-1, *self.weights.shape[1:])

    def share(self, code: np.ndarray, pictures: np.ndarray) -> float:
        """Share of the variance of pictures around their mean that the guess explains."""
        left = float(np.square(self.decode(code) - pictures, dtype=np.float64).sum())
        apart = pictures - pictures.mean(axis=0)
        whole = float(np.square(apart, dtype=np.float64).sum())
        return 1 - left / whole if whole else float("nan")


def fit_estimate(layer: str, to: str, code: np.ndarray, pictures: np.ndarray) -> Estimate:
    """Fit by ridge regression, the ridge by generalised cross-validation on the same images.

    Parameters
    ----------
    layer, to : str
        Names, for the result.
    code : ndarray
        (image, unit), training images shown alone.
    pictures : ndarray
        (image, y, x, feature), the same images as the network sees them.
    """
    codes, flat = code.astype(np.float64), pictures.reshape(len(pictures), -1)
    size, directions = np.linalg.eigh(codes.T @ codes)
    kept = size > 1e-9 * max(float(size[-1]), 1e-30)
    size, directions = size[kept], directions[:, kept]
    along = (codes @ directions).astype(np.float32).T @ flat
    told = np.square(along, dtype=np.float64).sum(axis=1) / size
    left = float(np.square(flat, dtype=np.float64).sum() - told.sum())
    ridges = np.array(RIDGES) * (size.sum() / code.shape[1])
    best = min(ridges, key=lambda ridge: _error(ridge, size, told, left, len(code)))
    weights = directions @ (along / (size + best)[:, None])
    return Estimate(layer, to, weights.reshape(-1, *pictures.shape[1:]).astype(np.float32))


def _error(ridge: float, size: np.ndarray, told: np.ndarray, left: float, images: int) -> float:
    """Generalised cross-validation: the error left on train over the freedom left, squared.

    Along a direction of size ``size`` the share ``ridge / (size + ridge)`` stays.
    """
    stays = ridge / (size + ridge)
    free = images - float(np.sum(1 - stays))
    return (left + float(told @ stays**2)) / free**2 if free > 0 else float("inf")
