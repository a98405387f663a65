"""Which value a buffer holds at which place of a step: the data flow of a plan.

Places count operators from the start of a step, which repeats for ever: place
``p`` is just before operator ``p``, and ``p - n``, with ``n`` operators in a
step, is the same place one step earlier. "As of" a place is what a buffer holds
there.
"""

from __future__ import annotations

from collections.abc import Sequence

from neurosim.plan.operators import Operator


class Flow:
    """Reads and writes of the operators of a step."""

    def __init__(self, operators: Sequence[Operator]) -> None:
        self.operators = tuple(operators)
        self.readers: dict[str, list[int]] = {}
        self.writers: dict[str, list[int]] = {}
        for place, op in enumerate(self.operators):
            for name in op.reads + op.updates:
                self.readers.setdefault(name, []).append(place)
            for name in op.writes:
                self.writers.setdefault(name, []).append(place)

    def __len__(self) -> int:
        return len(self.operators)

    def at(self, place: int) -> Operator:
        """The operator at a place of any step."""
        return self.operators[place % len(self.operators)]

    def unchanged(self, buffer: str, one: int, other: int) -> bool:
        """Whether a buffer holds the same value as of two places."""
        first, last = sorted((one, other))
        return not self._between(self.writers.get(buffer, []), first, last)

    def unread(self, buffer: str, one: int, other: int) -> bool:
        """Whether nobody reads a buffer between two places."""
        first, last = sorted((one, other))
        return not self._between(self.readers.get(buffer, []), first, last)

    def producer(self, buffer: str, place: int) -> int | None:
        """Place of the one operator that makes a buffer in every step, before ``place``.

        None where there are several, or where it does not run in every step or does
        not make the whole value.
        """
        writers = self.writers.get(buffer, [])
        if len(writers) != 1:
            return None
        op = self.operators[writers[0]]
        if not op.steady or buffer not in op.sets:
            return None
        last = (place - 1) // len(self) * len(self) + writers[0]
        return last if last < place else last - len(self)

    def _between(self, places: Sequence[int], first: int, last: int) -> bool:
        """Whether one of the places of some step is in ``first <= place < last``."""
        n = len(self)
        return any((last - 1 - place) // n > (first - 1 - place) // n for place in places)
