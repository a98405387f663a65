"""Frames from a dataset in an HDF5 file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import StimulusError
from neurosim.stimuli.decode import problem_with
from neurosim.stimuli.sources import FrameSource, to_unit

_SUFFIXES = (".h5", ".hdf5", ".he5", ".hdf")
_SLAB_BYTES = 32 * 2**20


def split_hdf5_path(text: str) -> tuple[str, str | None] | None:
    """Split ``"file.h5:/group/images"``; None if the text names no HDF5 file.

    The dataset is None where only the file is given.
    """
    head, colon, tail = text.rpartition(":")
    if colon and head.lower().endswith(_SUFFIXES):
        return head, tail
    return (text, None) if text.lower().endswith(_SUFFIXES) else None


class Hdf5Frames(FrameSource):
    """The frames of a dataset ``(N, y, x)`` or ``(N, y, x, channel)``.

    uint8 and uint16 are scaled to 0..1, floats are taken as they are. A sibling
    dataset ``labels`` or ``label`` gives the classes; if it holds integers, its
    or the images' attribute ``classes`` may name them.

    Parameters
    ----------
    path
        The file.
    dataset
        Its name in the file; None takes the only dataset of such a shape.

    Raises
    ------
    StimulusError
        The file or the dataset is missing, damaged or of another shape or type.
    """

    kind = "hdf5"

    def __init__(self, path: Path, dataset: str | None) -> None:
        self.path = path
        with self._open() as file:
            self.dataset = dataset if dataset is not None else _only_dataset(path, file)
            data = _dataset(path, file, self.dataset)
            _check_images(path, self.dataset, data)
            self._shape = data.shape
            self._slab = max(1, _SLAB_BYTES // max(1, data.dtype.itemsize * data[:1].size))
            self.labels = _labels(path, data)
        self.names = [f"{path}:{self.dataset}[{index}]" for index in range(self._shape[0])]

    @contextmanager
    def _open(self) -> Iterator[Any]:
        import h5py

        problem = problem_with(self.path)
        if problem:
            raise StimulusError(f"{self.path}: {problem}; expected an HDF5 file")
        try:
            with h5py.File(self.path, "r") as file:
                yield file
        except StimulusError:
            raise
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise StimulusError(f"{self.path}: cannot be read as HDF5 ({error})") from error

    def read(self, index: int) -> NDArray[np.float32]:
        index = range(len(self))[index]
        with self._open() as file:
            frame = to_unit(np.asarray(file[self.dataset][index]))
        if not np.isfinite(frame).all():
            raise StimulusError(f"{self.names[index]}: some values are not finite numbers")
        return frame[:, :, None] if frame.ndim == 2 else frame

    def check(self) -> list[str]:
        problems = []
        try:
            with self._open() as file:
                data = file[self.dataset]
                for start in range(0, len(self), self._slab):
                    slab = np.asarray(data[start : start + self._slab])
                    if slab.dtype.kind == "f":
                        finite = np.isfinite(slab.reshape(len(slab), -1)).all(axis=1)
                        problems += [
                            f"{self.names[start + bad]}: some values are not finite numbers"
                            for bad in np.flatnonzero(~finite)
                        ]
        except StimulusError as error:
            problems.append(str(error))
        return problems


def _datasets(file: Any) -> dict[str, Any]:
    import h5py

    found: dict[str, Any] = {}
    file.visititems(lambda name, item: found.update({f"/{name}": item}) or None)
    return {name: item for name, item in found.items() if isinstance(item, h5py.Dataset)}


def _only_dataset(path: Path, file: Any) -> str:
    names = [name for name, data in _datasets(file).items() if data.ndim in (3, 4)]
    if len(names) != 1:
        listed = ", ".join(names) or "none"
        raise StimulusError(
            f"{path}: say which dataset holds the images, as {path.name}:/NAME; datasets of 3 or 4 "
            f"dimensions: {listed}"
        )
    return names[0]


def _dataset(path: Path, file: Any, name: str) -> Any:
    import h5py

    item = file.get(name) if name.strip("/") else None
    if not isinstance(item, h5py.Dataset):
        what = "is a group" if item is not None or not name.strip("/") else "no such dataset"
        listed = ", ".join(_datasets(file)) or "none"
        raise StimulusError(f"{path}:{name}: {what}; datasets in the file: {listed}")
    return item


def _check_images(path: Path, name: str, data: Any) -> None:
    if data.ndim not in (3, 4) or 0 in data.shape:
        raise StimulusError(
            f"{path}:{name}: shape {data.shape}; expected (N, height, width) or (N, height, width, "
            "channels), none of them 0"
        )
    if data.dtype not in (np.uint8, np.uint16, np.bool_) and data.dtype.kind != "f":
        raise StimulusError(
            f"{path}:{name}: values of type {data.dtype}; expected uint8, uint16 or floats"
        )


def _labels(path: Path, data: Any) -> list[str] | None:
    import h5py

    group = data.parent
    key = next((key for key in ("labels", "label") if isinstance(group.get(key), h5py.Dataset)), "")
    if not key:
        return None
    values = group[key]
    if values.shape != data.shape[:1]:
        raise StimulusError(
            f"{path}:{values.name}: shape {values.shape} for {data.shape[0]} images; expected one "
            "label per image"
        )
    if values.dtype.kind in "iu":
        classes = values.attrs.get("classes", data.attrs.get("classes"))
        numbers = values[:]
        if classes is None:
            return [str(number) for number in numbers]
        if numbers.min() < 0 or numbers.max() >= len(classes):
            raise StimulusError(
                f"{path}:{values.name}: labels {numbers.min()} to {numbers.max()} for the "
                f"{len(classes)} names in its attribute classes"
            )
        return [_text(classes[number]) for number in numbers]
    return [_text(value) for value in values[:]]


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
