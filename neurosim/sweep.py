"""One params file at many settings, in processes, resumable."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.errors import NeurosimError, RequestError
from neurosim.experiment import Experiment
from neurosim.paramfile import read_overrides
from neurosim.record.reader import open_run
from neurosim.run import run_experiment


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


def grid(vary: Sequence[str]) -> list[dict[str, Any]]:
    """Every combination of values.

    Parameters
    ----------
    vary : sequence of str
        ``Group.key=a,b,c`` each.

    Examples
    --------
    >>> grid(["V1.VThresh=0.01,0.02"])
    [{'V1.VThresh': 0.01}, {'V1.VThresh': 0.02}]
    """
    axes = []
    for text in vary:
        key, equals, values = text.partition("=")
        listed = [v for v in values.split(",") if v.strip()]
        if not equals or not listed:
            raise RequestError(f"--vary {text}: give Group.key=a,b,c")
        axes.append([read_overrides([f"{key.strip()}={v.strip()}"]) for v in listed])
    return [
        {k: v for point in combination for k, v in point.items()}
        for combination in itertools.product(*axes)
    ]


def run_sweep(
    experiment: Experiment,
    points: Sequence[Mapping[str, Any]],
    output: str | Path | None = None,
    *,
    jobs: int = 1,
    backend: str = "auto",
    dtype: str = "float32",
) -> list[SweepRow]:
    """Run every point; those already finished are read, those begun go on.

    Parameters
    ----------
    experiment : Experiment
        The file all points start from.
    points : sequence of mapping
        Overrides of each run.
    output : path, optional
        Folder of the sweep; the column's outputPath by default. Point ``i``
        goes to ``paramsweep_<i>`` in it.
    jobs : int
        Processes side by side; each uses an equal share of the cores.

    Returns
    -------
    list of SweepRow
        In the order of the points, also written to ``sweep.json``.
    """
    folder = Path(output if output is not None else experiment.network.model.column.outputPath)
    width = max(2, len(str(len(points) - 1)))
    work = []
    for i, point in enumerate(points):
        # A wrong value is told before the first run starts.
        changed = experiment.override(point)
        _ = changed.plan
        work.append((changed, dict(point), folder / f"paramsweep_{i:0{width}d}"))
    if jobs == 1:
        rows = [_run_point(*item, backend, dtype, None) for item in work]
    else:
        from neurosim.backends.cpu import available_cores

        threads = max(1, available_cores() // jobs)
        # A new interpreter each: threads of this one must not be forked.
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            futures = [pool.submit(_run_point, *item, backend, dtype, threads) for item in work]
            rows = [future.result() for future in futures]
    _write_table(folder, rows)
    return rows


def _run_point(
    experiment: Experiment,
    settings: dict[str, Any],
    output: Path,
    backend: str,
    dtype: str,
    threads: int | None,
) -> SweepRow:
    """Run one point unless its results are there."""
    try:
        if not _finished(experiment, output):
            outcome = run_experiment(
                experiment, output, backend=backend, dtype=dtype, threads=threads, resume=True
            )
            if outcome.stopped_by:
                raise KeyboardInterrupt
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


def _write_table(folder: Path, rows: Sequence[SweepRow]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    table = [
        {"settings": r.settings, "output": str(r.output), "results": r.results, "error": r.error}
        for r in rows
    ]
    partial = folder / "sweep.json.partial"
    partial.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / "sweep.json")
