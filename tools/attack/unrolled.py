"""The gradient through unrolled dynamics: back through every step that led to a code.

The steps are those of :meth:`attack.fixed_point.Circuit.settle`, proximal steps with a fixed
momentum, so that the derivative of each is a mask and two products with the dictionaries.
"""

from __future__ import annotations

import numpy as np

from attack.fixed_point import Arrays, Circuit


class Unrolled:
    """A circuit whose settling is remembered.

    Parameters
    ----------
    circuit : Circuit
    below : ndarray
        Its input, ``(image, y, x, feature)``.
    steps : int
        Of the dynamics; as many masks of active units are kept.

    Attributes
    ----------
    codes : list of ndarray
        What it settled to, by level.
    """

    def __init__(self, circuit: Circuit, below: np.ndarray, steps: int) -> None:
        self.circuit = circuit
        self._length = 1 / circuit.curvature()
        self._masks: list[Arrays] = []
        codes, before = circuit.silent(below), circuit.silent(below)
        for step in range(steps):
            momentum = step / (step + 3)
            trial = [a + momentum * (a - b) for a, b in zip(codes, before, strict=True)]
            before, codes = codes, circuit.shrunk(trial, below, self._length)
            self._masks.append([code > 0 for code in codes])
        self.codes = codes

    def pullback(self, gradient: np.ndarray) -> np.ndarray:
        """Gradient by the input, from that by the code at the top after the last step."""
        levels = self.circuit.levels
        later = [np.zeros_like(code) for code in self.codes]
        later[-1] = gradient.astype(self.codes[-1].dtype)
        earlier = [np.zeros_like(code) for code in self.codes]
        total = np.zeros((len(gradient), *levels[0].dictionary.below), self.codes[0].dtype)
        for step in reversed(range(len(self._masks))):
            held = [np.where(on, g, 0) for on, g in zip(self._masks[step], later, strict=True)]
            total += self._length * levels[0].scale * levels[0].dictionary.apply(held[0])
            curved = self.circuit.descent(held, None)  # −H
            trial = [h + self._length * c for h, c in zip(held, curved, strict=True)]
            momentum = step / (step + 3)
            later = [e + (1 + momentum) * t for e, t in zip(earlier, trial, strict=True)]
            earlier = [-momentum * t for t in trial]
        return total
