"""Linear readout of the target from features: everything is chosen on training images."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.svm import LinearSVC

from neurosim.analysis.results import Readout, Score
from neurosim.analysis.selectivity import balanced_at
from neurosim.errors import RequestError

#: Values of C that are tried, in this order, as long as they get better; features are
#: standardised, so one row suits all.
COSTS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
FOLDS = 5
#: Shares drawn for each 95 % interval.
DRAWN = 10_000
#: Passes over the images after which a machine is taken as it is: thousands of pixels that
#: separate a few images never settle at a large C, and no longer change what it tells apart.
PASSES = 500


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


class Machines:
    """Linear support vector machines of one training set, made as they are asked for.

    Classes weigh the same. There is one for each C and each fold of the images, and what is chosen
    is chosen by their decisions on images outside their fold. Several readouts may be chosen from
    them, by different views of the images that they decide on.

    Parameters
    ----------
    features : ndarray
        (image, feature), training images only.
    target : ndarray
        bool (image,).
    groups : int
        How many versions of each image there are, one set after the other (2 with mirrored
        images): all of them fall into one fold.
    components : int, optional
        Read out that many principal components of the features, found anew in each fold.
    copies : ndarray, optional
        int (image,), one version only: images of one number are copies of each other and fall
        into one fold, for a machine that has learned one copy finds the other too well.
    seed : int
        Of the folds and of the components.
    calibrating : ndarray, optional
        bool (image,), one version only: images whose decisions choose the threshold; all by
        default. Of what features were learned from, decisions lie further apart than they will
        on new images; these are images that were kept from that.

    Raises
    ------
    RequestError
        Fewer images of the target, or of others, than folds make sense for.
    """

    def __init__(
        self,
        features: np.ndarray,
        target: np.ndarray,
        groups: int = 1,
        components: int | None = None,
        copies: np.ndarray | None = None,
        seed: int = 0,
        calibrating: np.ndarray | None = None,
    ) -> None:
        single = target[: len(target) // groups]
        chosen = np.ones(len(single), bool) if calibrating is None else calibrating
        alike = np.arange(len(single)) if copies is None else copies
        self._single, self._chosen, self._features = single, chosen, features
        self._whole = _Space(features, target, slice(None), components, seed)
        self._parts = []
        for inside, outside in _folds(single, alike, chosen, seed):
            rows = np.concatenate([inside + len(single) * g for g in range(groups)])
            self._parts.append((_Space(features, target, rows, components, seed), outside))

    def fitted(self, judged: np.ndarray | None = None) -> Fitted:
        """The machine of all training images, its C and its threshold.

        C is the one with the largest area under the ROC curve of cross-validated decisions, going
        up from the least as long as that grows; the threshold is the :func:`equal_error` of these
        decisions: a rare class and many features push 0 too high.

        Parameters
        ----------
        judged : ndarray, optional
            (image, feature), one version only: what the machine will decide on, and C and the
            threshold are chosen by; the first version by default. The mean over versions makes it
            the mean of their decisions.
        """
        cost, decision = self._cross_validated(self._features if judged is None else judged)
        decision, truth = decision[self._chosen], self._single[self._chosen]
        threshold = equal_error(decision, truth)
        balanced = float(balanced_at(decision[:, None], truth, np.array([threshold]))[0])
        machine = self._whole.machine(cost)
        return replace(machine, threshold=threshold, cross_validated=balanced)

    def _cross_validated(self, judged: np.ndarray) -> tuple[float, np.ndarray]:
        """The C whose decisions on images outside each fold have the largest area, and these."""
        best: tuple[float, float, np.ndarray] | None = None
        for cost in COSTS:
            decision = np.empty(len(self._single))
            for space, outside in self._parts:
                decision[outside] = space.machine(cost).decide(judged[outside])
            area = float(roc_auc_score(self._single, decision))
            if best is not None and area < best[0]:
                break
            if best is None or area > best[0]:
                best = (area, cost, decision)
        assert best is not None
        return best[1:]


def _folds(
    single: np.ndarray, alike: np.ndarray, chosen: np.ndarray, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows inside and outside each fold: of either kind, chosen or not, as many in each."""
    several = [len(np.unique(alike[kind])) for kind in (single, ~single)]
    folds = min(FOLDS, *several)
    if folds < 2:
        raise RequestError(
            f"{several[0]} training images of the target and {several[1]} others, copies of each "
            "other counted once; a readout needs at least 2 of each"
        )
    if min(kept := [int((chosen & kind).sum()) for kind in (single, ~single)]) < 2:
        raise RequestError(
            f"{kept[0]} calibration images of the target and {kept[1]} others; a threshold needs "
            "at least 2 of each"
        )
    # Numbered as they come: what groups are called elsewhere has no part in the folds.
    _, first, group = np.unique(alike, return_index=True, return_inverse=True)
    splits = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    named = first.argsort().argsort()[group]
    return list(splits.split(single[:, None], single + 2 * chosen, named))


def equal_error(decision: np.ndarray, target: np.ndarray) -> float:
    """The threshold that misses as often as it mistakes, were decisions of each kind normal.

    It lies as many standard deviations below the mean of the target as above that of the others.
    All decisions have a part in it, where the threshold of the best balanced accuracy hangs on
    the few at the edge, and moves with them.

    Parameters
    ----------
    decision : ndarray
        (image,).
    target : ndarray
        bool (image,); both kinds occur.
    """
    inside, outside = decision[target], decision[~target]
    means, spreads = (inside.mean(), outside.mean()), (inside.std(), outside.std())
    if not sum(spreads):
        return float(np.mean(means))
    return float((means[0] * spreads[1] + means[1] * spreads[0]) / sum(spreads))


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
    # Shares' posterior under Jeffreys' prior: where all of a few are right, of more not all are.
    counts = [(int(r.sum()) + 0.5, int((~r).sum()) + 0.5) for r in (right[target], right[~target])]
    drawn = [rng.beta(*count, DRAWN) for count in counts]
    low, high = np.percentile(0.5 * (drawn[0] + drawn[1]), [2.5, 97.5])
    told = float(0.5 * (hits + misses))
    return float(right.mean()), told, min(float(low), told), max(float(high), told)


def readout(
    what: str,
    machines: Machines,
    others: dict[str, tuple[np.ndarray, np.ndarray]],
    judged: np.ndarray | None = None,
) -> Readout:
    """Choose on train and score on every other set.

    Parameters
    ----------
    what : str
        The features, for people.
    machines : Machines
        Of the training images.
    others : dict
        By set: features and target of its images.
    judged
        As in :meth:`Machines.fitted`.
    """
    fitted = machines.fitted(judged)
    scores = {
        name: score(fitted.decide(features), truth, fitted.threshold)
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


class _Space:
    """Some training images on standardised features, or on standardised components of them.

    Components are kept, features standardised for each machine: folds hold no copies of them.
    """

    def __init__(
        self,
        features: np.ndarray,
        target: np.ndarray,
        rows: np.ndarray | slice,
        components: int | None,
        seed: int,
    ) -> None:
        self._features, self._target, self._rows = features, target[rows], rows
        self._made: dict[float, Fitted] = {}
        self._directions: np.ndarray | None = None
        own = features[rows]
        self._center = own.mean(axis=0, dtype=np.float64)
        values = own
        if components is not None:
            size = min(components, *own.shape)
            solver = "randomized" if size < 0.8 * min(own.shape) else "full"
            found = PCA(size, svd_solver=solver, random_state=seed).fit(own)
            self._directions = found.components_
            values = (own - self._center) @ found.components_.T
        scale = values.std(axis=0, dtype=np.float64)
        # A feature that never varies counts for nothing.
        scale[scale < 1e-6 * max(float(scale.max(initial=0)), 1e-30)] = np.inf
        self._scale = scale
        self._components = None if components is None else (values / scale).astype(np.float32)

    def _values(self) -> np.ndarray:
        """What machines learn from, float32 (image, feature)."""
        if self._components is not None:
            return self._components
        own = self._features[self._rows]
        return ((own - self._center) / self._scale).astype(np.float32)

    def machine(self, cost: float) -> Fitted:
        """The machine of one C, in terms of the features themselves."""
        if cost not in self._made:
            self._made[cost] = self._machine(cost)
        return self._made[cost]

    def _machine(self, cost: float) -> Fitted:
        machine = LinearSVC(
            C=cost, class_weight="balanced", dual="auto", max_iter=PASSES, tol=1e-3, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            machine.fit(self._values(), self._target)
        weights, scale = machine.coef_[0], self._scale
        if self._directions is not None:
            weights = (weights / scale) @ self._directions
            scale = np.ones(len(weights))
        bias = float(machine.intercept_[0])
        return Fitted(cost, 0.0, 0.0, weights, bias, self._center, scale)
