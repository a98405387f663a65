"""Which training images are copies of each other: they must not be told apart by a fold."""

from __future__ import annotations

import numpy as np

from neurosim.analysis.parts import Part
from neurosim.data.duplicates import THRESHOLD, near_duplicates
from neurosim.data.pictures import read_picture, thumbnail
from neurosim.data.settings import DataSettings
from neurosim.stimuli.sources import ImageFiles


def copies(part: Part) -> np.ndarray:
    """Group of near-duplicates (mirrored ones too) that each image belongs to.

    Returns
    -------
    ndarray
        int64 (image,). Images that are not files (drawn faces, datasets) are each on its own.
    """
    source = part.images.source
    if not isinstance(source, ImageFiles) or len(part.rows) < 2:
        return np.arange(len(part.rows))
    settings = DataSettings()
    thumbnails = [thumbnail(read_picture(source, int(row), settings)) for row in part.rows]
    return near_duplicates(np.stack(thumbnails), THRESHOLD)
