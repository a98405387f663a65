"""``run.h5`` as a run writes it: append-only, readable meanwhile, safe against a kill."""

from __future__ import annotations

import hashlib
import time as clock
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np

from neurosim.errors import RunFileError
from neurosim.record import layout
from neurosim.record.append import Appender, RowAppender, SparseAppender
from neurosim.record.files import FolderLock, abandon, open_growing, reading, sync_file, writing
from neurosim.record.outputs import InputOutput, LayerOutput, Outputs, ProbeOutput
from neurosim.record.start import (
    FRESH_CURE,
    WRITE_CURE,
    copy_run,
    go_live,
    growing,
    run_path,
    start_file,
)


class RunWriter:
    """Writes ``run.h5``; made by :meth:`create` or :meth:`resume`.

    Appended values are copied and wait in memory (a few megabytes a layer) until
    enough has gathered, ``flush_seconds`` have passed, or :meth:`flush` is called.
    Every method that writes raises RunFileError when the disk is full or failing;
    the file then stays readable as it was.
    """

    def __init__(
        self, file: h5py.File, path: Path, outputs: Outputs, lock: FolderLock, flush_seconds: float
    ) -> None:
        self.path = path
        self.outputs = outputs
        self._file = file
        self._lock = lock
        self._flush_seconds = flush_seconds
        self._flushed = clock.monotonic()
        self._failed = False
        self._layers: dict[str, RowAppender | SparseAppender] = {}
        self._shapes: dict[str, tuple[int, int, int, int]] = {}
        for layer in outputs.layers:
            group = file[layout.LAYERS][layer.name]
            names = [layout.ACTIVITY] + [layout.POTENTIAL] * layer.potential
            self._layers[layer.name] = (
                SparseAppender(group) if layer.sparse else RowAppender(group, names)
            )
            self._shapes[layer.name] = (outputs.nbatch, layer.ny, layer.nx, layer.nf)
        self._potentials = {layer.name for layer in outputs.layers if layer.potential}
        self._inputs = {
            item.name: RowAppender(file[layout.INPUTS][item.name], [layout.FRAME])
            for item in outputs.inputs
        }
        self._probes = {
            item.name: RowAppender(file[layout.PROBES][item.name], [layout.VALUE])
            for item in outputs.probes
        }

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        attrs: Mapping[str, object],
        source_text: str,
        effective_text: str,
        layers: Sequence[LayerOutput],
        inputs: Sequence[InputOutput],
        probes: Sequence[ProbeOutput],
        nbatch: int,
        overwrite: bool = False,
        flush_seconds: float = 5.0,
    ) -> RunWriter:
        """Start a new ``run.h5``.

        Parameters
        ----------
        path : path
            The output folder, or ``run.h5`` in it; folders are made as needed.
        attrs : mapping
            Root attributes (neurosim_version, backend, dtype, ...); ``created`` and
            ``params_sha256`` (of the effective text) are added where absent.
        source_text, effective_text : str
            The params as given, and with every default filled in.
        layers, inputs, probes : sequence
            What will be recorded.
        nbatch : int
            Batch size.
        overwrite : bool
            Replace an earlier run; default False.
        flush_seconds : float
            What is appended reaches readers at least this often; default 5 s.

        Raises
        ------
        RunFileError
            A run is already there or is being written, or the file cannot be made.
        """
        path = run_path(path)
        outputs = Outputs(list(layers), list(inputs), list(probes), nbatch)
        with writing(path, "choose another output folder"):
            path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not overwrite:
            raise RunFileError(
                f"{path}: there is a run already; resume it (--resume), remove it, or "
                "choose another output folder"
            )
        attributes = _root_attributes(attrs, effective_text, nbatch)
        lock = FolderLock(path.parent)
        with _locked(lock):
            file = start_file(path, outputs, attributes, source_text, effective_text)
            go_live(file, path)
        return cls(file, path, outputs, lock, flush_seconds)

    @classmethod
    def resume(
        cls,
        path: str | Path,
        lengths: Mapping[str, int],
        *,
        attrs: Mapping[str, object] | None = None,
        effective_text: str | None = None,
        flush_seconds: float = 5.0,
    ) -> RunWriter:
        """Go on with an existing ``run.h5`` after a stop, a crash or ``kill -9``.

        Parameters
        ----------
        path : path
            The output folder, or ``run.h5`` in it.
        lengths : mapping
            What :meth:`lengths` gave at the checkpoint; everything later is dropped.
        attrs : mapping, optional
            Root attributes to change or add.
        effective_text : str, optional
            The params the run goes on with; those it had by default.
        flush_seconds : float
            As in :meth:`create`.

        Raises
        ------
        RunFileError
            The file is missing, damaged, shorter than the checkpoint, of another
            run, or still being written by another process.
        """
        path = run_path(path)
        if not path.exists():
            raise RunFileError(f"{path}: there is no run to resume; {FRESH_CURE}")
        lock = FolderLock(path.parent)
        with _locked(lock):
            with reading(path, f"the run to resume (then {FRESH_CURE})"):
                old = open_growing(path)
            with old:
                file, outputs = copy_run(old, path, lengths, attrs or {}, effective_text)
            go_live(file, path)
        return cls(file, path, outputs, lock, flush_seconds)

    def append_layer(
        self,
        name: str,
        time: float,
        activity: np.ndarray,
        potential: np.ndarray | None = None,
    ) -> None:
        """Record one frame of layer ``name``.

        Parameters
        ----------
        time : float
            Simulated time (ms).
        activity, potential : ndarray (batch, y, x, feature)
            The potential only where the layer records it.
        """
        appender = self._layers[name]
        values = [activity] if potential is None else [activity, potential]
        if (potential is not None) != (name in self._potentials):
            raise ValueError(f"layer {name}: potential does not match its declaration")
        for value in values:
            if value.shape != self._shapes[name]:
                raise ValueError(f"layer {name}: {value.shape}, not {self._shapes[name]}")
        appender.add(_times(time), *[value[None] for value in values])
        self._after(appender)

    def append_input(self, name: str, time: float, frames: np.ndarray) -> None:
        """Record which frame (batch,) input ``name`` shows from ``time`` on; -1 is none."""
        frames = np.asarray(frames)
        if frames.shape != (self.outputs.nbatch,):
            raise ValueError(f"input {name}: frames have shape {frames.shape}")
        appender = self._inputs[name]
        appender.add(_times(time), frames[None])
        self._after(appender)

    def append_probes(self, name: str, times: np.ndarray, values: np.ndarray) -> None:
        """Record samples of probe ``name``: times (P,), values (P, batch[, column])."""
        times, values = _times(times), np.asarray(values)
        appender = self._probes[name]
        expected = (len(times), *self._file[layout.PROBES][name][layout.VALUE].shape[1:])
        if values.shape != expected:
            raise ValueError(f"probe {name}: values have shape {values.shape}, not {expected}")
        appender.add(times, values)
        self._after(appender)

    def flush(self, *, sync: bool = False) -> None:
        """Hand all that was appended to readers; ``sync`` waits for the disk too."""
        self._flush(force=True)
        if sync:
            with self._guard():
                sync_file(self.path)

    def lengths(self) -> dict[str, int]:
        """Length of every growing dataset, by HDF5 path, all of it on the disk.

        A checkpoint keeps this for :meth:`resume`.
        """
        self.flush(sync=True)
        return {dataset.name: int(dataset.shape[0]) for dataset in growing(self._file)}

    def close(self, finished: bool = True) -> None:
        """Write what is left and close; ``finished`` says that the run came to its end."""
        if self._file and not self._failed:
            self._flush(force=True)
            with self._guard():
                self._file.attrs.modify(layout.FINISHED, np.bool_(finished))
                self._file.flush()
                self._file.close()
                sync_file(self.path)
        self._lock.release()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(finished=kind is None)

    def _after(self, appender: Appender) -> None:
        if appender.due():
            with self._guard():
                appender.commit()
        if clock.monotonic() - self._flushed > self._flush_seconds:
            self._flush(force=False)

    def _flush(self, *, force: bool) -> None:
        with self._guard():
            for group in (self._inputs, self._layers, self._probes):
                for appender in group.values():
                    appender.commit(force=force)
            self._file.flush()
        self._flushed = clock.monotonic()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        if self._failed:
            raise RunFileError(f"{self.path}: an earlier write failed; {WRITE_CURE}")
        if not self._file:
            raise RunFileError(f"{self.path}: the run file is closed")
        try:
            with writing(self.path, WRITE_CURE):
                yield
        except RunFileError:
            self._failed = True
            abandon(self._file)
            self._lock.release()
            raise


def _root_attributes(
    attrs: Mapping[str, object], effective_text: str, nbatch: int
) -> dict[str, object]:
    text = effective_text.encode("utf-8", "surrogateescape")
    return {
        layout.PARAMS_SHA256: hashlib.sha256(text).hexdigest(),
        layout.CREATED: datetime.now(UTC).isoformat(timespec="seconds"),
        **attrs,
        layout.FORMAT: layout.RUN_FORMAT,
        layout.FORMAT_VERSION: layout.RUN_VERSION,
        layout.NBATCH: nbatch,
        layout.FINISHED: False,
    }


def _times(times: float | np.ndarray) -> np.ndarray:
    result = np.array(times, dtype=np.float64, ndmin=1)
    if not np.isfinite(result).all():
        raise ValueError("times must be finite")
    return result


@contextmanager
def _locked(lock: FolderLock) -> Iterator[None]:
    """Release ``lock`` if the body fails."""
    try:
        yield
    except BaseException:
        lock.release()
        raise
