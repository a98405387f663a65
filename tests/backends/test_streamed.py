"""A few images times large weights: the same products as a matrix library's."""

from __future__ import annotations

import numpy as np
import pytest

from neurosim.backends.cpu_gather import STREAMED_PART, STREAMED_ROWS, multiplier, rows_times


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 4, 7, STREAMED_ROWS])
@pytest.mark.parametrize("features", [64, 66])
def test_products_of_few_rows(
    rng: np.random.Generator, dtype: type, count: int, features: int
) -> None:
    size = 3 * STREAMED_PART - 5  # the last part is shorter
    dictionary = rng.integers(-3, 4, (features, size)).astype(dtype)  # sums are exact
    multiply = multiplier(count, dictionary.T)
    assert multiply is not rows_times
    for n in (count, 1):  # fewer rows than it was made for, after more of them
        for _ in range(2):
            rows = rng.integers(-3, 4, (n, size)).astype(dtype)
            out = np.full((n, features), np.nan, dtype)
            multiply(rows, dictionary.T, out)
            np.testing.assert_array_equal(out, rows @ dictionary.T)
