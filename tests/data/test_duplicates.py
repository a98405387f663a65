"""Near-duplicates: copies are found whatever was done to them, other pictures never."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from neurosim.data import duplicates
from neurosim.data.duplicates import THUMBNAIL, near_duplicates
from neurosim.data.pictures import thumbnail
from neurosim.stimuli.synthetic_faces import draw_picture
from tests.data.pictures import picture

Pixels = NDArray[np.uint8]


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def resized(pixels: Pixels, size: int, box: tuple[float, ...] | None = None) -> Pixels:
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=box))


def noisy(pixels: Pixels) -> Pixels:
    noise = np.random.default_rng(9).normal(0, 8, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "itself": lambda p: p,
    "mirrored": lambda p: p[:, ::-1],
    "strongly compressed": lambda p: jpeg(p, 25),
    "halved": lambda p: resized(p, 32),
    "enlarged": lambda p: resized(p, 150),
    "brighter": lambda p: (255 * (p / 255) ** 0.6).astype(np.uint8),
    "flatter": lambda p: (60 + p * 0.4).astype(np.uint8),
    "grey": lambda p: np.repeat(p.mean(2, keepdims=True), 3, 2).astype(np.uint8),
    "noisy": noisy,
    "moved": lambda p: resized(p, 64, (3, 0, 64, 61)),
    "cut": lambda p: resized(p, 64, (3, 3, 61, 61)),
    "cut at a corner": lambda p: resized(p, 64, (7, 7, 64, 64)),
    "all at once": lambda p: jpeg(resized(p[:, ::-1], 48, (3, 2, 62, 61)), 40),
}


def faces(people: int) -> list[Pixels]:
    return [draw_picture(person, 0) for person in range(people)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_found_among_others(change: str) -> None:
    originals = [picture(number) for number in range(6)] + faces(6)
    copies = [CHANGES[change](pixels) for pixels in originals]
    thumbnails = np.stack([thumbnail(pixels) for pixels in originals + copies])
    expected = [*range(12), *range(12)]
    assert near_duplicates(thumbnails).tolist() == expected


def test_other_pictures_are_no_copies() -> None:
    different = [picture(number) for number in range(60)] + faces(12)
    thumbnails = np.stack([thumbnail(pixels) for pixels in different])
    assert near_duplicates(thumbnails).tolist() == list(range(72))


def test_blank_and_nearly_blank_pictures_are_no_copies_unless_equal(
    rng: np.random.Generator,
) -> None:
    levels = [0, 0, 128, 255]
    blank = np.stack([np.full((THUMBNAIL, THUMBNAIL), level, np.uint8) for level in levels])
    dusty = 127 + rng.integers(0, 2, (3, THUMBNAIL, THUMBNAIL)).astype(np.uint8)
    found = near_duplicates(np.concatenate([blank, dusty]))
    assert found.tolist() == [0, 0, 2, 3, 4, 5, 6]


def test_groups_join_through_a_picture_between() -> None:
    whole = picture(1, 96)
    steps = [resized(whole, 64, (d, d, 64 + d, 64 + d)) for d in (0, 3, 6, 9)]
    thumbnails = np.stack([thumbnail(pixels) for pixels in steps])
    assert near_duplicates(thumbnails[[0, 3]]).tolist() == [0, 1]
    assert near_duplicates(thumbnails).tolist() == [0, 0, 0, 0]


def test_more_copies_than_partners_are_one_group(rng: np.random.Generator) -> None:
    count = 3 * duplicates._PARTNERS
    copies = [np.array(thumbnail(picture(n % 2))) for n in range(count)]
    for copy in copies:
        copy[rng.integers(THUMBNAIL), rng.integers(THUMBNAIL)] ^= 1
    assert near_duplicates(np.stack(copies)).tolist() == [n % 2 for n in range(count)]


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    originals = [picture(number) for number in range(10)]
    pictures = originals + [CHANGES["all at once"](pixels) for pixels in originals]
    thumbnails = np.stack([thumbnail(pixels) for pixels in pictures])
    told: list[tuple[int, int]] = []
    once = near_duplicates(thumbnails)
    monkeypatch.setattr(duplicates, "_BLOCK", 3)
    blocks = near_duplicates(thumbnails, progress=lambda done, of: told.append((done, of)))
    assert once.tolist() == blocks.tolist() == [*range(10), *range(10)]
    assert told[-1] == (20, 20) and [done for done, _ in told] == sorted(done for done, _ in told)


def test_one_joins_equal_pictures_only() -> None:
    one = thumbnail(picture(1))
    other = one.copy()
    other[0, 0] ^= 1
    assert near_duplicates(np.stack([one, other, one]), 1).tolist() == [0, 1, 0]


def test_a_higher_threshold_never_joins_more() -> None:
    pictures = faces(12) + [CHANGES["cut at a corner"](pixels) for pixels in faces(12)]
    thumbnails = np.stack([thumbnail(pixels) for pixels in pictures])
    groups = [len(set(near_duplicates(thumbnails, t).tolist())) for t in (0.6, 0.8, 0.9, 0.97, 1)]
    assert groups == sorted(groups) and groups[0] < groups[-1] == 24


def test_no_and_one_picture() -> None:
    assert near_duplicates(np.zeros((1, THUMBNAIL, THUMBNAIL), np.uint8)).tolist() == [0]
