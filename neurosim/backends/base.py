"""What a backend is: six methods between a plan and its numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from neurosim.backends.profile import Profile
from neurosim.plan.operators import Operator, Plan

Call = TypeVar("Call", bound=Callable[..., Any])


class Backend(ABC):
    """Holds the buffers of one plan and runs its operators.

    A subclass is final. Buffers are addressed by their names in the plan;
    ``read`` and ``write`` speak numpy on the host, whatever the device.
    """

    name: str
    #: Whether it computes on the host, for which plans can be tuned.
    on_host = False
    #: Why it was chosen, where the user left the choice.
    remark = ""
    #: Set before anything is bound where operators are to be timed.
    profile: Profile | None = None

    @abstractmethod
    def allocate(self, plan: Plan) -> None:
        """Make all buffers of a plan, zeroed."""

    @abstractmethod
    def write(self, buffer: str, values: np.ndarray) -> None:
        """Set a buffer from a host array of its shape."""

    @abstractmethod
    def read(self, buffer: str) -> np.ndarray:
        """A copy of a buffer on the host."""

    @abstractmethod
    def bind(self, operators: tuple[Operator, ...], record: tuple[str, ...]) -> int:
        """Prepare a sequence of operators; returns a handle for :meth:`run`.

        ``record`` names probe buffers whose values are kept at each step.
        """

    @abstractmethod
    def run(self, handle: int, first_step: int, steps: int) -> dict[str, np.ndarray]:
        """Run a prepared sequence ``steps`` times.

        Returns
        -------
        dict
            For each recorded buffer its values, ``(steps, *shape)``.
        """

    @abstractmethod
    def sync(self) -> None:
        """Wait until all work is done."""

    def timed(self, op: Operator, call: Call, images: int = 0, counted: bool = True) -> Call:
        """A bound call of an operator for some images; timed where that is asked for."""
        return self.profile.timed(op, call, images, counted) if self.profile else call
