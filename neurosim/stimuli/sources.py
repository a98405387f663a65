"""Frame sources: what every kind of input offers, whatever it is stored in."""

from __future__ import annotations

import threading
import warnings
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import StimulusError
from neurosim.stimuli.decode import decode_image
from neurosim.stimuli.pvp import PvpActivity, read_activity

CACHE_BYTES = 256 * 2**20
_THREADS = 4


class FrameSource(ABC):
    """A sequence of frames.

    Attributes
    ----------
    kind
        ``"images"``, ``"hdf5"``, ``"pvp"`` or ``"synthetic-faces"``.
    names
        File or key of each frame.
    labels
        Class of each frame, or None where nothing tells it.
    convert
        Whether the frames are pictures whose colours may be converted.
    fingerprint
        Identity of all frames, where what follows from them may be kept between
        runs; empty where they may change.
    """

    kind: str = ""
    convert: bool = True
    fingerprint: str = ""
    names: list[str]
    labels: list[str] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def read(self, index: int) -> NDArray[np.float32]:
        """Return frame ``index``: float32 ``(y, x, channel)``, pictures in 0..1.

        Raises
        ------
        IndexError
            There is no such frame.
        StimulusError
            It cannot be read; the message names it.
        """

    def check(self) -> list[str]:
        """Read every frame; return one line, with the name and the reason, per bad one."""
        problems = []
        for index in range(len(self)):
            try:
                self.read(index)
            except StimulusError as error:
                problems.append(str(error))
        return problems

    @property
    def classes(self) -> list[str]:
        """The different labels, sorted; empty without labels."""
        return sorted(set(self.labels or ()))


def raise_problems(what: str, problems: Sequence[str], total: int) -> None:
    """Raise one StimulusError that lists ``problems``, or return when there are none."""
    if not problems:
        return
    lines = [f"{what}: {len(problems)} of {total} inputs cannot be used:"]
    lines += [f"  {problem}" for problem in problems]
    raise StimulusError("\n".join(lines))


def to_unit(values: NDArray) -> NDArray[np.float32]:
    """Scale uint8, uint16 and bool to 0..1; floats stay as they are."""
    if values.dtype.kind == "u":
        return values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max)
    return values.astype(np.float32)


class FrameCache:
    """Decoded frames kept up to a number of bytes; the least recently used go first."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._bytes = 0
        self._frames: OrderedDict[int, NDArray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, index: int, make: Callable[[], NDArray]) -> NDArray:
        """Return frame ``index``, made by ``make()`` if it is not there."""
        with self._lock:
            if index in self._frames:
                self._frames.move_to_end(index)
                return self._frames[index]
        frame = make()
        with self._lock:
            if index not in self._frames and frame.nbytes <= self._limit:
                self._frames[index] = frame
                self._bytes += frame.nbytes
            while self._bytes > self._limit:
                self._bytes -= self._frames.popitem(last=False)[1].nbytes
        return frame


class ImageFiles(FrameSource):
    """Image files, decoded when they are asked for.

    Parameters
    ----------
    paths, names
        Where each frame is and what it is called.
    labels
        Its class, or None.
    cache_bytes
        Bound on the decoded frames kept in memory; default 256 MiB.
    """

    kind = "images"

    def __init__(
        self,
        paths: Sequence[Path],
        names: Sequence[str],
        labels: Sequence[str] | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.paths = list(paths)
        self.names = list(names)
        self.labels = None if labels is None else list(labels)
        self._cache = FrameCache(cache_bytes)

    def read(self, index: int) -> NDArray[np.float32]:
        index = range(len(self))[index]
        return to_unit(self._cache.get(index, lambda: decode_image(self.paths[index])))

    def check(self) -> list[str]:
        def problem(index: int) -> str | None:
            try:
                self._cache.get(index, lambda: decode_image(self.paths[index]))
            except StimulusError as error:
                return str(error)
            return None

        # Decoders warn about what the reason then says better.
        with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
            warnings.simplefilter("ignore")
            return [found for found in pool.map(problem, range(len(self))) if found]


class PvpFrames(FrameSource):
    """The frames of a PetaVision activity file, with the values as stored."""

    kind = "pvp"
    convert = False

    def __init__(self, path: Path) -> None:
        self._activity: PvpActivity = read_activity(path)
        if not len(self._activity):
            raise StimulusError(f"{path}: the file has no frame; expected at least one")
        self.names = [f"{path}[{index}]" for index in range(len(self._activity))]

    def read(self, index: int) -> NDArray[np.float32]:
        index = range(len(self))[index]
        frame = self._activity.frame(index)
        if not np.isfinite(frame).all():
            raise StimulusError(f"{self.names[index]}: some values are not finite numbers")
        return frame
