"""The command ``data``: pictures made ready for a study."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from neurosim.data import PreparedData, prepare_data, prepare_faces, prepare_lfw
from neurosim.data.duplicates import THRESHOLD
from neurosim.data.lfw import LFW_CROP

app = typer.Typer(
    no_args_is_help=True,
    help="Prepare labelled images for a study: cut, resized, shared out to sets.",
)

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to make.", show_default=False)]
Size = Annotated[int, typer.Option(help="Side of the images written, in pixels.")]
Crop = Annotated[
    str,
    typer.Option(
        help="square: the largest in the middle; none: all, its sides made equal; or "
        "LEFT,TOP,RIGHT,BOTTOM as shares."
    ),
]
Validation = Annotated[float, typer.Option(help="Share of each class that is for validation.")]
HoldOut = Annotated[
    int, typer.Option("--hold-out", help="Images of each class kept for the final test.")
]
Target = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Two classes: this one, and all others as 'other'."),
]
KeepNames = Annotated[
    bool,
    typer.Option("--keep-names", help="With --target: the same sets, but one folder per name."),
]
MinImages = Annotated[int, typer.Option(help="Leave out names with fewer images.")]
NearDuplicates = Annotated[
    float, typer.Option(help="Correlation from which images are copies, kept in one set.")
]
ApartFrom = Annotated[
    list[str] | None,
    typer.Option(
        "--apart-from",
        metavar="FOLDER",
        help="Leave out near-duplicates of the images there, such as a validation set; repeat.",
    ),
]
Seed = Annotated[int, typer.Option(help="Of the shares.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace a folder that was prepared before.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


@app.command()
def folder(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder with one folder of images per class, or a list file with labels.",
            show_default=False,
        ),
    ],
    output: Output,
    size: Size = 64,
    crop: Crop = "square",
    validation: Validation = 0.15,
    hold_out: HoldOut = 0,
    target: Target = None,
    keep_names: KeepNames = False,
    min_images: MinImages = 1,
    near_duplicates: NearDuplicates = THRESHOLD,
    apart_from: ApartFrom = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Prepare images of your own.

    Makes OUTPUT/train/CLASS/*.png, validation and holdout, with manifest.csv and data.json.
    """
    choice: dict[str, Any] = {
        "size": size,
        "crop": crop,
        "validation": validation,
        "hold_out": hold_out,
    }
    choice |= {"target": target, "keep_names": keep_names, "min_images": min_images}
    choice |= {"near_duplicates": near_duplicates, "seed": seed, "overwrite": overwrite}
    choice["apart_from"] = tuple(apart_from or ())
    with _progress(quiet) as progress:
        done = prepare_data(source, output, progress=progress, **choice)
    _tell(done, quiet)


@app.command()
def lfw(
    output: Output,
    data_home: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where scikit-learn keeps data; ~/scikit_learn_data by default."
        ),
    ] = None,
    size: Size = 64,
    crop: Crop = LFW_CROP,
    validation: Validation = 0.15,
    hold_out: HoldOut = 0,
    target: Target = None,
    keep_names: KeepNames = False,
    min_images: MinImages = 1,
    near_duplicates: NearDuplicates = THRESHOLD,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Fetch Labeled Faces in the Wild through scikit-learn (about 200 MB) and prepare it."""
    choice: dict[str, Any] = {
        "size": size,
        "crop": crop,
        "validation": validation,
        "hold_out": hold_out,
    }
    choice |= {"target": target, "keep_names": keep_names, "min_images": min_images}
    choice |= {"near_duplicates": near_duplicates, "seed": seed, "overwrite": overwrite}
    with _progress(quiet) as progress:
        done = prepare_lfw(output, data_home, progress=progress, **choice)
    _tell(done, quiet)


@app.command()
def faces(
    output: Output,
    people: Annotated[int, typer.Option(help="Number of people.")] = 48,
    images: Annotated[int, typer.Option(help="Images of each.")] = 50,
    size: Size = 64,
    validation: Validation = 0.15,
    hold_out: HoldOut = 0,
    target: Target = None,
    keep_names: KeepNames = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write the faces that the program draws, one folder per person."""
    choice: dict[str, Any] = {
        "size": size,
        "validation": validation,
        "hold_out": hold_out,
        "target": target,
    }
    choice |= {"keep_names": keep_names, "seed": seed}
    with _progress(quiet) as progress:
        done = prepare_faces(
            output, people, images, overwrite=overwrite, progress=progress, **choice
        )
    _tell(done, quiet)


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar for each stage on a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=sys.stderr), transient=True) as bars:
        stages: dict[str, Any] = {}

        def show(stage: str, done: int, of: int) -> None:
            if stage not in stages:
                stages[stage] = bars.add_task(stage)
            bars.update(stages[stage], completed=done, total=of)

        yield show


def _tell(done: PreparedData, quiet: bool) -> None:
    """Print what was made and how to go on."""
    if quiet:
        return
    for name, classes in done.counts.items():
        total = f"{sum(classes.values()):,} images"
        listed = ", ".join(f"{label} {count:,}" for label, count in classes.items())
        what = f": {listed}" if len(classes) <= 6 else f" of {len(classes):,} classes"
        typer.echo(f"{name:10} {total}{what}")
    if "validation" not in done.counts:
        typer.echo("validation none")
    if done.left_out:
        typer.echo(f"left out   {done.left_out:,} images, copies of some that are kept elsewhere")
    if done.duplicate_groups:
        groups = "group" if done.duplicate_groups == 1 else "groups"
        typer.echo(
            f"copies     {done.duplicate_images:,} images in {done.duplicate_groups:,} {groups} of "
            f"near-duplicates, at most {done.largest_group} in one; each group is in one set"
        )
    else:
        typer.echo("copies     none")
    learn = shlex.quote(f"Face.inputPath={done.output / 'train'}")
    typer.echo(f"learn      neurosim run params/halle_berry_study.params --set {learn}")
