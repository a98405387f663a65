"""Hidden layers of conv nets in the layout of neurosim's coded sets (``docs/file_format.md``)."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np

from attack.classifier import Classifier
from attack.images import ImageSet

#: Name of the layer, and of the input, in the files.
LAYER, INPUT = "hidden", "Image"


def write_representation(
    model: Classifier, images: ImageSet, folder: Path, name: str, origin: str
) -> Path:
    """Write the hidden layer of each image of a set as a run of its own.

    ``neurosim.open_run`` reads it: ``run.layers["hidden"].activity`` is ``(image, 1, 1, 1,
    unit)``, ``run.inputs["Image"]`` has the files and classes.

    Parameters
    ----------
    model : Classifier
    images : ImageSet
    folder : Path
        Of the model; the set goes to ``codes/NAME-face`` in it.
    name : str
        Of the set.
    origin : str
        Where the images came from, for the record.

    Returns
    -------
    Path
        The folder of the coded set.
    """
    values = np.asarray(model.representation(images.pixels), np.float32)
    root = folder / "codes" / f"{name}-face"
    root.mkdir(parents=True, exist_ok=True)
    partial = root / "run.h5.partial"
    with h5py.File(partial, "w", libver=("v110", "v110"), track_order=True) as file:
        _fill(file, values, images)
        _describe(file, model.name)
    note = {
        "shown": "face", "count": len(images), "layers": [LAYER], "images": origin,
        "model": model.name, "period": 1.0, "dt": 1.0,
    }  # fmt: skip
    (root / "coding.json").write_text(json.dumps(note, indent=2) + "\n", "utf-8")
    os.replace(partial, root / "run.h5")
    return root


def _fill(file: h5py.File, values: np.ndarray, images: ImageSet) -> None:
    """The layer and the input: one frame an image, at times 1, 2, 3..."""
    count, units = values.shape
    times = np.arange(1, count + 1, dtype=np.float64)
    layer = file.create_group(f"layers/{LAYER}", track_order=True)
    layer.attrs.update(
        {"kind": b"hidden", "ny": 1, "nx": 1, "nf": units, "units": b"", "sparse": False}
    )
    layer["activity"] = values.reshape(count, 1, 1, 1, units)
    layer["time"] = times
    shown = file.create_group(f"inputs/{INPUT}", track_order=True)
    text = h5py.string_dtype()
    shown.create_dataset("source", data=list(images.names), dtype=text)
    labels = [name.partition("/")[0] for name in images.names]
    classes = sorted(set(labels))
    label = shown.create_dataset("label", data=np.array([classes.index(x) for x in labels]))
    label.attrs.create("classes", classes, dtype=text)
    shown["frame"] = np.arange(count, dtype=np.int64).reshape(count, 1)
    shown["time"] = times
    file.create_group("probes", track_order=True)


def _describe(file: h5py.File, name: str) -> None:
    """Attributes and the texts that every run has."""
    for what in ("source", "effective"):
        file[f"params/{what}"] = f"// the hidden layer of {name}; no params file made it\n"
    file.attrs.update(
        {
            "format": b"neurosim-run", "format_version": 1, "backend": name.encode(),
            "dtype": b"float32", "nbatch": 1, "finished": True,
            "created": datetime.now(UTC).isoformat(timespec="seconds").encode(),
        }
    )  # fmt: skip
