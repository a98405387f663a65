"""Shares pictures out to sets, class by class, copies together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from hashlib import sha256
from math import floor

from neurosim.data.settings import DataSettings
from neurosim.errors import RequestError

TRAIN, VALIDATION, HOLDOUT = SETS = ("train", "validation", "holdout")


def split(
    names: Sequence[str],
    classes: Sequence[str],
    groups: Sequence[int],
    settings: DataSettings,
) -> list[str]:
    """Return the set of each picture.

    Groups are taken in an order that the seed and their names give, whatever other
    pictures there are; each goes where every one of its classes still has room:
    first ``holdout``, then ``validation``, else ``train``. A class keeps at least one
    picture for ``train``, unless near-duplicates leave it none.

    Parameters
    ----------
    names, classes, groups
        Of each picture; pictures of one group are never parted.
    settings
        Its ``hold_out``, ``validation`` and ``seed``.

    Raises
    ------
    RequestError
        So many cannot be held out without parting near-duplicates.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(groups):
        members[number].append(index)

    def turn(group: list[int]) -> bytes:
        first = min(names[index] for index in group)
        return sha256(f"{settings.seed}\n{first}".encode("utf-8", "surrogateescape")).digest()

    room = {HOLDOUT: Counter[str](), VALIDATION: Counter[str]()}
    for name, count in Counter(classes).items():
        left = count - settings.hold_out
        room[HOLDOUT][name] = settings.hold_out
        # A half is rounded up; the tiny addend makes 0.15 * 10 a half whatever its rounding.
        room[VALIDATION][name] = min(floor(settings.validation * left + 0.5 + 1e-9), left - 1)
    sets = [TRAIN] * len(names)
    for group in sorted(members.values(), key=turn):
        wanted = Counter(classes[index] for index in group)
        for place in (HOLDOUT, VALIDATION):
            if all(room[place][name] >= count for name, count in wanted.items()):
                room[place] -= wanted
                for index in group:
                    sets[index] = place
                break
    for name, count in (+room[HOLDOUT]).items():
        raise RequestError(
            f"hold_out = {settings.hold_out}: of {name} only {settings.hold_out - count} can be "
            "held out without parting near-duplicates; hold out fewer, or try another seed"
        )
    return sets
