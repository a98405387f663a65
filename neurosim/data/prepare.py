"""Labelled pictures made ready for a study: cut, resized, shared out to sets."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.data.apart import set_apart
from neurosim.data.classes import Chosen, choose
from neurosim.data.duplicates import near_duplicates
from neurosim.data.lfw import LFW_CROP, fetch_lfw
from neurosim.data.pictures import read_picture, thumbnail
from neurosim.data.settings import DataSettings
from neurosim.data.split import SETS, split
from neurosim.data.write import (
    check_apart,
    check_output,
    fresh_folder,
    write_description,
    write_manifest,
)
from neurosim.errors import StimulusError
from neurosim.stimuli.images import open_source
from neurosim.stimuli.sources import FrameSource, ImageFiles
from neurosim.stimuli.synthetic_faces import PEOPLE, SyntheticFaces

#: Called with what is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]

_THREADS = 4


@dataclass(frozen=True)
class PreparedData:
    """What was prepared.

    Attributes
    ----------
    output : Path
        Folder with ``train``, ``validation`` and ``holdout`` (those that are not
        empty), ``manifest.csv`` and ``data.json``.
    counts : dict
        Pictures by set and folder: ``counts["train"]["ann"]``.
    duplicate_groups, duplicate_images, largest_group : int
        Groups of near-duplicates, the pictures in them, and those in the largest.
    left_out : int
        Pictures that are not used because they are copies of some in ``apart_from``.
    """

    output: Path
    counts: dict[str, dict[str, int]]
    duplicate_groups: int
    duplicate_images: int
    largest_group: int
    left_out: int = 0


def prepare_data(
    source: str | Path,
    output: str | Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> PreparedData:
    """Prepare labelled images: one folder per class, or a list file.

    Parameters
    ----------
    source : path
        A folder with one folder per class in it (such as Labeled Faces in the Wild's
        own ``NAME/NAME_0001.jpg``), or a ``.txt`` list with a label in its second
        column; as ``inputPath`` in a params file.
    output : path
        Folder to make: ``train/CLASS/*.png`` and so on.
    overwrite : bool
        Replace an output that was prepared before; default False.
    progress : callable, optional
        Called with a stage, what is done and what there is.
    **settings
        ``size`` (64 pixels), ``crop`` ("square"), ``validation`` (share, 0.15),
        ``hold_out`` (images per class, 0), ``target`` (none), ``keep_names`` (False),
        ``min_images`` (1), ``near_duplicates`` (correlation, 0.82), ``apart_from`` (folders
        whose pictures must have no copy here, none), ``seed`` (0); see
        :class:`neurosim.data.settings.DataSettings`.

    Returns
    -------
    PreparedData
        The folder and what is in it.

    Raises
    ------
    StimulusError
        Names every image that is missing or damaged; nothing has been written.
    RequestError
        A setting is wrong, or the output exists; nothing has been written.

    Examples
    --------
    >>> import neurosim
    >>> faces = neurosim.prepare_faces("output/faces", people=3, images_per_person=4)
    >>> again = neurosim.prepare_data("output/faces/train", "output/small", size=32, seed=7)
    >>> {name: sum(classes.values()) for name, classes in again.counts.items()}
    {'train': 9}
    """
    chosen = DataSettings(**settings)
    target = Path(output)
    check_output(target, overwrite)
    frames = open_source(str(source), validate=False, cache_bytes=0)
    if not isinstance(frames, ImageFiles):
        raise StimulusError(
            f"{source}: only image files are prepared; give a folder with one folder per class, or "
            "a list of images with labels"
        )
    check_apart(target, Path(source))
    return _prepare(str(source), frames, target, chosen, progress)


def prepare_lfw(
    output: str | Path,
    data_home: str | Path | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> PreparedData:
    """Prepare Labeled Faces in the Wild, fetched by scikit-learn where it is not there yet.

    Parameters
    ----------
    output : path
        Folder to make.
    data_home : path, optional
        Folder that scikit-learn keeps data in; its own default otherwise.
    overwrite, progress, **settings
        As in :func:`prepare_data`, but ``crop`` is by default the square around the
        face: half of the width and height.

    Returns
    -------
    PreparedData

    Raises
    ------
    StimulusError
        The data are not there, and there is no network to fetch them by.
    """
    chosen = DataSettings(**{"crop": LFW_CROP, **settings})
    check_output(Path(output), overwrite)
    folder = fetch_lfw(data_home, progress)
    options = {**asdict(chosen), "overwrite": overwrite, "progress": progress}
    return prepare_data(folder, output, **options)


def prepare_faces(
    output: str | Path,
    people: int = PEOPLE,
    images_per_person: int = 50,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> PreparedData:
    """Prepare the faces that the program draws, one folder per person.

    Parameters
    ----------
    output : path
        Folder to make.
    people, images_per_person : int
        How many of each; default 48 and 50.
    overwrite, progress, **settings
        As in :func:`prepare_data`, but ``near_duplicates`` is 1: every picture is drawn
        anew, however like another one it is.

    Returns
    -------
    PreparedData
    """
    chosen = DataSettings(**{"near_duplicates": 1.0, **settings})
    check_output(Path(output), overwrite)
    faces = SyntheticFaces(people, images_per_person, max(chosen.size, 16), cache_bytes=0)
    return _prepare("synthetic-faces", faces, Path(output), chosen, progress)


def _prepare(
    what: str,
    source: FrameSource,
    output: Path,
    settings: DataSettings,
    progress: Progress | None,
) -> PreparedData:
    """Read, find near-duplicates, share out, and give the finished folder its name."""
    chosen = choose(what, source.labels, settings)
    used = len(chosen.index)
    if settings.apart_from:
        chosen = set_apart(what, source, chosen, settings.apart_from, settings)
    names = [source.names[index] for index in chosen.index]
    with fresh_folder(output) as folder:
        pool = folder / ".pictures"
        pool.mkdir()
        digests, thumbnails = _write_all(what, source, chosen, settings, pool, progress)
        groups = near_duplicates(
            thumbnails,
            settings.near_duplicates,
            None if progress is None else lambda done, of: progress("comparing", done, of),
        )
        sets = split(names, chosen.classes, groups.tolist(), settings)
        files = _file_names(names, chosen, sets)
        for index, file in enumerate(files):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (pool / str(index)).rename(folder / file)
        pool.rmdir()
        rows = zip(
            files, sets, chosen.classes, chosen.labels, names, groups.tolist(), digests, strict=True
        )
        write_manifest(folder, sorted(rows))
        done = replace(_told(output, chosen, sets, groups), left_out=used - len(chosen.index))
        write_description(folder, _description(what, settings, done))
    return done


def _write_all(
    what: str,
    source: FrameSource,
    chosen: Chosen,
    settings: DataSettings,
    pool: Path,
    progress: Progress | None,
) -> tuple[list[str], NDArray[np.uint8]]:
    """Write every picture into ``pool`` by number; return digests and thumbnails.

    Raises
    ------
    StimulusError
        Names every picture that cannot be used.
    """
    from PIL import Image

    def write(number: int) -> tuple[str, NDArray[np.uint8]] | StimulusError:
        try:
            pixels = read_picture(source, chosen.index[number], settings)
        except StimulusError as error:
            return error
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        (pool / str(number)).write_bytes(stream.getvalue())
        return sha256(stream.getvalue()).hexdigest(), thumbnail(pixels)

    count = len(chosen.index)
    digests: list[str] = []
    thumbnails: list[NDArray[np.uint8]] = []
    problems: list[str] = []
    # Decoders warn about what the reason then says better.
    with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as threads:
        warnings.simplefilter("ignore")
        try:
            for done, result in enumerate(threads.map(write, range(count)), 1):
                if isinstance(result, StimulusError):
                    problems.append(str(result))
                else:
                    digests.append(result[0])
                    thumbnails.append(result[1])
                if progress:
                    progress("reading", done, count)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise StimulusError(
            f"{what}: {len(problems)} of {count} images cannot be used; mend or remove them, "
            f"nothing has been written:\n{listed}"
        )
    return digests, np.stack(thumbnails)


def _file_names(names: Sequence[str], chosen: Chosen, sets: Sequence[str]) -> list[str]:
    """``SET/FOLDER/NAME.png`` for each picture, no two the same, whatever case they are in."""
    taken: set[str] = set()
    files = []
    for name, label, folder, place in zip(names, chosen.labels, chosen.folders, sets, strict=True):
        stem = Path(name).stem
        if folder != label and not stem.startswith(label):
            stem = f"{label}_{stem}"
        file, number = f"{place}/{folder}/{stem}.png", 1
        while file.lower() in taken:
            number += 1
            file = f"{place}/{folder}/{stem}_{number}.png"
        taken.add(file.lower())
        files.append(file)
    return files


def _told(
    output: Path, chosen: Chosen, sets: Sequence[str], groups: NDArray[np.intp]
) -> PreparedData:
    several = Counter(zip(sets, chosen.folders, strict=True))
    counts: dict[str, dict[str, int]] = {}
    for place in SETS:
        of = {folder: count for (s, folder), count in sorted(several.items()) if s == place}
        if of:
            counts[place] = of
    sizes = np.bincount(groups)
    sizes = sizes[sizes > 1]
    return PreparedData(output, counts, len(sizes), int(sizes.sum()), int(sizes.max(initial=0)))


def _description(what: str, settings: DataSettings, done: PreparedData) -> dict[str, Any]:
    return {
        "neurosim_version": version("neurosim"),
        "source": what,
        "settings": asdict(settings),
        "counts": done.counts,
        "left_out": done.left_out,
        "near_duplicates": {
            "groups": done.duplicate_groups,
            "images": done.duplicate_images,
            "largest": done.largest_group,
        },
    }
