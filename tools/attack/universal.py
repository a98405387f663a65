"""One perturbation for all images (Moosavi-Dezfooli et al. 2017)."""

from __future__ import annotations

import numpy as np

from attack.classifier import Differentiable, right
from attack.gradient_sign import within
from attack.images import ImageSet

#: How far past the boundary a step goes, and steps per image, as in DeepFool.
OVERSHOOT, STEPS = 0.02, 10


def universal_perturbation(
    model: Differentiable, images: ImageSet, epsilon: float, passes: int = 5,
    fooled: float = 0.8, batch: int = 16, seed: int = 0,
) -> np.ndarray:  # fmt: skip
    """A perturbation that turns the answers to many images, ``(y, x, 3)`` in whole grey levels.

    Images whose answer it does not turn yet each add the smallest change, in the largest
    value, that would: ``−(1 + overshoot) s sign(g) / ‖g‖₁`` (DeepFool for two classes). The changes
    of a batch of images are averaged before they are added.

    Parameters
    ----------
    model : Differentiable
    images : ImageSet
        Made on these, to be applied to others (:func:`apply`).
    epsilon : float
        Largest change of any value, in grey levels.
    passes : int
        Through the images, at most.
    fooled : float
        Share of turned answers at which it is done.
    batch : int
        Images whose changes are averaged.
    seed : int
        Of their order.
    """
    rng = np.random.default_rng(seed)
    before = right(model.scores(images.pixels), images.target)
    change = np.zeros(images.pixels.shape[1:], np.float32)
    for _ in range(passes):
        order = rng.permutation(len(images))
        for first in range(0, len(order), batch):
            part = images.take(order[first : first + batch])
            extra = _smallest(model, part, change)
            change = np.clip(change + extra, -epsilon, epsilon)
        after = right(model.scores(apply(images, change).pixels), images.target)
        if before.any() and np.mean(~after[before]) >= fooled:
            break
    return np.trunc(change)


def apply(images: ImageSet, change: np.ndarray) -> ImageSet:
    """The images with the perturbation, clipped to valid pixels."""
    moved = within(images.pixels + change, images.pixels, float(np.abs(change).max(initial=0)))
    return images.altered(moved)


def _smallest(model: Differentiable, images: ImageSet, change: np.ndarray) -> np.ndarray:
    """Mean over images not yet turned of the change that would turn them; 0 for the others."""
    moved = np.clip(images.pixels + change, 0, 255)
    extra = np.zeros_like(moved)
    axes = (1, 2, 3)
    going = right(model.scores(moved), images.target)
    turned = np.count_nonzero(going)
    for _ in range(STEPS):
        if not going.any():
            break
        score = model.scores(moved[going] + extra[going])
        slope = model.gradient(moved[going] + extra[going])
        length = np.abs(slope).sum(axis=axes)
        size = np.divide(score, length, out=np.zeros_like(score), where=length > 0)
        step = -(1 + OVERSHOOT) * size.reshape(-1, 1, 1, 1) * np.sign(slope)
        extra[going] += step.astype(np.float32)
        going[going] = right(model.scores(moved[going] + extra[going]), images.target[going])
    return extra.sum(axis=0) / max(turned, 1)
