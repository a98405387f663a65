"""Which frame each batch element shows at which display."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import RequestError

_METHODS = {
    "byfile": "byFile",
    "byimage": "byFile",
    "bylist": "byList",
    "bymovie": "byList",
    "byspecified": "bySpecified",
    "random": "random",
}


class FrameOrder:
    """The frame of every batch element, as a function of the display's number only.

    With N frames and a batch of B, element b shows at display k:

    - ``byFile`` (``byImage``): ``start[b] + b + k*B``, modulo N;
    - ``byList`` (``byMovie``): ``start[b] + b*(N // B) + k``, modulo N;
    - ``bySpecified``: ``start[b] + k*skip[b]``, modulo N, or from the start again
      with ``resetToStartOnLoop``;
    - ``random``: entry ``b + k*B`` of an endless row of shuffles of all frames, a
      new one per epoch; ``start`` does not count.

    Parameters
    ----------
    method
        One of the above, in any case.
    frames, batch
        N and B, at least 1.
    start_frame_index, skip_frame_index
        One per batch element, or empty (0 and 1).
    resetToStartOnLoop
        Only for ``bySpecified``; default False.
    seed
        For ``random``: non-negative, default 0.

    Raises
    ------
    RequestError
        An unknown method, or an array of the wrong length.
    """

    def __init__(
        self,
        method: str,
        frames: int,
        batch: int,
        *,
        start_frame_index: Sequence[int] = (),
        skip_frame_index: Sequence[int] = (),
        resetToStartOnLoop: bool = False,
        seed: int = 0,
    ) -> None:
        if method.lower() not in _METHODS:
            allowed = ", ".join(f'"{name}"' for name in dict.fromkeys(_METHODS.values()))
            raise RequestError(f'batchMethod = "{method}"; it must be one of {allowed}')
        if frames < 1 or batch < 1:
            raise RequestError(f"{frames} frames for a batch of {batch}; both must be at least 1")
        if seed < 0:
            raise RequestError(f"the seed of a random order is {seed}; it must not be negative")
        self.method = _METHODS[method.lower()]
        self.frames = frames
        self.batch = batch
        self.seed = seed
        start = _per_element("start_frame_index", start_frame_index, batch, 0)
        skip = np.maximum(_per_element("skip_frame_index", skip_frame_index, batch, 1), 1)
        if start.min() < 0:
            raise RequestError(f"start_frame_index has {start.min()}; it must not be negative")
        element = np.arange(batch)
        if self.method == "byFile":
            start, skip = start + element, np.full(batch, batch)
        elif self.method == "byList":
            start, skip = start + element * (frames // batch), np.ones(batch, np.int64)
        elif self.method == "random":
            start, skip = element, np.full(batch, batch)
        random = self.method == "random"
        self._start = start if random else start % frames
        self._skip = skip
        self._reset = resetToStartOnLoop and self.method == "bySpecified"

    def at(self, display: int) -> NDArray[np.int64]:
        """Return the frame of each batch element at ``display`` (from 0), int64 ``(batch,)``."""
        if self._reset:
            turns = -(-(self.frames - self._start) // self._skip)
            return self._start + (display % turns) * self._skip
        position = self._start + display * self._skip
        if self.method != "random":
            return position % self.frames
        epochs, places = np.divmod(position, self.frames)
        rows = [_shuffle(self.seed, int(epoch), self.frames) for epoch in epochs]
        return np.array([row[place] for row, place in zip(rows, places, strict=True)], np.int64)

    def epoch(self, display: int) -> int:
        """Return how often every frame has been shown before ``display`` begins."""
        return int(display * self.batch // self.frames)


def _per_element(key: str, values: Sequence[int], batch: int, default: int) -> NDArray[np.int64]:
    if len(values) not in (0, batch):
        raise RequestError(
            f"{key} has {len(values)} values; it must have none or one per batch element ({batch})"
        )
    return np.array(values if len(values) else [default] * batch, np.int64)


@lru_cache(maxsize=8)
def _shuffle(seed: int, epoch: int, frames: int) -> NDArray[np.int64]:
    # Sorting raw bits: unlike Generator.permutation the same in every numpy version.
    bits = np.random.Philox(np.random.SeedSequence([seed, epoch])).random_raw(frames)
    return np.argsort(bits, kind="stable")
