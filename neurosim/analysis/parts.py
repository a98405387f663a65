"""The image sets of an analysis: train, validation, altered versions of the latter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurosim.analysis.results import CALIBRATION, TRAIN, VALIDATION, ImageSet
from neurosim.coding.encode import Images, open_images
from neurosim.coding.trained import Trained
from neurosim.errors import RequestError, StimulusError
from neurosim.network import image_input
from neurosim.network.graph import nearest
from neurosim.stimuli.images import SYNTHETIC_FACES

#: Training images that a class needs for numbers of its own.
LEAST = 5
#: Share of the training images that is held out where no validation set is given.
HELD_OUT = 0.25


@dataclass(frozen=True)
class Part:
    """Images of one role: a coded set, or some of its rows.

    Attributes
    ----------
    name : str
        ``train``, ``validation``, ``calibration`` or the altered set's own name.
    images : Images
        The coded set.
    rows : ndarray
        int64 (image,): which of its images.
    labels : list of str
        Class of each.
    match : ndarray
        int64 (image,): the row of :data:`VALIDATION` that an altered image was made from; empty
        for originals.
    """

    name: str
    images: Images
    rows: np.ndarray
    labels: list[str]
    match: np.ndarray

    @property
    def names(self) -> list[str]:
        """Name of each image in its set."""
        return [self.images.source.names[row] for row in self.rows]


@dataclass(frozen=True)
class Parts:
    """All image sets of an analysis, checked against each other.

    Attributes
    ----------
    all : dict of str to Part
        ``train`` and ``validation`` first, then ``calibration`` where there is one.
    classes : list of str
        Classes with numbers of their own.
    held_out : float
        Share of the training set that is the validation set; 0 where one was given.
    """

    all: dict[str, Part]
    classes: list[str]
    held_out: float

    def label(self, name: str) -> np.ndarray:
        """Class of each image of a part, an index into :attr:`classes` or -1."""
        number = {label: index for index, label in enumerate(self.classes)}
        return np.array([number.get(label, -1) for label in self.all[name].labels], np.int64)

    def target(self, name: str, target: str) -> np.ndarray:
        """Whether each image of a part shows the target, bool (image,)."""
        return np.array([label == target for label in self.all[name].labels], bool)

    def sets(self, target: str) -> dict[str, ImageSet]:
        """What an analysis keeps of each part."""
        return {
            name: ImageSet(
                part.images.path,
                part.names,
                self.label(name),
                self.target(name, target),
                VALIDATION if len(part.match) else "",
            )
            for name, part in self.all.items()
        }


def open_parts(
    trained: Trained,
    train: str | Path | None = None,
    validation: str | Path | None = None,
    altered: Sequence[str | Path] = (),
    target: str | None = None,
    seed: int = 0,
    calibration: str | Path | None = None,
) -> Parts:
    """Open every set and check that they belong together, before anything is coded.

    Parameters
    ----------
    trained : Trained
    train : path, optional
        Training images; those the run was trained on by default.
    validation : path, optional
        Without one, that of the embedded faces, or a share of the training images.
    altered : sequence of path
        Altered versions of the validation images, with the same file names.
    target : str, optional
        A class that all of them must have.
    seed : int
        Of the share that is held out.
    calibration : path, optional
        Images that the network has not learned from, for readouts to learn from and to choose
        their thresholds by.

    Raises
    ------
    RequestError
        A set is missing or has no classes, no such target, altered images without original, or
        calibration images that are those of another set.
    """
    learned = _train(trained, train)
    labels = _labels(learned)
    if target is not None and target not in labels:
        raise RequestError(
            f'{learned.path}: no images of "{target}"{nearest(target, sorted(set(labels)))}'
        )
    parts = _originals_of(learned, validation, seed)
    share = len(parts[1].rows) / len(labels) if parts[1].images is learned else 0.0
    if calibration is not None:
        parts.append(_calibrating(trained, calibration, parts))
    for path in altered:
        images = open_images(path)
        if images.name in {part.name for part in parts}:
            raise RequestError(
                f'{path}: there is a set "{images.name}" already; rename the folder, for its name '
                "tells the sets apart"
            )
        parts.append(_part(images.name, images, match=_matched(images, parts[1])))
    for part in parts if target is not None else ():
        _check_target(part, target or "")
    return Parts({part.name: part for part in parts}, _classes(parts[0], target), share)


def _originals_of(learned: Images, validation: str | Path | None, seed: int) -> list[Part]:
    """The training and the validation images."""
    if validation is None and learned.path.startswith(SYNTHETIC_FACES):
        validation = f"{SYNTHETIC_FACES}:validation"
    if validation is not None:
        return [_part(TRAIN, learned), _part(VALIDATION, open_images(validation, VALIDATION))]
    held = _held_out(_labels(learned), seed)
    return [
        _part(TRAIN, learned, np.flatnonzero(~held)),
        _part(VALIDATION, learned, np.flatnonzero(held)),
    ]


def _calibrating(trained: Trained, path: str | Path, parts: list[Part]) -> Part:
    """The calibration images, which must be no others'."""
    images = open_images(path, CALIBRATION)
    roles = [f"the {part.name} images" for part in parts if part.images.digest == images.digest]
    learned = trained.network.layers[image_input(trained.network)].spec.inputPath  # type: ignore[union-attr]
    if Path(images.path) == Path(learned).resolve():
        roles.insert(0, "what the network has learned from")
    if roles:
        raise RequestError(
            f"{path}: holds {roles[0]}; calibration needs images of their own, such as those "
            "that `neurosim data folder FOLDER --validation 0.2` keeps from training"
        )
    return _part(CALIBRATION, images)


def _classes(train: Part, target: str | None) -> list[str]:
    """Classes with numbers of their own."""
    counts = Counter(train.labels)
    if len(counts) < 2:
        raise RequestError(
            f"{train.images.path}: all images are of one class; there is nothing to tell apart"
        )
    classes = sorted(c for c, n in counts.items() if n >= LEAST or c == target)
    if not classes:
        raise RequestError(
            f"{train.images.path}: no class has {LEAST} training images; the largest has "
            f"{max(counts.values())}"
        )
    return classes


def choose_target(parts: Parts, d_prime: np.ndarray) -> str:
    """The class that a neuron answers to best on train; one with most of the images is none.

    Parameters
    ----------
    parts : Parts
    d_prime : ndarray
        (class, unit), on training images.
    """
    counts = Counter(parts.all[TRAIN].labels)
    total = sum(counts.values())
    validation = set(parts.all[VALIDATION].labels)
    best = np.nanmax(np.where(np.isnan(d_prime), -np.inf, d_prime), axis=1)
    allowed = [
        (best[index], name)
        for index, name in enumerate(parts.classes)
        if 2 * counts[name] <= total and name in validation
    ]
    if not allowed:
        raise RequestError(
            "no class of the training images is also in the validation images; give a validation "
            "set of the same classes"
        )
    return max(allowed)[1]


def _train(trained: Trained, given: str | Path | None) -> Images:
    """The training images."""
    if given is not None:
        return open_images(given, TRAIN)
    network = trained.network
    path = network.layers[image_input(network)].spec.inputPath  # type: ignore[union-attr]
    try:
        return open_images(path, TRAIN)
    except StimulusError as error:
        raise RequestError(
            f"{trained.folder}: was trained on {path}, which cannot be used from here; give the "
            f"training images with --train ({error})"
        ) from None


def _labels(images: Images) -> list[str]:
    """Class of each image."""
    if images.source.labels is None:
        raise RequestError(
            f"{images.path}: its images have no classes; put them in one folder per class"
        )
    return images.source.labels


def _part(
    name: str, images: Images, rows: np.ndarray | None = None, match: np.ndarray | None = None
) -> Part:
    labels = _labels(images)
    rows = np.arange(len(labels)) if rows is None else rows
    none = np.empty(0, np.int64)
    return Part(name, images, rows, [labels[r] for r in rows], none if match is None else match)


def _held_out(labels: list[str], seed: int) -> np.ndarray:
    """Which training images are held out: a share of each class, at random."""
    rng = np.random.default_rng(seed)
    held = np.zeros(len(labels), bool)
    each = np.array(labels)
    for label in sorted(set(labels)):
        rows = np.flatnonzero(each == label)
        held[rng.permutation(rows)[: round(HELD_OUT * len(rows))]] = True
    return held


def _matched(images: Images, validation: Part) -> np.ndarray:
    """The validation image that each altered one was made from, by its name."""
    known = {name: row for row, name in enumerate(validation.names)}
    plain = Counter(Path(name).name for name in known)
    by_file = {Path(n).name: row for n, row in known.items() if plain[Path(n).name] == 1}
    found = [known.get(n, by_file.get(Path(n).name, -1)) for n in images.source.names]
    lost = [name for name, row in zip(images.source.names, found, strict=True) if row < 0]
    if lost:
        raise RequestError(
            f"{images.path}: {len(lost)} of {len(found)} images have no original of the same name "
            f"in {validation.images.path}, the first is {lost[0]}; an altered set has the file "
            "names of the validation images"
        )
    return np.array(found, np.int64)


def _check_target(part: Part, target: str) -> None:
    """Raise where a part has no image of the target, or none of anything else."""
    count = part.labels.count(target)
    if count in (0, len(part.labels)):
        what = f'no image of "{target}"' if not count else f'only images of "{target}"'
        raise RequestError(
            f"{part.images.path}: {what}; a set needs both (its classes: "
            f"{', '.join(sorted(set(part.labels))[:8])})"
        )
