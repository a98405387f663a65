"""Opens whatever an ``inputPath`` names as a source of frames."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from neurosim.errors import StimulusError
from neurosim.stimuli.decode import IMAGE_SUFFIXES, problem_with
from neurosim.stimuli.hdf5 import Hdf5Frames, split_hdf5_path
from neurosim.stimuli.paths import locate
from neurosim.stimuli.sources import CACHE_BYTES, FrameSource, ImageFiles, PvpFrames, raise_problems

SYNTHETIC_FACES = "synthetic-faces"


def open_source(
    input_path: str,
    base: str | Path = ".",
    *,
    people: int | None = None,
    images_per_person: int | None = None,
    seed: int = 0,
    validate: bool = True,
    cache_bytes: int = CACHE_BYTES,
) -> FrameSource:
    """Open the frames that ``inputPath`` names and make sure that all can be read.

    Parameters
    ----------
    input_path
        An image file; a ``.txt`` list with one image per line, a label after a tab
        or, where the file would not exist otherwise, after white space; a folder,
        searched through; ``file.h5:/dataset``; a ``.pvp`` activity file; or
        ``synthetic-faces``, optionally ``synthetic-faces:train`` or ``:validation``.
        Relative paths are looked up in ``base``, then in the working directory;
        those in a list first in the list's folder.
    base
        Folder of the params file.
    people, images_per_person, seed
        Of ``synthetic-faces`` only; default those of :class:`SyntheticFaces`.
    validate
        Read every frame now (default).
    cache_bytes
        Bound on decoded images kept in memory.

    Returns
    -------
    FrameSource
        The label of an image is its list's second column, or the name of its folder
        where the images lie in more than one.

    Raises
    ------
    StimulusError
        Names every input that is missing, empty or damaged, with the reason.
    """
    text = input_path.strip()
    if not text:
        raise StimulusError("inputPath is empty; give an image, a list, a folder or a dataset")
    if text.partition(":")[0] == SYNTHETIC_FACES:
        return _synthetic(text, people, images_per_person, seed)
    if "://" in text:
        raise StimulusError(f"{text}: inputs are not fetched from the network; download it first")
    base = Path(base)
    source = _open(text, base, cache_bytes)
    if validate:
        raise_problems(text, source.check(), len(source))
    return source


def _synthetic(
    text: str, people: int | None, images_per_person: int | None, seed: int
) -> FrameSource:
    from neurosim.stimuli.synthetic_faces import SyntheticFaces

    given = {"people": people, "images_per_person": images_per_person}
    options = {key: value for key, value in given.items() if value is not None}
    split = text.partition(":")[2] if ":" in text else "train"
    return SyntheticFaces(seed=seed, split=split, **options)


def _open(text: str, base: Path, cache_bytes: int) -> FrameSource:
    hdf5 = split_hdf5_path(text)
    if hdf5 is not None:
        return Hdf5Frames(locate(hdf5[0], base), hdf5[1])
    path = locate(text, base)
    if os.path.isdir(path):  # unlike Path.is_dir it never raises
        return _folder(path, text, cache_bytes)
    suffix = path.suffix.lower()
    if suffix == ".pvp":
        return PvpFrames(path)
    problem = problem_with(path)
    if problem:
        raise StimulusError(f"{path}: {problem}; expected an image, a list, a folder or a dataset")
    if suffix == ".txt":
        return _list(path, base, cache_bytes)
    return ImageFiles([path], [text], None, cache_bytes)


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the image files below ``folder``, hidden ones left out, each folder once."""
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(root, name)


def _folder(folder: Path, text: str, cache_bytes: int) -> FrameSource:
    paths = sorted(_walk(folder), key=lambda path: path.relative_to(folder).parts)
    if not paths:
        suffixes = " ".join(sorted(IMAGE_SUFFIXES))
        raise StimulusError(f"{folder}: the folder holds no image ({suffixes})")
    names = [path.relative_to(folder).as_posix() for path in paths]
    labels = [_class_of(path) for path in paths]
    flat = all(path.parent == folder for path in paths)
    return ImageFiles(paths, names, None if flat else labels, cache_bytes)


def _list(path: Path, base: Path, cache_bytes: int) -> FrameSource:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StimulusError(f"{path}: cannot be read as a list of images ({error})") from error
    paths: list[Path] = []
    names: list[str] = []
    labels: list[str | None] = []
    problems: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, label = _entry(line, path.parent, base)
        found = locate(name, path.parent, base)
        problem = problem_with(found)
        if problem:
            problems.append(f"{path}:{number}: {name}: {problem}")
        paths.append(found)
        names.append(name)
        labels.append(label)
    if not paths:
        raise StimulusError(f"{path}: the list names no image; give one path per line")
    raise_problems(str(path), problems, len(paths))
    return ImageFiles(paths, names, _list_labels(path, paths, labels), cache_bytes)


def _entry(line: str, folder: Path, base: Path) -> tuple[str, str | None]:
    name, tab, label = line.strip().partition("\t")
    if tab:
        return name.strip(), label.strip()
    parts = name.rsplit(maxsplit=1)
    bases = folder, base
    missing = problem_with(locate(name, *bases)) is not None
    if len(parts) == 2 and missing and problem_with(locate(parts[0], *bases)) is None:
        return parts[0], parts[1]
    return name, None


def _list_labels(path: Path, paths: list[Path], labels: list[str | None]) -> list[str] | None:
    given = [label for label in labels if label is not None]
    if given and len(given) != len(paths):
        raise StimulusError(
            f"{path}: {len(given)} of {len(paths)} lines have a label; give every line one, or none"
        )
    if given:
        return given
    several = len({entry.parent for entry in paths}) > 1
    return [_class_of(entry) for entry in paths] if several else None


def _class_of(path: Path) -> str:
    return Path(os.path.abspath(path)).parent.name
