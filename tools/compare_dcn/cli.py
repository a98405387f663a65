"""The command line of the comparison with conv nets."""

from __future__ import annotations

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
