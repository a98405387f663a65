"""The embedded data set: drawn faces of invented people.

The faces are cartoons. They serve to try the program and to test it; nothing
measured on them says anything about photographs.
"""

from __future__ import annotations

from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import RequestError, StimulusError
from neurosim.stimuli.faces_draw import draw_face
from neurosim.stimuli.faces_light import background, occlude, photograph, shade
from neurosim.stimuli.faces_people import Dice, make_person, name_limit, person_name
from neurosim.stimuli.faces_pose import draw_scene
from neurosim.stimuli.sources import CACHE_BYTES, FrameCache, FrameSource, to_unit

SPLITS = {"train": 0, "validation": 1}
PEOPLE = 48
IMAGES_PER_PERSON = {"train": 40, "validation": 10}

_OVERSAMPLING = 4


def draw_picture(
    person: int, picture: int, seed: int = 0, split: str = "train", size: int = 64
) -> NDArray[np.uint8]:
    """Draw one picture of a person.

    Parameters
    ----------
    person, picture
        Numbers from 0.
    seed
        Of the whole data set; default 0.
    split
        ``"train"`` or ``"validation"``: other pictures of the same people.
    size
        Side in pixels; default 64.

    Returns
    -------
    ndarray
        uint8 ``(size, size, 3)``, a function of the arguments alone.
    """
    who = make_person(seed, person)
    dice = Dice(seed, 2, SPLITS[split], person, picture)
    scene = draw_scene(dice)
    drawing = draw_face(who, scene, dice, size * _OVERSAMPLING, person)
    small = np.asarray(drawing.reduce(_OVERSAMPLING), np.float32) / np.float32(255)
    covered = small[:, :, 3:]
    behind = background(dice, size) * np.float32(0.4 + 0.6 * scene.gain)
    lit = small[:, :, :3] * shade(who, scene, size)
    full = behind + covered * (lit - behind)
    return photograph(occlude(full, dice), scene, dice)


@cache
def _drawing() -> str:
    """Identity of the code that draws."""
    folder = Path(__file__).parent
    files = (Path(__file__), *sorted(folder.glob("faces_*.py")))
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


@lru_cache(maxsize=4)
def _drawn(fingerprint: str, cache_bytes: int) -> FrameCache:
    """Pictures of one set: sources that are opened after each other draw them once."""
    return FrameCache(cache_bytes)


class SyntheticFaces(FrameSource):
    """Drawn faces: frame ``i`` shows person ``i % people``, picture ``i // people``.

    The first person is the target of the study's "one person against the others".

    Parameters
    ----------
    people
        At least 2; default 48.
    images_per_person
        Default 40 for training, 10 for validation.
    size
        Side of the pictures in pixels; default 64.
    seed
        Other seeds give other people and pictures; default 0.
    split
        ``"train"`` (default) or ``"validation"``.
    cache_bytes
        Bound on the drawn pictures kept in memory; default 256 MiB.

    Raises
    ------
    StimulusError
        There is no such split.
    RequestError
        A count or size out of range.
    """

    kind = "synthetic-faces"

    def __init__(
        self,
        people: int = PEOPLE,
        images_per_person: int | None = None,
        size: int = 64,
        seed: int = 0,
        split: str = "train",
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        if split not in SPLITS:
            allowed = " or ".join(f'"synthetic-faces:{name}"' for name in SPLITS)
            raise StimulusError(f'"synthetic-faces:{split}": no such data; use {allowed}')
        count = IMAGES_PER_PERSON[split] if images_per_person is None else images_per_person
        if not 2 <= people <= name_limit():
            raise RequestError(f"{people} people; there can be 2 to {name_limit()}")
        if count < 1 or seed < 0 or not 16 <= size <= 1024:
            raise RequestError(
                f"synthetic faces with {count} images per person, seed {seed}, size {size}; they "
                "must be at least 1, at least 0, and 16 to 1024"
            )
        self.people = [person_name(index) for index in range(people)]
        self.seed = seed
        self.split = split
        self.size = size
        self.labels = self.people * count
        self.names = [
            f"synthetic-faces:{split}/{name.replace(' ', '_')}/{picture:04d}"
            for picture in range(count)
            for name in self.people
        ]
        self.fingerprint = f"{_drawing()}-{people}-{count}-{size}-{seed}-{split}"
        self._cache = _drawn(self.fingerprint, cache_bytes)

    @property
    def target(self) -> str:
        """The name of the first person."""
        return self.people[0]

    def read(self, index: int) -> NDArray[np.float32]:
        index = range(len(self))[index]
        picture, person = divmod(index, len(self.people))
        return to_unit(
            self._cache.get(
                index, lambda: draw_picture(person, picture, self.seed, self.split, self.size)
            )
        )

    def check(self) -> list[str]:
        """Return no problem: the pictures are drawn, not read."""
        return []
