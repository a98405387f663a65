"""Near-duplicates: copies of a picture that were mirrored, compressed, rescaled or cut anew.

Two stages, both on grey thumbnails without their slow changes of light. A coarse one compares
every picture, and windows of it, with every other picture and proposes for each those most like
it; a fine one lays the two of a pair over each other, in small shifts, and correlates what both
show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

#: Side of the grey thumbnails that pictures are compared by.
THUMBNAIL = 64
#: Correlation from which two pictures are near-duplicates; docs/data.md has the measurement.
THRESHOLD = 0.82


class Window(NamedTuple):
    """A square part of a picture: its middle and its side, as shares of the picture's."""

    y: float = 0.5
    x: float = 0.5
    side: float = 1.0


# What another picture may show of one: all, or what is left where up to an eighth was cut off, in
# the middle or at a corner. In between, both stages tolerate what is missing.
_WINDOWS = (
    Window(),
    *(
        Window(0.5 + y * (1 - side) / 2, 0.5 + x * (1 - side) / 2, side)
        for side in (0.95, 0.89)
        for y, x in ((0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
    ),
)
_COARSE, _FINE = 12, 32
# What is compared is finer than this many pixels: the light on a face and what is behind it are
# alike in unlike pictures.
_BLUR = 2.0
# A fine thumbnail is moved by up to so many of its pixels, its inner part over the other.
_SHIFT, _MARGIN = 2, 4
# Partners proposed for each picture, and how like they must be. Every pair of a set in which all
# is alike would be too many.
_PARTNERS, _PROPOSED = 24, 0.68
# So like at a glance that nothing finer need be asked; it also joins more copies than partners.
_SURE = 0.99
# A pair this little below the threshold is looked at in every window, not the likeliest only.
_CLOSE = 0.15
# Below this standard deviation, in grey levels, details are noise on a blank picture.
_BLANK = 0.5
_BLOCK = 512

_Pairs = NDArray[np.intp]  # (pair, 4): two pictures, the first's window, is the first mirrored


@lru_cache(maxsize=64)
def _shrink(outputs: int, middle: float, share: float) -> NDArray[np.float32]:
    """Matrix ``(outputs, THUMBNAIL)`` that averages a ``share`` of a line around ``middle``."""
    edges = THUMBNAIL * (middle + share * (np.arange(outputs + 1) / outputs - 0.5))
    pixel = np.arange(THUMBNAIL)
    upper = np.minimum(edges[1:, None], pixel + 1)
    covered = np.clip(upper - np.maximum(edges[:-1, None], pixel), 0, None)
    return (covered / covered.sum(1, keepdims=True)).astype(np.float32)


@lru_cache(maxsize=2)
def _blur(size: int) -> NDArray[np.float32]:
    """Matrix ``(size, size)`` of a Gaussian whose weights sum to 1 at the edges too."""
    at = np.arange(size)
    weights = np.exp(-0.5 * ((at[:, None] - at) / _BLUR) ** 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _details(
    thumbnails: NDArray[np.uint8], size: int, window: Window = _WINDOWS[0]
) -> NDArray[np.float32]:
    """A window of each, ``(picture, size, size)``, without what is coarser than ``_BLUR``."""
    rows = _shrink(size, window.y, window.side)
    columns = _shrink(size, window.x, window.side)
    small = rows @ thumbnails.astype(np.float32) @ columns.T
    small -= _blur(size) @ small @ _blur(size).T
    return small


def _unit(details: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows ``(picture, pixel)`` of mean 0 and norm 1; blank pictures become 0."""
    rows = details.reshape(len(details), -1)
    rows = rows - rows.mean(1, keepdims=True, dtype=np.float32)
    norm: NDArray[np.float32] = np.linalg.norm(rows, axis=1, keepdims=True)
    rows[norm[:, 0] <= _BLANK * np.sqrt(rows.shape[1])] = 0
    return rows / np.maximum(norm, np.float32(1e-9))


class _Groups:
    """Which pictures are joined: a label for each."""

    def __init__(self, count: int) -> None:
        self.labels = np.arange(count)

    def join(self, first: NDArray, second: NDArray) -> None:
        """Join pictures ``first[i]`` and ``second[i]``, and all that were joined with them."""
        if not len(first):
            return
        ends = self.labels[first], self.labels[second]
        graph = coo_array((np.ones(len(first), np.int8), ends), shape=(len(self.labels),) * 2)
        self.labels = connected_components(graph, directed=False)[1][self.labels]


def _likest(likeness: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
    """The (row, column) of the ``_PARTNERS`` likest of each row that may be proposed."""
    kept = min(_PARTNERS, likeness.shape[1])
    column = np.argpartition(likeness, -kept, axis=1)[:, -kept:]
    row = np.broadcast_to(np.arange(len(likeness))[:, None], column.shape)
    proposed = likeness[row, column] > _PROPOSED
    return row[proposed], column[proposed]


def _propose(thumbnails: NDArray[np.uint8], groups: _Groups) -> Iterator[tuple[int, _Pairs]]:
    """Join what is surely alike; yield the pairs to look at, block after block of pictures.

    With each block goes the number of pictures that were compared with all others.
    """
    count = len(thumbnails)
    starts = range(0, count, _BLOCK)
    blocks = [thumbnails[start : start + _BLOCK] for start in starts]
    whole = np.concatenate([_unit(_details(block, _COARSE)) for block in blocks])
    for start, block in zip(starts, blocks, strict=True):
        own = np.arange(len(block))
        for mirrored, shown in enumerate((block, block[:, :, ::-1])):
            parts = np.stack([_unit(_details(shown, _COARSE, window)) for window in _WINDOWS])
            best = parts[0] @ whole.T
            best[own, start + own] = -1
            row, column = np.nonzero(best >= _SURE)
            groups.join(row + start, column)
            likeness = np.empty_like(best)
            for part in parts[1:]:
                np.maximum(best, np.matmul(part, whole.T, out=likeness), out=best)
            best[own, start + own] = -1
            row, column = _likest(best)
            which = np.einsum("wpk,pk->wp", parts[:, row], whole[column]).argmax(0)
            turned = np.full(len(row), mirrored)
            pairs = np.stack([row + start, column, which, turned], axis=1)
            new = groups.labels[pairs[:, 0]] != groups.labels[pairs[:, 1]]
            yield start + len(block), pairs[new]


def _fit(pattern: NDArray[np.float32], whole: NDArray[np.float32]) -> NDArray[np.float32]:
    """Best correlation, pair by pair, of inner parts with ``whole`` in small shifts."""
    inner = pattern.shape[1]
    shifts = slice(_MARGIN - _SHIFT, _MARGIN + _SHIFT + 1)
    views = sliding_window_view(whole, (inner, inner), axis=(1, 2))[:, shifts, shifts]
    parts = views.reshape(len(whole), -1, inner * inner)
    dot = (parts @ _unit(pattern)[:, :, None])[:, :, 0]
    norm = np.einsum("psk,psk->ps", parts, parts) - parts.sum(2) ** 2 / inner**2
    return (dot / np.sqrt(np.maximum(norm, (_BLANK * inner) ** 2))).max(1)


def _aligned(thumbnails: NDArray[np.uint8], pairs: _Pairs) -> NDArray[np.float32]:
    """Correlation of the two pictures of each pair, the first's window moved to where it fits."""
    found = np.empty(len(pairs), np.float32)
    inside = slice(_MARGIN, _FINE - _MARGIN)
    for number, window in enumerate(_WINDOWS):
        for mirrored in (0, 1):
            of = np.flatnonzero((pairs[:, 2] == number) & (pairs[:, 3] == mirrored))
            for start in range(0, len(of), _BLOCK):
                part = of[start : start + _BLOCK]
                one, two = thumbnails[pairs[part, 0]], thumbnails[pairs[part, 1]]
                shown = one[:, :, ::-1] if mirrored else one
                pattern = _details(shown, _FINE, window)[:, inside, inside]
                found[part] = _fit(pattern, _details(two, _FINE))
    return found


def _copies(thumbnails: NDArray[np.uint8], pairs: _Pairs, threshold: float) -> _Pairs:
    """Return those of the pairs that are copies."""
    found = _aligned(thumbnails, pairs)
    close = np.flatnonzero((found < threshold) & (found >= threshold - _CLOSE))
    tried = pairs[close]
    for number in range(len(_WINDOWS)):
        tried[:, 2] = number
        found[close] = np.maximum(found[close], _aligned(thumbnails, tried))
    return pairs[found >= threshold]


def near_duplicates(
    thumbnails: NDArray[np.uint8],
    threshold: float = THRESHOLD,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.intp]:
    """Find groups of pictures that are copies of each other.

    Parameters
    ----------
    thumbnails
        uint8 ``(picture, THUMBNAIL, THUMBNAIL)``, grey.
    threshold
        Correlation from which two are joined; 1 joins equal thumbnails only.
    progress
        Called with the number of pictures compared and of all.

    Returns
    -------
    ndarray
        ``(picture,)``: the number of the first picture of its group. Groups are joined
        where any two of their pictures are alike. Work grows with the square of the
        number of pictures, memory in proportion to it.
    """
    count = len(thumbnails)
    groups = _Groups(count)
    flat = thumbnails.reshape(count, -1)
    _, first, same = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    groups.join(np.arange(count), first[same.reshape(-1)])
    if threshold < 1 and count > 1:
        for compared, pairs in _propose(thumbnails, groups):
            alike = _copies(thumbnails, pairs, threshold)
            groups.join(alike[:, 0], alike[:, 1])
            if progress:
                progress(compared, count)
    _, first, same = np.unique(groups.labels, return_index=True, return_inverse=True)
    return first[same.reshape(-1)]
