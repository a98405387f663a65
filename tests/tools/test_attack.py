"""Attacks stay within their budgets and reach what is known to be the worst."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neurosim
from attack.classifier import Differentiable, balanced
from attack.controls import low_pass, noise_like
from attack.estimated import Estimator, Queries, estimated
from attack.gradient_sign import Budget, iterated, margins, projected, single_step
from attack.images import ImageSet, read_images, write_images
from attack.linear import LinearClassifier
from attack.luminance import Luminance
from attack.universal import apply, universal_perturbation
from neurosim.stimuli.fit import FitSpec

SHAPE = (6, 5, 3)


class Curved:
    """A smooth score that is not linear: two layers of tanh."""

    name = "curved"

    def __init__(self, rng: np.random.Generator) -> None:
        size = int(np.prod(SHAPE))
        self.first = rng.standard_normal((size, 8)) / 255
        self.second = rng.standard_normal(8)

    def scores(self, images: np.ndarray) -> np.ndarray:
        return self.representation(images) @ self.second

    def representation(self, images: np.ndarray) -> np.ndarray:
        return np.tanh((images.reshape(len(images), -1) - 128) @ self.first)

    def gradient(self, images: np.ndarray) -> np.ndarray:
        slope = (1 - self.representation(images) ** 2) * self.second
        return (slope @ self.first.T).reshape(images.shape).astype(np.float32)


def some(rng: np.random.Generator, count: int = 12, low: int = 0, high: int = 256) -> ImageSet:
    """Random images, every other one of the target."""
    pixels = rng.integers(low, high, (count, *SHAPE)).astype(np.float32)
    names = tuple(f"{'ab'[i % 2]}/{i:02d}.png" for i in range(count))
    return ImageSet(pixels, names, np.arange(count) % 2 == 0)


def linear(rng: np.random.Generator) -> LinearClassifier:
    weights = rng.standard_normal(SHAPE)
    return LinearClassifier(weights, -float(weights.sum() * 128))


ATTACKS = [single_step, iterated, projected]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_linear_classifier_is_brought_to_its_exact_worst_case(
    attack: object, rng: np.random.Generator
) -> None:
    """Also where pixels meet 0 or 255 on the way."""
    model, images = linear(rng), some(rng)
    found = attack(model, images, Budget(7, iterations=8, restarts=1))  # type: ignore[operator]
    worst = model.worst_margins(images.pixels, images.target, 7)
    assert np.any((images.pixels < 7) | (images.pixels > 248))
    assert margins(model.scores(found.pixels), images.target) == pytest.approx(worst)


@pytest.mark.parametrize("curved", [False, True])
@given(
    epsilon=st.floats(0, 40), step=st.floats(0.1, 20), iterations=st.integers(1, 4),
    seed=st.integers(0, 10**6),
)  # fmt: skip
def test_no_attack_leaves_its_budget(
    curved: bool, epsilon: float, step: float, iterations: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    model: Differentiable = Curved(rng) if curved else linear(rng)
    images, budget = some(rng, 4), Budget(epsilon, step, iterations, 1, seed)
    made = [attack(model, images, budget) for attack in ATTACKS]
    made.append(estimated(model, images, budget, Queries(count=3, seed=seed))[0])
    change = universal_perturbation(model, images, epsilon, passes=1, seed=seed)
    made.append(apply(images, change))
    for found in made:
        assert np.abs(found.pixels - images.pixels).max() <= epsilon
        assert found.pixels.min() >= 0
        assert found.pixels.max() <= 255
        assert np.array_equal(found.pixels, np.rint(found.pixels))


def test_more_iterations_and_restarts_never_hurt_and_beat_one_step(
    rng: np.random.Generator,
) -> None:
    model, images = Curved(rng), some(rng)
    one = margins(model.scores(single_step(model, images, Budget(20)).pixels), images.target)
    before = margins(model.scores(images.pixels), images.target)
    for iterations in (1, 5, 20):
        budget = Budget(20, step=2, iterations=iterations)
        after = margins(model.scores(iterated(model, images, budget).pixels), images.target)
        assert np.all(after <= before)
        before = after
    budget = Budget(20, step=2, iterations=20, restarts=3)
    restarted = margins(model.scores(projected(model, images, budget).pixels), images.target)
    assert np.all(restarted <= before)
    assert restarted.mean() < one.mean()


def test_coordinates_give_the_gradient_of_a_linear_score_exactly(rng: np.random.Generator) -> None:
    model, images = linear(rng), some(rng, 3)
    size = int(np.prod(SHAPE))
    asking = Estimator(model, Queries("coordinates", count=size))
    assert asking.gradient(images.pixels) == pytest.approx(model.gradient(images.pixels), rel=1e-3)
    assert asking.asked == 2 * size


def test_blocks_of_pixels_give_their_mean_gradient(rng: np.random.Generator) -> None:
    model, images = linear(rng), some(rng, 2)
    found = Estimator(model, Queries("coordinates", count=10**6, block=2)).gradient(images.pixels)
    whole = model.weights[2:4, 2:4, 1].mean()
    assert found[:, 2:4, 2:4, 1] == pytest.approx(whole, rel=1e-3)


def test_random_directions_point_along_the_gradient(rng: np.random.Generator) -> None:
    """The cosine with ``n`` directions in ``d`` dimensions is about √(n / (n + d))."""
    model, images = linear(rng), some(rng, 2)
    size = int(np.prod(SHAPE))
    asking = Estimator(model, Queries(count=4 * size))
    found = asking.gradient(images.pixels).reshape(2, -1)
    true = model.weights.ravel()
    cosine = found @ true / np.linalg.norm(true) / np.linalg.norm(found, axis=1)
    assert cosine == pytest.approx(np.sqrt(4 / 5), abs=0.08)


def test_every_query_is_counted(rng: np.random.Generator) -> None:
    class Counting(LinearClassifier):
        asked = 0

        def scores(self, images: np.ndarray) -> np.ndarray:
            self.asked += len(images)
            return super().scores(images)

    model = Counting(rng.standard_normal(SHAPE), 0.0)
    _, each = estimated(model, some(rng, 5), Budget(4, iterations=3), Queries(count=7))
    assert each == 1 + 3 * (2 * 7 + 1)
    assert model.asked == 5 * each


def test_one_perturbation_turns_many_answers_and_carries_over(rng: np.random.Generator) -> None:
    model = linear(rng)
    images, fresh = (some(rng, 60, 40, 216) for _ in range(2))
    answers = model.scores(images.pixels) >= 0
    images = ImageSet(images.pixels, images.names, answers)
    # All of one kind, so that one direction turns them.
    images = images.take(np.flatnonzero(answers))
    change = universal_perturbation(model, images, 30, passes=5)
    assert np.abs(change).max() <= 30
    assert np.mean(model.scores(apply(images, change).pixels) < 0) >= 0.8
    kept = fresh.take(np.flatnonzero(model.scores(fresh.pixels) >= 0))
    assert np.mean(model.scores(apply(kept, change).pixels) < 0) >= 0.6


def test_noise_has_the_mean_and_deviation_of_each_perturbation(rng: np.random.Generator) -> None:
    pixels = np.full((2, 64, 64, 3), 128, np.float32)
    original = ImageSet(pixels, ("a/0.png", "b/1.png"), np.array([True, False]))
    shift = np.array([3.0, -8.0]).reshape(2, 1, 1, 1)
    spread = np.array([5.0, 1.0]).reshape(2, 1, 1, 1)
    attacked = original.altered(pixels + shift + spread * rng.choice([-1, 1], pixels.shape))
    noise = noise_like(original, attacked).pixels - pixels
    assert noise.mean(axis=(1, 2, 3)) == pytest.approx([3, -8], abs=0.2)
    both = noise_like(original, attacked, onto=attacked).pixels - attacked.pixels
    assert np.abs(both - noise).max() <= 1  # the same noise, on other pixels, rounded anew
    # Rounding to whole grey levels adds a twelfth to the variance.
    assert noise.var(axis=(1, 2, 3)) == pytest.approx([25 + 1 / 12, 1 + 1 / 12], rel=0.05)


def test_low_pass_keeps_what_is_flat_and_flattens_a_checkerboard(rng: np.random.Generator) -> None:
    flat = np.full((1, 8, 8, 3), 77, np.float32)
    board = 100 + 50 * (np.indices((8, 8)).sum(axis=0) % 2)[None, :, :, None] * np.ones(3)
    one = ImageSet(flat, ("a/0.png",), np.array([True]))
    assert np.array_equal(low_pass(one).pixels, flat)
    other = ImageSet(board.astype(np.float32), ("a/0.png",), np.array([True]))
    assert np.all(low_pass(other).pixels == 125)


@pytest.mark.parametrize("whitening", [0.0, 0.5])
@pytest.mark.parametrize("normalize", [True, False])
def test_the_normalisation_is_differentiated_exactly(
    normalize: bool, whitening: float, rng: np.random.Generator
) -> None:
    images, mean = some(rng, 3).pixels.astype(float), rng.random(SHAPE)
    fit = FitSpec(whiteningExponent=whitening, whiteningCutoff=whitening / 2)
    luminance = Luminance(mean, normalize, fit.whitened)
    weights, way = rng.standard_normal((2, *images.shape))
    ahead, behind = (luminance.forward(images + h * way) for h in (1e-3, -1e-3))
    slope = (weights * (ahead - behind)).sum() / 2e-3
    assert np.vdot(luminance.pullback(images, weights), way) == pytest.approx(slope, rel=1e-6)


def test_a_flat_image_has_no_gradient() -> None:
    flat = np.full((1, *SHAPE), 9.0)
    luminance = Luminance(None, True)
    assert not np.any(luminance.forward(flat))
    assert not np.any(luminance.pullback(flat, np.ones_like(flat)))


def test_a_written_set_reads_back_and_is_an_input_of_neurosim(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    images = some(rng)
    write_images(images, tmp_path / "set", {"method": "none"})
    again = read_images(tmp_path / "set", "a")
    order = sorted(range(len(images)), key=lambda row: images.names[row])
    assert again.names == tuple(images.names[row] for row in order)
    assert np.array_equal(again.pixels, images.pixels[order])
    assert np.array_equal(again.target, images.target[order])
    for path in (tmp_path / "set", f"{tmp_path}/set/images.h5:/images"):
        neurosim.load("params/lca_patch.params", {"Face.inputPath": str(path)}).check()


def test_a_set_replaces_a_set_but_nothing_else(tmp_path: Path, rng: np.random.Generator) -> None:
    images = some(rng)
    write_images(images, tmp_path / "set", {})
    write_images(images.take(np.arange(4)), tmp_path / "set", {})
    assert len(read_images(tmp_path / "set", "a")) == 4
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("...")
    with pytest.raises(neurosim.RequestError, match="something else than an altered set"):
        write_images(images, tmp_path / "mine", {})


def test_balanced_accuracy_weighs_both_kinds_the_same() -> None:
    assert balanced(np.array([1.0, -1, -1, -1]), np.array([True, True, False, False])) == 0.75
