from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.stats import norm
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from neurosim.analysis import selectivity as module
from neurosim.analysis.selectivity import (
    best_threshold,
    correlation,
    mean_responses,
    roc_area,
    selectivity,
)
from tests.tolerances import FLOAT64_EXACT


def test_d_prime_and_area_of_gaussians_are_those_of_theory(rng: np.random.Generator) -> None:
    """Of N(m, s) against N(0, 1): d' = m / sqrt((s² + 1) / 2), area = Φ(m / sqrt(s² + 1))."""
    n = 40_000
    means, deviations = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 0.5])
    values = np.concatenate(
        [rng.normal(means, deviations, (n, 3)), rng.normal(0, 1, (n, 3))]
    ).astype(np.float32)
    label = np.repeat([0, 1], n)
    found = selectivity(csr_array(values), label, 2)
    few = 5 / np.sqrt(n)  # five standard errors of quantities of order one
    assert np.allclose(found.d_prime[0], means / np.sqrt((deviations**2 + 1) / 2), atol=few)
    assert np.allclose(found.auc[0], norm.cdf(means / np.sqrt(deviations**2 + 1)), atol=few)
    assert np.allclose(found.d_prime[1], -found.d_prime[0], atol=1e-5)
    assert np.allclose(found.auc[1], 1 - found.auc[0], atol=1e-6)
    assert np.allclose(found.mean_in[0], means, atol=few * deviations.max())
    assert np.allclose(found.std_in[0], deviations, atol=few * deviations.max())


def test_the_threshold_of_equal_gaussians_lies_between_them(rng: np.random.Generator) -> None:
    n = 40_000
    values = np.concatenate([rng.normal(2, 1, (n, 1)), rng.normal(0, 1, (n, 1))])
    threshold, balanced = best_threshold(values, np.repeat([True, False], n))
    assert threshold[0] == pytest.approx(1, abs=0.15)
    assert balanced[0] == pytest.approx(norm.cdf(1), abs=0.01)


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.5]), st.booleans()), min_size=2)
    .filter(lambda rows: len({kind for _, kind in rows}) == 2)
)  # fmt: skip
def test_ties_count_as_in_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    values = np.array([[value] for value, _ in rows])
    inside = np.array([kind for _, kind in rows])
    area = roc_area(values, np.stack([inside, ~inside]))
    assert area[0, 0] == pytest.approx(roc_auc_score(inside, values[:, 0]), abs=FLOAT64_EXACT)
    assert area[1, 0] == pytest.approx(1 - area[0, 0], abs=FLOAT64_EXACT)


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.5]), st.booleans()), min_size=2)
    .filter(lambda rows: len({kind for _, kind in rows}) == 2)
)  # fmt: skip
def test_no_other_threshold_is_better(rows: list[tuple[float, bool]]) -> None:
    values = np.array([[value] for value, _ in rows])
    inside = np.array([kind for _, kind in rows])
    threshold, balanced = best_threshold(values, inside)
    every = [
        balanced_accuracy_score(inside, values[:, 0] >= cut)
        for cut in (-1.0, 0.0, 0.25, 0.75, 1.5, 3.0)
    ]
    assert balanced[0] == pytest.approx(max(every), abs=FLOAT64_EXACT)
    said = values[:, 0] >= threshold[0]
    assert balanced[0] == pytest.approx(balanced_accuracy_score(inside, said), abs=FLOAT64_EXACT)


def test_thresholds_of_one_set_are_used_on_another(rng: np.random.Generator) -> None:
    label = rng.integers(-1, 3, 60)
    train, other = (csr_array(np.maximum(rng.normal(size=(60, 5)), 0)) for _ in range(2))
    fitted = selectivity(train, label, 3)
    told = selectivity(other, label, 3, fitted.threshold)
    assert np.array_equal(told.threshold, fitted.threshold)
    said = other.toarray()[:, 2] >= fitted.threshold[1, 2]
    assert told.balanced[1, 2] == pytest.approx(balanced_accuracy_score(label == 1, said))


def test_blocks_of_neurons_give_what_all_together_give(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = csr_array(np.maximum(rng.normal(size=(30, 17)), 0))
    label = rng.integers(0, 4, 30)
    whole = selectivity(code, label, 4)
    monkeypatch.setattr(module, "_BLOCK_VALUES", 30 * 5)
    parts = selectivity(code, label, 4)
    for a, b in zip(vars(whole).values(), vars(parts).values(), strict=True):
        assert np.array_equal(a, b)


def test_silent_certain_and_empty_are_told_apart() -> None:
    code = csr_array(np.array([[0, 1.0, 0], [0, 1.0, 1], [0, 0, 2], [0, 0, 3]]))
    found = selectivity(code, np.array([0, 0, 1, 1]), 3)
    assert found.d_prime[0].tolist()[:2] == [0, np.inf]
    assert found.d_prime[1, 1] == -np.inf
    assert found.auc[0].tolist() == [0.5, 1, 0]
    assert found.balanced[0].tolist() == [0.5, 1, 0.5]
    assert np.isnan(found.mean_in[2]).all()
    assert np.isnan(found.auc[2]).all()
    assert np.isnan(found.balanced[2]).all()


def test_mean_responses_are_those_of_each_class() -> None:
    code = csr_array(np.array([[1.0, 0], [3, 0], [0, 5]]))
    found = mean_responses(code, np.array([1, 1, 0]), 3)
    assert found[:2].tolist() == [[0, 5], [2, 0]]
    assert np.isnan(found[2]).all()


def test_correlation_is_numpys_and_nan_where_nothing_varies(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 3, 20))
    for row in range(3):
        assert correlation(a, b)[row] == pytest.approx(np.corrcoef(a[row], b[row])[0, 1])
    assert np.isnan(correlation(np.ones(4), np.arange(4.0)))
