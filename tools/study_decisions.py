"""What can be said of readouts by their decisions on single images, each beside its altered one.

Intervals are over images. Those of balanced accuracy draw the shares of each kind from what counts
leave open (a Dirichlet posterior under Jeffreys' prior), so that a change of which no example is
among a few images is not taken to be impossible; those of d′ draw images anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

#: The set that numbers are reported of, as `neurosim analyze` calls it.
VALIDATION = "validation"
#: Shares of images drawn for an interval.
DRAWN = 10_000


def with_neuron(found: Any) -> Any:
    """An analysis in which ``"neuron"`` is among the readouts: the activity of its neuron alone.

    It decides on one look, by the threshold that was chosen on train. The same analysis where an
    altered set was not coded for neurons.
    """
    codes = {name: f"{name}-face" for name in (VALIDATION, *found.altered)}
    if not set(codes.values()) <= found.activity.keys():
        return found
    alone = SimpleNamespace(
        features="the neuron alone",
        threshold=found.of_neuron("train-face", "threshold"),
        scores={name: SimpleNamespace(decision=found.activity[k]) for name, k in codes.items()},
    )
    return replace(found, readouts={**found.readouts, "neuron": alone})


def pairs(found: Any, readout: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Decisions on images and on their altered versions, (2, image), and which show the target."""
    original, altered = found.sets[VALIDATION], found.sets[name]
    # As the analysis has matched them: by name in the folder, else by the name of the file.
    files = {Path(shown).name: k for k, shown in enumerate(original.names)}
    place = files | {shown: k for k, shown in enumerate(original.names)}
    match = [place.get(shown, files[Path(shown).name]) for shown in altered.names]
    plain, changed = (readout.scores[images].decision for images in (VALIDATION, name))
    return np.stack([plain[match], changed]), altered.target


def right(found: Any, readout: Any, name: str) -> np.ndarray:
    """Whether a readout is right, bool (2, image): about images, and about altered ones."""
    decisions, target = pairs(found, readout, name)
    told: np.ndarray = (decisions >= np.float32(readout.threshold)) == target
    return told


def balanced(values: np.ndarray, target: np.ndarray) -> tuple[float, float, float]:
    """The mean over both kinds of the mean over their images, and its 95 % interval over images.

    Parameters
    ----------
    values : ndarray
        (image,), of which -1, 0 and 1 are thought possible where they do not occur.
    target : ndarray
        bool (image,); both kinds occur.
    """
    rng = np.random.default_rng(0)
    drawn, means = np.zeros(DRAWN), []
    for kind in (target, ~target):
        # To twelve digits: thirds that are sums of runs are one value.
        found, counts = np.unique(np.round(values[kind], 12), return_counts=True)
        kinds = np.concatenate([found, [-1.0, 0.0, 1.0]])
        weights = np.concatenate([counts, np.full(3, 0.5)])
        drawn += rng.dirichlet(weights, DRAWN) @ kinds / 2
        means.append(values[kind].mean())
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(np.mean(means)), float(low), float(high)


def drop(found: Any, readout: Any, name: str) -> tuple[float, float, float]:
    """What an alteration takes from balanced accuracy, and its 95 % interval over images."""
    plain, changed = right(found, readout, name).astype(float)
    return balanced(plain - changed, found.sets[name].target)


def ahead(analyses: Sequence[Any], key: str, other: str, name: str) -> tuple[float, float, float]:
    """How far one readout is ahead of another in balanced accuracy on a set, and its interval.

    Parameters
    ----------
    analyses : sequence of Analysis
        Runs that have both, of the same images; what is said of an image is the mean over them.
    key, other : str
        Of the readouts.
    name : str
        ``VALIDATION`` or of the altered images.
    """
    return balanced(_ahead(analyses, key, other, name)[1], analyses[0].sets[name].target)


def less_dropped(
    analyses: Sequence[Any], key: str, other: str, name: str
) -> tuple[float, float, float]:
    """By how much less balanced accuracy one readout loses than another; as :func:`ahead`."""
    plain, altered = _ahead(analyses, key, other, name)
    return balanced(altered - plain, analyses[0].sets[name].target)


def _ahead(analyses: Sequence[Any], key: str, other: str, name: str) -> np.ndarray:
    """Right less right of the other, mean over runs, (2, image): before and after altering."""
    each = [[right(one, one.readouts[k], name) for k in (key, other)] for one in analyses]
    mine, theirs = np.mean(each, axis=0)
    difference: np.ndarray = mine - theirs
    return difference


def less_taken(
    analyses: Sequence[Any], key: str, other: str, name: str
) -> tuple[float, float, float]:
    """By how much a smaller share of d′ one readout loses than another; as :func:`ahead`."""
    each = [[pairs(one, one.readouts[k], name)[0] for k in (other, key)] for one in analyses]
    decisions, target = np.array(each), analyses[0].sets[name].target

    def share(rows: np.ndarray) -> float:
        apart = d_prime(decisions[..., rows], target[rows])
        lost = 1 - apart[..., 1] / apart[..., 0]
        return float((lost[:, 0] - lost[:, 1]).mean())

    return share(np.arange(len(target))), *_resampled(share, target)


def d_prime(decisions: np.ndarray, target: np.ndarray) -> np.ndarray:
    """How far decisions (..., image) on the target stand from the others, in deviations.

    The difference of both means over the root of the mean of both variances; NaN without these.
    """
    kinds = [decisions[..., kind].astype(np.float64) for kind in (target, ~target)]
    apart = kinds[0].mean(-1) - kinds[1].mean(-1)
    spread = np.sqrt((kinds[0].var(-1) + kinds[1].var(-1)) / 2)
    return np.divide(apart, spread, out=np.full_like(apart, np.nan), where=spread > 0)


def taken(decisions: np.ndarray, target: np.ndarray) -> float:
    """What an alteration takes from d′; decisions (2, image) before and after."""
    before, after = d_prime(decisions, target)
    return float(before - after)


def spread_of_taken(decisions: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Its 95 % interval over images: those of each kind drawn anew, each with its altered one."""
    return _resampled(lambda rows: taken(decisions[:, rows], target[rows]), target)


def _resampled(measure: Callable[[np.ndarray], float], target: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of what is measured on rows, images of each kind drawn anew."""
    rng = np.random.default_rng(0)
    kinds = np.flatnonzero(target), np.flatnonzero(~target)
    drawn = (np.concatenate([rng.choice(k, len(k)) for k in kinds]) for _ in range(DRAWN // 5))
    low, high = np.percentile([measure(rows) for rows in drawn], [2.5, 97.5])
    return float(low), float(high)
