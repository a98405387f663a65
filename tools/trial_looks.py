"""What trials of P1 are shown: what V1 says of six looks at each image, pooled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import neurosim

#: Each image as it is, a tenth smaller and a tenth larger, each also mirrored.
LOOKS = [(zoom, mirrored) for zoom in (1.0, 0.9, 1.1) for mirrored in (False, True)]
#: The level whose activity is pooled, and positions on each side of a cell.
LAYER, CELL = "V1", 4
#: Parts of the training images that a threshold is cross-validated on.
FOLDS = 5


@dataclass(frozen=True)
class Shown:
    """What the layer under P1 shows.

    Attributes
    ----------
    looks : dict of (float, bool) to ndarray
        By zoom and whether mirrored: float32 (image, unit).
    target : ndarray
        bool (image,).
    """

    looks: dict[tuple[float, bool], np.ndarray]
    target: np.ndarray

    def map(self, change: Callable[[np.ndarray], np.ndarray]) -> Shown:
        """The same after a change of each look."""
        return replace(self, looks={look: change(x) for look, x in self.looks.items()})


def shown(run: Path, sets: dict[str, Path], target: str) -> dict[str, Shown]:
    """Every look at every set; coded where ``analyze --baselines --zoom`` did not do it."""
    found, shows, names = {}, {}, {}
    for name, folder in sets.items():
        looks: dict[tuple[float, bool], np.ndarray] = {}
        labels = None
        for zoom, mirrored in LOOKS:
            own = folder.name + (f"_zoom{zoom:g}" if zoom != 1 else "")
            own += "_mirrored" if mirrored else ""
            settings = neurosim.Settings(zoom=zoom, mirrored=mirrored)
            with neurosim.encode(run, folder, name=own, layers=[LAYER], settings=settings) as codes:
                looks[zoom, mirrored] = pooled(codes.activity(LAYER), codes.shape(LAYER))
                labels, names[name] = codes.labels, list(codes.names)
        shows[name] = list(labels or [])
        found[name] = Shown(looks, np.array(labels) == target)
    check_sets(sets, shows, names, target)
    return found


def check_sets(
    folders: dict[str, Path],
    labels: dict[str, list[str]],
    names: dict[str, list[str]],
    target: str,
) -> None:
    """Raise where images do not do for trials: labels and files of each set."""
    for name, folder in folders.items():
        shown = sum(label == target for label in labels[name])
        if not FOLDS <= shown <= len(labels[name]) - FOLDS:
            raise neurosim.RequestError(
                f"{folder}: {shown} of {len(labels[name])} images show "
                f'"{target}"; trials need {FOLDS} of it and {FOLDS} others: give another --target'
            )
    altered, validation = ([Path(n).stem for n in names[k]] for k in ("altered", "validation"))
    if altered != validation:
        raise neurosim.RequestError(
            f"{folders['altered']}: its images are not those of {folders['validation']}, by file "
            "name"
        )


def pooled(codes: Any, shape: tuple[int, int, int]) -> np.ndarray:
    """Activity summed over cells of positions, float32 (image, unit); a few images at a time."""
    ny, nx, nf = shape
    if ny % CELL or nx % CELL:
        raise neurosim.RequestError(
            f"{LAYER} has {ny} x {nx} positions; trials pool cells of {CELL} x {CELL}"
        )
    parts = []
    for first in range(0, codes.shape[0], 256):
        dense = codes[first : first + 256].toarray()
        cells = dense.reshape(len(dense), ny // CELL, CELL, nx // CELL, CELL, nf)
        parts.append(cells.sum((2, 4)).reshape(len(dense), -1))
    return np.concatenate(parts).astype(np.float32)
