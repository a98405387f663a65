"""Pictures that are copies of pictures elsewhere, such as those of a validation set given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from neurosim.data.classes import Chosen
from neurosim.data.duplicates import near_duplicates
from neurosim.data.pictures import read_picture, thumbnail
from neurosim.data.settings import DataSettings
from neurosim.errors import RequestError
from neurosim.stimuli.images import open_source
from neurosim.stimuli.sources import FrameSource


def set_apart(
    what: str,
    source: FrameSource,
    chosen: Chosen,
    elsewhere: Sequence[str],
    settings: DataSettings,
) -> Chosen:
    """Leave out pictures that have a near-duplicate elsewhere, and those joined with them.

    Parameters
    ----------
    what
        What messages call the source.
    source, chosen
        The pictures that are used.
    elsewhere
        Folders or list files, as a source; all their pictures count.
    settings
        Its ``near_duplicates``.

    Raises
    ------
    RequestError
        No picture would be left.
    StimulusError
        Names a picture that cannot be used.
    """
    own = [thumbnail(read_picture(source, index, settings)) for index in chosen.index]
    other: list[NDArray[np.uint8]] = []
    for place in elsewhere:
        frames = open_source(place, validate=False, cache_bytes=0)
        count = len(frames.names)
        other += [thumbnail(read_picture(frames, i, settings)) for i in range(count)]
    groups = near_duplicates(np.stack([*own, *other]), settings.near_duplicates)
    copied = np.isin(groups[: len(own)], groups[len(own) :])
    if copied.all():
        raise RequestError(
            f"{what}: each of its {len(own)} images is a copy of one in {', '.join(elsewhere)}; is "
            "that the same folder?"
        )
    kept = [i for i, out in enumerate(copied) if not out]
    columns = ("index", "labels", "classes", "folders")
    parts = {column: [getattr(chosen, column)[i] for i in kept] for column in columns}
    return replace(chosen, **parts)
