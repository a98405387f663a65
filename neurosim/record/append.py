"""Rows that wait in memory until they are written, group by group.

A group's time dataset is extended last and only after the rest has reached the
file, so that a reader, or a resume after a kill, never meets half a frame.
"""

from __future__ import annotations

from typing import Protocol

import h5py
import numpy as np

from neurosim.record import layout

# A group is written once this much waits, or sooner on a flush.
PENDING_BYTES = 2 << 20


class Appender(Protocol):
    """One group of run.h5 that grows."""

    def due(self) -> bool:
        """Enough waits to be worth a write."""

    def commit(self, *, force: bool = True) -> None:
        """Write what waits; without ``force``, where that is cheap."""


class _Column:
    """One dataset and how many of its rows are valid."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self.dataset = dataset
        self.length = int(dataset.shape[0])

    def extend(self, rows: list[np.ndarray]) -> None:
        """Append the arrays of ``rows`` and hand them to the file."""
        count = sum(len(row) for row in rows)
        self.dataset.resize(self.length + count, axis=0)
        start = self.length
        for row in rows:
            self.dataset[start : start + len(row)] = row
            start += len(row)
        self.dataset.flush()
        self.length = start


class RowAppender:
    """Plain rows: probes, shown frames, dense activities."""

    def __init__(self, group: h5py.Group, names: list[str]) -> None:
        self._time = _Column(group[layout.TIME])
        self._columns = [_Column(group[name]) for name in names]
        self._times: list[np.ndarray] = []
        self._rows: list[list[np.ndarray]] = [[] for _ in names]
        self._pending = 0
        self._bytes = 0

    def add(self, times: np.ndarray, *values: np.ndarray) -> None:
        """Keep copies of ``values``, each with one row a time."""
        self._times.append(times)
        for rows, column, value in zip(self._rows, self._columns, values, strict=True):
            rows.append(np.array(value, dtype=column.dataset.dtype, order="C"))
            self._bytes += rows[-1].nbytes
        self._pending += len(times)

    def due(self) -> bool:
        """See :class:`Appender`."""
        return self._bytes >= PENDING_BYTES or self._pending >= layout.ROW_CHUNK

    def commit(self, *, force: bool = True) -> None:
        """See :class:`Appender`."""
        if not self._pending:
            return
        for rows, column in zip(self._rows, self._columns, strict=True):
            # Many short rows go as one block, few large ones without another copy.
            small = len(rows) > 1 and rows[0].nbytes < layout.CSR_CHUNK
            column.extend([np.concatenate(rows)] if small else rows)
        self._time.extend([np.concatenate(self._times)])
        self._times.clear()
        for rows in self._rows:
            rows.clear()
        self._pending = self._bytes = 0


class SparseAppender:
    """Activities as CSR rows (t, b), with the potential beside them if asked for."""

    def __init__(self, group: h5py.Group) -> None:
        activity = group[layout.ACTIVITY]
        self._shape = activity.attrs
        self._time = _Column(group[layout.TIME])
        self._data = _Column(activity[layout.CSR_DATA])
        self._indices = _Column(activity[layout.CSR_INDICES])
        self._indptr = _Column(activity[layout.CSR_INDPTR])
        has_potential = layout.POTENTIAL in group
        self._potential = _Column(group[layout.POTENTIAL]) if has_potential else None
        self._end = self._data.length
        self._rewritten = 0
        self._clear()

    def add(
        self, times: np.ndarray, activity: np.ndarray, potential: np.ndarray | None = None
    ) -> None:
        """Keep the nonzero entries of one frame (1, B, ny, nx, nf)."""
        rows = activity.reshape(activity.shape[1], -1)
        where = np.flatnonzero(rows)
        data = rows.ravel()[where].astype(np.float32)
        ends = np.searchsorted(where, np.arange(1, len(rows) + 1) * rows.shape[1])
        self._ends.append(self._end + ends.astype(np.int64))
        self._end += len(where)
        self._values.append(data)
        self._places.append((where % rows.shape[1]).astype(np.int32))
        self._times.append(times)
        self._bytes += 2 * data.nbytes
        if potential is not None:
            self._potentials.append(np.array(potential, dtype=np.float32, order="C"))
            self._bytes += self._potentials[-1].nbytes

    def due(self) -> bool:
        """See :class:`Appender`."""
        return self._bytes >= PENDING_BYTES or len(self._times) >= layout.ROW_CHUNK

    def commit(self, *, force: bool = True) -> None:
        """See :class:`Appender`."""
        if not self._times:
            return
        # A compressed chunk that is written again takes new room and leaves the old
        # one lost (readers may be in it), so such room is held under a quarter.
        tail = self._data.length % layout.CSR_CHUNK
        lost = self._rewritten + tail
        if not force and lost > 4 * layout.CSR_CHUNK + self._data.length // 4:
            return
        self._rewritten = lost
        self._data.extend([np.concatenate(self._values)])
        self._indices.extend([np.concatenate(self._places)])
        if self._potential is not None:
            self._potential.extend(self._potentials)
        self._indptr.extend([np.concatenate(self._ends)])
        shape = self._shape[layout.CSR_SHAPE]
        shape[0] = self._time.length + len(self._times)
        self._shape.modify(layout.CSR_SHAPE, shape)
        self._time.extend([np.concatenate(self._times)])
        self._clear()

    def _clear(self) -> None:
        self._values: list[np.ndarray] = []
        self._places: list[np.ndarray] = []
        self._ends: list[np.ndarray] = []
        self._times: list[np.ndarray] = []
        self._potentials: list[np.ndarray] = []
        self._bytes = 0
