"""PetaVision ``.pvp`` activity files: dense, sparse and binary sparse frames.

An activity file is a header of 80 bytes and frames, each a float64 time and
either ``ny*nx*nf`` float32 values (feature fastest, then x, then y) or an int32
count and so many index-value pairs (indices only in a binary file). With a
batch of more than one the frames are interleaved, batch element fastest; the
file does not say so. Weights are in :mod:`neurosim.stimuli.pvp_weights`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import StimulusError
from neurosim.stimuli.pvp_header import (
    ACTIVITY_HEADER,
    ACTIVITY_TYPES,
    BINARY_SPARSE,
    DENSE,
    FLOAT_DATA,
    INT_DATA,
    PAIR_DATA,
    SPARSE,
    PvpHeader,
    file_size,
    parse_header,
    pvp_error,
    read_bytes,
)
from neurosim.stimuli.pvp_weights import PvpWeights, read_weights, write_weights

__all__ = [
    "PvpActivity",
    "PvpWeights",
    "read_activity",
    "read_weights",
    "write_activity",
    "write_sparse_activity",
    "write_weights",
]

_FRAME_HEAD = struct.Struct("<di")
_PAIR = np.dtype([("index", "<i4"), ("value", "<f4")])


@dataclass(frozen=True)
class PvpActivity:
    """An open activity file; frames are read one at a time.

    Attributes
    ----------
    path
        The file.
    filetype
        4 dense, 6 sparse, 2 binary sparse.
    shape
        ``(ny, nx, nf)``.
    times
        float64 ``(T,)``, the time stored with each frame.
    """

    path: Path
    filetype: int
    shape: tuple[int, int, int]
    times: NDArray[np.float64]
    _starts: NDArray[np.int64]
    _counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.times)

    def frame(self, index: int) -> NDArray[np.float32]:
        """Return frame ``index`` (negative from the end), dense float32 ``(ny, nx, nf)``.

        Raises
        ------
        IndexError
            There is no such frame.
        StimulusError
            The file has changed or an index lies outside the layer.
        """
        if self.filetype == DENSE:
            return self._payload(index, np.dtype("<f4")).reshape(self.shape).astype(np.float32)
        indices, values = self.sparse_frame(index)
        dense = np.zeros(int(np.prod(self.shape)), np.float32)
        dense[indices] = values
        return dense.reshape(self.shape)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        return self.frame(index)

    def sparse_frame(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return frame ``index`` as flat indices ``(y*nx + x)*nf + f`` and their values.

        The values of a binary file are 1; a dense frame gives its non-zero values.
        """
        if self.filetype == DENSE:
            flat = self.frame(index).ravel()
            where = np.flatnonzero(flat)
            return where, flat[where]
        if self.filetype == BINARY_SPARSE:
            indices = self._payload(index, np.dtype("<i4")).astype(np.int64)
            values = np.ones(len(indices), np.float32)
        else:
            pairs = self._payload(index, _PAIR)
            indices, values = pairs["index"].astype(np.int64), pairs["value"].astype(np.float32)
        size = int(np.prod(self.shape))
        if indices.size and (indices.min() < 0 or indices.max() >= size):
            bad = int(indices[(indices < 0) | (indices >= size)][0])
            raise pvp_error(self.path, f"index {bad} in frame {index}", f"0 to {size - 1}")
        return indices, values

    def _payload(self, index: int, dtype: np.dtype) -> NDArray:
        index = range(len(self))[index]
        start, count = int(self._starts[index]), int(self._counts[index])
        wanted = count * dtype.itemsize
        data = read_bytes(self.path, start, wanted)
        if len(data) != wanted:
            raise pvp_error(self.path, f"{len(data)} bytes in frame {index}", f"{wanted}")
        return np.frombuffer(data, dtype)


def read_activity(path: str | Path) -> PvpActivity:
    """Open an activity file of type 2, 4 or 6.

    Complete frames beyond the header's count are used too: a file that is still
    being written is ahead of its header.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    PvpActivity
        Times and lazy frames.

    Raises
    ------
    StimulusError
        The file is missing, no activity file, or shorter than its header says.
    """
    path = Path(path)
    size = file_size(path)
    header = parse_header(path, read_bytes(path, 0, ACTIVITY_HEADER), tuple(ACTIVITY_TYPES))
    kind = (header.data_type, header.data_size)
    allowed = {
        DENSE: {(FLOAT_DATA, 4)},
        BINARY_SPARSE: {(INT_DATA, 4)},
        SPARSE: {(PAIR_DATA, 8), (FLOAT_DATA, 8), (FLOAT_DATA, 4), (PAIR_DATA, 4)},
    }[header.filetype]
    if kind not in allowed:
        found = (
            f"data type {kind[0]} of {kind[1]} bytes in a {ACTIVITY_TYPES[header.filetype]} file"
        )
        expected = " or ".join(f"type {code} of {width} bytes" for code, width in sorted(allowed))
        raise pvp_error(path, found, expected)
    scan = _scan_dense if header.filetype == DENSE else _scan_sparse
    times, starts, counts = scan(path, header, size)
    if len(times) < header.bands:
        found = f"truncated: {len(times)} complete frames in {size} bytes"
        raise pvp_error(path, found, f"the {header.bands} frames that the header announces")
    as_int = [np.asarray(column, np.int64) for column in (starts, counts)]
    return PvpActivity(path, header.filetype, header.shape, np.asarray(times, float), *as_int)


def _scan_dense(
    path: Path, header: PvpHeader, size: int
) -> tuple[list[float], list[int], list[int]]:
    elements = int(np.prod(header.shape))
    stride = 8 + 4 * elements
    count = (size - ACTIVITY_HEADER) // stride
    starts = [ACTIVITY_HEADER + i * stride for i in range(count)]
    times = []
    with path.open("rb") as stream:
        for start in starts:
            stream.seek(start)
            times.append(struct.unpack("<d", stream.read(8))[0])
    return times, [start + 8 for start in starts], [elements] * count


def _scan_sparse(
    path: Path, header: PvpHeader, size: int
) -> tuple[list[float], list[int], list[int]]:
    width = 4 if header.filetype == BINARY_SPARSE else 8
    elements = int(np.prod(header.shape))
    times: list[float] = []
    starts: list[int] = []
    counts: list[int] = []
    position = ACTIVITY_HEADER
    with path.open("rb") as stream:
        while position + _FRAME_HEAD.size <= size:
            stream.seek(position)
            time, count = _FRAME_HEAD.unpack(stream.read(_FRAME_HEAD.size))
            if not 0 <= count <= elements:
                found = f"frame {len(times)} has {count} active elements"
                raise pvp_error(path, found, f"0 to {elements}")
            position += _FRAME_HEAD.size + count * width
            if position > size:
                break
            times.append(time)
            starts.append(position - count * width)
            counts.append(count)
    return times, starts, counts


def write_activity(path: str | Path, frames: ArrayLike, times: ArrayLike | None = None) -> None:
    """Write a dense activity file.

    Parameters
    ----------
    path
        Overwritten if it exists.
    frames
        ``(T, ny, nx, nf)``, stored as float32.
    times
        ``(T,)``; default 0, 1, 2, ...

    Raises
    ------
    StimulusError
        ``frames`` is not four-dimensional, or the counts differ.
    """
    data = np.asarray(frames, "<f4")
    if data.ndim != 4 or 0 in data.shape:
        raise StimulusError(f"{path}: frames of shape {data.shape}; expected (T, ny, nx, nf)")
    stamps = _stamps(path, times, len(data))
    ny, nx, nf = data.shape[1:]
    header = PvpHeader(DENSE, (ny, nx, nf), ny * nx * nf, 4, FLOAT_DATA, (ny, nx), len(data))
    with Path(path).open("wb") as stream:
        stream.write(header.pack())
        for stamp, frame in zip(stamps, data, strict=True):
            stream.write(struct.pack("<d", stamp))
            stream.write(frame.tobytes())


def write_sparse_activity(
    path: str | Path,
    frames: Sequence[tuple[ArrayLike, ArrayLike | None]],
    shape: tuple[int, int, int],
    times: ArrayLike | None = None,
    *,
    binary: bool = False,
) -> None:
    """Write a sparse (or binary sparse) activity file.

    Parameters
    ----------
    path
        Overwritten if it exists.
    frames
        One ``(indices, values)`` per frame: flat indices ``(y*nx + x)*nf + f`` and
        their values (ignored when ``binary``). They are stored in ascending order.
    shape
        ``(ny, nx, nf)``.
    times
        ``(T,)``; default 0, 1, 2, ...
    binary
        Store indices only (file type 2).

    Raises
    ------
    StimulusError
        An index lies outside the layer, or the counts differ.
    """
    ny, nx, nf = shape
    stamps = _stamps(path, times, len(frames))
    filetype, size, code = (BINARY_SPARSE, 4, INT_DATA) if binary else (SPARSE, 8, PAIR_DATA)
    header = PvpHeader(filetype, shape, 0, size, code, (ny, nx), len(frames))
    checked = [_pairs(path, indices, values, ny * nx * nf) for indices, values in frames]
    with Path(path).open("wb") as stream:
        stream.write(header.pack())
        for stamp, pairs in zip(stamps, checked, strict=True):
            stream.write(_FRAME_HEAD.pack(stamp, len(pairs)))
            stream.write((pairs["index"] if binary else pairs).tobytes())


def _pairs(path: str | Path, indices: ArrayLike, values: ArrayLike | None, size: int) -> NDArray:
    index = np.asarray(indices, np.int64).ravel()
    if index.size and (index.min() < 0 or index.max() >= size):
        raise StimulusError(f"{path}: an index outside 0 to {size - 1} cannot be written")
    order = np.argsort(index, kind="stable")
    pairs = np.zeros(len(index), _PAIR)
    pairs["index"] = index[order]
    pairs["value"] = 1.0 if values is None else np.asarray(values, np.float32).ravel()[order]
    return pairs


def _stamps(path: str | Path, times: ArrayLike | None, count: int) -> NDArray[np.float64]:
    stamps = np.arange(count, dtype=float) if times is None else np.asarray(times, float)
    if stamps.shape != (count,):
        raise StimulusError(f"{path}: times of shape {stamps.shape} for {count} frames")
    return stamps
