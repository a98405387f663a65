"""Code a set of images with a trained network."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.checkpointing import remove_checkpoints, warm_start
from neurosim.coding.codes import CODES, Codes, codes_folder, read_note, write_note
from neurosim.coding.network import (
    Settings,
    check_shown,
    coding_model,
    display_steps,
    without_whitening,
)
from neurosim.coding.trained import Trained, open_trained
from neurosim.errors import RequestError, RunFailedError, RunFileError
from neurosim.experiment import Experiment, loads
from neurosim.network import image_input, top_level
from neurosim.paramfile import write_model
from neurosim.record import layout
from neurosim.record.reader import open_run
from neurosim.run import Progress, run_experiment
from neurosim.stimuli.images import open_source
from neurosim.stimuli.sources import FrameSource

#: Called with the name of a coded set and where its run stands.
Report = Callable[[str, Progress], None]


class InterruptedCoding(RunFailedError):
    """A signal stopped the coding; the same request goes on with it."""

    def __init__(self, path: Path, signal: str) -> None:
        super().__init__(f"{path}: coding was stopped by {signal}; the same command goes on")
        self.signal = signal


@dataclass(frozen=True)
class Images:
    """A set of images, opened and read once.

    Attributes
    ----------
    name : str
        Of the set.
    path : str
        An absolute path, or an embedded data set.
    source : FrameSource
    digest : str
        SHA-256 of all names, labels and pixels.
    """

    name: str
    path: str
    source: FrameSource
    digest: str


def open_images(path: str | Path, name: str | None = None) -> Images:
    """Open a set of images for coding.

    Parameters
    ----------
    path : path
        As an ``inputPath``: a folder with a folder per class, a list, ``"synthetic-faces"``...
    name : str, optional
        Of the set; that of its folder by default.

    Raises
    ------
    StimulusError
        It is missing, empty or damaged.
    RequestError
        The name cannot be that of a folder.
    """
    text = str(path)
    if Path(text).exists():
        text = str(Path(text).resolve())
    name = Path(text).stem.replace(":", "_") if name is None else name
    if not name or any(letter in name for letter in "/\\\0") or name.startswith("."):
        raise RequestError(f'a set of images cannot be called "{name}"; give a plain name')
    source = open_source(text)
    digest = sha256()
    for index in range(len(source)):
        label = source.labels[index] if source.labels else ""
        digest.update(f"{source.names[index]}\0{label}\0".encode("utf-8", "surrogateescape"))
        digest.update(source.read(index).tobytes())
    return Images(name, text, source, digest.hexdigest())


def encode(
    run: str | Path | Trained,
    images: str | Path | Images,
    *,
    shown: str = "face",
    layers: Sequence[str] = (),
    name: str | None = None,
    settings: Settings | None = None,
    report: Report | None = None,
    **options: Any,
) -> Codes:
    """Code every image of a set once; see :func:`neurosim.encode`."""
    trained = run if isinstance(run, Trained) else open_trained(run)
    settings = replace(settings or Settings(), shown=shown)  # type: ignore[arg-type]
    check_shown(trained.network, shown)
    opened = images if isinstance(images, Images) else open_images(images, name)
    return _coded(trained, opened, settings, tuple(layers), report, options)


def coding_experiment(
    trained: Trained,
    images: Images,
    settings: Settings,
    layers: Sequence[str] = (),
    plain: bool = False,
) -> Experiment:
    """The experiment that codes a set; its feeds show what the network sees.

    With ``plain`` they show images as they are, where the network sees them whitened.
    """
    checkpoint = f"{layout.CHECKPOINT_FOLDER}/{trained.checkpoint.path.name}"
    wanted = tuple(layers) or (top_level(trained.network),)
    model = coding_model(trained.network, settings, wanted, checkpoint, images.path)
    image = model.layers[image_input(trained.network)]
    if plain:
        image = without_whitening(image)
    firsts = _firsts(images, settings)
    column = model.column
    if firsts is not None:
        column = column.replace(nbatch=len(firsts))
        image = image.replace(batchMethod="bySpecified", start_frame_index=tuple(firsts))
    displays = -(-_count(images, settings) // column.nbatch)
    period = display_steps(trained.network, settings) * column.dt
    folder = codes_folder(trained.folder, images.name, settings.shown)
    column = column.replace(stopTime=displays * period, outputPath=f"{CODES}/{folder.name}")
    return loads(write_model(model.replace(column, image)), trained.folder)


def seen(experiment: Experiment, count: int, layer: str) -> np.ndarray:
    """What an input layer shows, image by image, ``(image, y, x, feature)`` float32.

    Parameters
    ----------
    experiment : Experiment
        Of :func:`coding_experiment`; the mean image is that of the training.
    count : int
        Number of images.
    """
    start = warm_start(experiment)
    feed = experiment.feeds(start.means if start else None)[layer]
    displays = -(-count // experiment.network.nbatch)
    return np.concatenate([feed.frames(display) for display in range(displays)])[:count]


def _firsts(images: Images, settings: Settings) -> list[int] | None:
    """The first image of each class, where a name alone is shown: it is the same for all."""
    if settings.shown == "face":
        return None
    if images.source.labels is None:
        raise RequestError(
            f"{images.path}: its images carry no names; put them in one folder per name, or show "
            'them "face" alone'
        )
    if settings.shown == "both":
        return None
    first: dict[str, int] = {}
    for index, label in enumerate(images.source.labels):
        first.setdefault(label, index)
    return list(first.values())


def _count(images: Images, settings: Settings) -> int:
    firsts = _firsts(images, settings)
    return len(images.source) if firsts is None else len(firsts)


def _coded(
    trained: Trained,
    images: Images,
    settings: Settings,
    layers: tuple[str, ...],
    report: Report | None,
    options: dict[str, Any],
) -> Codes:
    """The codes of a set, made where they are not there yet."""
    folder = codes_folder(trained.folder, images.name, settings.shown)
    wanted = layers or (top_level(trained.network),)
    column = trained.network.model.column
    key = _key(trained, images, settings)
    had = _had(folder, key)
    if had is not None and set(wanted) <= set(had["layers"]) and _finished(folder):
        return Codes(folder)
    if had is not None:
        wanted = tuple(dict.fromkeys((*had["layers"], *wanted)))
    experiment = coding_experiment(trained, images, settings, wanted)
    goes_on = had is not None and set(wanted) == set(had["layers"])
    if not goes_on:
        note = {
            "key": key, "shown": settings.shown, "count": _count(images, settings),
            "layers": list(wanted), "images": images.path,
            "checkpoint": trained.checkpoint.step, "run_id": trained.run_id,
            "period": display_steps(trained.network, settings) * column.dt, "dt": column.dt,
            "settings": asdict(settings),
        }  # fmt: skip
        # The old codes go first: a note never speaks of codes that are not its own.
        (folder / layout.RUN_FILE).unlink(missing_ok=True)
        write_note(folder, note)
    outcome = run_experiment(
        experiment,
        folder,
        resume=goes_on,
        overwrite=not goes_on,
        fresh=True,
        progress=(lambda p: report(folder.name, p)) if report else None,
        **options,
    )
    if not outcome.finished:
        raise InterruptedCoding(folder, outcome.stopped_by or "a signal")
    remove_checkpoints(folder)
    return Codes(folder)


def _key(trained: Trained, images: Images, settings: Settings) -> str:
    """Identity of what a set is coded from and how."""
    parts = [
        trained.run_id,
        trained.checkpoint.step,
        trained.experiment.effective_text,
        images.digest,
        asdict(settings),
    ]
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _had(folder: Path, key: str) -> dict[str, Any] | None:
    """The note of an earlier coding of the same; None where there is none."""
    try:
        note = read_note(folder)
    except RunFileError:
        return None
    return note if note.get("key") == key else None


def _finished(folder: Path) -> bool:
    try:
        with open_run(folder) as run:
            return run.finished
    except RunFileError:
        return False
