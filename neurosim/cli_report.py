"""The command ``report``: a run as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="Output folder of a run.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the report; RUN/report by default."),
    ] = None,
) -> None:
    """Write one HTML page about a run, and its figures as PNG and SVG.

    After `neurosim analyze RUN` it also shows what that has found.
    """
    from neurosim import report as report_run

    typer.echo(report_run(run, output))
