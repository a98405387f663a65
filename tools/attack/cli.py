"""The command line of the attacks."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import neurosim
from attack.estimated import Directions, Queries
from attack.gradient_sign import Budget
from attack.images import ImageSet, read_images, write_images
from attack.methods import METHODS, Request, alter
from attack.models import KINDS, open_model

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """Run the command; what was wrong with a request is told in one line."""
    try:
        app()
    except neurosim.NeurosimError as error:
        Console(stderr=True).print(f"Error: {error}", style="red", highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


@app.command()
def attack(
    images: Annotated[Path, typer.Option(help="Images to alter, one folder per class.")],
    target: Annotated[str, typer.Option(help="The class that models tell from all others.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the altered set.")],
    model: Annotated[
        str | None, typer.Argument(help=f"{KINDS}; none for controls.", show_default=False)
    ] = None,
    method: Annotated[str, typer.Option(help=", ".join(METHODS))] = "iterated",
    epsilon: Annotated[
        float, typer.Option(min=0, max=255, help="Largest change of a value, in grey levels.")
    ] = 4.0,
    step: Annotated[
        float | None, typer.Option(min=0, help="Of an iteration; 2.5 epsilon / iterations.")
    ] = None,
    iterations: Annotated[int, typer.Option(min=1, help="Steps; of universal, passes.")] = 10,
    restarts: Annotated[int, typer.Option(min=0, help="Random starts of projected.")] = 1,
    directions: Annotated[
        str, typer.Option(help="Of estimated: random or coordinates.")
    ] = "random",
    count: Annotated[int, typer.Option(min=1, help="Directions of an estimated gradient.")] = 50,
    block: Annotated[int, typer.Option(min=1, help="Pixels on a side of a coordinate.")] = 1,
    others: Annotated[
        int | None, typer.Option(min=1, help="Images of others, drawn by seed; all by default.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Attacked set whose mean and deviation noise takes.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(help="Images that universal is made on, or the reference of noise."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    batch: Annotated[int | None, typer.Option(min=1, help="Images side by side.")] = None,
) -> None:
    # Long: one argument per choice of the user.
    """Alter the images of a folder to deceive MODEL, or to compare with such images.

    The altered set is a folder of 8-bit PNG files by the same names, images.h5 and
    parameters.json; `neurosim run` takes it by --set Face.inputPath=FOLDER.
    """
    if directions not in ("random", "coordinates"):
        raise neurosim.RequestError(f'--directions "{directions}"; random or coordinates')
    original = read_images(images, target, others, seed)
    chosen: Directions = "random" if directions == "random" else "coordinates"
    request = Request(
        method, Budget(epsilon, step, iterations, restarts, seed),
        Queries(chosen, count, block, max(epsilon, 1.0), seed),
        _same(reference, target, original), read_images(source, target) if source else None,
    )  # fmt: skip
    opened = open_model(model, batch) if model is not None else None
    altered, record = alter(opened, original, request)
    record["images_from"] = str(images)
    record["command"] = shlex.join(["python", "tools/attack", *sys.argv[1:]])
    write_images(altered, output, record)
    Console().print(_table(record))


def _same(folder: Path | None, target: str, images: ImageSet) -> ImageSet | None:
    """Those images of a folder that a set has, in its order."""
    if folder is None:
        return None
    found = read_images(folder, target)
    row = {name: index for index, name in enumerate(found.names)}
    missing = [name for name in images.names if name not in row]
    if missing:
        raise neurosim.RequestError(f"--reference {folder}: has no {missing[0]}")
    rows = [row[name] for name in images.names]
    return ImageSet(found.pixels[rows], images.names, images.target)


def _table(record: dict[str, object]) -> Table:
    """What was done, for people."""
    table = Table(show_header=False)
    for key, value in record.items():
        if key != "command":
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            table.add_row(key.replace("_", " "), text)
    return table
