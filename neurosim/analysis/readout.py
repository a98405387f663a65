"""Linear readout of the target from features: everything is chosen on training images."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from neurosim.analysis.results import Readout, Score
from neurosim.analysis.selectivity import best_threshold
from neurosim.errors import RequestError

#: Values of C that are tried; features are standardised, so one row suits all.
COSTS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
FOLDS = 5
#: Resampled sets of images behind each 95 % interval.
RESAMPLES = 2000


@dataclass(frozen=True)
class Fitted:
    """A trained readout: its decision value is ``((x - center) / scale) @ weights + bias``."""

    cost: float
    threshold: float
    cross_validated: float
    weights: np.ndarray
    bias: float
    center: np.ndarray
    scale: np.ndarray

    def decide(self, features: np.ndarray) -> np.ndarray:
        """Decision value of each image, float64 (image,)."""
        return ((features - self.center) / self.scale) @ self.weights + self.bias


def fit(features: np.ndarray, target: np.ndarray, groups: int = 1, seed: int = 0) -> Fitted:
    """Fit a linear support vector machine, its C and its threshold.

    Classes weigh the same (``class_weight="balanced"``). C is the one with the largest area under
    the ROC curve of cross-validated decisions (stratified folds); the threshold the one with the
    best balanced accuracy of these decisions: a rare class and many features push that of the
    machine itself, 0, too high.

    Parameters
    ----------
    features : ndarray
        (image, feature), training images only.
    target : ndarray
        bool (image,).
    groups : int
        How many versions of each image there are, one set after the other (2 with mirrored
        images): all of them fall into one fold.
    seed : int
        Of the folds.

    Raises
    ------
    RequestError
        Fewer images of the target, or of others, than folds make sense for.
    """
    features = np.asarray(features, np.float64)
    single = target[: len(target) // groups]
    folds = min(FOLDS, int(single.sum()), int((~single).sum()))
    if folds < 2:
        raise RequestError(
            f"{int(single.sum())} training images of the target and {int((~single).sum())} others; "
            "a readout needs at least 2 of each"
        )
    splits = list(
        StratifiedKFold(folds, shuffle=True, random_state=seed).split(single[:, None], single)
    )
    decisions = {cost: np.empty(len(single)) for cost in COSTS}
    for inside, outside in splits:
        rows = np.concatenate([inside + len(single) * g for g in range(groups)])
        for cost in COSTS:
            part = _machine(features[rows], target[rows], cost)
            decisions[cost][outside] = part.decide(features[outside])
    cost = max(COSTS, key=lambda c: roc_auc_score(single, decisions[c]))
    threshold, balanced = best_threshold(decisions[cost][:, None], single)
    machine = _machine(features, target, cost)
    return Fitted(
        cost,
        float(threshold[0]),
        float(balanced[0]),
        machine.weights,
        machine.bias,
        machine.center,
        machine.scale,
    )


def score(decision: np.ndarray, target: np.ndarray, threshold: float, seed: int = 0) -> Score:
    """How well decisions tell the target, at 0 and at a threshold.

    Parameters
    ----------
    decision : ndarray
        (image,).
    target : ndarray
        bool (image,); both kinds occur.
    threshold : float
        The one that was chosen on training images.
    seed : int
        Of the resampling.
    """
    area = float(roc_auc_score(target, decision))
    plain, tuned = (_shares(decision, target, t, seed) for t in (0.0, threshold))
    return Score(*plain, area, *tuned, decision.astype(np.float32))


def _shares(
    decision: np.ndarray, target: np.ndarray, threshold: float, seed: int
) -> tuple[float, float, float, float]:
    """Accuracy, balanced accuracy and its 95 % interval."""
    right = (decision >= threshold) == target
    hits, misses = right[target].mean(), right[~target].mean()
    rng = np.random.default_rng(seed)
    # Images of each kind drawn with replacement: the number that is right is binomial.
    drawn = [
        rng.binomial(len(r), r.mean(), RESAMPLES) / len(r) for r in (right[target], right[~target])
    ]
    low, high = np.percentile(0.5 * (drawn[0] + drawn[1]), [2.5, 97.5])
    return float(right.mean()), float(0.5 * (hits + misses)), float(low), float(high)


def readout(
    what: str,
    train: np.ndarray,
    target: np.ndarray,
    others: dict[str, tuple[np.ndarray, np.ndarray]],
    groups: int = 1,
) -> Readout:
    """Fit on train and score on every other set.

    Parameters
    ----------
    what : str
        The features, for people.
    train, target : ndarray
        (image, feature) and bool (image,).
    others : dict
        By set: features and target of its images.
    groups : int
        As in :func:`fit`.
    """
    fitted = fit(train, target, groups)
    scores = {
        name: score(fitted.decide(np.asarray(features, np.float64)), truth, fitted.threshold)
        for name, (features, truth) in others.items()
    }
    return Readout(
        features=what,
        cost=fitted.cost,
        threshold=fitted.threshold,
        cross_validated=fitted.cross_validated,
        weights=fitted.weights.astype(np.float32),
        center=fitted.center.astype(np.float32),
        scale=fitted.scale.astype(np.float32),
        bias=fitted.bias,
        scores=scores,
    )


def _machine(features: np.ndarray, target: np.ndarray, cost: float) -> Fitted:
    """A machine on standardised features; a feature that never varies counts for nothing."""
    center = features.mean(axis=0)
    scale = features.std(axis=0)
    scale[scale < 1e-6 * max(float(scale.max(initial=0)), 1e-30)] = np.inf
    machine = LinearSVC(C=cost, class_weight="balanced", dual="auto", max_iter=3000, tol=1e-3)
    with warnings.catch_warnings():
        # At large C, the last digits of a separable problem.
        warnings.simplefilter("ignore", ConvergenceWarning)
        machine.fit((features - center) / scale, target)
    bias = float(machine.intercept_[0])
    return Fitted(cost, 0.0, 0.0, machine.coef_[0], bias, center, scale)
