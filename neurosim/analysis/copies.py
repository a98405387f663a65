"""Which images are copies of each other: they must not be told apart by a fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurosim.analysis.parts import Part
from neurosim.data.duplicates import THRESHOLD, near_duplicates
from neurosim.data.pictures import read_picture, thumbnail
from neurosim.data.settings import DataSettings
from neurosim.stimuli.sources import ImageFiles


def copies(parts: Sequence[Part]) -> np.ndarray:
    """Group of near-duplicates (mirrored ones too) that each image of some sets belongs to.

    Returns
    -------
    ndarray
        int64 (image,), one set after the other. Images that are not files (drawn faces, datasets)
        are each on its own, and so are all where one set has such.
    """
    settings, thumbnails = DataSettings(), []
    for part in parts:
        source = part.images.source
        if not isinstance(source, ImageFiles):
            return np.arange(sum(len(one.rows) for one in parts))
        thumbnails += [thumbnail(read_picture(source, int(row), settings)) for row in part.rows]
    if len(thumbnails) < 2:
        return np.arange(len(thumbnails))
    return near_duplicates(np.stack(thumbnails), THRESHOLD)
