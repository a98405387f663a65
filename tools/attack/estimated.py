"""Gradients estimated from scores alone, as whoever cannot look inside must (Chen et al. 2017).

Springer et al. 2018 attack the deep sparse coding model by changing single pixels and adding up
what that does; random directions in opposite pairs need fewer queries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from attack.classifier import Classifier
from attack.gradient_sign import Budget, margins, whole, within
from attack.images import ImageSet

Directions = Literal["random", "coordinates"]
#: Images that are scored by one call.
CALL = 256


@dataclass(frozen=True)
class Queries:
    """How a gradient is estimated.

    Attributes
    ----------
    directions : {"random", "coordinates"}
        Random signs of all values, or one block of pixels of one colour after the other.
    count : int
        Directions per gradient; two queries each. Of coordinates, the blocks are drawn by seed
        where there are more of them than this.
    block : int
        Pixels on a side of a block; 1 changes single pixels.
    size : float
        Change along a direction, in grey levels.
    seed : int
    """

    directions: Directions = "random"
    count: int = 50
    block: int = 1
    size: float = 4.0
    seed: int = 0


class Estimator:
    """Estimates gradients of a classifier and counts what it asks.

    Parameters
    ----------
    model : Classifier
    queries : Queries

    Attributes
    ----------
    asked : int
        Queries per image so far.
    """

    def __init__(self, model: Classifier, queries: Queries) -> None:
        self.model, self.queries, self.asked = model, queries, 0
        self._rng = np.random.default_rng(queries.seed)

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """Scores, a query for each image."""
        self.asked += 1
        return self._scored(pixels)

    def gradient(self, pixels: np.ndarray) -> np.ndarray:
        """Estimated gradient of each score, ``(image, y, x, 3)``.

        The mean over directions ``d`` of ``d (s(x + h d) − s(x − h d)) / 2h``: of coordinates exact
        for a score that is linear, of random signs right on average.
        """
        total = np.zeros(pixels.shape, np.float64)
        h, (directions, weight) = self.queries.size, self._directions(pixels.shape[1:])
        per_call = max(1, CALL // (2 * len(pixels)))
        for first in range(0, len(directions), per_call):
            part = directions[first : first + per_call]
            # (direction, side, image, y, x, channel)
            moved = pixels + h * np.stack([part, -part], axis=1)[:, :, None]
            scores = self._scored(moved.reshape(-1, *pixels.shape[1:]).astype(np.float32))
            ahead, behind = scores.reshape(len(part), 2, len(pixels)).transpose(1, 0, 2)
            total += np.einsum("dn,dyxc->nyxc", (ahead - behind) / (2 * h), part)
        self.asked += 2 * len(directions)
        return total * weight

    def _scored(self, pixels: np.ndarray) -> np.ndarray:
        parts = [self.model.scores(pixels[i : i + CALL]) for i in range(0, len(pixels), CALL)]
        return np.concatenate(parts)

    def _directions(self, shape: tuple[int, ...]) -> tuple[np.ndarray, float]:
        """Directions (direction, y, x, channel), and the factor on the sum over them."""
        count = self.queries.count
        if self.queries.directions == "random":
            signs = self._rng.choice(np.array([-1.0, 1.0]), (count, *shape))
            return signs, 1 / count
        ny, nx, channels = shape
        side = self.queries.block
        rows, columns = -(-ny // side), -(-nx // side)
        number = rows * columns * channels
        chosen = np.arange(number)
        if count < number:
            chosen = np.sort(self._rng.choice(number, count, replace=False))
        found = np.zeros((len(chosen), *shape))
        for index, (row, column, channel) in enumerate(
            zip(*np.unravel_index(chosen, (rows, columns, channels)), strict=True)
        ):
            y, x = row * side, column * side
            found[index, y : y + side, x : x + side, channel] = 1
        return found, 1 / side**2


def estimated(
    model: Classifier, images: ImageSet, budget: Budget, queries: Queries
) -> tuple[ImageSet, int]:
    """Steps along signs of estimated gradients; the worst iterate, and queries per image.

    Parameters
    ----------
    model : Classifier
    images : ImageSet
    budget : Budget
        Its iterations each cost ``2 count + 1`` queries per image, and one more is asked first.
    queries : Queries
    """
    asking = Estimator(model, queries)
    pixels, worst = images.pixels, images.pixels.copy()
    margin = margins(asking.scores(pixels), images.target)
    y = np.where(images.target, 1.0, -1.0).reshape(-1, 1, 1, 1)
    for _ in range(budget.iterations):
        uphill = np.sign(-y * asking.gradient(pixels))
        pixels = within(pixels + budget.length * uphill, images.pixels, budget.epsilon)
        rounded = whole(pixels, images.pixels, budget.epsilon)
        found = margins(asking.scores(rounded), images.target)
        worse = found < margin
        worst[worse], margin[worse] = rounded[worse], found[worse]
    return images.altered(worst), asking.asked
