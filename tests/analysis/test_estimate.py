"""Pictures guessed from codes where no dictionary leads down."""

from __future__ import annotations

import numpy as np
import pytest

from neurosim.analysis.estimate import fit_estimate
from neurosim.errors import RequestError


@pytest.fixture
def linear(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes, the pictures that they make, and the atoms that do."""
    atoms = rng.normal(size=(6, 4, 3, 2)).astype(np.float32)
    code = (rng.exponential(size=(300, 6)) * (rng.random((300, 6)) < 0.5)).astype(np.float32)
    pictures = np.einsum("iu,uyxf->iyxf", code, atoms)
    return code, pictures.astype(np.float32), atoms


def test_a_linear_picture_is_found_again(linear: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    code, pictures, atoms = linear
    found = fit_estimate("P1", "Face", code[:200], pictures[:200])
    np.testing.assert_allclose(found.weights, atoms, atol=1e-4)
    np.testing.assert_allclose(found.decode(code[200:]), pictures[200:], atol=1e-3)
    assert found.share(code[200:], pictures[200:]) == pytest.approx(1, abs=1e-6)
    for wrong in (code[:, :3], code[0], code[:1].T):
        with pytest.raises(RequestError, match=r'not those of "P1"; one code is 6 units'):
            found.decode(wrong)


def test_what_the_code_does_not_tell_is_not_explained(
    linear: tuple[np.ndarray, np.ndarray, np.ndarray], rng: np.random.Generator
) -> None:
    """Noise as large as the signal halves the share; a code of nothing guesses nothing."""
    code, pictures, _ = linear
    spread = pictures.std(axis=0)
    noisy = pictures + spread * rng.normal(size=pictures.shape).astype(np.float32)
    found = fit_estimate("P1", "Face", code[:200], noisy[:200])
    assert 0.35 < found.share(code[200:], noisy[200:]) < 0.6
    silent = fit_estimate("P1", "Face", np.zeros((200, 6), np.float32), pictures[:200])
    assert not np.any(silent.weights)


def test_few_images_and_many_units_do_not_guess_worse_than_the_mean(
    rng: np.random.Generator,
) -> None:
    """The ridge grows where the code tells little."""
    code = rng.normal(size=(130, 40)).astype(np.float32)
    pictures = rng.normal(size=(130, 5, 5, 1)).astype(np.float32)
    found = fit_estimate("P1", "Face", code[:60], pictures[:60])
    assert -0.1 < found.share(code[60:], pictures[60:]) < 0.1
