"""What the command line prints: a progress bar, tables, summaries."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from neurosim.errors import RequestError
from neurosim.paramfile import write_groups
from neurosim.plan import tune
from neurosim.plan.cost import plan_cost
from neurosim.plan.layers import STIMULI
from neurosim.record.reader import open_run
from neurosim.specs.base import literal

STAGES = ("groups", "specs", "graph", "plan", "fused")
#: Seconds between lines of progress where no bar can be drawn.
LINES = 30.0
#: A note longer than this is cut to its first items, except where it is asked for.
LONG_NOTE = 200
#: A pipe has no width: nothing is cut in one.
WIDE = 1000


def short_note(text: str, limit: int = LONG_NOTE) -> str:
    """Cut a long list in a note.

    >>> short_note("ignored: a, b, c, d, e", limit=18)
    'ignored: a, b, c, and 2 more; `neurosim check` lists them'
    """
    head, colon, listed = text.partition(": ")
    items = listed.split(", ")
    if len(text) <= limit or not colon or len(items) < 4:
        return text
    kept: list[str] = []
    while len(head) + sum(len(item) + 2 for item in [*kept, items[len(kept)]]) <= limit:
        kept.append(items[len(kept)])
    kept = kept or items[:1]
    rest = len(items) - len(kept)
    return f"{head}: {', '.join(kept)}, and {rest} more; `neurosim check` lists them"


class Bar:
    """Progress with time left, energy and the fraction active.

    A bar on a terminal; elsewhere a line now and then.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    every : int
        Least number of steps between two lines.
    """

    def __init__(self, quiet: bool, every: int = 1) -> None:
        self._quiet, self._every = quiet, every
        self._line = (time.monotonic(), 0)
        self._first: tuple[float, int] | None = None
        terminal = sys.stderr.isatty()
        self._lines = not terminal and not quiet
        self._progress = Progress(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("steps,"),
            TimeRemainingColumn(compact=True),
            TextColumn("left{task.fields[state]}"),
            console=Console(file=sys.stderr),
            disable=quiet or not terminal,
            transient=True,
        )
        self._task: Any = None

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, now: Any) -> None:
        """Show where the run stands."""
        state = ""
        if now.energy is not None:
            state += f", energy {now.energy:.4g}"
        if now.active is not None:
            state += f", {now.active:.1%} active"
        if self._lines:
            self._show_line(now, state)
        elif self._task is None:
            self._task = self._progress.add_task(
                "", total=now.steps, completed=now.step, state=state
            )
        else:
            self._progress.update(self._task, completed=now.step, state=state)

    def _show_line(self, now: Any, state: str) -> None:
        moment = time.monotonic()
        self._first = self._first or (moment, now.step)
        shown, step = self._line
        if moment - shown < LINES or now.step - step < self._every:
            return
        self._line = (moment, now.step)
        began, first = self._first
        rate = (now.step - first) / (moment - began) if moment > began else 0.0
        left = f", {_duration((now.steps - now.step) / rate)} left" if rate else ""
        print(f"{now.step} of {now.steps} steps{left}{state}", file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> _duration(3725.2), _duration(65), _duration(27), _duration(0.31)
    ('1:02:05', '1:05', '27 s', '0.3 s')
    """
    whole = round(seconds)
    if whole < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def summary(experiment: Any, outcome: Any) -> str:
    """How a run ended, where its results are, and how to open them."""
    lines = [_ending(experiment, outcome), f"backend  {outcome.backend}"]
    folder = shlex.quote(str(outcome.output))
    lines += [
        f"results  {outcome.output}/run.h5, {outcome.output}/checkpoints",
        f"look     neurosim show {folder}",
        f"python   import neurosim; run = neurosim.open_run({str(outcome.output)!r})",
    ]
    first = next(iter(n for n, s in experiment.network.model.layers.items() if s.writeStep > 0), "")
    if first:
        lines[-1] += f"; run.layers[{first!r}].activity[-1]"
    drawn = [
        s.name
        for s in experiment.network.model.layers.values()
        if str(getattr(s, "inputPath", "")).startswith("synthetic-faces")
    ]
    if drawn:
        lines.append(
            f"note     the faces of {', '.join(drawn)} are drawn by the program, not photographs"
        )
    lines[1:1] = _learned(experiment, outcome)
    lines += [f"note     {note}" for note in outcome.notes]
    return "\n".join(lines)


def _learned(experiment: Any, outcome: Any) -> list[str]:
    """What of each input was left unexplained, at the end of the first and the last display."""
    network = experiment.network
    inputs = {n for n, node in network.layers.items() if node.kind in STIMULI}
    residuals = {c.post for c in network.connections.values() if c.pre in inputs}
    periods = [round(when.every) for when in experiment.displays() if when.every]
    errors = [
        n
        for n, probe in network.model.probes.items()
        if probe.kind == "L2NormProbe"
        and probe.targetLayer in residuals
        and probe.textOutputFlag  # else it is not recorded
    ]
    if not experiment.plan.learn or not periods or not errors:
        return []
    ends = np.arange(periods[0], outcome.step + 1, periods[0]) * experiment.dt
    changes = []
    with open_run(outcome.output) as run:
        for name in errors:
            times = run.probes[name].time[:]
            at = np.flatnonzero(np.isin(np.round(times, 6), np.round(ends, 6)))
            if len(at) > 1:
                first, last = (float(run.probes[name].value[i].mean()) for i in at[[0, -1]])
                changes.append(f"{name} {first:.4g} -> {last:.4g}")
    if not changes:
        return []
    return [f"learned  from the first display to the last: {', '.join(changes)} (batch means)"]


def _ending(experiment: Any, outcome: Any) -> str:
    """The first line of a summary."""
    if outcome.finished and not outcome.executed:
        return f"done     step {outcome.step} was reached before; nothing was left to run"
    images = experiment.network.nbatch * outcome.executed
    per = 1000 * outcome.seconds / images if images else 0.0
    pace = f"{_duration(outcome.seconds)}, {per:.2g} ms per image and step"
    since = f" (from {outcome.began} on)" if outcome.began else ""
    early = outcome.step - outcome.began - outcome.executed
    if early > 0:
        since += f", {early} of them skipped as presentations converged"
    if outcome.finished:
        return f"done     {outcome.step} steps{since}, {pace}"
    return (
        f"stopped  by {outcome.stopped_by} after step {outcome.step} of {outcome.steps}{since}, "
        f"{pace}; the same command with --resume goes on"
    )


def tables(experiment: Any) -> None:
    """Layers, connections, memory and cost of an experiment."""
    network = experiment.network
    console = output_console()
    layers = light_table(
        "Layers", left=("layer", "kind"), right=("x", "y", "features", "units", "phase")
    )
    for name, node in network.layers.items():
        s = node.shape
        numbers = (str(s.nx), str(s.ny), str(s.nf), f"{s.size:,}", str(node.phase))
        layers.add_row(Text(name), node.kind, *numbers)
    console.print(layers)
    connections = light_table(
        "Connections",
        left=("connection", "kind", "from", "to"),
        right=("channel", "patch", "kernels"),
    )
    for name, node in network.connections.items():
        g = node.geometry
        patch = "" if g is None else f"{g.nxp} x {g.nyp}"
        kernels = "" if g is None else f"{g.kernels:,}"
        channel = str(node.spec.channelCode) if node.delivers else "none"
        connections.add_row(
            Text(name), node.kind, Text(node.pre), Text(node.post), channel, patch, kernels
        )
    if network.connections:
        console.print(connections)
    cost = plan_cost(tune(experiment.fused_plan))
    column = network.model.column
    lines = [
        f"time     {experiment.steps:,} steps of dt = {experiment.dt:g}, batch {network.nbatch}, "
        f"seed {column.randomSeed}",
        f"memory   {_bytes(cost.bytes)} in float32 on the CPU, "
        f"{_bytes(cost.weight_bytes)} of it weights",
        f"work     {count_text(cost.dense)} multiply-adds per image and step in drives, up to "
        f"{count_text(cost.sparse)} in reconstructions if all units were active",
    ]
    console.print("\n" + "\n".join(lines), soft_wrap=True, highlight=False, markup=False)


def output_console() -> Console:
    """Standard output; as wide as need be where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else WIDE)


def light_table(title: str, left: Iterable[str], right: Iterable[str]) -> Table:
    """A light table whose names are wrapped, never cut."""
    table = Table(
        title=f"\n{title}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False, show_edge=False
    )
    for name in left:
        table.add_column(Text(name), overflow="fold")
    for name in right:
        table.add_column(Text(name), justify="right", overflow="fold")
    return table


def _bytes(count: float) -> str:
    """A number of bytes.

    >>> _bytes(900), _bytes(2_500_000), _bytes(3e9)
    ('0.9 KiB', '2.4 MiB', '2.8 GiB')
    """
    for unit, size in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1024:.1f} KiB"


def count_text(number: float) -> str:
    """A large number in words.

    >>> count_text(25_165_824), count_text(1500), count_text(2e9)
    ('25 million', '1,500', '2,000 million')
    """
    if number < 1e5:
        return f"{number:,.0f}"
    return f"{number / 1e6:,.0f} million" if number >= 1e7 else f"{number / 1e6:.2g} million"


def check_stage(stage: str) -> None:
    """Raise for a stage that does not exist."""
    if stage not in STAGES:
        raise RequestError(f"--stage {stage}: there are {', '.join(STAGES)}")


def stage_text(experiment: Any, stage: str) -> str:
    """One stage between text and plan, as text."""
    if stage == "groups":
        return str(write_groups(experiment.loaded.expanded_groups))
    if stage == "specs":
        return str(experiment.effective_text)
    if stage == "plan":
        return str(experiment.plan.describe())
    if stage == "fused":
        return str(experiment.fused_plan.describe())
    network = experiment.network
    lines = [f"{n}  {node.kind}  {node.shape}" for n, node in network.layers.items()]
    lines += [
        f"{c.pre} -> {c.post}  {c.kind} {n}" for n, c in network.connections.items() if c.delivers
    ]
    return "\n".join(lines)


def checkpoint_text(checkpoint: Any) -> str:
    """What a checkpoint holds, a line a value."""
    lines = [f"{checkpoint.path}: step {checkpoint.step}, time {checkpoint.time:g}"]
    for name in checkpoint.names:
        value = checkpoint[name]
        shape = getattr(value, "shape", None)
        what = f"{shape} {value.dtype}" if shape is not None else type(value).__name__
        lines.append(f"  {name}  {what}")
    return "\n".join(lines)


def sweep_line(row: Any, done: int, total: int) -> str:
    """One finished point of a sweep."""
    point = ", ".join(f"{k}={literal(v)}" for k, v in row.settings.items())
    how = f"failed: {row.error}" if row.error else "done"
    return f"[{done}/{total}] {row.output.name}  {point}  {how}"


def sweep_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Settings and last probe values of each run of a sweep, as sweep.json has them."""
    settings = list(dict.fromkeys(k for r in rows for k in r["settings"]))
    probes = list(dict.fromkeys(k for r in rows for k in r["results"]))
    table = light_table("Sweep: last value of each probe, mean over the batch", settings, probes)
    table.add_column("results", overflow="fold")
    for row in rows:
        given = row["settings"]
        cells = [Text(literal(given[k]) if k in given else "") for k in settings]
        cells += [Text(f"{row['results'][k]:.6g}" if k in row["results"] else "") for k in probes]
        table.add_row(*cells, Text(f"failed: {row['error']}" if row["error"] else row["output"]))
    output_console().print(table)
