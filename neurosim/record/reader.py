"""Open a run: lazy, read-only, while it goes on and after a crash."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import h5py
import numpy as np

from neurosim.errors import RunFileError
from neurosim.record import layout
from neurosim.record.checkpoint import (
    checkpoint_files,
    open_checkpoint,
    read_value,
    value_names,
)
from neurosim.record.files import check_format, open_growing, plain_attributes, read_text, reading
from neurosim.record.series import Input, Layer, Probe
from neurosim.record.start import run_path

T = TypeVar("T")


class UnknownNameError(RunFileError, KeyError):
    """A layer, probe, connection, ... that the run does not have."""


class Named(Mapping[str, T], Generic[T]):
    """Things by name, made when they are first asked for."""

    def __init__(self, where: str, what: str, names: list[str], make: Callable[[str], T]) -> None:
        self._where = where
        self._what = what
        self._names = names
        self._make = make
        self._made: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._names:
            raise unknown(self._where, self._what, name, self._names)
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __repr__(self) -> str:
        return f"<{self._what}s: {', '.join(self._names) or 'none'}>"


def unknown(where: str, what: str, name: object, allowed: list[str]) -> UnknownNameError:
    """The error for a name that is not there, with the nearest that is."""
    near = difflib.get_close_matches(str(name), allowed, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else ";"
    known = ", ".join(allowed) if allowed else "none"
    return UnknownNameError(f'{where}: no {what} "{name}"{hint} {what}s here: {known}')


class LayerState:
    """The arrays of one layer in a checkpoint, as attributes: ``state.V``, ``state.A``."""

    def __init__(self, checkpoint: Checkpoint, name: str, arrays: list[str]) -> None:
        self._checkpoint = checkpoint
        self._name = name
        self.arrays = arrays

    def __getitem__(self, array: str) -> np.ndarray:
        if array not in self.arrays:
            where = f'{self._checkpoint.path}: layer "{self._name}"'
            raise unknown(where, "array", array, self.arrays)
        return self._checkpoint[f"{layout.LAYERS}/{self._name}/{array}"]

    def __getattr__(self, array: str) -> np.ndarray:
        if array.startswith("_"):
            raise AttributeError(array)
        if array not in self.arrays:
            where = f'{self._checkpoint.path}: layer "{self._name}"'
            raise AttributeError(str(unknown(where, "array", array, self.arrays)))
        return self[array]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.arrays]

    def __repr__(self) -> str:
        return f"<layer {self._name} at step {self._checkpoint.step}: {', '.join(self.arrays)}>"


class Checkpoint:
    """One checkpoint; arrays are read, and their checksums verified, when asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.step = layout.checkpoint_step(path.name) or 0
        self._names: list[str] | None = None

    @property
    def attrs(self) -> dict[str, Any]:
        """Its root attributes."""
        with open_checkpoint(self.path) as file, reading(self.path, "its attributes"):
            return plain_attributes(file)

    @property
    def time(self) -> float | None:
        """Simulated time (ms), where the run noted it."""
        return self.attrs.get(layout.CHECKPOINT_TIME)

    @property
    def names(self) -> list[str]:
        """HDF5 paths of all that it holds."""
        if self._names is None:
            with open_checkpoint(self.path) as file:
                self._names = value_names(file, self.path)
        return list(self._names)

    @property
    def layers(self) -> list[str]:
        """Names of the layers it holds."""
        return self._members(layout.LAYERS)

    @property
    def connections(self) -> list[str]:
        """Names of the connections it holds."""
        return self._members(layout.CONNECTIONS)

    def __getitem__(self, name: str) -> Any:
        if name not in self.names:
            raise unknown(str(self.path), "value", name, self.names)
        with open_checkpoint(self.path) as file:
            return read_value(file, self.path, name)

    def weights(self, connection: str) -> np.ndarray:
        """Weights of ``connection``, (kernels, nyp, nxp, nfp)."""
        if connection not in self.connections:
            raise unknown(str(self.path), "connection", connection, self.connections)
        return self[f"{layout.CONNECTIONS}/{connection}/{layout.WEIGHTS}"]

    def layer(self, name: str) -> LayerState:
        """The state of layer ``name``: ``.V``, ``.A``, ... (batch, y, x, feature)."""
        if name not in self.layers:
            raise unknown(str(self.path), "layer", name, self.layers)
        start = f"{layout.LAYERS}/{name}/"
        arrays = [path[len(start) :] for path in self.names if path.startswith(start)]
        return LayerState(self, name, arrays)

    def _members(self, folder: str) -> list[str]:
        found = [name.split("/")[2] for name in self.names if name.startswith(folder + "/")]
        return list(dict.fromkeys(found))

    def __repr__(self) -> str:
        return f"<checkpoint at step {self.step}: {self.path}>"


class Run:
    """A run on disk; made by :func:`open_run`.

    Attributes
    ----------
    layers, inputs, probes : mapping
        By name, in the order of the params file.
    path : Path
        Its ``run.h5``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = -1
        self._file: h5py.File | None = None
        self.refresh()
        kinds = [
            ("layer", layout.LAYERS, lambda name: Layer(self, name)),
            ("input", layout.INPUTS, lambda name: Input(self, name)),
            ("probe", layout.PROBES, lambda name: Probe(self, name)),
        ]
        try:
            named = [self._named(*entry) for entry in kinds]
        except BaseException:
            self.close()
            raise
        self.layers: Named[Layer] = named[0]
        self.inputs: Named[Input] = named[1]
        self.probes: Named[Probe] = named[2]

    def read(self, what: str, work: Callable[[h5py.File], Any]) -> Any:
        """Do ``work`` on the open file; any failure is a RunFileError."""
        if not self._file:
            raise RunFileError(f"{self.path}: this run was closed; open it again")
        with reading(self.path, what):
            return work(self._file)

    @property
    def attrs(self) -> dict[str, Any]:
        """Root attributes: versions, backend, dtype, created, ..."""
        return self.read("its attributes", plain_attributes)

    @property
    def finished(self) -> bool:
        """Whether the run came to its end; False while it goes on, or was stopped."""
        return bool(self.read("its attributes", lambda file: file.attrs[layout.FINISHED]))

    @property
    def params(self) -> str:
        """The params with every default filled in: enough to run it again."""
        return self.read("the params", lambda file: read_text(file, layout.EFFECTIVE_TEXT))

    @property
    def source(self) -> str:
        """The params as they were given."""
        return self.read("the params", lambda file: read_text(file, layout.SOURCE_TEXT))

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """The checkpoints there are now, oldest first."""
        folder = self.path.parent / layout.CHECKPOINT_FOLDER
        return [Checkpoint(path) for path in checkpoint_files(folder)]

    def weights(self, connection: str, checkpoint: int = -1) -> np.ndarray:
        """Weights (kernels, nyp, nxp, nfp) of a connection at a checkpoint; -1 is the newest."""
        found = self.checkpoints
        try:
            chosen = found[checkpoint]
        except IndexError:
            raise UnknownNameError(
                f"{self.path.parent}: no checkpoint number {checkpoint}; there are {len(found)}"
            ) from None
        return chosen.weights(connection)

    def refresh(self) -> Run:
        """See what a run that goes on has written since; returns itself."""
        self.close()
        with reading(self.path, "the run file"):
            self._file = open_growing(self.path)
        try:
            self.read(
                "the run file",
                lambda file: check_format(file, self.path, layout.RUN_FORMAT, layout.RUN_VERSION),
            )
        except BaseException:
            self.close()
            raise
        self.generation += 1
        return self

    def close(self) -> None:
        """Close the file; harmless when done already."""
        if self._file:
            self._file.close()
        self._file = None

    def summary(self) -> str:
        """A few lines of text: what ran, and what there is to read."""
        attrs = self.attrs
        state = "finished" if self.finished else "not finished (it goes on, or was stopped)"
        known = ("neurosim_version", "backend", "dtype", layout.CREATED)
        notes = [f"{key} {attrs[key]}" for key in known if key in attrs]
        lines = [f"{self.path}: {state}", "  " + ", ".join(notes)]
        lines += [_layer_line(layer) for layer in self.layers.values()]
        for item in self.inputs.values():
            lines.append(
                f"  input {item.name}: {len(item)} presentations, {len(item.source)} frames, "
                f"{len(item.classes)} classes"
            )
        lines += [_probe_line(probe) for probe in self.probes.values()]
        steps = [str(checkpoint.step) for checkpoint in self.checkpoints]
        lines.append(f"  checkpoints: {', '.join(steps) or 'none'}")
        return "\n".join(lines)

    def _named(self, what: str, folder: str, make: Callable[[str], Any]) -> Named[Any]:
        names = self.read(f"its {what}s", lambda file: list(file[folder]))
        return Named(str(self.path), what, names, make)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if not self._file:
            return f"<Run {self.path.parent}: closed>"
        state = "finished" if self.finished else "not finished"
        return (
            f"<Run {self.path.parent}: {len(self.layers)} layers, {len(self.inputs)} inputs, "
            f"{len(self.probes)} probes, {len(self.checkpoints)} checkpoints, {state}>"
        )


def open_run(path: str | Path) -> Run:
    """Open the results of a run.

    Parameters
    ----------
    path : path
        Its output folder, or ``run.h5`` in it. The run may still be going on
        (``run.refresh()`` shows what is new) or may have been killed.

    Returns
    -------
    Run
        ``run.layers["V1"].activity[0:10]``, ``run.probes["Energy"].value``,
        ``run.inputs["Face"].names(0)``, ``run.weights("V1ToError")``,
        ``print(run.summary())``. Use it in a ``with`` block or call ``close``.

    Raises
    ------
    RunFileError
        Missing, damaged, of another program or of another format version.
    """
    path = run_path(path)
    if not path.exists():
        where = path.parent if path.name == layout.RUN_FILE else path
        raise RunFileError(
            f"{where}: no run is here; give the output folder of a run (it holds {layout.RUN_FILE})"
        )
    return Run(path)


def _layer_line(layer: Layer) -> str:
    line = (
        f"  layer {layer.name} ({layer.kind}): {len(layer)} frames x {layer.nbatch}, "
        f"{layer.ny} x {layer.nx} x {layer.nf}"
    )
    if layer.is_sparse and len(layer):
        active = layer.nonzero().mean() / max(1, layer.ny * layer.nx * layer.nf)
        line += f", {100 * active:.3g} % active"
    return line


def _probe_line(probe: Probe) -> str:
    line = f"  probe {probe.name} ({probe.kind}): {len(probe)} samples"
    if not len(probe):
        return line
    last = probe.value[-1].mean(axis=0)
    names = probe.columns or ["mean over the batch"]
    values = [
        f"{name} {number:.6g}" for name, number in zip(names, np.atleast_1d(last), strict=True)
    ]
    return f"{line}, last: {', '.join(values)}"
