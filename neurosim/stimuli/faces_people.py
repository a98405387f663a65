"""The invented people of the synthetic faces: their names and what they look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np

Colour = tuple[float, float, float]
T = TypeVar("T")

_FIRST_WOMEN = (
    "Mara Ines Tova Livia Petra Noor Yuki Amara Saskia Dalia Freya Imani Rosa Hana Zora Elke "
    "Bela Orla Priya Wanda Sunniva Carmen Adaeze Thea"
)
_FIRST_MEN = (
    "Joren Pavel Tariq Nils Mateo Kofi Anders Ravi Dario Hugo Emeka Stellan Bruno Oskar Idris "
    "Leif Tomas Yusuf Cedric Goran Kenji Rufus Malik Anton"
)
_LAST = (
    "Quill Varga Osei Lind Moreno Tanaka Falk Brandt Okoro Silva Novak Haug Desai Marlow Kaya "
    "Roth Ferro Ivers Nkemi Solberg Pinto Ward Zeman Aydin Crane Holm Batra Lowell Mensah Vidal "
    "Krug Sato Ellery Dufour Abara Thorn Ricci Young Karim Boone Halme Castro Wyatt Nagy Obi "
    "Petrov Lund Garnett"
)

_SKIN = np.array(
    [
        (246, 216, 196),
        (232, 190, 160),
        (205, 154, 118),
        (164, 112, 80),
        (128, 84, 58),
        (98, 64, 46),
    ],
    float,
)
_HAIR = (
    (24, 20, 20), (44, 30, 24), (78, 50, 32), (112, 76, 44), (150, 106, 58),
    (206, 168, 100), (150, 62, 30), (128, 126, 126), (206, 204, 200),
)  # fmt: skip
_IRIS = ((62, 40, 26), (90, 60, 34), (98, 104, 60), (70, 110, 90), (72, 112, 158), (104, 116, 124))

WOMEN_STYLES = ("long", "bob", "curls", "bun", "pixie", "afro", "fringe", "wavy")
MEN_STYLES = ("short", "buzz", "bald", "quiff", "curls_short", "receding", "side", "wavy_short")
MEN_BEARDS = ("none", "stubble", "moustache", "goatee", "full", "none")


class Dice:
    """Random numbers from raw bits, the same in every numpy version."""

    def __init__(self, *key: int) -> None:
        self._bits = np.random.Philox(np.random.SeedSequence(key))
        self._draws: list[float] = []

    def unit(self) -> float:
        """Return a number in [0, 1)."""
        if not self._draws:
            self._draws = ((self._bits.random_raw(64) >> np.uint64(11)) * 2.0**-53).tolist()
        return self._draws.pop()

    def between(self, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * self.unit()

    def bell(self, width: float) -> float:
        """Return a number around 0, at most ``width`` away, mostly less than half of it."""
        return width * (self.unit() + self.unit() + self.unit() - 1.5) / 1.5

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.unit() < probability

    def pick(self, items: Sequence[T]) -> T:
        """Return one of ``items``."""
        return items[int(self.unit() * len(items))]

    def colour(self, low: float = 0, high: float = 255) -> Colour:
        """Return a random colour with channels in the range."""
        return (self.between(low, high), self.between(low, high), self.between(low, high))

    def muted(self, low: float = 25, high: float = 235) -> Colour:
        """Return a random colour of low saturation, as most things have."""
        grey, share = self.between(low, high), self.between(0.05, 0.45)
        return blend((grey, grey, grey), self.colour(low, high), share)

    def bytes(self, count: int) -> np.ndarray:
        """Return ``count`` uniform bytes."""
        return self._bits.random_raw(-(-count // 8)).view(np.uint8)[:count]


@dataclass(frozen=True)
class Person:
    """What stays the same in all pictures of a person.

    Lengths are in half face heights; y runs from -1 (crown) to 1 (chin).
    """

    name: str
    skin: Colour
    half_width: float
    cheek: float
    jaw: float
    chin: float
    hair: Colour
    style: str
    hair_volume: float
    hairline: float
    parting: float
    eye_x: float
    eye_y: float
    eye_width: float
    eye_height: float
    eye_tilt: float
    iris: Colour
    brow_height: float
    brow_thick: float
    brow_arch: float
    brow_tilt: float
    brow: Colour
    nose_length: float
    nose_width: float
    nose_bridge: float
    mouth_y: float
    mouth_width: float
    upper_lip: float
    lower_lip: float
    lips: Colour
    ear: float
    glasses: str
    glasses_colour: Colour
    beard: str
    freckles: bool
    blush: float


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """Return ``first`` mixed with a share of ``second``."""
    a, b = first, second
    return (
        a[0] + share * (b[0] - a[0]),
        a[1] + share * (b[1] - a[1]),
        a[2] + share * (b[2] - a[2]),
    )


def person_name(index: int) -> str:
    """Return the full name of person ``index``; women are even, men odd. All differ."""
    half, odd = divmod(index, 2)
    first = (_FIRST_MEN if odd else _FIRST_WOMEN).split()[half % 24]
    # The step through the surnames changes with every pass through the first names.
    last = _LAST.split()[(index + 7 * (half // 24)) % 48]
    return f"{first} {last}"


def name_limit() -> int:
    """Return how many different names there are."""
    return 48 * 48


def _skin(dice: Dice, index: int) -> Colour:
    # Spread evenly over the range by a golden-ratio walk, so that few people agree.
    tone = ((index * 0.618034 + 0.35 + dice.between(-0.06, 0.06)) % 1.0) * (len(_SKIN) - 1.001)
    low = int(tone)
    rgb = _SKIN[low] + (tone - low) * (_SKIN[low + 1] - _SKIN[low])
    warm = dice.between(-7, 7)
    return float(rgb[0] + warm), float(rgb[1]), float(rgb[2] - warm)


def _hair(dice: Dice, skin: Colour) -> Colour:
    dark_skin = sum(skin) < 360
    base = dice.pick(_HAIR[:3] * 2 + _HAIR[7:8] if dark_skin else _HAIR[:7] * 2 + _HAIR[7:])
    shift = dice.between(0.85, 1.2)
    return min(base[0] * shift, 255.0), min(base[1] * shift, 255.0), min(base[2] * shift, 255.0)


@lru_cache(maxsize=4096)
def make_person(seed: int, index: int) -> Person:
    """Return person ``index``, a function of the two numbers alone."""
    dice = Dice(seed, 1, index)
    man = index % 2 == 1
    skin = _skin(dice, index)
    hair = _hair(dice, skin)
    styles = MEN_STYLES if man else WOMEN_STYLES
    style = styles[(index // 2) % len(styles)]
    lip_base: Colour = (186, 78, 84) if not man else (172, 96, 88)
    return Person(
        name=person_name(index),
        skin=skin,
        half_width=dice.between(0.64, 0.82) + (0.03 if man else 0),
        cheek=dice.between(0.9, 1.02),
        jaw=dice.between(0.74, 0.93) if man else dice.between(0.64, 0.84),
        chin=dice.between(0.34, 0.56) if man else dice.between(0.24, 0.44),
        hair=hair,
        style=style,
        hair_volume=dice.between(0.7, 1.35),
        hairline=dice.between(-0.66, -0.46),
        parting=dice.between(-0.55, 0.55),
        eye_x=dice.between(0.29, 0.38),
        eye_y=dice.between(-0.14, -0.02),
        eye_width=dice.between(0.145, 0.195),
        eye_height=dice.between(0.06, 0.1),
        eye_tilt=dice.between(-0.03, 0.05),
        iris=dice.pick(_IRIS[:2] if sum(skin) < 400 else _IRIS),
        brow_height=dice.between(0.18, 0.28),
        brow_thick=dice.between(0.03, 0.075) if man else dice.between(0.018, 0.05),
        brow_arch=dice.between(0.0, 0.08),
        brow_tilt=dice.between(-0.06, 0.015),
        brow=blend(hair, (30, 22, 20), dice.between(0.1, 0.6)),
        nose_length=dice.between(0.26, 0.4),
        nose_width=dice.between(0.09, 0.18),
        nose_bridge=dice.between(0.03, 0.07),
        mouth_y=dice.between(0.5, 0.62),
        mouth_width=dice.between(0.22, 0.34),
        upper_lip=dice.between(0.03, 0.07),
        lower_lip=dice.between(0.045, 0.1),
        lips=blend(skin, lip_base, dice.between(0.3, 0.85)),
        ear=dice.between(0.8, 1.25),
        glasses=dice.pick(("round", "square", "half")) if dice.chance(0.25) else "none",
        glasses_colour=dice.pick(((25, 22, 24), (96, 52, 30), (40, 50, 96), (150, 130, 90))),
        beard=MEN_BEARDS[(index // 2 + index // 16) % 6] if man else "none",
        freckles=sum(skin) > 540 and dice.chance(0.35),
        blush=dice.between(0.0, 0.22),
    )
