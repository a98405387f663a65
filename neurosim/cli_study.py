"""The command ``analyze``: what a trained network's codes know."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from neurosim.errors import RequestError


def analyze(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Output folders of trained networks; of several, mean and spread are printed.",
            show_default=False,
        ),
    ],
    validation: Annotated[
        str | None,
        typer.Option(
            help="Images that numbers are reported on, one folder per class. Without it, a quarter "
            "of the training images is held out."
        ),
    ] = None,
    altered: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER", help="Altered validation images of the same file names; repeat."
        ),
    ] = None,
    train: Annotated[
        str | None, typer.Option(help="Training images; those of the run by default.")
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Images that the network has not learned from: readouts learn from these too and "
            "choose their thresholds by them.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Class to look for; the one that a neuron answers to best by default."),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Level to analyse; the one at the top by default.")
    ] = None,
    baselines: Annotated[
        bool,
        typer.Option("--baselines", help="Also read out pixels, PCA, pooled V1, random weights."),
    ] = False,
    random: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="A run to compare with as the random network."),
    ] = None,
    zoom: Annotated[
        list[float] | None,
        typer.Option(
            metavar="FACTOR",
            min=0.5,
            max=2,
            help="Also learn from several looks at each image, as it is and enlarged by this "
            "factor, mirrored too, and decide by one look and by the mean of all; repeat.",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps per image; as trained by default.", min=1)
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Images side by side; as trained by default.", min=1)
    ] = None,
    solver: Annotated[
        bool, typer.Option("--solver", help="Code by SparseSolverLayer: fewer steps suffice.")
    ] = False,
    tolerance: Annotated[
        float,
        typer.Option(
            help="End a presentation once the energy changes less per step, relatively.", min=0
        ),
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the share that is held out.", min=0)] = 0,
    backend: Annotated[str, typer.Option(help="auto, cpu, cuda or reference.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="Cores to use; all by default.")] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the results only, no progress.")
    ] = False,
) -> None:
    # Long: one argument per choice of the user.
    """Code sets of images with a trained network and find out what its codes know.

    Codes are kept in RUN/codes and not made again; the findings are in RUN/analysis.h5, which
    neurosim.open_analysis reads and `neurosim report` draws.
    """
    from neurosim import analyze as analyze_run
    from neurosim.analysis.results import analysis_path
    from neurosim.coding.encode import InterruptedCoding
    from neurosim.coding.network import Settings
    from neurosim.console_study import Codings, analysis_tables, analysis_text, spread_table

    if random is not None and len(runs) > 1:
        raise RequestError("--random names the random network of one run; give one run at a time")
    options: dict[str, Any] = {
        "train": train, "validation": validation, "altered": altered or (), "target": target,
        "layer": layer, "baselines": baselines, "random": random, "zooms": zoom or (),
        "settings": Settings(steps=steps, nbatch=batch, solver=solver, tolerance=tolerance),
        "calibration": calibration, "seed": seed, "backend": backend, "threads": threads,
    }  # fmt: skip
    found = []
    for path in runs:
        with Codings(quiet) as codings:
            try:
                found.append(analyze_run(path, report=codings.report, tell=codings.tell, **options))
            except InterruptedCoding as stop:
                typer.echo(str(stop), err=True)
                raise typer.Exit(128 + signal.Signals[stop.signal].value) from None
        if len(runs) > 1:
            typer.echo(f"{path}: {analysis_text(found[-1])}")
    if len(runs) > 1:
        spread_table(found)
    else:
        analysis_tables(found[0], analysis_path(runs[0]))
