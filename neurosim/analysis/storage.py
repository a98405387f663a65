"""Dataclasses <-> HDF5: scalars are attributes, arrays and texts datasets, the rest groups."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import h5py
import numpy as np

from neurosim.record import layout
from neurosim.record.files import (
    abandon,
    check_format,
    decode_text,
    encode_texts,
    partial_name,
    publish,
    reading,
    set_attributes,
    writing,
)

T = TypeVar("T")

_CURE = "free some space, or give the folder write permission"


def write_record(path: Path, record: Any, attrs: Mapping[str, object]) -> None:
    """Write a dataclass to a new file that replaces ``path`` when it is complete.

    Raises
    ------
    RunFileError
        It cannot be written; what was there stays.
    """
    file = None
    try:
        with writing(path, _CURE):
            file = h5py.File(partial_name(path), "w", libver=layout.LIBVER)
            set_attributes(file, attrs)
            _write_fields(file, record)
            file.close()
            publish(partial_name(path), path)
    except BaseException:
        if file is not None:
            abandon(file)
        partial_name(path).unlink(missing_ok=True)
        raise


def read_record(path: Path, kind: type[T], format_name: str, version: int) -> T:
    """Read the dataclass that :func:`write_record` wrote.

    Raises
    ------
    RunFileError
        Missing, damaged, of another format or version.
    """
    with reading(path, "the analysis"), h5py.File(path, "r") as file:
        check_format(file, path, format_name, version)
        return _read(file, kind)


def _write_fields(group: h5py.Group, record: Any) -> None:
    for item in fields(record):
        _write(group, item.name, getattr(record, item.name))


def _write(group: h5py.Group, name: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, np.ndarray):
        filters = {"compression": "gzip", "shuffle": True, "fletcher32": True}
        group.create_dataset(name, data=value, **(filters if value.size and value.ndim else {}))
    elif isinstance(value, (bool, int, float, str)):
        set_attributes(group, {name: value})
    elif isinstance(value, list) and all(isinstance(text, str) for text in value):
        group.create_dataset(name, data=encode_texts(value))
    elif isinstance(value, Mapping):
        inner = group.create_group(name, track_order=True)
        for key, each in value.items():
            _write(inner, key, each)
    elif isinstance(value, list):
        inner = group.create_group(name, track_order=True)
        for number, each in enumerate(value):
            _write(inner, str(number), each)
    else:
        _write_fields(group.create_group(name), value)


def _read(group: h5py.Group, kind: Any) -> Any:
    hints = get_type_hints(kind)
    return kind(**{item.name: _value(group, item.name, hints[item.name]) for item in fields(kind)})


def _value(group: h5py.Group, name: str, kind: Any) -> Any:
    if isinstance(kind, types.UnionType):
        (kind,) = (k for k in get_args(kind) if k is not type(None))
        if name not in group:
            return None
    if kind is str:
        return decode_text(group.attrs[name])
    if kind in (bool, int, float):
        return kind(group.attrs[name])
    if kind is np.ndarray:
        return group[name][()]
    if is_dataclass(kind):
        return _read(group[name], kind)
    if get_origin(kind) is dict:
        return {key: _value(group[name], key, get_args(kind)[1]) for key in group[name]}
    (each,) = get_args(kind)
    if each is str:
        # An empty list was written as a dataset without a text type.
        return [decode_text(text) for text in group[name][()]]
    return [_value(group[name], str(number), each) for number in range(len(group[name]))]
