"""One params file at many settings, in processes, resumable."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection, forkserver, get_all_start_methods, get_context
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.errors import NeurosimError, RequestError, RunFileError
from neurosim.experiment import Experiment
from neurosim.paramfile import read_overrides
from neurosim.record.reader import open_run
from neurosim.run import run_experiment

TABLE = "sweep.json"


@dataclass(frozen=True)
class SweepRow:
    """One run of a sweep.

    Attributes
    ----------
    settings : dict
        The values that were varied.
    output : Path
        Its output folder.
    results : dict
        Mean over the batch of the last value of each probe.
    error : str or None
        Why the run failed.
    """

    settings: Mapping[str, Any]
    output: Path
    results: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None


Done = Callable[[SweepRow, int, int], None]


@dataclass(frozen=True)
class _Point:
    """What a process needs to run one point."""

    experiment: Experiment
    settings: dict[str, Any]
    output: Path
    options: dict[str, Any]


def grid(vary: Sequence[str]) -> list[dict[str, Any]]:
    """Every combination of values.

    Parameters
    ----------
    vary : sequence of str
        ``Group.key=a,b,c`` each; a comma inside brackets or quotes does not divide.

    Raises
    ------
    RequestError
        Not of that form, an empty value, or a key that is varied twice.

    Examples
    --------
    >>> grid(["V1.VThresh=0.01,0.02"])
    [{'V1.VThresh': 0.01}, {'V1.VThresh': 0.02}]
    """
    axes: dict[str, list[dict[str, Any]]] = {}
    for text in vary:
        key, equals, values = text.partition("=")
        key = key.strip()
        listed = _split(values)
        if not equals or "." not in key or not all(listed):
            raise RequestError(f'--vary {text}: give Group.key=a,b,c, as in "V1.VThresh=0.01,0.02"')
        if key in axes:
            raise RequestError(f"--vary {text}: {key} is varied twice; give all its values at once")
        axes[key] = [read_overrides([f"{key}={value}"]) for value in listed]
    return [
        {k: v for point in combination for k, v in point.items()}
        for combination in itertools.product(*axes.values())
    ]


def _split(values: str) -> list[str]:
    """Divide at commas that stand in no brackets and no quotes."""
    parts, depth, quoted = [""], 0, False
    for letter in values:
        quoted ^= letter == '"'
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def run_sweep(
    experiment: Experiment,
    points: Sequence[Mapping[str, Any]],
    output: str | Path | None = None,
    *,
    jobs: int = 1,
    backend: str = "auto",
    dtype: str = "float32",
    threads: int | None = None,
    overwrite: bool = False,
    fused: bool | None = None,
    done: Done | None = None,
) -> list[SweepRow]:
    # Long: one argument and one paragraph per choice of the user.
    """Run every point; those already finished are read, those begun go on.

    Parameters
    ----------
    experiment : Experiment
        The file all points start from.
    points : sequence of mapping
        Overrides of each run.
    output : path, optional
        Folder of the sweep; the column's outputPath by default. Point ``i``
        goes to ``paramsweep_<i>`` in it; without ``output``, a point that sets
        outputPath goes there.
    jobs : int
        Processes side by side.
    backend, dtype, threads, fused
        As in :func:`neurosim.run.run_experiment`; the cores are shared equally
        by default.
    overwrite : bool
        Run all points anew.
    done : callable, optional
        Called as ``done(row, number, total)`` after each point.

    Returns
    -------
    list of SweepRow
        In the order of the points, also written to ``sweep.json``. A point that
        failed has its error in its row and does not stop the others.

    Raises
    ------
    RequestError
        A point is wrong; found before the first one runs.
    KeyboardInterrupt
        The sweep was stopped, by the signal that is its argument; each run has
        left a checkpoint.
    """
    if jobs < 1:
        raise RequestError(f"jobs = {jobs}; it must be at least 1")
    folder = Path(output if output is not None else experiment.network.model.column.outputPath)
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"{folder}: is a file; choose another output folder")
    if jobs > 1 and threads is None:
        from neurosim.backends.cpu import available_cores

        threads = max(1, available_cores() // jobs)
    options = {"backend": backend, "dtype": dtype, "threads": threads, "fused": fused}
    options["overwrite"] = overwrite
    work = _points(experiment, points, folder, output is not None, options)
    rows: dict[int, SweepRow] = {}

    def keep(number: int, row: SweepRow) -> None:
        rows[number] = row
        if done:
            done(row, len(rows), len(work))

    try:
        if jobs == 1:
            for number, point in enumerate(work):
                keep(number, _run_point(point))
        else:
            _run_side_by_side(work, jobs, keep)
    finally:
        if rows:
            _write_table(folder, [rows[number] for number in sorted(rows)])
    return [rows[number] for number in range(len(work))]


def _points(
    experiment: Experiment,
    points: Sequence[Mapping[str, Any]],
    folder: Path,
    chosen: bool,
    options: dict[str, Any],
) -> list[_Point]:
    """The work; a wrong value, backend or precision is told before the first run starts."""
    from neurosim.backends import choose_backend

    choose_backend(options["backend"], options["dtype"], options["threads"])
    width = max(2, len(str(len(points) - 1)))
    work = []
    for number, point in enumerate(points):
        changed = experiment.override(point)
        _ = changed.plan
        path = folder / f"paramsweep_{number:0{width}d}"
        column = changed.network.model.column
        if not chosen and f"{column.name}.outputPath" in point:
            path = Path(column.outputPath)
        work.append(_Point(changed, dict(point), path, options))
    return work


def _run_side_by_side(
    work: Sequence[_Point], jobs: int, keep: Callable[[int, SweepRow], None]
) -> None:
    """A process each, ``jobs`` at a time: one that dies takes no other with it."""
    context = _processes()
    waiting = list(enumerate(work))[::-1]
    running: dict[Any, tuple[int, Any]] = {}
    stopped, stop = context.Pipe(duplex=False)

    def tell(number: int, frame: object) -> None:
        # Raising here might lose a process that has just been started.
        stop.send(signal.Signals(number).name)

    before = {number: _on(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number, point = waiting.pop()
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(point, theirs))
                process.start()
                theirs.close()
                running[ours] = (number, process)
            ready = connection.wait([*running, stopped])
            if stopped in ready:
                raise KeyboardInterrupt(stopped.recv())
            for pipe in ready:
                number, process = running.pop(pipe)
                keep(number, _received(pipe, process, work[number]))
    except BaseException:
        # SIGTERM lets each write a checkpoint.
        for _, process in running.values():
            process.terminate()
        raise
    finally:
        for _, process in running.values():
            process.join()
        for signal_number, handler in before.items():
            _on(signal_number, handler)


def _processes() -> Any:
    """Where processes come from: a fresh interpreter, for one with threads must not be forked.

    Where the system can, one that has loaded the library is forked again and again.
    """
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["neurosim.run", "neurosim.backends.cpu"])
    # A Ctrl-C while it loads must not reach it; what is ignored now, it ignores for ever.
    before = _on(signal.SIGINT, signal.SIG_IGN)
    forkserver.ensure_running()
    _on(signal.SIGINT, before)
    return context


def _on(number: signal.Signals, handler: Any) -> Any:
    """Set what a signal does and return what it did, where this thread may."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(number, handler)


def _work(point: _Point, pipe: Any) -> None:
    """Body of a process: run a point and send its row; nothing is sent if it is stopped."""
    # A Ctrl-C reaches all processes of the terminal; the parent alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        row = _run_point(point)
    except KeyboardInterrupt:
        os._exit(130)
    # Nobody listens any more where the parent was killed.
    with suppress(OSError):
        pipe.send(row)


def _received(pipe: Any, process: Any, point: _Point) -> SweepRow:
    """The row a process has sent, or what became of it."""
    try:
        row: SweepRow = pipe.recv()
    except EOFError:
        process.join()
        if process.exitcode == 130:
            raise KeyboardInterrupt from None
        code = process.exitcode or 0
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        return SweepRow(
            point.settings,
            point.output,
            error=f"its process died ({how}); it may have run out of memory",
        )
    process.join()
    return row


def _run_point(point: _Point) -> SweepRow:
    """Run one point unless its results are there."""
    settings, output = point.settings, point.output
    options = dict(point.options)
    try:
        if options["overwrite"] or not _finished(point.experiment, output):
            outcome = run_experiment(
                point.experiment, output, resume=not options["overwrite"], **options
            )
            if outcome.stopped_by:
                raise KeyboardInterrupt(outcome.stopped_by)
        return SweepRow(settings, output, _last_values(output))
    except NeurosimError as error:
        return SweepRow(settings, output, error=str(error))


def _finished(experiment: Experiment, output: Path) -> bool:
    """Whether a finished run of these very params is there."""
    try:
        with open_run(output) as results:
            return results.finished and results.params == experiment.effective_text
    except NeurosimError:
        return False


def _last_values(output: Path) -> dict[str, float]:
    with open_run(output) as results:
        values = {}
        for name, probe in results.probes.items():
            if len(probe.time) and probe.value[-1:].ndim == 2:
                values[name] = float(np.mean(probe.value[-1:]))
        return values


def table(rows: Sequence[SweepRow]) -> list[dict[str, Any]]:
    """Rows as they stand in ``sweep.json``: settings, output, results, error."""
    return [
        {"settings": r.settings, "output": str(r.output), "results": r.results, "error": r.error}
        for r in rows
    ]


def read_table(folder: Path) -> list[dict[str, Any]]:
    """The rows of ``sweep.json`` in the folder of a sweep.

    Raises
    ------
    RunFileError
        It cannot be read.
    """
    path = folder / TABLE
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [{k: row[k] for k in ("settings", "output", "results", "error")} for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFileError(f"{path}: is no table of a sweep ({error})") from None


def _write_table(folder: Path, rows: Sequence[SweepRow]) -> None:
    partial = folder / f"{TABLE}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(table(rows), indent=1) + "\n", encoding="utf-8")
        partial.replace(folder / TABLE)
    except OSError as error:
        raise RunFileError(f"{folder / TABLE}: cannot be written: {error.strerror}") from None
