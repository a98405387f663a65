"""The command line: thin calls of the public functions."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from neurosim.cli_data import app as data
from neurosim.cli_report import report
from neurosim.cli_study import analyze
from neurosim.errors import NeurosimError, RequestError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Sparse coding networks declared in .params files.",
)

File = Annotated[Path, typer.Argument(help="A .params file.", show_default=False)]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="Folder for the results; the file's outputPath by default."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="GROUP.KEY=VALUE", help="Replace a value of the file; repeat."),
]
Lenient = Annotated[
    bool, typer.Option("--lenient", help="Tell of unknown keys instead of refusing them.")
]
Backend = Annotated[str, typer.Option(help="auto, cpu, cuda or reference.")]
Dtype = Annotated[str, typer.Option(help="float32 or float64.")]
Threads = Annotated[int | None, typer.Option(help="Cores to use; all by default.")]
Seed = Annotated[int | None, typer.Option(help="Seed of the random numbers.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the results of an earlier run.")
]
NoFuse = Annotated[
    bool, typer.Option("--no-fuse", help="Run each operator as the file has it; slower.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"neurosim {version('neurosim')}")
        raise typer.Exit


@app.callback()
def _all(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Sparse coding networks declared in .params files."""


def _find(path: Path) -> Path:
    """A params file, or one that came with the installation under that name."""
    if os.path.exists(path) or path.is_absolute():
        return path
    shipped = Path(sys.prefix) / "share" / "neurosim" / "params" / path.name
    return shipped if shipped.exists() else path


def _load(
    file: Path,
    overrides: list[str] | None,
    lenient: bool,
    seed: int | None = None,
    notes: str = "short",
) -> Any:
    """The experiment of a file, with its notes (short, all or none) told on standard error."""
    from neurosim.console import short_note
    from neurosim.experiment import load

    experiment = load(_find(file), overrides or (), lenient=lenient)
    if seed is not None:
        name = experiment.network.model.column.name
        experiment = experiment.override({f"{name}.randomSeed": seed})
    if notes != "none":
        for note in experiment.notes:
            typer.echo(f"note: {short_note(note) if notes == 'short' else note}", err=True)
    return experiment


@app.command()
def run(
    file: File,
    output: Output = None,
    overrides: Set = None,
    backend: Backend = "auto",
    dtype: Dtype = "float32",
    threads: Threads = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest complete checkpoint.")
    ] = False,
    overwrite: Overwrite = False,
    seed: Seed = None,
    no_fuse: NoFuse = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="At the end, print the time of each operator.")
    ] = False,
    quiet: Quiet = False,
    lenient: Lenient = False,
) -> None:
    """Run a params file to its stopTime.

    A file with a ParameterSweep is run at all its points, as `neurosim sweep` does.
    """
    from neurosim.backends.profile import Profile
    from neurosim.console import Bar, summary
    from neurosim.costs import profile_table
    from neurosim.run import run_experiment

    if resume and overwrite:
        raise RequestError("--resume and --overwrite exclude each other; give one of them")
    experiment = _load(file, overrides, lenient, seed, "none" if quiet else "short")
    options: dict[str, Any] = {"backend": backend, "dtype": dtype, "threads": threads}
    options |= {"overwrite": overwrite, "fused": False if no_fuse else None}
    if experiment.loaded.sweeps:
        if profile:
            raise RequestError("--profile times a single run; the file has a ParameterSweep")
        _run_sweep(experiment, list(experiment.loaded.sweeps), output, quiet, **options)
        return
    every = round(experiment.network.model.column.progressInterval / experiment.dt)
    options["profile"] = times = Profile() if profile else None
    with Bar(quiet, every) as bar:
        outcome = run_experiment(
            experiment, output, resume=resume, progress=None if quiet else bar.show, **options
        )
    if not quiet:
        typer.echo(summary(experiment, outcome))
    if times:
        profile_table(times, outcome.seconds)
    if outcome.stopped_by:
        raise typer.Exit(128 + signal.Signals[outcome.stopped_by].value)


@app.command()
def check(file: File, overrides: Set = None, lenient: Lenient = False) -> None:
    """Read a file and its inputs, check all of it and print its tables; run nothing."""
    from neurosim.checkpointing import warm_start
    from neurosim.console import tables
    from neurosim.costs import work_table

    experiment = _load(file, overrides, lenient, notes="all")
    experiment.check()
    warm_start(experiment)
    tables(experiment)
    work_table(experiment)


@app.command()
def show(
    path: Annotated[
        Path,
        typer.Argument(
            help="A .params file, the folder of a run or of a sweep, or a checkpoint.",
            show_default=False,
        ),
    ],
    stage: Annotated[
        str | None,
        typer.Option(
            help="groups, specs (all defaults filled in), graph or plan; groups for a file, for "
            "a run its summary."
        ),
    ] = None,
    overrides: Set = None,
    lenient: Lenient = False,
) -> None:
    """Print a stage of a params file, or what a run has left."""
    from neurosim.console import check_stage, stage_text

    if stage is not None:
        check_stage(stage)
    if os.path.isdir(path) or path.suffix == ".h5":
        if overrides:
            raise RequestError(f"--set changes a params file; {path} is a run that has been made")
        typer.echo(_results(path, stage), nl=False)
        return
    typer.echo(stage_text(_load(path, overrides, lenient, notes="none"), stage or "groups"))


def _results(path: Path, stage: str | None) -> str:
    """What is to be printed of a run, a checkpoint or a sweep."""
    from neurosim.console import checkpoint_text, stage_text, sweep_table
    from neurosim.experiment import loads
    from neurosim.record.layout import checkpoint_step
    from neurosim.record.reader import Checkpoint, open_run

    if checkpoint_step(path.name) is not None:
        return checkpoint_text(Checkpoint(path)) + "\n"
    if (path / "sweep.json").is_file() and stage is None:
        from neurosim.sweep import read_table

        sweep_table(read_table(path))
        return ""
    with open_run(path) as results:
        if stage is None:
            return results.summary() + "\n"
        if stage == "specs":
            return results.params
        experiment = loads(results.source if stage == "groups" else results.params)
        return stage_text(experiment, stage) + "\n"


@app.command()
def sweep(
    file: File,
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", metavar="GROUP.KEY=A,B,C", help="Values of a key; repeat: a grid."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Runs side by side.")] = 1,
    output: Output = None,
    overrides: Set = None,
    backend: Backend = "auto",
    dtype: Dtype = "float32",
    threads: Threads = None,
    overwrite: Overwrite = False,
    seed: Seed = None,
    no_fuse: NoFuse = False,
    quiet: Quiet = False,
    lenient: Lenient = False,
) -> None:
    """Run a file at every point of a grid, or at the points of its ParameterSweep.

    What is done already is not run again; what was stopped goes on.
    """
    from neurosim.sweep import grid

    experiment = _load(file, overrides, lenient, seed, "none" if quiet else "short")
    points = grid(vary) if vary else list(experiment.loaded.sweeps)
    if not points:
        raise RequestError(
            f"{file}: nothing to vary; give --vary Group.key=a,b,c, or a ParameterSweep in the file"
        )
    options: dict[str, Any] = {"backend": backend, "dtype": dtype, "threads": threads}
    options |= {"overwrite": overwrite, "jobs": jobs, "fused": False if no_fuse else None}
    _run_sweep(experiment, points, output, quiet, **options)


def _run_sweep(
    experiment: Any, points: list[Any], output: Path | None, quiet: bool, **options: Any
) -> None:
    from neurosim.console import sweep_line, sweep_table
    from neurosim.sweep import run_sweep, table

    def tell(row: Any, done: int, total: int) -> None:
        typer.echo(sweep_line(row, done, total), err=True)

    try:
        rows = run_sweep(experiment, points, output, done=None if quiet else tell, **options)
    except KeyboardInterrupt as stop:
        name = str(stop) or "SIGINT"
        typer.echo(f"stopped by {name}; the same command goes on", err=True)
        raise typer.Exit(128 + signal.Signals[name].value) from None
    if not quiet:
        sweep_table(table(rows))
    if any(row.error for row in rows):
        raise typer.Exit(1)


app.command()(analyze)
app.command()(report)
app.add_typer(data, name="data")


#: Base of the errors that typer raises for a wrong command line.
_UsageError: Any = typer.BadParameter.__mro__[1]


def _usage(error: Any) -> str:
    """A wrong command line in one line."""
    path = error.ctx.command_path if error.ctx else "neurosim"
    message = error.format_message().rstrip(".")
    return f"{path}: {message}; see {path} --help"


def main(arguments: list[str] | None = None) -> int:
    """Entry point.

    Returns
    -------
    int
        0 done, 1 the run failed, 2 the request was wrong, 128 + the signal's
        number where one stopped the run.
    """
    try:
        with warnings.catch_warnings():
            # Numbers that overflow are told with their layer and step.
            warnings.simplefilter("ignore", RuntimeWarning)
            return int(app(arguments, prog_name="neurosim", standalone_mode=False) or 0)
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
        else:
            typer.echo(_usage(error), err=True)
        return 2
    except typer.Exit as leave:
        return leave.exit_code
    except NeurosimError as error:
        typer.echo(str(error), err=True)
        return 2 if isinstance(error, RequestError) else 1
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("stopped", err=True)
        return 130


if __name__ == "__main__":
    sys.exit(main())
