"""Presentations that end once the energy has settled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosim.plan.operators import Schedule


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

    def steps_to_look(self, step: int) -> int:
        """Steps until the next look; looks are a window apart from the presentation's start.

        So where a presentation ends does not depend on how steps are grouped.
        """
        return self.window - (step + 1 - self.presentations.first) % self.window

    def follow(self, energies: np.ndarray, step: int) -> int:
        """Take the energies ``(steps, batch)`` up to ``step``; the step to go on from.

        That is ``step`` itself, or the one before the last of a presentation
        whose energies have settled.
        """
        for energy in energies:
            if self._last is not None:
                change = np.abs(energy - self._last)
                quiet = bool(np.all(change < self.tolerance * np.maximum(np.abs(energy), 1e-30)))
                self._quiet = self._quiet + 1 if quiet else 0
            self._last = energy
        if self._quiet < self.window or self.steps_to_look(step) != self.window:
            return step
        following = self.presentations.next(step + 1)
        return step if following is None else max(step, following - 2)

    def saved(self) -> dict[str, Any]:
        """State for a checkpoint."""
        return {"quiet": self._quiet, "last": None if self._last is None else self._last.tolist()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state."""
        self._quiet = int(state["quiet"])
        self._last = None if state["last"] is None else np.array(state["last"])
