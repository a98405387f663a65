"""The command line of the comparison with conv nets."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress as Bars
from rich.table import Table

import neurosim
from attack.images import read_images

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Trains conv nets to tell one person from others and compares deep sparse coding to them.",
)
OUT = Console()


@app.callback()
def _commands() -> None:
    """A single command keeps its name on the command line."""


def main() -> None:
    """Run a command; what was wrong with a request is told in one line."""
    try:
        app()
    except neurosim.NeurosimError as error:
        Console(stderr=True).print(f"Error: {error}", style="red", highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


@app.command()
def train(
    nets: Annotated[list[str], typer.Argument(metavar="NET...", show_default=False)],
    train: Annotated[Path, typer.Option(help="Images to learn from, a folder per class.")],
    validation: Annotated[Path, typer.Option(help="Images that choose the epoch and are scored.")],
    target: Annotated[str, typer.Option(help="The class to tell from all others.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder in it for each net.")],
    weights: Annotated[
        str | None,
        typer.Option(help="Folder of ImageNet weights, or random; Keras's download by default."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=0, help="Of the whole net, after the head.")] = 5,
    per_epoch: Annotated[
        int | None, typer.Option(min=2, help="Images of an epoch; twice the target's by default.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1)] = 16,
    rate: Annotated[float, typer.Option(min=0, help="Learning rate of the whole net.")] = 1e-5,
    patience: Annotated[
        int, typer.Option(min=1, help="Epochs without gain after which training ends.")
    ] = 2,
    size: Annotated[
        int | None, typer.Option(min=32, help="Pixels to enlarge to; the net's own by default.")
    ] = None,
    others: Annotated[
        int | None, typer.Option(min=2, help="Training images of others; all by default.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    # Long: one argument per choice of the user.
    """Train NETs: the head first, then the whole net. The same command goes on where it stopped.

    NET is resnet50, inceptionv3, vgg16, mobilenetv2, densenet121 or densenet169.
    """
    from compare_dcn.nets import NETS, find_weights  # and with it TensorFlow
    from compare_dcn.train import Settings, train_net

    unknown = [name for name in nets if name not in NETS]
    if unknown:
        raise neurosim.RequestError(f"no net {', '.join(unknown)}; there are {', '.join(NETS)}")
    found = {name: find_weights(NETS[name], weights) for name in nets}
    learned = read_images(train, target, others, seed)
    judged = read_images(validation, target)
    settings = Settings(epochs, per_epoch, batch, rate, patience, size, seed)
    records = []
    for name in nets:
        with Bars(console=OUT, transient=True) as bars:
            task = bars.add_task(name)

            def show(what: str, done: int, total: int, task: Any = task, name: str = name) -> None:
                bars.update(task, description=f"{name}: {what}", completed=done, total=total)

            records.append(
                train_net(name, found[name], learned, judged, settings, output / name, show)
            )
    OUT.print(_table(records))


def _table(records: list[dict[str, Any]]) -> Table:
    """Accuracies on the validation images."""
    table = Table(title="on the validation images, which also chose the epoch")
    for title in ("net", "weights", "epoch", "accuracy", "balanced", "ROC area", "s/image", "GB"):
        table.add_column(title, justify="left" if title in ("net", "weights") else "right")
    for r in records:
        title = f"{r['title']} ({r['note']})" if r["note"] else r["title"]
        seconds = r["seconds_per_image"]
        table.add_row(
            title, r["weights"], str(r["epoch"]), f"{r['accuracy']:.3f}",
            f"{r['balanced_accuracy']:.3f}", f"{r['roc_area']:.3f}",
            f"{seconds:.2f}" if seconds else "", f"{r['peak_memory_gb']:.1f}",
        )  # fmt: skip
    return table


@app.command()
def represent(
    nets: Annotated[list[Path], typer.Argument(metavar="FOLDER...", show_default=False)],
    images: Annotated[list[Path], typer.Option(help="Images to code, a folder per class; repeat.")],
    batch: Annotated[int, typer.Option(min=1)] = 16,
) -> None:
    """Write the last hidden layer of trained nets for sets of images.

    Each goes to FOLDER/codes/SET-face/run.h5, which neurosim.open_run reads.
    """
    from attack.models import open_model
    from compare_dcn.represent import write_representation

    sets = [(path, read_images(path, None)) for path in images]
    for net in nets:
        model = open_model(str(net), batch)
        for path, found in sets:
            OUT.print(write_representation(model, found, net, path.resolve().name, str(path)))


@app.command()
def compare(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", show_default=False)],
    images: Annotated[Path, typer.Option(help="Images, a folder per class; none learned from.")],
    target: Annotated[str, typer.Option(help="The class to tell from all others.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the comparison.")],
    source: Annotated[
        str | None, typer.Option(help="The model, by its name, that the paper's attack is made on.")
    ] = None,
    epsilon: Annotated[
        list[float] | None, typer.Option(help="Budgets of white-box attacks; repeat. 2, 4 and 8.")
    ] = None,
    method: Annotated[str, typer.Option(help="Of white-box attacks.")] = "iterated",
    iterations: Annotated[int, typer.Option(min=1, help="Of white-box attacks.")] = 10,
    targets: Annotated[
        int | None, typer.Option(min=1, help="Images of the target, by seed; all by default.")
    ] = None,
    others: Annotated[
        int | None, typer.Option(min=1, help="Images of others; all by default.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    batch: Annotated[int | None, typer.Option(min=1, help="Images side by side.")] = None,
) -> None:
    # Long: one argument per choice of the user.
    """Attack every MODEL and score all of them on every altered set.

    MODEL is the folder of a trained net, a neurosim run that was analysed, RUN:augmented (its
    readout that has learned from several looks), or RUN:pixels. What the folder holds is not made
    again: add models and budgets by further commands.
    """
    from compare_dcn.comparison import Comparison
    from compare_dcn.comparison import compare as compare_all

    found = read_images(images, target, others, seed)
    if targets is not None:
        found = found.fewer_targets(targets, seed)
    comparison = Comparison.begin(output, found, target, str(images))
    budgets = [2.0, 4.0, 8.0] if epsilon is None else epsilon
    with OUT.status("") as status:
        compare_all(comparison, models, source, budgets, method, iterations, status.update, batch)
    OUT.print(f"{output}: {len(comparison.sets)} sets; `compare_dcn report {output}` shows them")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Of the comparison.", show_default=False)],
    results: Annotated[
        Path | None,
        typer.Option(help="Also write results.md here, and the figures without photographs."),
    ] = None,
) -> None:
    """Write FOLDER/report: one HTML page, figures as PNG, tables as CSV."""
    from compare_dcn.comparison import Comparison
    from compare_dcn.report import write_report, write_results

    comparison = Comparison.open(folder)
    OUT.print(write_report(comparison))
    if results is not None:
        command = shlex.join(["python", "tools/compare_dcn", *sys.argv[1:]])
        OUT.print(write_results(comparison, results, command))
