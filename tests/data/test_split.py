"""Shares: exact per class, the same for a seed, copies together."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosim.data.settings import DataSettings
from neurosim.data.split import split
from neurosim.errors import RequestError


def named(counts: dict[str, int]) -> tuple[list[str], list[str]]:
    """Names and classes of so many pictures each."""
    pairs = [(f"{name}/{i}", name) for name, count in counts.items() for i in range(count)]
    return [name for name, _ in pairs], [of for _, of in pairs]


def alone(names: list[str]) -> list[int]:
    return list(range(len(names)))


@pytest.mark.parametrize(
    ("count", "share", "hold_out", "expected"),
    [
        (100, 0.15, 0, (85, 15, 0)),
        (530, 0.15, 75, (387, 68, 75)),
        (10, 0.15, 0, (8, 2, 0)),
        (3, 0.15, 0, (3, 0, 0)),
        (2, 0.9, 0, (1, 1, 0)),
        (1, 0.9, 0, (1, 0, 0)),
        (6, 0.5, 5, (1, 0, 5)),
        (7, 0, 0, (7, 0, 0)),
    ],
)
def test_each_class_gets_its_share(
    count: int, share: float, hold_out: int, expected: tuple[int, int, int]
) -> None:
    names, classes = named({"a": count, "b": 4 * count})
    sets = split(
        names, classes, alone(names), DataSettings(validation=share, hold_out=hold_out, seed=3)
    )
    found = Counter(zip(classes, sets, strict=True))
    assert tuple(found["a", s] for s in ("train", "validation", "holdout")) == expected
    assert found["b", "holdout"] == hold_out


def test_a_seed_gives_the_same_sets_and_another_others() -> None:
    names, classes = named({"a": 60, "b": 40})
    first, again, other = (
        split(names, classes, alone(names), DataSettings(seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_the_order_of_the_pictures_does_not_matter() -> None:
    names, classes = named({"a": 30, "b": 20})
    sets = split(names, classes, alone(names), DataSettings(hold_out=5))
    turned = split(names[::-1], classes[::-1], alone(names), DataSettings(hold_out=5))
    assert turned[::-1] == sets


def test_pictures_of_another_class_do_not_move_those_of_a_first() -> None:
    names, classes = named({"a": 30})
    sets = split(names, classes, alone(names), DataSettings())
    more, both = named({"a": 30, "b": 50})
    assert split(more, both, alone(more), DataSettings())[:30] == sets


@given(st.data())
def test_groups_are_never_parted_and_no_set_gets_more_than_its_share(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 60))
    classes = data.draw(st.lists(st.sampled_from("abc"), min_size=count, max_size=count))
    groups = data.draw(st.lists(st.integers(0, count // 2), min_size=count, max_size=count))
    names = [f"{of}/{i}" for i, of in enumerate(classes)]
    share = data.draw(st.floats(0, 0.9))
    sets = split(names, classes, groups, DataSettings(validation=share))
    assert len(set(zip(groups, sets, strict=True))) == len(set(groups))
    found = Counter(zip(classes, sets, strict=True))
    for of, total in Counter(classes).items():
        assert found[of, "validation"] <= share * total + 0.51
        assert found[of, "train"] >= 1


def test_what_copies_do_not_allow_is_told() -> None:
    names, classes = named({"a": 8, "b": 8})
    groups = [0] * 6 + list(range(6, 16))
    assert split(names, classes, groups, DataSettings(hold_out=2)).count("holdout") == 4
    with pytest.raises(RequestError, match=r"hold_out = 3: of a only 2 can be held out.*seed"):
        split(names, classes, groups, DataSettings(hold_out=3))
