"""Wires a params file to a backend, a recorder and checkpoints, and runs it."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np

from neurosim.backends.profile import Profile
from neurosim.checkpointing import (
    RUN_DIGEST,
    RUN_ID,
    Checkpoints,
    StartPoint,
    params_digest,
    remove_checkpoints,
    resume_point,
    warm_start,
)
from neurosim.errors import NeurosimError, RequestError, RunFailedError, RunFileError, StimulusError
from neurosim.experiment import Experiment
from neurosim.record import layout
from neurosim.record.observers import ProbeRecorder, observers, writes_potential
from neurosim.record.outputs import InputOutput, LayerOutput, ProbeOutput
from neurosim.record.writer import RunWriter
from neurosim.simulation import Simulator
from neurosim.simulation.fresh import FreshStart
from neurosim.simulation.signals import listening
from neurosim.stimuli.feeds import Feed, ImageFeed

#: Seconds between two reports of progress; each costs a look at a whole layer.
REPORT = 0.2


#: Attribute of a run: how many threads share its images, on which rounding depends.
THREADS = "threads"
#: Attribute of a run: whether the fused plan ran, on which rounding depends too.
FUSED = "fused"


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
    began : int
        Step from which this session went on; 0 for a new run.
    notes : tuple of str
        What a user should hear about.
    backend : str
        What did the work, and why where that was left open.
    """

    output: Path
    step: int
    steps: int
    executed: int
    seconds: float
    stopped_by: str | None
    began: int = 0
    notes: tuple[str, ...] = ()
    backend: str = ""

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
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
    profile: Profile | None = None,
    fused: bool | None = None,
    fresh: bool = False,
) -> Outcome:
    # Long: one argument and one paragraph per choice of the user.
    """Run to ``stopTime``, writing ``run.h5`` and checkpoints.

    Whatever is wrong with the request is found before anything is written.

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
        Called with a :class:`Progress` a few times a second.
    profile : Profile, optional
        Times the operators; see :mod:`neurosim.backends.profile`.
    fused : bool, optional
        False runs each operator as the file has it; true by default, or as the
        run that is resumed.
    fresh : bool
        Start each presentation from the state the first one starts from, and not
        from the end of the one before.

    Returns
    -------
    Outcome

    Raises
    ------
    RequestError
        The request or an input is wrong.
    RunFailedError, DivergenceError
        The run could not go on.
    """
    folder = Path(output if output is not None else experiment.network.model.column.outputPath)
    _check_output(folder, resume or overwrite)
    _check_steps(experiment)
    restored = resume_point(folder, experiment) if resume and not overwrite else None
    start = restored or warm_start(experiment)
    feeds = experiment.feeds(start.means if start else None)
    recorder = ProbeRecorder(experiment.network, experiment.plan)
    had = int(restored.attrs.get(THREADS, 0)) if restored else 0
    try:
        threads = had if threads is None and had else threads
        had_fused = restored is None or restored.attrs.get(FUSED, "yes") == "yes"
        fused = had_fused if fused is None else fused
        simulator = experiment.simulator(backend, dtype, threads, feeds, recorder, fused, profile)
    except MemoryError:
        raise RunFailedError(
            "there is not enough memory for this network; `neurosim check` tells what it needs: "
            "lower nbatch, nf or the sizes"
        ) from None
    settings = {"backend": simulator.backend.name, "dtype": _precision(backend, dtype)}
    if restored:
        restored.check_settings(settings, folder)
    settings[FUSED] = "yes" if fused else "no"
    settings[THREADS] = str(getattr(simulator.backend, THREADS, 1))
    again = _begin(experiment, simulator, start, fresh)
    writer, identity = _writer(experiment, feeds, folder, settings, restored, resume or overwrite)
    with _running(writer):
        if restored:
            recorder.failures = dict(restored.bookkeeping.get("failures", {}))
        recorder.open(writer)
        simulator.observers += observers(writer, experiment.network, experiment.plan, feeds)
        simulator.observers += again
        if not restored:
            _observe_start(simulator)
        checkpoints = Checkpoints(experiment, folder, writer, feeds, recorder, identity)
        simulator.observers.append(checkpoints)
        outcome = _drive(experiment, simulator, checkpoints, recorder, folder, progress, restored)
        notes = list(recorder.end()) if outcome.finished else []
        writer.close(finished=outcome.finished)
    if had and had != int(settings[THREADS]):
        notes.append(
            f"resumed on {settings[THREADS]} threads a run begun on {had}; the last digits may "
            "differ from a run that was never stopped"
        )
    used = ": ".join(x for x in (simulator.backend.name, simulator.backend.remark) if x)
    return replace(outcome, notes=(*outcome.notes, *notes), backend=used)


@contextmanager
def _running(writer: RunWriter) -> Iterator[None]:
    """Close the file after a failure; what goes wrong now is no wrong request any more."""
    try:
        yield
    except BaseException as error:
        with suppress(NeurosimError):
            writer.close(finished=False)
        if isinstance(error, RequestError):
            raise RunFailedError(str(error)) from error
        raise


def _check_output(folder: Path, replaceable: bool) -> None:
    """Raise when an output folder cannot be used, before anything else is read."""
    try:
        if folder.exists() and not folder.is_dir():
            raise RequestError(f"{folder}: is a file; choose another output folder")
        taken = (folder / layout.RUN_FILE).exists()
        there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    except OSError as error:
        raise RequestError(f"{folder}: {error.strerror}; choose another output folder") from None
    if not os.access(there, os.W_OK | os.X_OK):
        raise RequestError(f"{there}: cannot be written in; choose another output folder")
    if taken and not replaceable:
        raise RunFileError(
            f"{folder}: holds the results of a run already; go on with it by --resume, replace it "
            "by --overwrite, or choose another output folder with -o"
        )


def _check_steps(experiment: Experiment) -> None:
    if experiment.steps < 1:
        column = experiment.network.model.column
        raise experiment.network.model.error(
            column.name, f"stopTime = {column.stopTime:g} leaves no step to run", "stopTime"
        )


def _begin(
    experiment: Experiment, simulator: Simulator, start: StartPoint | None, fresh: bool
) -> list[FreshStart]:
    """Starting values, or those of a checkpoint; what puts them back for each presentation."""
    resumed = start is not None and start.resumed
    if fresh or not resumed:
        experiment.start(simulator)
    again = [FreshStart(simulator, when) for when in experiment.displays()] if fresh else []
    if start:
        start.into(simulator)
    return again


def _observe_start(simulator: Simulator) -> None:
    """Write the frames that are due at time 0."""
    for observer in simulator.observers:
        if observer.next_step(-1) == 0:
            observer.observe(simulator)


def _precision(backend: str, dtype: str) -> str:
    return "float64" if backend == "reference" else dtype


def _writer(
    experiment: Experiment,
    feeds: dict[str, Feed],
    folder: Path,
    settings: dict[str, str],
    restored: StartPoint | None,
    replace_run: bool,
) -> tuple[RunWriter, dict[str, str]]:
    """The run file, new or cut back to a checkpoint, and what its checkpoints are marked with."""
    effective = experiment.effective_text
    identity = {
        **settings,
        RUN_DIGEST: params_digest(experiment),
        layout.PARAMS_SHA256: sha256(effective.encode()).hexdigest(),
    }
    if restored:
        identity[RUN_ID] = restored.attrs[RUN_ID]
        attrs = {key: identity[key] for key in (layout.PARAMS_SHA256, RUN_DIGEST)}
        writer = RunWriter.resume(folder, restored.lengths, attrs=attrs, effective_text=effective)
        return writer, identity
    identity[RUN_ID] = uuid.uuid4().hex
    created = datetime.now(UTC).isoformat(timespec="seconds")
    layers, inputs, probes = _declared(experiment, feeds)
    writer = RunWriter.create(
        folder,
        attrs={"neurosim_version": version("neurosim"), **identity, layout.CREATED: created},
        source_text=experiment.loaded.source_text,
        effective_text=effective,
        layers=layers,
        inputs=inputs,
        probes=probes,
        nbatch=experiment.network.nbatch,
        overwrite=replace_run,
    )
    remove_checkpoints(folder)
    return writer, identity


def _declared(
    experiment: Experiment, feeds: dict[str, Feed]
) -> tuple[list[LayerOutput], list[InputOutput], list[ProbeOutput]]:
    """Everything that will be recorded."""
    network = experiment.network
    layers = []
    for name, node in network.layers.items():
        if node.spec.writeStep > 0:
            shape, sparse = node.shape, bool(node.spec.sparseLayer)
            potential = writes_potential(node.spec)
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
        if network.model.probes[name].textOutputFlag
    ]
    return layers, inputs, probes


def _drive(
    experiment: Experiment,
    simulator: Simulator,
    checkpoints: Checkpoints,
    recorder: ProbeRecorder,
    folder: Path,
    progress: Callable[[Progress], None] | None,
    restored: StartPoint | None,
) -> Outcome:
    """Step to the end, listening to signals; always leave a last checkpoint."""
    began = time.perf_counter()
    reported = [0.0]
    stopped: list[str] = []

    def between(simulator: Simulator) -> None:
        now = time.monotonic()
        if progress and now - reported[0] >= REPORT:
            reported[0] = now
            progress(_progress(experiment, simulator, recorder))

    simulator.between = between
    with listening(simulator, checkpoints.ask, stopped):
        try:
            simulator.run(experiment.steps)
        except StimulusError:
            # The state before the input that failed is whole: keep it.
            with suppress(NeurosimError):
                checkpoints.write(simulator)
            raise
        seconds = time.perf_counter() - began
        if progress and simulator.executed:
            progress(_progress(experiment, simulator, recorder))
        checkpoints.write(simulator)
    return Outcome(
        folder,
        simulator.step,
        experiment.steps,
        simulator.executed,
        seconds,
        stopped[0] if stopped else None,
        restored.step if restored else 0,
        restored.notes if restored else (),
    )


def _progress(experiment: Experiment, simulator: Simulator, recorder: ProbeRecorder) -> Progress:
    energies = [n for n, c in experiment.plan.probes.items() if c.kind == "ColumnEnergyProbe"]
    energy = None
    if energies and energies[0] in recorder.last:
        energy = float(recorder.last[energies[0]][-1].mean())
    coding = [
        n
        for n, node in experiment.network.layers.items()
        if node.spec.sparseLayer or "timeConstantTau" in type(node.spec).model_fields
    ]
    active = None
    if coding:
        a = simulator.backend.read(experiment.plan.layers[coding[0]][1])
        active = np.count_nonzero(a) / a.size
    return Progress(simulator.step, experiment.steps, energy, active)
