"""Runs that blow up stop with the layer, the step and the remedy."""

from __future__ import annotations

from math import isinf

import numpy as np

from neurosim.errors import DivergenceError

#: An energy this many times that of the start of a presentation means divergence.
ENERGY_GROWTH = 20.0
#: Steps at the start of a presentation whose largest energy is the measure.
SETTLING = 10


class EnergyWatch:
    """Follows one energy of each batch element through a presentation.

    Parameters
    ----------
    probe : str
        The energy.
    nbatch : int
    growth : float
        How many times that of the start means divergence. Potentials that are solved for may
        rise further, and come back.
    """

    def __init__(self, probe: str, nbatch: int, growth: float = ENERGY_GROWTH) -> None:
        self.probe, self.growth = probe, growth
        self.start = np.zeros(nbatch)
        self.seen = 0

    def restart(self) -> None:
        """A new image is shown."""
        self.start[:] = 0
        self.seen = 0

    def look(self, values: np.ndarray, first_step: int) -> None:
        """Check the energies of consecutive steps, ``(steps, batch)``."""
        for k, energies in enumerate(values):
            if not np.isfinite(energies).all():
                raise DivergenceError(
                    f'energy "{self.probe}" is not finite at step {first_step + k}; {remedy()}'
                )
            if self.seen < SETTLING:
                # An energy of 0 waits for a layer that updates later in a presentation.
                self.seen += bool(self.start.any() or np.any(energies))
                np.maximum(self.start, energies, out=self.start)
                continue
            if isinf(self.growth):
                continue
            grown = energies > self.growth * self.start + 1e-30
            if grown.any():
                element = int(np.argmax(grown))
                raise DivergenceError(
                    f'energy "{self.probe}" grew from {self.start[element]:.4g} to '
                    f"{energies[element]:.4g} by step {first_step + k} "
                    f"(batch element {element}); {remedy()}"
                )


def remedy() -> str:
    """What to change when potentials or energies grow without bound."""
    return (
        "the step is too large for this dictionary: raise timeConstantTau, lower baseMax of an "
        "adaptive time scale, lower dWMax, or normalise the input and the weights; a "
        "SparseSolverLayer finds its step itself"
    )


def check_potentials(layer: str, flags: np.ndarray) -> None:
    """Raise when a potential of ``layer`` was NaN or beyond its limit."""
    if flags.any():
        element = int(np.argmax(flags > 0))
        raise DivergenceError(
            f'layer "{layer}": the membrane potential is beyond its limit or not a number at '
            f"step {int(flags[element])} (batch element {element}); {remedy()}"
        )
