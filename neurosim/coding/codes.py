"""Coded sets of images: what :func:`neurosim.encode` left in ``RUN/codes``, read lazily."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.errors import RunFileError
from neurosim.record import layout
from neurosim.record.files import partial_name, publish, writing
from neurosim.record.reader import Run, open_run, unknown
from neurosim.record.start import run_path

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Folder of the coded sets in that of a run, and the note beside each that says what was coded.
CODES = "codes"
NOTE = "coding.json"


class Codes:
    """The codes of a set of images; made by :func:`open_codes` and :func:`neurosim.encode`.

    Images are in the order of the set (names alone: one row per class, in the order of their
    first images); ``image`` counts them.

    Attributes
    ----------
    path : Path
        Folder of the coded set.
    shown : str
        ``"face"``, ``"name"`` or ``"both"``.
    note : dict
        How it was coded: checkpoint, steps, images and so on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.note = read_note(path)
        self.shown: str = self.note["shown"]
        self._run: Run | None = open_run(path)

    @property
    def run(self) -> Run:
        """The run that coded them."""
        if self._run is None:
            raise RunFileError(f"{self.path}: these codes were closed; open them again")
        return self._run

    def __len__(self) -> int:
        return int(self.note["count"])

    @property
    def layers(self) -> list[str]:
        """Layers whose activity was kept."""
        return list(self.run.layers)

    def shape(self, layer: str) -> tuple[int, int, int]:
        """Shape of a layer (y, x, feature)."""
        found = self._layer(layer)
        return (found.ny, found.nx, found.nf)

    def activity(self, layer: str) -> csr_array:
        """Activities of a layer, a float32 CSR array (image, y*x*feature)."""
        return self._layer(layer).csr()[: len(self)]

    def dense(self, layer: str) -> np.ndarray:
        """Activities of a layer, float32 (image, y*x*feature)."""
        return self.activity(layer).toarray()

    @cached_property
    def _frames(self) -> np.ndarray:
        (shown,) = self.run.inputs.values()
        return shown.frame.ravel()[: len(self)]

    @cached_property
    def names(self) -> list[str]:
        """File or key of each image, relative to the set's folder."""
        (shown,) = self.run.inputs.values()
        return [shown.source[frame] for frame in self._frames]

    @cached_property
    def labels(self) -> list[str] | None:
        """Class of each image; None where nothing tells."""
        (shown,) = self.run.inputs.values()
        return None if shown.label is None else [shown.label[frame] for frame in self._frames]

    @cached_property
    def energy(self) -> np.ndarray | None:
        """Energy left at the end of each presentation, float64 (image,); None without a probe."""
        probes = list(self.run.probes.values())
        if not probes:
            return None
        (shown,) = self.run.inputs.values()
        ends = shown.time - self.note["dt"] + self.note["period"]
        last = np.searchsorted(probes[0].time, ends + 0.5 * self.note["dt"]) - 1
        return probes[0].value[last].ravel()[: len(self)]

    def _layer(self, name: str) -> Any:
        if name not in self.run.layers:
            raise unknown(str(self.path), "layer", name, self.layers)
        return self.run.layers[name]

    def close(self) -> None:
        """Close the file; harmless when done already."""
        if self._run is not None:
            self._run.close()
        self._run = None

    def __enter__(self) -> Codes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<codes of {len(self)} images by {self.shown}: {self.path}>"


def codes_folder(run: str | Path, name: str, shown: str) -> Path:
    """Where a coded set is: ``RUN/codes/<set>-<shown>``."""
    return run_path(run).parent / CODES / f"{name}-{shown}"


def open_codes(run: str | Path, name: str, shown: str = "face") -> Codes:
    """Open a coded set of a run.

    Parameters
    ----------
    run : path
        Output folder of the trained run.
    name : str
        Name of the set, such as ``"validation"``.
    shown : {"face", "name", "both"}

    Raises
    ------
    RunFileError
        It has not been coded, or not to its end.
    """
    path = codes_folder(run, name, shown)
    if not (path / layout.RUN_FILE).is_file():
        folder = path.parent
        there = sorted(p.parent.name for p in folder.glob(f"*/{layout.RUN_FILE}"))
        raise RunFileError(
            f"{path}: no such coded set; there are {', '.join(there) or 'none'}; "
            "neurosim.encode and `neurosim analyze` make them"
        )
    codes = Codes(path)
    if not codes.run.finished:
        codes.close()
        raise RunFileError(f"{path}: this set is not coded to its end; the same command goes on")
    return codes


def read_note(path: Path) -> dict[str, Any]:
    """What was noted beside a coded set."""
    try:
        return json.loads((path / NOTE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RunFileError(f"{path / NOTE}: cannot be read ({error}); code the set again") from None


def write_note(path: Path, note: dict[str, Any]) -> None:
    """Note beside a set what is about to be coded."""
    file = path / NOTE
    with writing(file, "free some space, or give the folder write permission"):
        path.mkdir(parents=True, exist_ok=True)
        partial = partial_name(file)
        partial.write_text(json.dumps(note, indent=2) + "\n", "utf-8")
        publish(partial, file)
