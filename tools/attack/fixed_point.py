"""Sparse codes as functions of their input: the code, and its gradient through the fixed point.

The levels of one circuit minimise together, with ``a₀`` the input,

    E(a) = ½ ‖s a₀ − Φ₁ a₁‖² + λ₁ ‖a₁‖₁ + ½ ‖a₁ − Φ₂ a₂‖² + λ₂ ‖a₂‖₁ + … ,   a ≥ 0

(Springer et al. 2018 with feedback from activities). At the minimum the active units satisfy
``H a = s Φ₁ᵀ a₀ − λ`` with ``H`` the Hessian between them, so that around the input, as long as
the same units are active,

    ∂a / ∂a₀ = s H⁻¹ Φ₁ᵀ ,  and the gradient of a score S by the input is  s Φ₁ z₁ ,  H z = ∂S/∂a .
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attack.dictionary import Dictionary

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Level:
    """One level of a circuit.

    Attributes
    ----------
    name : str
    dictionary : Dictionary
        To the level below it, or to the input.
    threshold : float
    scale : float
        Factor on what it codes, before it is coded.
    """

    name: str
    dictionary: Dictionary
    threshold: float
    scale: float = 1.0


class Circuit:
    """Levels that settle together, the lowest one first.

    Parameters
    ----------
    levels : sequence of Level
    tolerance : float
        Relative residual at which the linear equations of the gradient count as solved.
    iterations : int
        Steps of conjugate gradients after which they are left as they are.
    """

    def __init__(
        self, levels: Sequence[Level], tolerance: float = 1e-3, iterations: int = 50
    ) -> None:
        self.levels = tuple(levels)
        self.tolerance, self.iterations = tolerance, iterations

    def errors(self, codes: Arrays, below: np.ndarray | None) -> Arrays:
        """What each level leaves unexplained; an input of None is 0."""
        found = []
        for index, (level, code) in enumerate(zip(self.levels, codes, strict=True)):
            explained = level.dictionary.apply(code)
            source = codes[index - 1] if index else below
            found.append(-explained if source is None else level.scale * source - explained)
        return found

    def descent(self, codes: Arrays, below: np.ndarray | None) -> Arrays:
        """Minus the gradient of the energy without its thresholds; −H a for an input of None."""
        errors = self.errors(codes, below)
        found = [
            level.dictionary.transpose(e) for level, e in zip(self.levels, errors, strict=True)
        ]
        for index in range(1, len(found)):
            found[index - 1] -= self.levels[index].scale * errors[index]
        return found

    def curvature(self) -> float:
        """An upper estimate of the largest eigenvalue of the Hessian, by power iteration."""
        rng = np.random.default_rng(0)
        kind = self.levels[0].dictionary.matrix.dtype
        v = [
            rng.standard_normal((1, *level.dictionary.shape)).astype(kind) for level in self.levels
        ]
        largest = 0.0
        for _ in range(40):
            norm = np.sqrt(sum(float(np.vdot(part, part)) for part in v))
            v = [-part for part in self.descent([part / norm for part in v], None)]
            largest = np.sqrt(sum(float(np.vdot(part, part)) for part in v))
        return 1.05 * largest

    def settle(self, below: np.ndarray, steps: int) -> Arrays:
        """Codes of an input after accelerated proximal steps (Beck and Teboulle 2009)."""
        codes, before = self.silent(below), self.silent(below)
        length = 1 / self.curvature()
        for step in range(steps):
            trial = [a + step / (step + 3) * (a - b) for a, b in zip(codes, before, strict=True)]
            before, codes = codes, self.shrunk(trial, below, length)
        return codes

    def shrunk(self, codes: Arrays, below: np.ndarray, length: float) -> Arrays:
        """One proximal step from given codes."""
        descent = self.descent(codes, below)
        return [
            np.maximum(a + length * (d - level.threshold), 0)
            for a, d, level in zip(codes, descent, self.levels, strict=True)
        ]

    def silent(self, below: np.ndarray) -> Arrays:
        """Codes that are 0, for as many images as the input has."""
        return [
            np.zeros((len(below), *level.dictionary.shape), level.dictionary.matrix.dtype)
            for level in self.levels
        ]

    def pullback(self, codes: Arrays, gradient: np.ndarray) -> np.ndarray:
        """Gradient by the input, from that by the code at the top, through the fixed point.

        Parameters
        ----------
        codes : list of ndarray
            Settled codes of all levels, ``(image, y, x, feature)``; which units are active is
            taken from them.
        gradient : ndarray
            By the code of the highest level.

        Returns
        -------
        ndarray
            By the input, ``(image, y, x, feature)``.
        """
        kind = self.levels[0].dictionary.matrix.dtype
        active = [code > 0 for code in codes]
        right = [np.zeros(code.shape, kind) for code in codes]
        right[-1] = np.where(active[-1], gradient, 0).astype(kind)
        solved = self._solve(right, active)
        return self.levels[0].scale * self.levels[0].dictionary.apply(solved[0])

    def _solve(self, right: Arrays, active: Arrays) -> Arrays:
        """Solve H z = right between active units, image by image, by conjugate gradients."""
        z = [np.zeros_like(part) for part in right]
        residual, direction = right, right
        size = start = _dot(residual, residual)
        for _ in range(self.iterations):
            if np.all(size <= self.tolerance**2 * start):
                break
            # Images that are solved stand still.
            going = size > self.tolerance**2 * start
            pushed = self.descent(direction, None)
            pushed = [np.where(on, -part, 0) for on, part in zip(active, pushed, strict=True)]
            step = _ratio(size, _dot(direction, pushed)) * going
            z = _plus(z, step, direction)
            residual = _plus(residual, -step, pushed)
            after = _dot(residual, residual)
            direction = _plus(residual, _ratio(after, size), direction)
            size = np.where(going, after, size)
        return z


def _dot(a: Arrays, b: Arrays) -> np.ndarray:
    """Inner product of each image over all levels, (image,)."""
    return sum(
        (np.einsum("...i,...i->...", x.reshape(len(x), -1), y.reshape(len(y), -1)).astype(float))
        for x, y in zip(a, b, strict=True)
    )  # type: ignore[return-value]


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _plus(a: Arrays, factor: np.ndarray, b: Arrays) -> Arrays:
    """``a + factor b``, a factor for each image."""
    return [
        x + factor.astype(x.dtype).reshape(-1, *(1,) * (x.ndim - 1)) * y
        for x, y in zip(a, b, strict=True)
    ]
