"""What the command line prints: a progress bar, tables, summaries."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from neurosim.errors import RequestError
from neurosim.paramfile import write_groups
from neurosim.plan.cost import plan_cost

STAGES = ("groups", "specs", "graph", "plan")


class Bar:
    """A progress bar with time left, energy and the fraction active."""

    def __init__(self, quiet: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            TextColumn("{task.fields[state]}"),
            console=Console(file=sys.stderr),
            disable=quiet or not sys.stderr.isatty(),
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
        """Move the bar to where the run stands."""
        parts = []
        if now.energy is not None:
            parts.append(f"energy {now.energy:.4g}")
        if now.active is not None:
            parts.append(f"{now.active:.1%} active")
        state = "  ".join(parts)
        if self._task is None:
            self._task = self._progress.add_task(
                "running", total=now.steps, completed=now.step, state=state
            )
        self._progress.update(self._task, completed=now.step, state=state)


def summary(experiment: Any, outcome: Any) -> str:
    """Where the results of a run are, and how to open them."""
    images = experiment.network.nbatch * outcome.executed
    per = 1000 * outcome.seconds / images if images else 0.0
    if outcome.finished:
        head = f"done: {outcome.step} steps"
    else:
        head = (
            f"stopped by {outcome.stopped_by} after step {outcome.step} of {outcome.steps}; "
            "go on with --resume"
        )
    lines = [
        f"{head}, {outcome.seconds:.1f} s ({per:.2f} ms per image and step)",
        f"results: {outcome.output}/run.h5, {outcome.output}/checkpoints",
        f'open:    python -c "import neurosim; print(neurosim.open_run({str(outcome.output)!r})'
        '.summary())"',
        f"         neurosim show {outcome.output}",
    ]
    drawn = [
        s.name
        for s in experiment.network.model.layers.values()
        if str(getattr(s, "inputPath", "")).startswith("synthetic-faces")
    ]
    if drawn:
        lines.append(
            f"note:    the faces of {', '.join(drawn)} are drawn by the program, not photographs"
        )
    return "\n".join(lines)


def tables(experiment: Any) -> None:
    """Layers, connections, memory and cost of an experiment."""
    network = experiment.network
    console = Console()
    layers = Table("layer", "kind", "x", "y", "features", "units", "phase", title="Layers")
    for name, node in network.layers.items():
        s = node.shape
        layers.add_row(
            name, node.kind, str(s.nx), str(s.ny), str(s.nf), f"{s.size:,}", str(node.phase)
        )
    console.print(layers)
    connections = Table(
        "connection",
        "kind",
        "from",
        "to",
        "channel",
        "patch (x, y)",
        "kernels",
        title="Connections",
    )
    for name, node in network.connections.items():
        g = node.geometry
        patch = "" if g is None else f"{g.nxp} x {g.nyp}"
        kernels = "" if g is None else f"{g.kernels:,}"
        channel = str(node.spec.channelCode) if node.delivers else "none"
        connections.add_row(name, node.kind, node.pre, node.post, channel, patch, kernels)
    console.print(connections)
    cost = plan_cost(experiment.plan)
    console.print(
        f"batch {network.nbatch}, {experiment.steps:,} steps of dt = {experiment.dt:g}\n"
        f"memory: {cost.bytes / 2**20:,.0f} MiB of buffers in float32, "
        f"{cost.weight_bytes / 2**20:,.0f} MiB of them weights\n"
        f"work per image and step: {cost.dense / 1e6:,.1f} million multiply-adds in drives, "
        f"up to {cost.sparse / 1e6:,.1f} million in reconstructions if all units were active"
    )


def stage_text(experiment: Any, stage: str) -> str:
    """One stage between text and plan, as text."""
    if stage == "groups":
        return str(write_groups(experiment.loaded.expanded_groups))
    if stage == "specs":
        return str(experiment.effective_text)
    if stage == "plan":
        return str(experiment.plan.describe())
    if stage != "graph":
        raise RequestError(f'stage "{stage}"; there are {", ".join(STAGES)}')
    network = experiment.network
    lines = [f"{n}  {node.kind}  {node.shape}" for n, node in network.layers.items()]
    lines += [
        f"{c.pre} -> {c.post}  {c.kind} {n}" for n, c in network.connections.items() if c.delivers
    ]
    return "\n".join(lines)


def sweep_table(rows: Sequence[Any]) -> None:
    """Settings and last probe values of each run of a sweep."""
    settings = list(dict.fromkeys(k for r in rows for k in r.settings))
    probes = list(dict.fromkeys(k for r in rows for k in r.results))
    table = Table(*settings, *probes, "output", title="Sweep: last value of each probe")
    for row in rows:
        cells = [str(row.settings.get(k, "")) for k in settings]
        cells += [f"{row.results[k]:.6g}" if k in row.results else "" for k in probes]
        table.add_row(*cells, str(row.output) if row.error is None else f"failed: {row.error}")
    Console().print(table)
