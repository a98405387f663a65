"""Presentations that end once the energy has settled."""

from __future__ import annotations

import numpy as np

from ..plan.operators import Schedule


class Convergence:
    """Tells when the relative energy change per step stays below a tolerance.

    Once every batch element's energy has changed by less than ``tolerance`` of
    itself at each of ``window`` consecutive steps, time jumps to just before
    the last step of the presentation, so that whatever is due at its end
    (output, learning) happens there as always.

    Parameters
    ----------
    probe : str
        Name of the energy.
    tolerance : float
        Relative change per step.
    window : int
        Consecutive steps.
    presentations : Schedule
        Steps at which a new image is shown.
    """

    def __init__(self, probe: str, tolerance: float, window: int, presentations: Schedule) -> None:
        self.probe, self.tolerance, self.window = probe, tolerance, window
        self.presentations = presentations
        self.restart()

    def restart(self) -> None:
        """A new image is shown."""
        self._last: np.ndarray | None = None
        self._quiet = 0

    def reached(self, energies: np.ndarray) -> bool:
        """Whether the energies ``(steps, batch)`` complete a quiet window."""
        for energy in energies:
            if self._last is not None:
                change = np.abs(energy - self._last)
                quiet = bool(np.all(change < self.tolerance * np.maximum(np.abs(energy), 1e-30)))
                self._quiet = self._quiet + 1 if quiet else 0
            self._last = energy
        return self._quiet >= self.window

    def jump(self, step: int) -> int:
        """The step before the last one of the presentation that is on."""
        following = self.presentations.next(step + 1)
        return step if following is None else following - 2
