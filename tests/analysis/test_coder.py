"""Images in memory get the codes that encode gives them from a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import neurosim


@pytest.fixture(scope="module")
def pixels(images: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path)) for path in sorted(images.rglob("*.png"))])


@pytest.fixture(scope="module")
def coder(trained: Path) -> neurosim.Coder:
    return neurosim.Coder(trained, threads=1)


def test_codes_are_those_of_the_folder(
    trained: Path, images: Path, pixels: np.ndarray, coder: neurosim.Coder
) -> None:
    with neurosim.encode(trained, images, layers=["V1", "P1"], threads=1) as codes:
        found = coder.code(pixels, ["V1", "P1"])
        for layer in ("V1", "P1"):
            assert np.any(found[layer])
            assert np.array_equal(found[layer].reshape(len(pixels), -1), codes.dense(layer))


def test_a_code_depends_neither_on_its_neighbours_nor_on_those_before(
    pixels: np.ndarray, coder: neurosim.Coder
) -> None:
    whole = coder.code(pixels)["P1"]
    assert np.array_equal(coder.code(pixels[29:30])["P1"][0], whole[29])
    assert np.array_equal(coder.code(pixels[::-1])["P1"], whole[::-1])


def test_values_from_0_to_1_are_those_of_8_bits(pixels: np.ndarray, coder: neurosim.Coder) -> None:
    unit = pixels[:3].astype(np.float32) / 255
    assert np.array_equal(coder.code(unit)["P1"], coder.code(pixels[:3])["P1"])


def test_no_images_give_no_codes(pixels: np.ndarray, coder: neurosim.Coder) -> None:
    assert coder.code(pixels[:0])["P1"].shape == (0, 1, 1, 32)
    assert coder.shown(pixels[:0]).shape == (0, 16, 16, 3)


def test_images_are_shown_at_mean_0_and_deviation_1(
    pixels: np.ndarray, coder: neurosim.Coder
) -> None:
    shown = coder.shown(pixels).reshape(len(pixels), -1)
    assert np.abs(shown.mean(axis=1)).max() < 1e-5
    assert np.abs(shown.std(axis=1) - 1).max() < 1e-5


@pytest.mark.parametrize(
    ("wrong", "layers", "words"),
    [
        (np.zeros((2, 16)), (), "give (image, y, x)"),
        (np.zeros((2, 16, 16, 3), int), (), "as uint8, uint16 or floats"),
        (np.full((2, 16, 16, 3), np.nan), (), "not finite"),
        (np.zeros((2, 16, 16, 3)), ("T1",), 'no layer "T1" where images are shown'),
    ],
)
def test_what_cannot_be_coded_is_told(
    coder: neurosim.Coder, wrong: np.ndarray, layers: tuple[str, ...], words: str
) -> None:
    with pytest.raises(neurosim.RequestError) as caught:
        coder.code(wrong, layers)
    assert words in str(caught.value)
