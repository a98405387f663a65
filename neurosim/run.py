"""Wires a params file to a backend, a recorder and checkpoints, and runs it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.checkpointing import Checkpoints, StartPoint, resume_point, warm_start
from neurosim.errors import RequestError
from neurosim.experiment import Experiment
from neurosim.plan.operators import Schedule
from neurosim.plan.schedules import layer_schedule
from neurosim.record.observers import InputObserver, LayerObserver, ProbeRecorder
from neurosim.record.outputs import InputOutput, LayerOutput, ProbeOutput
from neurosim.record.writer import RunWriter
from neurosim.simulation import Simulator
from neurosim.stimuli.feeds import Feed, ImageFeed


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for a progress bar.

    Attributes
    ----------
    step, steps : int
        Steps done and to do in all.
    energy : float or None
        Mean over the batch of the first ColumnEnergyProbe.
    active : float or None
        Fraction of units of the first sparse layer that are not zero.
    """

    step: int
    steps: int
    energy: float | None
    active: float | None


@dataclass(frozen=True)
class Outcome:
    """What came of a run: where its results are and how it ended.

    Attributes
    ----------
    output : Path
        The output folder.
    step, steps : int
        Last step done, and steps asked for.
    executed : int
        Steps computed in this session; fewer than ``step`` where presentations
        ended early or the run was resumed.
    seconds : float
        Wall-clock time of the stepping.
    stopped_by : str or None
        Name of the signal that stopped the run.
    """

    output: Path
    step: int
    steps: int
    executed: int
    seconds: float
    stopped_by: str | None

    @property
    def finished(self) -> bool:
        return self.step >= self.steps


def run_experiment(
    experiment: Experiment,
    output: str | Path | None = None,
    *,
    backend: str = "auto",
    dtype: str = "float32",
    threads: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Outcome:
    # Long: one argument and one paragraph per choice of the user.
    """Run to ``stopTime``, writing ``run.h5`` and checkpoints.

    Parameters
    ----------
    output : path, optional
        Output folder; the column's outputPath by default.
    backend, dtype, threads
        As in :meth:`Experiment.simulator`.
    resume : bool
        Go on from the newest complete checkpoint in ``output``; where there is
        none yet, start anew.
    overwrite : bool
        Replace the results of an earlier run.
    progress : callable, optional
        Called a few times a second.

    Returns
    -------
    Outcome

    Raises
    ------
    NeurosimError
        The request, an input or a file is wrong, or the run diverged.
    """
    folder = Path(output if output is not None else experiment.network.model.column.outputPath)
    check_output(folder)
    if experiment.steps < 1:
        column = experiment.network.model.column
        raise experiment.network.model.error(
            column.name, f"stopTime = {column.stopTime:g} leaves no step to run", "stopTime"
        )
    restored = resume_point(folder, experiment) if resume else None
    start = restored or warm_start(experiment)
    feeds = experiment.feeds(start.means if start else None)
    recorder = _Recorder()
    simulator = experiment.simulator(backend, dtype, threads, feeds, recorder)
    settings = {"backend": simulator.backend.name, "dtype": _precision(backend, dtype)}
    if restored:
        restored.check_settings(settings, folder)
        writer = RunWriter.resume(folder, restored.lengths)
    else:
        writer = _create(experiment, feeds, folder, settings, overwrite or resume)
    recorder.target = ProbeRecorder(writer, _probe_steps(experiment), experiment.dt)
    checkpoints = Checkpoints(experiment, folder, writer, feeds, settings)
    try:
        simulator.observers += _observers(experiment, writer, feeds)
        _begin(experiment, simulator, start)
        simulator.observers.append(checkpoints)
        outcome = _drive(experiment, simulator, checkpoints, folder, progress)
    except BaseException:
        writer.close(finished=False)
        raise
    writer.close(finished=outcome.finished)
    return outcome


def _begin(experiment: Experiment, simulator: Simulator, start: StartPoint | None) -> None:
    """Starting values, or those of a checkpoint; frames that are due at time 0."""
    if start and start.resumed:
        start.into(simulator)
        return
    experiment.start(simulator)
    if start:
        start.into(simulator)
    for observer in simulator.observers:
        if observer.next_step(-1) == 0:
            observer.observe(simulator)


class _Recorder:
    """Hands probe values on once there is a file to write them to."""

    def __init__(self) -> None:
        self.target: Callable[[int, dict[str, np.ndarray]], None] | None = None
        self.last: dict[str, np.ndarray] = {}

    def __call__(self, first: int, values: dict[str, np.ndarray]) -> None:
        self.last = values
        if self.target:
            self.target(first, values)


def _precision(backend: str, dtype: str) -> str:
    return "float64" if backend == "reference" else dtype


def _create(
    experiment: Experiment,
    feeds: dict[str, Feed],
    folder: Path,
    settings: dict[str, str],
    overwrite: bool,
) -> RunWriter:
    """A new run.h5 with everything that will be recorded declared."""
    network = experiment.network
    layers = []
    for name, node in network.layers.items():
        if node.spec.writeStep > 0:
            shape, sparse = node.shape, bool(node.spec.sparseLayer)
            potential = bool(getattr(node.spec, "writePotential", False))
            layers.append(
                LayerOutput(name, node.kind, shape.ny, shape.nx, shape.nf, sparse, potential)
            )
    inputs = [
        InputOutput(name, feed.source.names, feed.source.labels)
        for name, feed in feeds.items()
        if isinstance(feed, ImageFeed)
    ]
    probes = [
        ProbeOutput(name, c.kind, list(c.columns) if len(c.columns) > 1 else None)
        for name, c in experiment.plan.probes.items()
    ]
    attrs = {"neurosim_version": version("neurosim"), **settings}
    attrs["created"] = datetime.now(UTC).isoformat(timespec="seconds")
    return RunWriter.create(
        folder,
        attrs=attrs,
        source_text=experiment.loaded.source_text,
        effective_text=experiment.effective_text,
        layers=layers,
        inputs=inputs,
        probes=probes,
        nbatch=network.nbatch,
        overwrite=overwrite,
    )


def _probe_steps(experiment: Experiment) -> dict[str, Callable[[int], bool]]:
    """Per probe, the steps that are recorded; step 0 only without a trigger."""

    def due(when: Schedule, step: int) -> bool:
        return when.always if step == 0 else when.fires(step)

    return {name: partial(due, c.when) for name, c in experiment.plan.probes.items()}


def _observers(experiment: Experiment, writer: RunWriter, feeds: dict[str, Feed]) -> list[Any]:
    """Activities and inputs, each at its own times."""
    network, dt = experiment.network, experiment.dt
    observers: list[Any] = []
    for name, node in network.layers.items():
        spec = node.spec
        if spec.writeStep > 0:
            observers.append(
                LayerObserver(
                    writer,
                    name,
                    experiment.plan.layers[name],
                    max(0.0, spec.initialWriteTime),
                    spec.writeStep,
                    dt,
                    bool(getattr(spec, "writePotential", False)),
                )
            )
    for name, feed in feeds.items():
        if isinstance(feed, ImageFeed):
            when = layer_schedule(network, name)
            assert when is not None
            observers.append(InputObserver(writer, name, when.first, when.every, feed.indices, dt))
    return observers


def _drive(
    experiment: Experiment,
    simulator: Simulator,
    checkpoints: Checkpoints,
    folder: Path,
    progress: Callable[[Progress], None] | None,
) -> Outcome:
    """Step to the end, listening to signals; always leave a last checkpoint."""
    began = time.perf_counter()
    stopped: list[str] = []

    def between(simulator: Simulator) -> None:
        checkpoints.between(simulator)
        if progress:
            progress(_progress(experiment, simulator))

    simulator.between = between
    with _signals(simulator, checkpoints, stopped):
        simulator.run(experiment.steps)
    seconds = time.perf_counter() - began
    checkpoints.write(simulator)
    return Outcome(
        folder,
        simulator.step,
        experiment.steps,
        simulator.executed,
        seconds,
        stopped[0] if stopped else None,
    )


def _progress(experiment: Experiment, simulator: Simulator) -> Progress:
    energies = [n for n, c in experiment.plan.probes.items() if c.kind == "ColumnEnergyProbe"]
    recorded = getattr(simulator.recorded, "last", {})
    energy = float(recorded[energies[0]][-1].mean()) if energies and recorded else None
    sparse = [n for n, node in experiment.network.layers.items() if node.spec.sparseLayer]
    active = None
    if sparse:
        a = simulator.backend.read(experiment.plan.layers[sparse[0]][1])
        active = np.count_nonzero(a) / a.size
    return Progress(simulator.step, experiment.steps, energy, active)


@contextmanager
def _signals(simulator: Simulator, checkpoints: Checkpoints, stopped: list[str]) -> Iterator[None]:
    """SIGINT and SIGTERM stop the run; SIGUSR1 asks for a checkpoint."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        if simulator.stop_requested:
            raise KeyboardInterrupt
        stopped.append(signal.Signals(number).name)
        simulator.stop_requested = True

    def save(number: int, frame: object) -> None:
        checkpoints.requested = True

    handlers: dict[Any, Any] = {signal.SIGINT: stop, signal.SIGTERM: stop}
    if hasattr(signal, "SIGUSR1"):
        handlers[signal.SIGUSR1] = save
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check_output(folder: Path) -> None:
    """Raise when an output folder cannot be used."""
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"{folder}: is a file; choose another output folder")
