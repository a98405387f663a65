from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from neurosim.analysis import readout as module
from neurosim.analysis.analyze import distance
from neurosim.analysis.features import pooled
from neurosim.analysis.readout import Machines, equal_error, readout, score
from neurosim.analysis.selectivity import best_threshold
from neurosim.errors import RequestError


def gaussians(
    rng: np.random.Generator, images: int, share: float, gap: float, features: int = 20
) -> tuple[np.ndarray, np.ndarray]:
    """Two clouds of equal width, ``gap`` apart along one direction; a constant feature."""
    target = np.arange(images) < share * images
    x = rng.normal(size=(images, features))
    x[:, 0] += gap * target
    x[:, 1] = 3
    return x, target


def test_the_readout_comes_near_the_best_there_is(rng: np.random.Generator) -> None:
    """The best balanced accuracy for two clouds a distance d apart is Φ(d / 2)."""
    x, target = gaussians(rng, 1500, 0.5, 2)
    found = Machines(x, target).fitted()
    y, truth = gaussians(rng, 4000, 0.5, 2)
    told = score(found.decide(y), truth, found.threshold)
    assert told.balanced_tuned == pytest.approx(norm.cdf(1), abs=0.03)
    assert told.auc == pytest.approx(norm.cdf(2 / np.sqrt(2)), abs=0.02)
    assert found.cross_validated == pytest.approx(norm.cdf(1), abs=0.05)
    assert found.scale[1] == np.inf


def test_both_thresholds_are_scored(rng: np.random.Generator) -> None:
    """Targets at -1, others at -3: at 0 none is found, at -2 all are."""
    target = np.arange(40) < 4
    decision = np.where(target, -1.0, -3.0) + 0.5 * rng.random(40)
    told = score(decision, target, -2.0)
    assert (told.accuracy, told.balanced, told.auc) == (0.9, 0.5, 1.0)
    assert (told.accuracy_tuned, told.balanced_tuned) == (1.0, 1.0)
    # All of 4 and of 36 on one side: what more images would show is not known.
    assert 0.4 < told.low < 0.49 and 0.5 < told.high < 0.72


def test_the_threshold_is_the_one_that_suits_decisions_on_unseen_images(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rare class in many dimensions: unseen targets fall short of a narrow machine's border."""
    monkeypatch.setattr(module, "COSTS", (0.1,))
    x, target = gaussians(rng, 400, 0.05, 0, features=300)
    x[:, 2:42] += 0.75 * target[:, None]
    found = Machines(x, target).fitted()
    y, truth = gaussians(rng, 2000, 0.05, 0, features=300)
    y[:, 2:42] += 0.75 * truth[:, None]
    told = score(found.decide(y), truth, found.threshold)
    assert found.threshold < 0
    assert told.balanced_tuned > told.balanced


def test_the_threshold_errs_as_often_on_either_side(rng: np.random.Generator) -> None:
    """Two normal distributions of other widths, and what is left of them at a change of units."""
    target = np.arange(60000) < 20000
    decision = np.where(target, rng.normal(2, 1.5, 60000), rng.normal(-1, 0.5, 60000))
    threshold = equal_error(decision, target)
    missed, mistaken = (
        (decision[target] < threshold).mean(),
        (decision[~target] >= threshold).mean(),
    )
    assert missed == pytest.approx(norm.sf(1.5), abs=0.004)
    assert mistaken == pytest.approx(norm.sf(1.5), abs=0.004)
    assert equal_error(3 * decision - 7, target) == pytest.approx(3 * threshold - 7)
    assert equal_error(np.array([1.0, 1, -1]), np.array([True, True, False])) == 0


def test_features_that_were_learned_by_heart_are_no_measure_of_new_ones(
    rng: np.random.Generator,
) -> None:
    """What features were learned from lies three times as far apart as what comes next."""
    x, target = gaussians(rng, 1200, 0.5, 2)
    kept = np.arange(1200) % 4 == 0
    x[~kept, 0] += 4 * target[~kept]
    y, truth = gaussians(rng, 4000, 0.5, 2)
    told = {}
    for name, chosen in (("all", None), ("kept", kept)):
        found = Machines(x, target, calibrating=chosen).fitted()
        told[name] = score(found.decide(y), truth, found.threshold).balanced_tuned
        assert found.cross_validated > told[name] - 0.03
    assert told["kept"] == pytest.approx(norm.cdf(1), abs=0.02)
    assert told["all"] < told["kept"] - 0.03
    assert found.cross_validated == pytest.approx(norm.cdf(1), abs=0.06)


def test_few_targets_move_it_less_than_the_best_balanced_accuracy_does(
    rng: np.random.Generator,
) -> None:
    """Samples of 40 targets and 400 others, judged by the distributions that they come from."""
    target = np.arange(440) < 40
    drawn = rng.normal(size=(200, 440)) + 3 * target
    chosen = np.array(
        [(equal_error(d, target), *best_threshold(d[:, None], target)[0]) for d in drawn]
    )
    balanced = 0.5 * (norm.sf(chosen - 3) + norm.cdf(chosen)).mean(axis=0)
    assert chosen.std(axis=0)[0] < 0.6 * chosen.std(axis=0)[1]
    assert norm.cdf(1.5) - 0.003 < balanced[0] < norm.cdf(1.5)
    assert balanced[0] > balanced[1]


def test_nothing_of_other_sets_reaches_the_fit(rng: np.random.Generator) -> None:
    x, target = gaussians(rng, 200, 0.3, 1)
    one = readout("x", Machines(x, target), {"validation": gaussians(rng, 50, 0.3, 1)})
    two = readout("x", Machines(x, target), {"validation": gaussians(rng, 70, 0.6, 5)})
    assert np.array_equal(one.weights, two.weights)
    assert (one.cost, one.threshold, one.bias) == (two.cost, two.threshold, two.bias)


def test_versions_of_an_image_stay_in_one_fold(rng: np.random.Generator) -> None:
    """Noise that is shown twice would be learned by heart if a fold held one of the two."""
    x, target = rng.normal(size=(80, 300)), np.arange(80) < 40
    twice = Machines(np.concatenate([x, x]), np.tile(target, 2), groups=2).fitted()
    leaking = Machines(np.concatenate([x, x]), np.tile(target, 2)).fitted()
    told = Machines(
        np.concatenate([x, x]), np.tile(target, 2), copies=np.tile(np.arange(80), 2)
    ).fitted()
    assert leaking.cross_validated > 0.85
    assert twice.cross_validated < 0.75
    assert told.cross_validated < 0.75


def test_what_groups_of_copies_are_called_changes_nothing(rng: np.random.Generator) -> None:
    x, target = gaussians(rng, 120, 0.25, 1)
    alike = np.sort(rng.integers(80, size=120))
    named = rng.permutation(1000)[alike]
    one, two = (Machines(x, target, copies=copies).fitted() for copies in (alike, named))
    assert (one.cost, one.threshold) == (two.cost, two.threshold)


def test_a_readout_of_several_looks_is_judged_by_their_mean(rng: np.random.Generator) -> None:
    """Looks whose noise is their own: their mean decides better than one of them."""
    signal, target = gaussians(rng, 200, 0.25, 4)
    looks = [signal + rng.normal(size=signal.shape) * 2 for _ in range(8)]
    every, truth = np.concatenate(looks), np.tile(target, 8)
    machines = Machines(every, truth, groups=8)
    one = machines.fitted()
    mean = machines.fitted(np.mean(looks, axis=0))
    assert mean.cross_validated > one.cross_validated + 0.05
    decisions = np.mean([mean.decide(look) for look in looks], axis=0)
    np.testing.assert_allclose(mean.decide(np.mean(looks, axis=0)), decisions, atol=1e-9)


def test_one_look_is_told_better_after_learning_from_several(rng: np.random.Generator) -> None:
    """Few images in many dimensions: more looks at them leave less of their noise to learn."""
    signal, target = gaussians(rng, 60, 0.5, 4, features=100)
    looks = [signal + rng.normal(size=signal.shape) for _ in range(8)]
    alone = Machines(looks[0], target).fitted()
    several = Machines(np.concatenate(looks), np.tile(target, 8), groups=8).fitted(looks[0])
    new, truth = gaussians(rng, 2000, 0.5, 4, features=100)
    new += rng.normal(size=new.shape)
    areas = [roc_auc_score(truth, one.decide(new)) for one in (alone, several)]
    assert areas[1] > areas[0] + 0.02


def test_the_interval_covers_what_more_images_would_show(rng: np.random.Generator) -> None:
    """A classifier that is right for 80 %: the interval holds that in most of 100 small sets."""
    target = np.arange(200) < 100
    inside = 0
    for trial in range(100):
        decision = np.where(rng.random(200) < 0.8, 1.0, -1.0) * np.where(target, 1, -1)
        told = score(decision, target, 0.0, seed=trial)
        inside += told.low <= 0.8 <= told.high
    assert 88 <= inside <= 99


def test_too_few_images_are_told() -> None:
    with pytest.raises(RequestError, match="at least 2 of each"):
        Machines(np.zeros((4, 2)), np.array([True, False, False, False]))
    target = np.arange(12) < 6
    with pytest.raises(RequestError, match="0 calibration images of the target and 6 others"):
        Machines(np.zeros((12, 2)), target, calibrating=~target)


def test_pooling_takes_the_largest_of_each_cell(rng: np.random.Generator) -> None:
    shape = (6, 5, 3)
    code = random_array((4, 90), density=0.2, rng=rng, format="csr")
    dense = code.toarray().reshape(4, *shape)
    found = pooled(csr_array(code), shape, cell=4).reshape(4, 2, 2, 3)
    for image, row, column in np.ndindex(4, 2, 2):
        cell = dense[image, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        assert np.allclose(found[image, row, column], cell.max(axis=(0, 1)))


def test_a_readout_of_components_looks_at_them_alone(rng: np.random.Generator) -> None:
    x = rng.normal(size=(60, 40)) * np.r_[10, 9, 8, np.full(37, 0.5)]
    target = np.arange(60) % 3 == 0
    x[:, 1] += 15 * target
    found = Machines(x, target, components=3).fitted()
    directions = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:3]
    inside = found.weights @ directions.T @ directions
    assert np.allclose(found.weights, inside)
    assert np.allclose(found.scale, 1)
    assert roc_auc_score(target, found.decide(x)) > 0.8


def test_the_distance_is_the_change_over_the_spread(rng: np.random.Generator) -> None:
    original = np.maximum(rng.normal(size=(50, 12)), 0)
    altered = original + 0.1 * rng.choice([-1, 1], original.shape)
    moved = csr_array(np.abs(altered - original))
    found = distance("P1", "noisy", moved, csr_array(original))
    assert found.distance == pytest.approx(0.1 / original.std(axis=0).mean())
    assert found.images.mean() == pytest.approx(found.distance, rel=1e-6)
    none = distance("P1", "noisy", 0 * moved, csr_array(original))
    assert none.distance == 0
