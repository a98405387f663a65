"""The file of a run before its first frame: made new, or copied up to a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from neurosim.errors import RunFileError
from neurosim.record import layout
from neurosim.record.files import (
    abandon,
    check_format,
    partial_name,
    plain_attributes,
    publish,
    read_text,
    reading,
    set_attributes,
    write_text,
    writing,
)
from neurosim.record.outputs import LayerOutput, Outputs, create_datasets, read_outputs

WRITE_CURE = (
    "free some space or choose another output folder; what was written before stays "
    "readable, and --resume goes on from the newest checkpoint"
)
FRESH_CURE = "start the run afresh in another output folder"
# Bytes copied at a time by a resume.
_COPY_BYTES = 8 << 20


def run_path(path: str | Path) -> Path:
    """``run.h5`` for an output folder; a path that ends in .h5 is kept."""
    path = Path(path)
    return path if path.suffix == ".h5" and not path.is_dir() else path / layout.RUN_FILE


def growing(file: h5py.File) -> list[h5py.Dataset]:
    """The datasets of ``file`` that grow, in file order."""
    found: list[h5py.Dataset] = []
    for folder in (layout.LAYERS, layout.INPUTS, layout.PROBES):
        for group in file[folder].values():
            for item in group.values():
                items = item.values() if isinstance(item, h5py.Group) else [item]
                found += [dataset for dataset in items if dataset.maxshape[0] is None]
    return found


def start_file(
    path: Path, outputs: Outputs, attrs: Mapping[str, object], source: str, effective: str
) -> h5py.File:
    """The new file under its partial name, with every dataset still empty."""
    file = None
    try:
        with writing(path, WRITE_CURE):
            file = h5py.File(partial_name(path), "w", libver=layout.LIBVER)
            set_attributes(file, attrs)
            write_text(file, layout.SOURCE_TEXT, source)
            write_text(file, layout.EFFECTIVE_TEXT, effective)
            create_datasets(file, outputs)
            file.flush()
    except BaseException:
        if file is not None:
            abandon(file)
        raise
    return file


def go_live(file: h5py.File, path: Path) -> None:
    """Let readers in, then give the file its name: it is never seen half made."""
    try:
        with writing(path, WRITE_CURE):
            file.swmr_mode = True
            file.flush()
            publish(partial_name(path), path)
    except BaseException:
        abandon(file)
        raise


def copy_run(
    old: h5py.File,
    path: Path,
    lengths: Mapping[str, int],
    attrs: Mapping[str, object],
    effective: str | None = None,
) -> tuple[h5py.File, Outputs]:
    """A new partial file with the first ``lengths`` of every dataset of ``old``."""
    with reading(path, f"the run to resume (then {FRESH_CURE})"):
        check_format(old, path, layout.RUN_FORMAT, layout.RUN_VERSION)
        outputs = read_outputs(old)
        attributes = {**plain_attributes(old), **attrs, layout.FINISHED: False}
        source = read_text(old, layout.SOURCE_TEXT)
        effective = read_text(old, layout.EFFECTIVE_TEXT) if effective is None else effective
        _check_lengths(old, path, lengths)
    file = start_file(path, outputs, attributes, source, effective)
    try:
        for dataset in growing(file):
            _copy_rows(old, dataset, int(lengths[dataset.name]), path)
        for layer in outputs.layers:
            if layer.sparse:
                _check_csr(file, layer, path)
        with writing(path, WRITE_CURE):
            file.flush()
    except BaseException:
        abandon(file)
        raise
    return file, outputs


def _check_lengths(old: h5py.File, path: Path, lengths: Mapping[str, int]) -> None:
    present = {dataset.name: int(dataset.shape[0]) for dataset in growing(old)}
    if set(present) != set(lengths):
        name = sorted(set(present) ^ set(lengths))[0]
        raise RunFileError(
            f"{path}: {name} is in the run or in the checkpoint but not in both; they are "
            f"of different runs: {FRESH_CURE}"
        )
    for name, length in lengths.items():
        if present[name] < length:
            raise RunFileError(
                f"{path}: {name} holds {present[name]} rows, but the checkpoint counts on "
                f"{length}; resume from an older checkpoint, or {FRESH_CURE}"
            )


def _copy_rows(old: h5py.File, dataset: h5py.Dataset, length: int, path: Path) -> None:
    row_bytes = max(1, dataset.dtype.itemsize * int(np.prod(dataset.shape[1:], dtype=np.int64)))
    # whole chunks at a time, so that none is compressed twice
    step = max(1, _COPY_BYTES // row_bytes // dataset.chunks[0]) * dataset.chunks[0]
    with writing(path, WRITE_CURE):
        dataset.resize(length, axis=0)
    for start in range(0, length, step):
        stop = min(length, start + step)
        with reading(path, f"{dataset.name} of the run to resume (then {FRESH_CURE})"):
            rows = old[dataset.name][start:stop]
        with writing(path, WRITE_CURE):
            dataset[start:stop] = rows


def _check_csr(file: h5py.File, layer: LayerOutput, path: Path) -> None:
    """The lengths must be of one moment, and the row ends must fit the data."""
    group = file[layout.LAYERS][layer.name]
    activity = group[layout.ACTIVITY]
    frames = int(group[layout.TIME].shape[0])
    indptr, data = activity[layout.CSR_INDPTR], activity[layout.CSR_DATA]
    shape = activity.attrs[layout.CSR_SHAPE]
    fits = len(indptr) == frames * int(shape[1]) + 1 and len(indptr) > 0
    if not fits or int(indptr[-1]) != len(data):
        raise RunFileError(f"{path}: {activity.name} does not fit together; {FRESH_CURE}")
    shape[0] = frames
    activity.attrs.modify(layout.CSR_SHAPE, shape)
