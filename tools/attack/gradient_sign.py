"""Attacks that follow the sign of the gradient.

The loss of an image is ``log(1 + exp(-y s))`` with its score ``s`` and ``y`` = 1 for the target, −1
for others. Its gradient has the sign of ``−y ∂s/∂x`` everywhere, so the gradient of the score is
followed: unlike that of the loss it does not vanish where the answer is sure, which would make a
classifier look robust that merely hides its gradient (Carlini et al. 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attack.classifier import Differentiable
from attack.images import ImageSet


@dataclass(frozen=True)
class Budget:
    """How far pixels may go, and in which steps; in grey levels.

    Attributes
    ----------
    epsilon : float
        Largest change of any value of a pixel.
    step : float, optional
        Of one iteration; by default ``2.5 epsilon / iterations``, at least one grey level.
    iterations : int
    restarts : int
        Random starts; 0 starts from the image itself.
    seed : int
        Of random starts.
    """

    epsilon: float
    step: float | None = None
    iterations: int = 10
    restarts: int = 0
    seed: int = 0

    @property
    def length(self) -> float:
        """The step, whether given or not."""
        return max(2.5 * self.epsilon / self.iterations, 1) if self.step is None else self.step


def within(pixels: np.ndarray, original: np.ndarray, epsilon: float) -> np.ndarray:
    """The nearest pixels within ``epsilon`` of the original and within 0 to 255."""
    near = np.clip(pixels, original - epsilon, original + epsilon)
    return np.clip(near, 0, 255).astype(np.float32)


def whole(pixels: np.ndarray, original: np.ndarray, epsilon: float) -> np.ndarray:
    """Pixels within the budget as 8-bit files hold them: rounded, and never out of it."""
    low = np.maximum(np.ceil(original - epsilon), 0)
    high = np.minimum(np.floor(original + epsilon), 255)
    return np.clip(np.rint(pixels), low, high).astype(np.float32)


def margins(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """How sure a classifier is of the right answer; below 0 it is wrong."""
    return np.where(target, scores, -scores)


class Worst:
    """The worst version of each image so far, for the classifier, after rounding to 8 bits."""

    def __init__(self, model: Differentiable, images: ImageSet, epsilon: float) -> None:
        self._model, self._images, self._epsilon = model, images, epsilon
        self.pixels = images.pixels.copy()
        self.margin = margins(model.scores(images.pixels), images.target)

    def offer(self, pixels: np.ndarray) -> None:
        """Keep what is worse than what is kept."""
        rounded = whole(pixels, self._images.pixels, self._epsilon)
        margin = margins(self._model.scores(rounded), self._images.target)
        worse = margin < self.margin
        self.pixels[worse], self.margin[worse] = rounded[worse], margin[worse]


def single_step(model: Differentiable, images: ImageSet, budget: Budget) -> ImageSet:
    """One step of ``epsilon`` along the sign (Goodfellow et al. 2015)."""
    pixels = images.pixels + budget.epsilon * _uphill(model, images, images.pixels)
    return images.altered(whole(pixels, images.pixels, budget.epsilon))


def iterated(model: Differentiable, images: ImageSet, budget: Budget) -> ImageSet:
    """Steps from the image itself (Kurakin et al. 2017); the worst iterate of each image."""
    worst = Worst(model, images, budget.epsilon)
    _descend(model, images, budget, images.pixels, worst)
    return images.altered(worst.pixels)


def projected(model: Differentiable, images: ImageSet, budget: Budget) -> ImageSet:
    """Steps from random starts within the budget (Madry et al. 2018) and from the image itself."""
    worst = Worst(model, images, budget.epsilon)
    _descend(model, images, budget, images.pixels, worst)
    rng = np.random.default_rng(budget.seed)
    for _ in range(budget.restarts):
        start = images.pixels + rng.uniform(-budget.epsilon, budget.epsilon, images.pixels.shape)
        _descend(model, images, budget, within(start, images.pixels, budget.epsilon), worst)
    return images.altered(worst.pixels)


def _descend(
    model: Differentiable, images: ImageSet, budget: Budget, start: np.ndarray, worst: Worst
) -> None:
    pixels = start
    for _ in range(budget.iterations):
        pixels = pixels + budget.length * _uphill(model, images, pixels)
        pixels = within(pixels, images.pixels, budget.epsilon)
        worst.offer(pixels)


def _uphill(model: Differentiable, images: ImageSet, pixels: np.ndarray) -> np.ndarray:
    """Signs along which the loss grows."""
    y = np.where(images.target, 1.0, -1.0).reshape(-1, 1, 1, 1)
    return np.sign(-y * model.gradient(pixels)).astype(np.float32)
