"""What a run will record, and the empty datasets for it."""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np

from neurosim.errors import RunFileError
from neurosim.record import layout
from neurosim.record.files import decode_text, encode_texts, set_attributes


@dataclass(frozen=True)
class LayerOutput:
    """A layer whose frames are recorded.

    Parameters
    ----------
    name, kind : str
        Its name and its class in the params file.
    ny, nx, nf : int
        Its shape (y, x, feature).
    sparse : bool
        Store the activity as CSR rows, one row a frame and batch element.
    potential : bool
        Record the membrane potential too (always dense: it is never zero).
    units : str
        Unit of activity and potential; default none.
    """

    name: str
    kind: str
    ny: int
    nx: int
    nf: int
    sparse: bool = False
    potential: bool = False
    units: str = ""


@dataclass(frozen=True)
class InputOutput:
    """An input layer: which of its frames was shown, and when.

    Parameters
    ----------
    name : str
        Its name.
    sources : list of str
        The file or key of each frame it can show.
    labels : list of str or None
        The label of each frame; None where the input carries none.
    """

    name: str
    sources: list[str]
    labels: list[str] | None = None


@dataclass(frozen=True)
class ProbeOutput:
    """A probe.

    Parameters
    ----------
    name, kind : str
        Its name and its class in the params file.
    columns : list of str or None
        Names of its values, ``value`` being (P, B, K); None for one value, (P, B).
    """

    name: str
    kind: str
    columns: list[str] | None = None


@dataclass(frozen=True)
class Outputs:
    """All that one run records."""

    layers: list[LayerOutput]
    inputs: list[InputOutput]
    probes: list[ProbeOutput]
    nbatch: int


def create_datasets(file: h5py.File, outputs: Outputs) -> None:
    """Make every group and every empty dataset of ``outputs`` in ``file``."""
    for folder, items in (
        (layout.LAYERS, outputs.layers),
        (layout.INPUTS, outputs.inputs),
        (layout.PROBES, outputs.probes),
    ):
        parent = file.create_group(folder, track_order=True)
        for item in items:
            _check_name(file, folder, item.name, parent)
            group = parent.create_group(item.name)
            if isinstance(item, LayerOutput):
                _create_layer(group, item, outputs.nbatch)
            elif isinstance(item, InputOutput):
                _create_input(group, item, outputs.nbatch)
            else:
                _create_probe(group, item, outputs.nbatch)
            _growing(group, layout.TIME, (), "f8", fillvalue=np.nan)


def read_outputs(file: h5py.File) -> Outputs:
    """The declaration that :func:`create_datasets` made ``file`` from."""
    layers = []
    for name, group in file[layout.LAYERS].items():
        attributes = group.attrs
        layers.append(
            LayerOutput(
                name,
                decode_text(attributes[layout.KIND]),
                int(attributes[layout.NY]),
                int(attributes[layout.NX]),
                int(attributes[layout.NF]),
                sparse=bool(attributes[layout.SPARSE]),
                potential=layout.POTENTIAL in group,
                units=decode_text(attributes[layout.UNITS]),
            )
        )
    inputs = [read_input(name, group) for name, group in file[layout.INPUTS].items()]
    probes = []
    for name, group in file[layout.PROBES].items():
        columns = group[layout.VALUE].attrs.get(layout.COLUMNS)
        names = None if columns is None else [decode_text(column) for column in columns]
        probes.append(ProbeOutput(name, decode_text(group.attrs[layout.KIND]), names))
    return Outputs(layers, inputs, probes, int(file.attrs[layout.NBATCH]))


def read_input(name: str, group: h5py.Group) -> InputOutput:
    """The source and label tables of one input."""
    sources = [decode_text(text) for text in group[layout.SOURCE][()]]
    if layout.LABEL not in group:
        return InputOutput(name, sources, None)
    table = group[layout.LABEL]
    classes = [decode_text(text) for text in table.attrs[layout.CLASSES]]
    return InputOutput(name, sources, [classes[index] for index in table[()]])


def _check_name(file: h5py.File, folder: str, name: str, parent: h5py.Group) -> None:
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise RunFileError(
            f'{file.filename}: {folder[1:]} "{name}" has no place in an HDF5 file; '
            "a name may be any text without a slash"
        )
    if name in parent:
        raise RunFileError(f'{file.filename}: {folder[1:]} "{name}" is declared twice')


def _growing(group: h5py.Group, name: str, row: tuple[int, ...], dtype: str, **kw: object) -> None:
    """A dataset that grows along its first axis, unfiltered.

    A chunk that is written again keeps the bytes of the rows it had, so neither a
    reader nor a kill can see them torn: that is why it is not compressed.
    """
    row_bytes = max(1, int(np.prod(row, dtype=np.int64)) * 8)
    rows = max(1, min(layout.ROW_CHUNK, layout.DENSE_CHUNK_BYTES // row_bytes))
    group.create_dataset(
        name, (0, *row), maxshape=(None, *row), chunks=(rows, *row),
        dtype=dtype, **kw,
    )  # fmt: skip


def _create_layer(group: h5py.Group, layer: LayerOutput, nbatch: int) -> None:
    attributes = {
        layout.KIND: layer.kind,
        layout.NY: layer.ny,
        layout.NX: layer.nx,
        layout.NF: layer.nf,
        layout.UNITS: layer.units,
        layout.SPARSE: layer.sparse,
    }
    set_attributes(group, attributes)
    shape = (nbatch, layer.ny, layer.nx, layer.nf)
    if layer.sparse:
        _create_csr(group.create_group(layout.ACTIVITY), shape)
    else:
        _create_dense(group, layout.ACTIVITY, shape)
    if layer.potential:
        _create_dense(group, layout.POTENTIAL, shape)


def _create_dense(group: h5py.Group, name: str, shape: tuple[int, int, int, int]) -> None:
    """One frame a chunk: a chunk is written once, so a checksum on it can never lag."""
    image_bytes = 4 * shape[1] * shape[2] * shape[3]
    images = max(1, min(shape[0], layout.DENSE_CHUNK_BYTES // max(1, image_bytes)))
    group.create_dataset(
        name, (0, *shape), maxshape=(None, *shape), chunks=(1, images, *shape[1:]),
        dtype="f4", fletcher32=True,
    )  # fmt: skip


def _create_csr(group: h5py.Group, shape: tuple[int, int, int, int]) -> None:
    group.attrs[layout.CSR_SHAPE] = np.array([0, *shape], dtype=np.int64)
    for name, dtype in ((layout.CSR_DATA, "f4"), (layout.CSR_INDICES, "i4")):
        group.create_dataset(
            name, (0,), maxshape=(None,), chunks=(layout.CSR_CHUNK,), dtype=dtype,
            compression="gzip", compression_opts=layout.GZIP_LEVEL, shuffle=False,
        )  # fmt: skip
    group.create_dataset(
        layout.CSR_INDPTR, data=np.zeros(1, np.int64), maxshape=(None,), chunks=(4096,)
    )


def _create_input(group: h5py.Group, item: InputOutput, nbatch: int) -> None:
    sources = encode_texts(item.sources)
    _table(group, layout.SOURCE, sources)
    if item.labels is not None:
        if len(item.labels) != len(item.sources):
            raise ValueError(f"input {item.name}: as many labels as sources are needed")
        classes = list(dict.fromkeys(item.labels))
        number = {label: index for index, label in enumerate(classes)}
        table = _table(
            group, layout.LABEL, np.array([number[label] for label in item.labels], np.int64)
        )
        set_attributes(table, {layout.CLASSES: classes})
    _growing(group, layout.FRAME, (nbatch,), "i8")


def _table(group: h5py.Group, name: str, values: np.ndarray) -> h5py.Dataset:
    """A table that is written once."""
    filters = {"compression": "gzip", "fletcher32": True} if len(values) else {}
    return group.create_dataset(name, data=values, **filters)


def _create_probe(group: h5py.Group, probe: ProbeOutput, nbatch: int) -> None:
    set_attributes(group, {layout.KIND: probe.kind})
    row = (nbatch,) if probe.columns is None else (nbatch, len(probe.columns))
    _growing(group, layout.VALUE, row, "f8")
    if probe.columns is not None:
        set_attributes(group[layout.VALUE], {layout.COLUMNS: list(probe.columns)})
