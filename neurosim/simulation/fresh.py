"""Presentations that know nothing of each other: each begins as the first one did."""

from __future__ import annotations

import numpy as np

from neurosim.plan.operators import Schedule
from neurosim.simulation.simulator import Simulator


class FreshStart:
    """Puts potentials, activities and time scales back before each new input.

    Without it a presentation starts from the code of the one before, as in PetaVision; codes then
    depend on the order of the images.

    Parameters
    ----------
    simulator : Simulator
        Just started: its state is the one that comes back.
    presentations : Schedule
        Steps at which a new input is shown.
    """

    def __init__(self, simulator: Simulator, presentations: Schedule) -> None:
        shown = {stimulus.activity for stimulus in simulator.stimuli}
        self._when = presentations
        self._state: dict[str, np.ndarray] = {
            buffer.name: simulator.backend.read(buffer.name).copy()
            for buffer in simulator.plan.buffers.values()
            if buffer.role in ("state", "probe") and buffer.name not in shown
        }

    def next_step(self, step: int) -> int | None:
        """The next last step of a presentation."""
        following = self._when.next(step + 2)
        return None if following is None else following - 1

    def observe(self, simulator: Simulator) -> None:
        """Put the starting state back."""
        for name, value in self._state.items():
            simulator.write(name, value)
