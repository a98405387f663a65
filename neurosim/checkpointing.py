"""Checkpoints of a simulation: when they are taken, what they hold, how a run goes on."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.errors import NeurosimError, RunFileError
from neurosim.experiment import Experiment, loads
from neurosim.plan.weight_files import weights_from_file
from neurosim.record import layout
from neurosim.record.checkpoint import (
    checkpoint_files,
    newest_complete,
    read_checkpoint,
    rotate,
    write_checkpoint,
)
from neurosim.record.observers import ProbeRecorder
from neurosim.record.reader import open_run
from neurosim.record.writer import RunWriter
from neurosim.simulation import Simulator
from neurosim.stimuli.feeds import Feed, ImageFeed
from neurosim.stimuli.pvp import read_activity

UNITS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
#: What a warm start takes from an earlier run.
WARM = ("V", "A", "W", "prev_dW", "prevDrive")
WEIGHTS = ("W", "prev_dW")
LENGTHS = "/outputs/lengths"
BOOKKEEPING = "/simulation/state"
#: Attributes of a run and of its checkpoints: which run it is, and of which params.
RUN_ID = "run_id"
RUN_DIGEST = "run_digest"


def hdf5_path(experiment: Experiment, buffer: str) -> str:
    """Name in a checkpoint of a buffer: ``V1:V`` is ``/layers/V1/V``."""
    name, _, what = buffer.partition(":")
    network = experiment.network
    if name in network.layers:
        return f"/layers/{name}/{what}"
    return f"/{'connections' if name in network.connections else 'probes'}/{name}/{what}"


def _outside(buffer: str, value: np.ndarray) -> np.ndarray:
    """Weights of a single arbor are kept as (kernel, y, x, feature)."""
    single = buffer.endswith((":W", ":dW", ":prev_dW")) and value.shape[0] == 1
    return value[0] if single else value


@dataclass
class StartPoint:
    """Buffers to begin with: those of a checkpoint, or of another run's."""

    path: Path
    step: int
    buffers: dict[str, np.ndarray]
    means: dict[str, np.ndarray] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    bookkeeping: dict[str, Any] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)
    resumed: bool = False
    notes: tuple[str, ...] = ()

    def into(self, simulator: Simulator) -> None:
        """Write the buffers; a resumed simulation also takes up its step."""
        if self.resumed:
            simulator.restore(self.step, self.buffers.items(), self.bookkeeping)
        else:
            simulator.overwrite(self.buffers.items())

    def check_settings(self, settings: Mapping[str, str], folder: Path) -> None:
        """A run goes on bit for bit only with the backend and precision it had."""
        for key, value in settings.items():
            had = str(self.attrs.get(key, value))
            if had != value:
                raise RunFileError(
                    f"{folder}: the run was made with {key} = {had}, not {value}; "
                    f"resume it with --{key} {had}, or choose another output folder"
                )


def resume_point(folder: Path, experiment: Experiment) -> StartPoint | None:
    """The newest complete checkpoint of a run; None when the run has none yet.

    Raises
    ------
    RunFileError
        The run, or its checkpoint, belongs to other params.
    """
    if not (folder / layout.RUN_FILE).exists():
        return None
    wanted = params_digest(experiment)
    with open_run(folder) as run:
        known = run.attrs
        same = known.get(RUN_DIGEST) == wanted or _digest_now(run.params) == wanted
    if not same:
        raise RunFileError(
            f"{folder}: holds a run with other params; resume with the params (and --set) of that "
            f"run, which `neurosim show {folder} --stage specs` prints, choose another output "
            "folder, or replace the run with --overwrite"
        )
    damaged: list[str] = []
    path = newest_complete(folder / layout.CHECKPOINT_FOLDER, damaged)
    if path is None:
        return None
    arrays, attrs = read_checkpoint(path)
    if attrs.get(RUN_ID) != known.get(RUN_ID):
        # Left by an earlier run that this one replaced.
        return None
    buffers = dict(_matching(experiment, arrays, path))
    missing = [
        b.name for b in experiment.plan.buffers.values() if b.saved and b.name not in buffers
    ]
    if missing:
        raise RunFileError(f"{path}: lacks {', '.join(missing)}; it cannot be resumed from")
    return StartPoint(
        path,
        int(attrs[layout.STEP]),
        buffers,
        _means(arrays),
        {k: int(v) for k, v in arrays.get(LENGTHS, {}).items()},
        arrays.get(BOOKKEEPING, {}),
        attrs,
        True,
        tuple(f"skipped a damaged checkpoint: {problem}" for problem in damaged),
    )


def _digest_now(params: str) -> str:
    """Digest of a run's params with the keys that came since; empty where they are not understood.

    Before it knew some key, neurosim wrote, and digested, params without it.
    """
    try:
        return params_digest(loads(params))
    except NeurosimError:
        return ""


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of an earlier run whose results were replaced."""
    for path in checkpoint_files(folder / layout.CHECKPOINT_FOLDER):
        path.unlink(missing_ok=True)


def warm_start(experiment: Experiment) -> StartPoint | None:
    """Buffers from the column's initializeFromCheckpointDir; None without one.

    The folder is a run's output, one of its checkpoints, or a PetaVision
    checkpoint folder. Objects with ``initializeFromCheckpointFlag = false``
    keep the values their own keys give.
    """
    column = experiment.network.model.column
    if not column.initializeFromCheckpointDir:
        return None
    given = Path(column.initializeFromCheckpointDir)
    for path in (experiment.folder / given, given):
        if path.exists():
            break
    else:
        raise experiment.network.model.error(
            column.name,
            f'initializeFromCheckpointDir "{given}" does not exist',
            "initializeFromCheckpointDir",
        )
    theirs = _petavision_folder(path)
    if theirs:
        return StartPoint(theirs, 0, _petavision(experiment, theirs))
    file = _checkpoint_file(path)
    if file is None:
        raise RunFileError(
            f"{path}: holds no checkpoint; give a run's output folder, a checkpoint_*.h5, or a "
            "PetaVision checkpoint folder"
        )
    arrays, attrs = read_checkpoint(file)
    buffers = dict(_matching(experiment, arrays, file, set(_wanted(experiment))))
    _check_complete(experiment, file, buffers)
    return StartPoint(file, 0, buffers, _means(arrays), attrs=attrs)


def _checkpoint_file(path: Path) -> Path | None:
    if path.is_file():
        return path
    return newest_complete(path / layout.CHECKPOINT_FOLDER) or newest_complete(path)


def _petavision_folder(path: Path) -> Path | None:
    """A PetaVision checkpoint folder, or the last of those inside ``path``."""
    if not path.is_dir():
        return None
    inside = sorted(path.glob("Checkpoint*/"), key=lambda p: (len(p.name), p.name), reverse=True)
    folders = (path, *inside)
    return next((f for f in folders if next(f.glob("*_[VWA].pvp"), None)), None)


def _wanted(experiment: Experiment) -> Iterator[str]:
    """Buffers that a warm start replaces; inputs show their own frames."""
    inputs = ("ImageLayer", "PvpLayer", "NameLayer", "FilenameParsingLayer")
    for spec in _taking_part(experiment):
        for what in WARM:
            buffer = experiment.plan.buffers.get(f"{spec.name}:{what}")
            if buffer is not None and buffer.saved and spec.kind not in inputs:
                yield buffer.name


def _check_complete(experiment: Experiment, path: Path, found: Mapping[str, Any]) -> None:
    """Raise when weights or potentials that a warm start wants are not there."""
    missing = [n for n in _wanted(experiment) if n.endswith((":W", ":V")) and n not in found]
    if missing:
        names = ", ".join(n.partition(":")[0] for n in missing)
        raise RunFileError(
            f"{path}: has no weights or potentials of {names}; give these groups "
            "initializeFromCheckpointFlag = false to start them from their own keys"
        )


def _taking_part(experiment: Experiment) -> list[Any]:
    objects = experiment.network.model.objects
    return [s for s in objects if getattr(s, "initializeFromCheckpointFlag", False)]


def _matching(
    experiment: Experiment,
    arrays: Mapping[str, Any],
    path: Path,
    wanted: Container[str] | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Buffers of this plan that a checkpoint holds, with their shapes checked."""
    for buffer in experiment.plan.buffers.values():
        name = hdf5_path(experiment, buffer.name)
        if not buffer.saved or name not in arrays:
            continue
        if wanted is not None and buffer.name not in wanted:
            continue
        value = np.asarray(arrays[name])
        if value.ndim == len(buffer.shape) - 1:
            value = value[None]
        batch = buffer.name.endswith((":V", ":A", ":prevDrive")) and value.ndim == 4
        if batch and value.shape[1:] == buffer.shape[1:]:
            value = value[np.arange(buffer.shape[0]) % value.shape[0]]
        if value.shape != buffer.shape:
            raise RunFileError(
                f"{path}: {name} is {value.shape}, but this network needs {buffer.shape}"
            )
        yield buffer.name, value


def _petavision(experiment: Experiment, folder: Path) -> dict[str, np.ndarray]:
    """Buffers from a PetaVision checkpoint: ``<layer>_V.pvp``, ``<connection>_W.pvp``."""
    nbatch = experiment.network.nbatch
    found: dict[str, np.ndarray] = {}
    for name in _wanted(experiment):
        owner, _, what = name.partition(":")
        path = folder / f"{owner}_{what}.pvp"
        if not path.exists():
            continue
        shape = experiment.plan.buffers[name].shape
        geometry = experiment.network.connections[owner].geometry if what in WEIGHTS else None
        if geometry is not None:
            value = weights_from_file(path, 0, geometry, shape)
        else:
            frames = read_activity(path)
            value = np.stack([frames[b % len(frames)] for b in range(nbatch)])
        if value.shape != shape:
            raise RunFileError(f"{path}: is {value.shape}, but this network needs {shape}")
        if not np.isfinite(value).all():
            raise RunFileError(f"{path}: has values that are not finite numbers")
        found[name] = value
    _check_complete(experiment, folder, found)
    return found


def _means(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    prefix, suffix = "/inputs/", "/mean"
    return {
        name[len(prefix) : -len(suffix)]: value
        for name, value in arrays.items()
        if name.startswith(prefix) and name.endswith(suffix)
    }


def params_digest(experiment: Experiment) -> str:
    """Identity of a run's params, but for how long it runs, where it writes and what it keeps."""
    from hashlib import sha256

    from neurosim.paramfile import write_model

    model = experiment.network.model
    column = model.column
    plain = type(column)(name=column.name, nx=column.nx, ny=column.ny)
    free = [k for k in column.effective() if k.startswith(("checkpoint", "deleteOlder", "num"))]
    free += ["stopTime", "outputPath", "progressInterval", "errorOnUnusedParam"]
    kept = {k: v for k, v in column.effective().items() if k not in free}
    same = plain.replace(**kept)
    return sha256(write_model(model.replace(same)).encode()).hexdigest()


class Checkpoints:
    """Writes checkpoints when the column says, when asked, and at the end."""

    def __init__(
        self,
        experiment: Experiment,
        output: Path,
        writer: RunWriter,
        feeds: Mapping[str, Feed],
        probes: ProbeRecorder,
        attrs: Mapping[str, str],
    ) -> None:
        self._experiment, self._writer, self._attrs = experiment, writer, attrs
        self._probes = probes
        self._folder = output / layout.CHECKPOINT_FOLDER
        self._means = {
            f"/inputs/{n}/mean": f.mean
            for n, f in feeds.items()
            if isinstance(f, ImageFeed) and f.mean is not None
        }
        column = experiment.network.model.column
        self._keep = column.numCheckpointsKept if column.deleteOlderCheckpoints else None
        self._every: int | None = None
        self._seconds: float | None = None
        if column.checkpointWrite:
            mode = column.checkpointWriteTriggerMode
            if mode == "step":
                self._every = int(column.checkpointWriteStepInterval)
            elif mode == "time":
                self._every = max(1, round(column.checkpointWriteTimeInterval / column.dt))
            else:
                unit = UNITS[column.checkpointWriteClockUnit]
                self._seconds = column.checkpointWriteClockInterval * unit
        self._last_clock = time.monotonic()
        self._last_step = -1
        self.requested = False

    def ask(self) -> None:
        """Have one written after the next step."""
        self.requested = True

    def next_step(self, step: int) -> int | None:
        """The first step after ``step`` at which a checkpoint is due.

        That is the very next where a signal or the clock asks for one.
        """
        elapsed = time.monotonic() - self._last_clock
        if self.requested or (self._seconds is not None and elapsed >= self._seconds):
            return step + 1
        if not self._every:
            return None
        return (step // self._every + 1) * self._every

    def observe(self, simulator: Simulator) -> None:
        """Write the checkpoint that is due."""
        self.write(simulator)

    def _values(self, simulator: Simulator) -> Iterator[tuple[str, Any]]:
        """All that a checkpoint holds, one after the other: a second copy of one at a time."""
        for name, value in simulator.saved():
            yield hdf5_path(self._experiment, name), _outside(name, value)
        yield from self._means.items()
        yield LENGTHS, self._writer.lengths()
        yield BOOKKEEPING, {**simulator.bookkeeping(), "failures": self._probes.failures}

    def write(self, simulator: Simulator) -> None:
        """Write a checkpoint of the state after the step just done."""
        self.requested = False
        self._last_clock = time.monotonic()
        if simulator.step == self._last_step:
            return
        attrs = {layout.CHECKPOINT_TIME: simulator.step * self._experiment.dt, **self._attrs}
        write_checkpoint(self._folder, simulator.step, self._values(simulator), attrs)
        self._last_step = simulator.step
        if self._keep is not None:
            rotate(self._folder, self._keep)
