"""Which frame is shown when."""

from __future__ import annotations

import numpy as np
import pytest

from neurosim.errors import RequestError
from neurosim.stimuli.order import FrameOrder


def stepwise(start: list[int], skip: list[int], frames: int, displays: int, reset: bool) -> list:
    """PetaVision's rule, one display after the other."""
    current, rows = list(start), []
    for _ in range(displays):
        rows.append(list(current))
        for b, step in enumerate(skip):
            following = current[b] + step
            if following >= frames:
                following = start[b] if reset else following % frames
            current[b] = following
    return rows


@pytest.mark.parametrize("frames", [1, 3, 10, 12])
@pytest.mark.parametrize("batch", [1, 4])
def test_counting_orders(frames: int, batch: int) -> None:
    given = [2, 0, 5, 1][:batch]
    skips = [1, 3, 0, 7][:batch]
    cases = {
        "byFile": ([(s + b) % frames for b, s in enumerate(given)], [batch] * batch, False),
        "byList": (
            [(s + b * (frames // batch)) % frames for b, s in enumerate(given)],
            [1] * batch,
            False,
        ),
        "bySpecified": ([s % frames for s in given], [max(1, s) for s in skips], False),
    }
    cases["bySpecified reset"] = (*cases["bySpecified"][:2], True)
    for name, (start, skip, reset) in cases.items():
        order = FrameOrder(
            name.split()[0], frames, batch, start_frame_index=given, skip_frame_index=skips,
            resetToStartOnLoop=reset,
        )  # fmt: skip
        rows = [order.at(display).tolist() for display in range(40)]
        assert rows == stepwise(start, skip, frames, 40, reset), name


def test_aliases() -> None:
    for old, new in (("byImage", "byFile"), ("byMovie", "byList")):
        assert FrameOrder(old, 9, 2).at(5).tolist() == FrameOrder(new, 9, 2).at(5).tolist()


@pytest.mark.parametrize(("frames", "batch"), [(12, 4), (10, 4), (3, 5)])
def test_random_shows_every_frame_once_an_epoch(frames: int, batch: int) -> None:
    order = FrameOrder("random", frames, batch, seed=7)
    shown = np.concatenate([order.at(display) for display in range(6 * frames)])
    epochs = shown.reshape(-1, frames)
    assert all(sorted(epoch) == list(range(frames)) for epoch in epochs.tolist())
    assert len({tuple(epoch) for epoch in epochs.tolist()}) > 2


def test_random_is_a_function_of_seed_and_display() -> None:
    forward = [FrameOrder("random", 50, 8, seed=3).at(k).tolist() for k in range(30)]
    order = FrameOrder("random", 50, 8, seed=3)
    assert [order.at(k).tolist() for k in reversed(range(30))][::-1] == forward
    assert [FrameOrder("random", 50, 8, seed=4).at(k).tolist() for k in range(30)] != forward
    # Pinned: a run resumed under another version must go on with the same frames.
    assert FrameOrder("random", 10, 4, seed=3).at(0).tolist() == [0, 1, 2, 7]


def test_epoch() -> None:
    order = FrameOrder("byFile", 10, 4)
    assert [order.epoch(k) for k in (0, 2, 3, 5)] == [0, 0, 1, 2]


def test_wrong_requests_say_what_is_allowed() -> None:
    with pytest.raises(RequestError, match="byFile"):
        FrameOrder("byfiles", 3, 1)
    with pytest.raises(RequestError, match="start_frame_index has 2 values"):
        FrameOrder("byFile", 3, 4, start_frame_index=[1, 2])
    with pytest.raises(RequestError, match="negative"):
        FrameOrder("byFile", 3, 1, start_frame_index=[-1])
    with pytest.raises(RequestError, match="0 frames"):
        FrameOrder("byFile", 0, 1)
    with pytest.raises(RequestError, match="seed"):
        FrameOrder("random", 3, 1, seed=-1)
