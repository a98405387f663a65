"""Mean images kept between runs, for frames that never change.

Drawing thousands of faces only to average them would take seconds at every
start. The files lie in the user's cache folder and may be removed at any time.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int]


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/neurosim``, or ``~/.cache/neurosim``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "neurosim"


def mean_file(source: object, spec: object, shape: Shape) -> Path | None:
    """File of the mean of a source under a fit; None where its frames may change."""
    fingerprint = getattr(source, "fingerprint", "")
    if not fingerprint:
        return None
    name = sha256(f"{fingerprint} {spec!r} {shape}".encode()).hexdigest()[:32]
    return cache_folder() / f"mean_{name}.npy"


def load_mean(path: Path, shape: Shape) -> NDArray[np.float32] | None:
    """The kept mean; None where there is none, or a damaged one."""
    try:
        mean = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = mean.shape == shape and mean.dtype == np.float32 and bool(np.isfinite(mean).all())
    return mean if fits else None


def keep_mean(path: Path, mean: NDArray[np.float32]) -> None:
    """Keep a mean for the next run; where nothing can be written, nothing is kept."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.save(file, mean)
        partial.replace(path)
    except OSError:
        return
