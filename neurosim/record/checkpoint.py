"""Checkpoints: one file each, complete or absent, every array with its checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neurosim.errors import RunFileError
from neurosim.record import layout
from neurosim.record.files import (
    abandon,
    check_format,
    decode_text,
    encode_texts,
    partial_name,
    plain_attributes,
    publish,
    reading,
    set_attributes,
    writing,
)

_CURE = "free some space or choose another output folder; earlier checkpoints are untouched"
_DAMAGED = "remove it and resume from an older checkpoint"


def write_checkpoint(
    folder: str | Path,
    step: int,
    arrays: Mapping[str, Any] | Iterable[tuple[str, Any]],
    attrs: Mapping[str, Any],
) -> Path:
    """Write one checkpoint; it appears under its name only when it is whole.

    Parameters
    ----------
    folder : path
        Where checkpoints are kept (``OUT/checkpoints``); made as needed.
    step : int
        The step whose state this is.
    arrays : mapping of str to value, or iterable of such pairs
        By HDF5 path, such as ``/layers/V1/V``: arrays of any shape, scalars, texts,
        arrays of text, and dicts (a generator's ``bit_generator.state``: nested
        dicts, lists, integers of any size, arrays). An iterable is asked for one
        value at a time.
    attrs : mapping
        Root attributes: time, params_sha256, ...

    Returns
    -------
    Path
        ``folder/checkpoint_<step>.h5``, flushed to the disk.

    Raises
    ------
    RunFileError
        The disk is full or failing. Earlier checkpoints are untouched.
    """
    path = Path(folder) / layout.checkpoint_name(step)
    partial = partial_name(path)
    file = None
    try:
        with writing(path, _CURE):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = h5py.File(partial, "w", libver=layout.LIBVER)
            for name, value in arrays.items() if isinstance(arrays, Mapping) else arrays:
                _write_value(file, name, value)
            ours = {
                layout.FORMAT: layout.CHECKPOINT_FORMAT,
                layout.FORMAT_VERSION: layout.CHECKPOINT_VERSION,
                layout.STEP: step,
                layout.COMPLETE: True,
            }
            set_attributes(file, {**attrs, **ours})
            set_attributes(file, {layout.SHA256: _attributes_digest(file)})
            file.flush()
            file.close()
            publish(partial, path)
    except BaseException:
        if file is not None:
            abandon(file)
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    return path


def read_checkpoint(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a whole checkpoint, every checksum verified.

    Returns
    -------
    arrays, attrs : dict
        As given to :func:`write_checkpoint` (scalars come back as numpy scalars),
        ``attrs`` with format, format_version, step and complete besides.

    Raises
    ------
    RunFileError
        Missing, incomplete, of another format or version, or damaged; the message
        names the dataset.
    """
    path = Path(path)
    with open_checkpoint(path) as file:
        arrays = {name: read_value(file, path, name) for name in value_names(file, path)}
        with reading(path, "the checkpoint's attributes"):
            attrs = plain_attributes(file)
    attrs.pop(layout.SHA256)
    return arrays, attrs


def open_checkpoint(path: Path) -> h5py.File:
    """Open a complete checkpoint for reading; its attributes are verified."""
    with reading(path, f"the checkpoint ({_DAMAGED})"):
        file = h5py.File(path, "r", libver="latest")
    try:
        with reading(path, f"the checkpoint ({_DAMAGED})"):
            check_format(file, path, layout.CHECKPOINT_FORMAT, layout.CHECKPOINT_VERSION)
            if not file.attrs.get(layout.COMPLETE, False):
                raise RunFileError(f"{path}: this checkpoint is not complete; {_DAMAGED}")
            if decode_text(file.attrs[layout.SHA256]) != _attributes_digest(file):
                raise ValueError("its attributes do not match their checksum")
    except BaseException:
        file.close()
        raise
    return file


def value_names(file: h5py.File, path: Path) -> list[str]:
    """HDF5 paths of all values of an open checkpoint."""
    names: list[str] = []

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            names.append("/" + name)

    with reading(path, f"the checkpoint ({_DAMAGED})"):
        file.visititems(visit)
    return names


def read_value(file: h5py.File, path: Path, name: str) -> Any:
    """One value of an open checkpoint, its checksum verified."""
    with reading(path, f"{name} of the checkpoint ({_DAMAGED})"):
        dataset = file[name]
        array = dataset[()]
        if _digest(np.asarray(array)) != decode_text(dataset.attrs[layout.SHA256]):
            raise ValueError("checksum does not match")
        encoding = decode_text(dataset.attrs[layout.ENCODING])
        if encoding == "array":
            return array
        if encoding == "texts":
            texts = [decode_text(text) for text in np.asarray(array).ravel()]
            return np.array(texts, dtype=np.str_).reshape(np.shape(array))
        text = decode_text(bytes(array))
        return json.loads(text, object_hook=_from_json) if encoding == "json" else text


def newest_complete(folder: str | Path, problems: list[str] | None = None) -> Path | None:
    """The newest checkpoint of ``folder`` that verifies, or None.

    Parameters
    ----------
    folder : path
        Where checkpoints are kept.
    problems : list of str, optional
        Gets one line for each newer file that was skipped because it is damaged.
    """
    for path in reversed(checkpoint_files(folder)):
        try:
            _verify(path)
        except RunFileError as error:
            if problems is not None:
                problems.append(str(error))
        else:
            return path
    return None


def rotate(folder: str | Path, keep: int) -> list[Path]:
    """Remove all but the newest ``keep`` checkpoints, and left-over partial files.

    The newest one that verifies is never removed, even where newer, damaged ones
    fill the number to keep.

    Returns
    -------
    list of Path
        What was removed.
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1, not {keep}")
    files = checkpoint_files(folder)
    old = files[:-keep]
    removed = list(Path(folder).glob(f"{layout.CHECKPOINT_PREFIX}*{layout.PARTIAL_SUFFIX}"))
    if old:
        newest = newest_complete(folder)
        removed += [path for path in old if path != newest]
    for path in removed:
        with writing(path, "it is an old checkpoint and could not be removed"):
            path.unlink(missing_ok=True)
    return removed


def checkpoint_files(folder: str | Path) -> list[Path]:
    """The checkpoint files of ``folder``, oldest first; partial ones are not among them."""
    folder = Path(folder)
    if not folder.is_dir():
        return []
    with reading(folder, "the folder of checkpoints"):
        steps = {path: layout.checkpoint_step(path.name) for path in folder.iterdir()}
    known = [(step, path) for path, step in steps.items() if step is not None]
    return [path for _, path in sorted(known)]


def _verify(path: Path) -> None:
    with open_checkpoint(path) as file:
        for name in value_names(file, path):
            read_value(file, path, name)


def _write_value(file: h5py.File, name: str, value: Any) -> None:
    encoding, array = _encode(name, value)
    dataset = file.create_dataset(name, data=array)
    set_attributes(dataset, {layout.SHA256: _digest(array), layout.ENCODING: encoding})


def _encode(name: str, value: Any) -> tuple[str, np.ndarray]:
    if isinstance(value, str):
        return "text", encode_texts([value]).reshape(())
    if isinstance(value, Mapping):
        return "json", encode_texts([json.dumps(value, default=_to_json)]).reshape(())
    array = np.asarray(value)
    if array.dtype.kind == "U":
        return "texts", encode_texts(array.ravel().tolist()).reshape(array.shape)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{name}: a checkpoint cannot hold {type(value).__name__} {array.dtype}")
    return "array", array


def _digest(array: np.ndarray) -> str:
    """SHA-256 over type, shape and bytes; a contiguous array is not copied."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    if array.size:
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _attributes_digest(file: h5py.File) -> str:
    attrs = plain_attributes(file)
    attrs.pop(layout.SHA256, None)
    text = json.dumps(attrs, sort_keys=True, default=_to_json)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _to_json(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"__array__": value.tolist(), "dtype": value.dtype.str}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}")


def _from_json(value: dict[str, Any]) -> Any:
    if "__array__" in value:
        return np.array(value["__array__"], dtype=value["dtype"])
    return value
