"""Sets of labelled images: read from folders, altered, written back with what was done to them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image, UnidentifiedImageError

import neurosim

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
#: In the folder of an altered set: what was done to it, and its pixels as one array.
PARAMETERS, ARRAYS = "parameters.json", "images.h5"


@dataclass(frozen=True)
class ImageSet:
    """Images of one size, in the order of their names.

    Attributes
    ----------
    pixels : ndarray
        float32 ``(image, y, x, 3)``, grey levels 0 to 255.
    names : tuple of str
        ``"class/file.png"``.
    target : ndarray
        bool ``(image,)``: whether an image is of the target's class.
    """

    pixels: np.ndarray
    names: tuple[str, ...]
    target: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: np.ndarray) -> ImageSet:
        """Some of the images."""
        names = tuple(self.names[row] for row in np.arange(len(self))[rows])
        return ImageSet(self.pixels[rows], names, self.target[rows])

    def fewer_targets(self, count: int, seed: int = 0) -> ImageSet:
        """The set with only so many images of the target, drawn by a seed."""
        rows = np.flatnonzero(self.target)
        if count >= len(rows):
            return self
        kept = np.random.default_rng(seed).choice(rows, count, replace=False)
        chosen = ~self.target
        chosen[kept] = True
        return self.take(np.flatnonzero(chosen))

    def altered(self, pixels: np.ndarray) -> ImageSet:
        """The same images with other pixels, rounded to 8 bits as files hold them."""
        return replace(self, pixels=quantised(pixels))


def quantised(pixels: np.ndarray) -> np.ndarray:
    """Pixels as 8-bit files hold them, as float32."""
    return np.rint(np.clip(pixels, 0, 255)).astype(np.float32)


def read_images(
    folder: str | Path, target: str | None, others: int | None = None, seed: int = 0
) -> ImageSet:
    """Read a folder that has one folder per class.

    Parameters
    ----------
    folder : path
    target : str or None
        The class to be told from all others; None where nothing is the target.
    others : int, optional
        Take only that many images of other classes, drawn by ``seed``; all by default.

    Raises
    ------
    neurosim.RequestError
        No such folder or class, no image, an image that cannot be read or of another size.
    """
    root = Path(folder)
    if not root.is_dir():
        raise neurosim.RequestError(f"{root}: no such folder; give one with a folder per class")
    paths = sorted(
        path for path in root.glob("*/*") if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    classes = sorted({path.parent.name for path in paths})
    if not paths:
        raise neurosim.RequestError(f"{root}: no folder in it holds an image {' '.join(SUFFIXES)}")
    if target is not None and target not in classes:
        raise neurosim.RequestError(
            f'{root}: has no class "{target}"; there are {", ".join(classes[:20])}'
        )
    is_target = np.array([path.parent.name == target for path in paths])
    if others is not None and others < np.count_nonzero(~is_target):
        drawn = np.random.default_rng(seed).choice(np.flatnonzero(~is_target), others, False)
        rows = np.sort(np.concatenate([np.flatnonzero(is_target), drawn]))
        paths, is_target = [paths[row] for row in rows], is_target[rows]
    names = tuple(path.relative_to(root).as_posix() for path in paths)
    return ImageSet(_pixels(paths), names, is_target)


def _pixels(paths: Sequence[Path]) -> np.ndarray:
    """Decoded images, float32 (image, y, x, 3)."""
    found: np.ndarray | None = None
    for row, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"), np.float32)
        except (OSError, ValueError, UnidentifiedImageError) as error:
            raise neurosim.RequestError(f"{path}: cannot be read as an image ({error})") from None
        if found is None:
            found = np.empty((len(paths), *pixels.shape), np.float32)
        if pixels.shape != found.shape[1:]:
            raise neurosim.RequestError(
                f"{path}: is {pixels.shape[1]} x {pixels.shape[0]} pixels, the first image is "
                f"{found.shape[2]} x {found.shape[1]}; `neurosim data folder` gives all one size"
            )
        found[row] = pixels
    assert found is not None
    return found


def write_images(images: ImageSet, folder: str | Path, parameters: Mapping[str, Any]) -> Path:
    """Write a set as PNG files, as HDF5, and what was done to it.

    ``neurosim run`` takes the folder, or ``folder/images.h5:/images``, as an ``inputPath``. What
    was there is replaced once everything new is written.

    Parameters
    ----------
    images : ImageSet
        8-bit values.
    folder : path
    parameters : mapping
        How the images were altered; written as JSON and as attributes of the array.

    Raises
    ------
    neurosim.RequestError
        The folder holds something that this function did not write.
    """
    root = Path(folder)
    if root.exists() and not (root / PARAMETERS).is_file() and any(root.iterdir()):
        raise neurosim.RequestError(
            f"{root}: holds something else than an altered set; choose another folder"
        )
    partial = root.with_name(f".{root.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    values = images.pixels.astype(np.uint8)
    for name, pixels in zip(images.names, values, strict=True):
        path = (partial / name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    classes = sorted({name.partition("/")[0] for name in images.names})
    with h5py.File(partial / ARRAYS, "w") as file:
        data = file.create_dataset("images", data=values, chunks=(1, *values.shape[1:]))
        data.attrs["parameters"] = json.dumps(parameters)
        labels = [classes.index(name.partition("/")[0]) for name in images.names]
        label = file.create_dataset("label", data=np.array(labels))
        label.attrs["classes"] = classes
        file["names"] = list(images.names)
    (partial / PARAMETERS).write_text(json.dumps(parameters, indent=2) + "\n", "utf-8")
    if root.exists():
        shutil.rmtree(root)
    os.replace(partial, root)
    return root
