"""Which images are copies of each other: they must not be told apart by a fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurosim.analysis.parts import Part
from neurosim.data.duplicates import THRESHOLD, near_duplicates
from neurosim.data.pictures import read_picture, thumbnail
from neurosim.data.prepared import prepared_groups
from neurosim.data.settings import DataSettings
from neurosim.stimuli.sources import ImageFiles


def copies(parts: Sequence[Part]) -> np.ndarray:
    """Group of near-duplicates (mirrored ones too) that each image of some sets belongs to.

    Sets that were prepared together (``neurosim data``) keep the groups that they were shared out
    by; of others they are found here, at the default threshold.

    Returns
    -------
    ndarray
        int64 (image,), one set after the other. Images that are not files (drawn faces, datasets)
        are each on its own, and so are all where one set has such.
    """
    files, settings = [], DataSettings()
    for part in parts:
        source = part.images.source
        if not isinstance(source, ImageFiles):
            return np.arange(sum(len(one.rows) for one in parts))
        files += [source.paths[row] for row in part.rows]
    known = prepared_groups(files)
    if known is not None or len(files) < 2:
        return np.arange(len(files)) if known is None else known
    thumbnails = [
        thumbnail(read_picture(part.images.source, int(row), settings))
        for part in parts
        for row in part.rows
    ]
    return near_duplicates(np.stack(thumbnails), THRESHOLD)
