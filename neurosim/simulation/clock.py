"""How far the simulation may step before something must happen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from neurosim.plan.operators import Operator, Schedule


@dataclass(frozen=True)
class Segment:
    """Steps that run one sequence of operators without interruption."""

    first: int
    steps: int
    operators: tuple[Operator, ...]

    @property
    def last(self) -> int:
        return self.first + self.steps - 1


class Clock:
    """Cuts time into segments in which every step does the same.

    Parameters
    ----------
    operators : iterable of Operator
        Those of one step, in order.
    ends : iterable of Schedule
        Steps after which the simulator itself must act, such as learning.
    """

    def __init__(self, operators: Iterable[Operator], ends: Iterable[Schedule] = ()) -> None:
        self.operators = tuple(operators)
        self.gates = {op.when for op in self.operators if not op.when.always}
        self.ends = set(ends)

    def undisturbed(self, step: int) -> int:
        """The last step after ``step`` before something happens that not every step does."""
        dues = (schedule.next(step + 1) for schedule in self.gates | self.ends)
        return min((due - 1 for due in dues if due is not None), default=step)

    def segment(self, first: int, limit: int) -> Segment:
        """The longest segment from step ``first`` up to step ``limit``."""
        last = limit
        for gate in self.gates:
            if gate.fires(first):
                due = first if not gate.fires(first + 1) else gate.next(first + 1)
            else:
                following = gate.next(first)
                due = None if following is None else following - 1
            last = last if due is None else min(last, due)
        for end in self.ends:
            due = end.next(first)
            last = last if due is None else min(last, due)
        active = tuple(op for op in self.operators if op.when.fires(first))
        return Segment(first, max(1, last - first + 1), active)
