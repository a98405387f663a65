"""The command line: thin calls of the public functions."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from neurosim.errors import NeurosimError, RequestError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Sparse coding networks declared in .params files.",
)

File = Annotated[Path, typer.Argument(help="A .params file.", show_default=False)]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="GROUP.KEY=VALUE", help="Replace a value of the file; repeat."),
]
Lenient = Annotated[bool, typer.Option(help="Tell of unknown keys instead of refusing them.")]
Backend = Annotated[str, typer.Option(help="auto, cpu or reference.")]
Dtype = Annotated[str, typer.Option(help="float32 or float64.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Cores to use; all by default.")]


def _find(path: Path) -> Path:
    """A params file, or one that came with the installation under that name."""
    if path.exists() or path.is_absolute():
        return path
    shipped = Path(sys.prefix) / "share" / "neurosim" / "params" / path.name
    return shipped if shipped.exists() else path


def _load(file: Path, overrides: list[str] | None, lenient: bool, seed: int | None = None) -> Any:
    """The experiment of a file, with its notes told on standard error."""
    from neurosim.experiment import load

    experiment = load(_find(file), overrides or (), lenient=lenient)
    if seed is not None:
        name = experiment.network.model.column.name
        experiment = experiment.override({f"{name}.randomSeed": seed})
    for note in experiment.loaded.notes:
        typer.echo(f"note: {note}", err=True)
    return experiment


@app.command()
def run(
    file: File,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Output folder.", show_default=False)
    ] = None,
    overrides: Set = None,
    backend: Backend = "auto",
    dtype: Dtype = "float32",
    threads: Threads = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest complete checkpoint.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of an earlier run.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of the random numbers.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    lenient: Lenient = False,
) -> None:
    """Run a params file to its stopTime."""
    from neurosim.console import Bar, summary
    from neurosim.run import run_experiment

    experiment = _load(file, overrides, lenient, seed)
    if experiment.loaded.sweeps:
        _run_sweep(experiment, list(experiment.loaded.sweeps), output, 1, backend, dtype, quiet)
        return
    with Bar(quiet) as bar:
        outcome = run_experiment(
            experiment,
            output,
            backend=backend,
            dtype=dtype,
            threads=threads,
            resume=resume,
            overwrite=overwrite,
            progress=bar.show,
        )
    if not quiet:
        typer.echo(summary(experiment, outcome))
    if outcome.stopped_by:
        raise typer.Exit(128 + signal.Signals[outcome.stopped_by].value)


@app.command()
def check(file: File, overrides: Set = None, lenient: Lenient = False) -> None:
    """Read a file, check all of it and print its tables; run nothing."""
    from neurosim.console import tables

    experiment = _load(file, overrides, lenient)
    experiment.feeds()
    tables(experiment)


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help="A .params file or the output folder of a run.")],
    stage: Annotated[str, typer.Option(help="groups, specs, graph or plan.")] = "groups",
    overrides: Set = None,
    lenient: Lenient = False,
) -> None:
    """Print a stage of a params file, or what a run has left."""
    from neurosim.console import stage_text

    if path.is_dir() or path.suffix == ".h5":
        from neurosim.record.reader import open_run

        with open_run(path) as results:
            typer.echo(results.summary())
        return
    typer.echo(stage_text(_load(path, overrides, lenient), stage))


@app.command()
def sweep(
    file: File,
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", metavar="GROUP.KEY=A,B,C", help="Values of a key; repeat: a grid."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs side by side.")] = 1,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Output folder.")] = None,
    overrides: Set = None,
    backend: Backend = "auto",
    dtype: Dtype = "float32",
    quiet: Annotated[bool, typer.Option("--quiet", "-q")] = False,
    lenient: Lenient = False,
) -> None:
    """Run a file at every point of a grid; what is done already is not run again."""
    from neurosim.sweep import grid

    experiment = _load(file, overrides, lenient)
    points = grid(vary or []) if vary else list(experiment.loaded.sweeps)
    if not points:
        raise RequestError("nothing to vary; give --vary Group.key=a,b,c or a ParameterSweep")
    _run_sweep(experiment, points, output, jobs, backend, dtype, quiet)


def _run_sweep(
    experiment: Any,
    points: list[Any],
    output: Path | None,
    jobs: int,
    backend: str,
    dtype: str,
    quiet: bool,
) -> None:
    from neurosim.console import sweep_table
    from neurosim.sweep import run_sweep

    rows = run_sweep(experiment, points, output, jobs=jobs, backend=backend, dtype=dtype)
    if not quiet:
        sweep_table(rows)
    if any(row.error for row in rows):
        raise typer.Exit(1)


def main() -> None:
    """Entry point: exit status 0 done, 1 the run failed, 2 the request was wrong."""
    try:
        app(standalone_mode=True)
    except NeurosimError as error:
        typer.echo(str(error), err=True)
        sys.exit(2 if isinstance(error, RequestError) else 1)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
