"""What grows in a run, read lazily: layers, inputs and probes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import h5py
import numpy as np

from neurosim.errors import RunFileError
from neurosim.record import layout
from neurosim.record.files import decode_text
from neurosim.record.outputs import read_input

if TYPE_CHECKING:
    import scipy.sparse
    import xarray

# Frames decoded at a time where a whole layer is walked through.
_BLOCK_BYTES = 32 << 20


class Source(Protocol):
    """The open run a series reads from."""

    generation: int

    def read(self, what: str, work: Callable[[h5py.File], Any]) -> Any:
        """Do ``work`` on the open file; any failure is a RunFileError."""


class Series:
    """Common to layers, inputs and probes: a name, and times.

    The number of frames is taken when it is first asked for, and again after
    ``run.refresh()``; frames that a running simulation adds meanwhile do not show.
    """

    def __init__(self, run: Source, folder: str, name: str) -> None:
        self._run = run
        self._path = f"{folder}/{name}"
        self.name = name
        self._seen = -1
        self._times = np.empty(0)

    @property
    def time(self) -> np.ndarray:
        """Simulated times (ms) of the frames, float64 (T,)."""
        if self._seen != self._run.generation:
            times = self._read(_all_times)
            # NaN is what a row holds until it is written.
            unwritten = np.flatnonzero(np.isnan(times))
            self._times = times[: unwritten[0]] if len(unwritten) else times
            self._seen = self._run.generation
        return self._times.copy()

    def __len__(self) -> int:
        return len(self.time)

    def _read(self, work: Callable[[h5py.Group], Any]) -> Any:
        return self._run.read(self._path, lambda file: work(file[self._path]))

    def _rows(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows ``start:stop`` of a dataset with one row a frame; all by default."""
        # The times first: a dataset looked at before them may be known as shorter.
        stop = len(self) if stop is None else stop
        return self._read(lambda group: _rows(group[name], start, stop))

    def _attribute(self, name: str) -> Any:
        return self._read(lambda group: group.attrs[name])


class Frames:
    """One recorded quantity of a layer; behaves like an array (T, batch, y, x, feature).

    Indexing reads from the file: the first axis selects frames, the others are
    then applied to what was read.
    """

    dtype = np.dtype(np.float32)
    ndim = 5

    def __init__(self, layer: Layer, name: str) -> None:
        self._layer = layer
        self._name = name

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """(T, batch, y, x, feature)."""
        return self._layer.shape

    def __len__(self) -> int:
        return len(self._layer)

    def __getitem__(self, key: Any) -> np.ndarray:
        first, rest = _split(key)
        numbers = np.arange(len(self))[first]  # IndexError here is the user's
        if np.ndim(numbers) == 0:
            return self._layer.read_frames(self._name, int(numbers), int(numbers) + 1)[0][rest]
        low = int(numbers[0]) if len(numbers) else 0
        if np.array_equal(numbers, np.arange(low, low + len(numbers))):
            block = self._layer.read_frames(self._name, low, low + len(numbers))
        else:
            block = np.concatenate(
                [self._layer.read_frames(self._name, int(n), int(n) + 1) for n in numbers]
            )
        return block[(slice(None), *rest)] if rest else block

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("frames are read from a file: they cannot be had without a copy")
        return self[:].astype(dtype or self.dtype, copy=False)

    def __repr__(self) -> str:
        return f"<{self._name} of {self._layer.name}: {self.shape} float32>"


class Layer(Series):
    """A recorded layer."""

    def __init__(self, run: Source, name: str) -> None:
        super().__init__(run, layout.LAYERS, name)
        self.kind = decode_text(self._attribute(layout.KIND))
        self.units = decode_text(self._attribute(layout.UNITS))
        self.is_sparse = bool(self._attribute(layout.SPARSE))
        self.ny, self.nx, self.nf = (
            int(self._attribute(key)) for key in (layout.NY, layout.NX, layout.NF)
        )
        self.nbatch = int(self._run.read(self._path, lambda file: file.attrs[layout.NBATCH]))
        self._columns = self.ny * self.nx * self.nf

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """(T, batch, y, x, feature)."""
        return (len(self), self.nbatch, self.ny, self.nx, self.nf)

    @property
    def activity(self) -> Frames:
        """The activities; slices are float32 arrays, dense for a sparse layer too."""
        return Frames(self, layout.ACTIVITY)

    @property
    def has_potential(self) -> bool:
        """Whether the membrane potential was recorded."""
        return bool(self._read(lambda group: layout.POTENTIAL in group))

    @property
    def potential(self) -> Frames:
        """The membrane potentials, where the run recorded them (else RunFileError)."""
        if not self.has_potential:
            raise RunFileError(f'layer "{self.name}": its potential was not recorded in this run')
        return Frames(self, layout.POTENTIAL)

    def sparse(self, t: int) -> scipy.sparse.csr_array:
        """Frame ``t`` as CSR (batch, y*x*feature)."""
        index = range(len(self))[t]
        return self.csr(index, index + 1)

    def csr(self, start: int | None = None, stop: int | None = None) -> scipy.sparse.csr_array:
        """Frames ``start:stop`` as CSR, one row a frame and batch element, (t, b)."""
        from scipy.sparse import csr_array

        start, stop, _ = slice(start, stop).indices(len(self))
        stop = max(start, stop)
        shape = ((stop - start) * self.nbatch, self._columns)
        if not self.is_sparse:
            dense = self.read_frames(layout.ACTIVITY, start, stop)
            return csr_array(dense.reshape(shape))
        return csr_array(self._csr(start, stop), shape=shape)

    def nonzero(self) -> np.ndarray:
        """How many neurons are active, int64 (T, batch)."""
        if self.is_sparse:
            rows = len(self) * self.nbatch
            indptr = self._read(lambda group: group[layout.ACTIVITY][layout.CSR_INDPTR][: rows + 1])
            return np.diff(indptr).reshape(len(self), self.nbatch)
        step = max(1, _BLOCK_BYTES // max(1, 4 * self.nbatch * self._columns))
        counts = [np.zeros((0, self.nbatch), np.int64)]
        for start in range(0, len(self), step):
            block = self.read_frames(layout.ACTIVITY, start, min(len(self), start + step))
            counts.append(np.count_nonzero(block, axis=(2, 3, 4)))
        return np.concatenate(counts)

    def to_xarray(self, *, potential: bool = False) -> xarray.DataArray:
        """The whole layer, dense, with dims time, batch, y, x, feature."""
        import xarray

        frames = self.potential if potential else self.activity
        return xarray.DataArray(
            frames[:],
            dims=("time", "batch", "y", "x", "feature"),
            coords={"time": ("time", self.time, {"units": "ms"})},
            name=self.name,
            attrs={"kind": self.kind, "units": self.units},
        )

    def read_frames(self, name: str, start: int, stop: int) -> np.ndarray:
        """Frames ``start:stop`` of activity or potential, (stop-start, batch, y, x, feature)."""
        shape = (stop - start, self.nbatch, self.ny, self.nx, self.nf)
        if name == layout.ACTIVITY and self.is_sparse:
            data, indices, indptr = self._csr(start, stop)
            dense = np.zeros((shape[0] * self.nbatch, self._columns), np.float32)
            rows = np.repeat(np.arange(len(dense)), np.diff(indptr))
            dense[rows, indices] = data
            return dense.reshape(shape)

        block = self._rows(name, start, stop)
        if block.shape != shape:
            raise RunFileError(f'layer "{self.name}": the run file is damaged: {block.shape}')
        return block

    def _csr(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Data, indices and indptr of frames ``start:stop``, checked against each other."""

        def work(group: h5py.Group) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            activity = group[layout.ACTIVITY]
            ends = activity[layout.CSR_INDPTR]
            indptr = _rows(ends, start * self.nbatch, stop * self.nbatch + 1)
            low, high = int(indptr[0]), int(indptr[-1])
            if low < 0 or (np.diff(indptr) < 0).any():
                raise ValueError("its row ends fall")
            data = _rows(activity[layout.CSR_DATA], low, high)
            indices = _rows(activity[layout.CSR_INDICES], low, high)
            if len(indices) and not 0 <= indices.min() <= indices.max() < self._columns:
                raise ValueError("its indices are outside the layer")
            return data, indices, indptr - low

        return self._read(work)

    def __repr__(self) -> str:
        how = "sparse" if self.is_sparse else "dense"
        return f"<{self.kind} {self.name}: {len(self)} frames, {how}, {self.shape}>"


class Input(Series):
    """Which frame an input layer showed, and when."""

    def __init__(self, run: Source, name: str) -> None:
        super().__init__(run, layout.INPUTS, name)
        table = self._read(lambda group: read_input(name, group))
        self.source: list[str] = table.sources
        self.label: list[str] | None = table.labels

    @property
    def frame(self) -> np.ndarray:
        """Indices into :attr:`source`, int64 (T, batch); -1 is none."""
        frames = self._rows(layout.FRAME)
        if len(frames) and (frames.min() < -1 or frames.max() >= len(self.source)):
            raise RunFileError(f'input "{self.name}": the run file is damaged: no such frame')
        return frames

    @property
    def classes(self) -> list[str]:
        """The different labels, in order of their first frame."""
        return list(dict.fromkeys(self.label or []))

    def names(self, t: int) -> list[str]:
        """File or key shown to each batch element at ``t`` (an index, not a time)."""
        return self._look_up(self.source, t)

    def labels(self, t: int) -> list[str]:
        """Label of what each batch element was shown at ``t`` (an index, not a time)."""
        if self.label is None:
            raise RunFileError(f'input "{self.name}": its frames carry no labels')
        return self._look_up(self.label, t)

    def _look_up(self, table: list[str], t: int) -> list[str]:
        return ["" if index < 0 else table[index] for index in self.frame[t].tolist()]

    def __repr__(self) -> str:
        return f"<input {self.name}: {len(self)} presentations of {len(self.source)} frames>"


class Probe(Series):
    """A recorded probe."""

    def __init__(self, run: Source, name: str) -> None:
        super().__init__(run, layout.PROBES, name)
        self.kind = decode_text(self._attribute(layout.KIND))
        columns = self._read(lambda group: group[layout.VALUE].attrs.get(layout.COLUMNS))
        self.columns = None if columns is None else [decode_text(name) for name in columns]

    @property
    def value(self) -> np.ndarray:
        """Float64 (P, batch), or (P, batch, column) where :attr:`columns` names several."""
        return self._rows(layout.VALUE)

    def to_xarray(self) -> xarray.DataArray:
        """Times and values with dims time, batch[, column]."""
        import xarray

        time = self.time
        coords: dict[str, Any] = {"time": ("time", time, {"units": "ms"})}
        dims: tuple[str, ...] = ("time", "batch")
        if self.columns is not None:
            dims += ("column",)
            coords["column"] = self.columns
        return xarray.DataArray(
            self.value, dims=dims, coords=coords, name=self.name, attrs={"kind": self.kind}
        )

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}: {len(self)} samples>"


def _all_times(group: h5py.Group) -> np.ndarray:
    times = group[layout.TIME]
    times.refresh()  # another handle of this process may know it as shorter
    return times[:]


def _rows(dataset: h5py.Dataset, start: int, stop: int) -> np.ndarray:
    """Rows ``start:stop``, all of which must be there."""
    if len(dataset) < stop:
        dataset.refresh()
    if len(dataset) < stop:
        raise ValueError(f"{len(dataset)} rows where {stop} are needed")
    return dataset[start:stop]


def _split(key: Any) -> tuple[Any, tuple[Any, ...]]:
    """The index of the frames, and that of the rest."""
    if not isinstance(key, tuple):
        return (slice(None), (Ellipsis,)) if key is Ellipsis else (key, ())
    if not key or key[0] is Ellipsis:
        given = sum(part is not Ellipsis and part is not None for part in key)
        if given < Frames.ndim:
            return slice(None), key or (Ellipsis,)
        key = key[1:]
    if key[0] is None:
        raise IndexError("a new axis cannot come before the frames; add it to what was read")
    return key[0], key[1:]
