"""What an attack needs to know of what it attacks."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Classifier(Protocol):
    """Tells one class, the target, from all others.

    Images are float32 ``(image, y, x, 3)`` in grey levels, 0 to 255, of the size that they are
    stored in: whatever a classifier does to them first (enlarging, normalising) is part of it.

    Attributes
    ----------
    name : str
        For tables and folders: ``"vgg16"``, ``"dsc"``, ``"pixels"``...
    """

    name: str

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Score of each image, float64 ``(image,)``; 0 or more says "target".

        Of two outputs it is the difference of what goes into the softmax, so that its gradient
        does not vanish where the answer is sure.
        """
        ...

    def representation(self, images: np.ndarray) -> np.ndarray:
        """Last hidden layer, float32 ``(image, unit)``: what the answer is read from."""
        ...


@runtime_checkable
class Differentiable(Classifier, Protocol):
    """A classifier whose gradient is known."""

    def gradient(self, images: np.ndarray) -> np.ndarray:
        """Gradient of each score by its image, float32 ``(image, y, x, 3)``, per grey level."""
        ...


def right(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Whether each answer is right, bool ``(image,)``."""
    return (scores >= 0) == target


def balanced(scores: np.ndarray, target: np.ndarray) -> float:
    """Mean of the shares of both kinds of images that are right; NaN without one of them."""
    found = right(scores, target)
    shares = [found[kind].mean() if kind.any() else np.nan for kind in (target, ~target)]
    return float(np.mean(shares))
