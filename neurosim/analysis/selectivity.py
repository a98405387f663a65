"""Which neuron answers to which class: means, d', ROC areas, thresholds; all neurons at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from neurosim.analysis.results import Selectivity

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Values of activity looked at side by side: bounds the memory of a wide layer.
_BLOCK_VALUES = 1 << 22


def selectivity(
    code: csr_array, label: np.ndarray, classes: int, threshold: np.ndarray | None = None
) -> Selectivity:
    """How each neuron answers to each class.

    Parameters
    ----------
    code : csr_array
        Activities (image, unit).
    label : ndarray
        Class of each image, 0 to ``classes - 1``; -1 is none of them.
    classes : int
    threshold : ndarray, optional
        (class, unit): thresholds chosen on other images; by default the best on these.

    Returns
    -------
    Selectivity
        See there for the definitions.
    """
    parts = []
    for start, dense in _blocks(code):
        columns = slice(start, start + dense.shape[1])
        given = None if threshold is None else threshold[:, columns]
        parts.append(_dense(dense, label, classes, given))
    return Selectivity(*(np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True)))


def roc_area(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each column, ties counting half.

    Parameters
    ----------
    values : ndarray
        (image, unit).
    inside : ndarray
        bool (class, image): which images are of each class.

    Returns
    -------
    ndarray
        float64 (class, unit); NaN where a class has all images or none.
    """
    ranks = rankdata(values, axis=0)
    inside = inside.astype(np.float64)
    n = inside.sum(axis=1, keepdims=True)
    pairs = n * (inside.shape[1] - n)
    above = inside @ ranks - n * (n + 1) / 2
    return _quotient(above, pairs)


def best_threshold(values: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The threshold of each column with the best balanced accuracy.

    What is at or above it is said to be inside. It lies half-way between two values that occur;
    where no threshold is better than chance it is the least value.

    Parameters
    ----------
    values : ndarray
        (image, unit).
    inside : ndarray
        bool (image,): both kinds occur.

    Returns
    -------
    threshold, balanced : ndarray
        float64 (unit,).
    """
    order = np.argsort(values, axis=0, kind="stable")
    ranked = np.take_along_axis(values, order, axis=0)
    hits = inside[order].astype(np.float64)
    # Row k: share of each kind that lies below the k-th value.
    below_in = (np.cumsum(hits, axis=0) - hits) / inside.sum()
    below_out = (np.cumsum(1 - hits, axis=0) - (1 - hits)) / (~inside).sum()
    balanced = 0.5 * (1 - below_in + below_out)
    # A cut between equal values is none.
    balanced[1:][ranked[1:] == ranked[:-1]] = 0
    best = balanced.argmax(axis=0)
    units = np.arange(values.shape[1])
    upper = ranked[best, units].astype(np.float64)
    lower = ranked[np.maximum(best - 1, 0), units].astype(np.float64)
    middle = 0.5 * (upper + lower)
    # Rounding may put the middle of two neighbours on the lower one.
    middle = np.where(middle.astype(np.float32) > lower, middle, upper)
    return np.where(best > 0, middle, upper), balanced[best, units]


def balanced_at(values: np.ndarray, inside: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Balanced accuracy of ``values >= threshold``, float64 (unit,)."""
    said = values >= threshold
    return 0.5 * (said[inside].mean(axis=0) + (~said[~inside]).mean(axis=0))


def mean_responses(code: csr_array, label: np.ndarray, classes: int) -> np.ndarray:
    """Mean activity of each unit to each class, float32 (class, unit); NaN for an empty class."""
    inside = _inside(label, classes).astype(np.float64)
    return _quotient(inside @ code, inside.sum(axis=1, keepdims=True)).astype(np.float32)


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation of the last axes, NaN where one of them is constant."""
    a = a - a.mean(axis=-1, keepdims=True)
    b = b - b.mean(axis=-1, keepdims=True)
    norms = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    return _quotient((a * b).sum(axis=-1), norms)


def _blocks(code: csr_array) -> Iterator[tuple[int, np.ndarray]]:
    """Dense columns of a sparse code, so many at a time."""
    width = max(1, _BLOCK_VALUES // max(1, code.shape[0]))
    columns = code.tocsc()
    for start in range(0, code.shape[1], width):
        yield start, columns[:, start : start + width].toarray()


def _inside(label: np.ndarray, classes: int) -> np.ndarray:
    return label[None, :] == np.arange(classes)[:, None]


def _quotient(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Their quotient, NaN where the divisor is 0."""
    top, bottom = np.broadcast_arrays(top, bottom)
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def _moments(values: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the images of each class, (class, unit)."""
    counts = inside.sum(axis=1, keepdims=True)
    weights = inside.astype(np.float64)
    mean = _quotient(weights @ values, counts)
    # About the mean of all images, so that little cancels.
    centre = values.mean(axis=0)
    square = _quotient(weights @ np.square(values - centre), counts)
    return mean, np.sqrt(np.maximum(square - np.square(mean - centre), 0))


def _dense(
    values: np.ndarray, label: np.ndarray, classes: int, threshold: np.ndarray | None
) -> tuple[np.ndarray, ...]:
    """The fields of a Selectivity for dense columns."""
    values = values.astype(np.float64)
    inside = _inside(label, classes)
    mean_in, std_in = _moments(values, inside)
    mean_out, std_out = _moments(values, ~inside)
    spread = np.sqrt(0.5 * (std_in**2 + std_out**2))
    gap = mean_in - mean_out
    d_prime = _quotient(gap, spread)
    certain = spread == 0
    d_prime[certain] = np.where(gap[certain] == 0, 0, np.copysign(np.inf, gap[certain]))
    chosen = np.full(gap.shape, np.nan) if threshold is None else threshold.astype(np.float64)
    balanced = np.full(gap.shape, np.nan)
    for row, one in enumerate(inside):
        if not 0 < one.sum() < len(one):
            continue
        if threshold is None:
            chosen[row], balanced[row] = best_threshold(values, one)
        else:
            balanced[row] = balanced_at(values, one, chosen[row])
    found = (mean_in, mean_out, std_in, std_out, d_prime, roc_area(values, inside))
    return tuple(a.astype(np.float32) for a in (*found, chosen, balanced))
