"""What the manifest of a prepared folder tells of its pictures."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from hashlib import sha256
from io import StringIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurosim.data.write import MANIFEST, is_prepared


def prepared_groups(files: Sequence[Path]) -> NDArray[np.int64] | None:
    """Find the groups of near-duplicates that pictures were shared out by.

    Parameters
    ----------
    files : sequence of path
        Pictures, of one set or of several.

    Returns
    -------
    ndarray or None
        int64 (picture,), the manifest's ``group``. None where they are not all of one folder
        made by ``neurosim data``, or one of them was added or changed since.
    """
    # Pictures lie in SET/CLASS/FILE.
    above = files[0].absolute().parents if files else ()
    if len(above) < 3 or not is_prepared(root := above[2]):
        return None
    try:
        manifest = (root / MANIFEST).read_text("utf-8", "surrogateescape")
        told = {row["file"]: row for row in csv.DictReader(StringIO(manifest, newline=""))}
        rows = [told[file.absolute().relative_to(root).as_posix()] for file in files]
        digests = [sha256(file.read_bytes()).hexdigest() for file in files]
        if digests != [row["sha256"] for row in rows]:
            return None
        return np.array([int(row["group"]) for row in rows], np.int64)
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return None
