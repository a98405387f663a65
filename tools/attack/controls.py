"""Alterations that no attacker chose: noise as large as an attack, and low-pass filtering."""

from __future__ import annotations

import numpy as np
from PIL import Image

from attack.images import ImageSet


def noise_like(
    original: ImageSet, attacked: ImageSet, seed: int = 0, onto: ImageSet | None = None
) -> ImageSet:  # fmt: skip
    """Images with Gaussian noise of the mean and deviation of each image's own perturbation.

    Parameters
    ----------
    original, attacked : ImageSet
        The same images before and after an attack.
    seed : int
    onto : ImageSet, optional
        What the noise is added to, such as the attacked images; the originals by default.
    """
    change = attacked.pixels - original.pixels
    mean = change.mean(axis=(1, 2, 3), keepdims=True)
    deviation = change.std(axis=(1, 2, 3), keepdims=True)
    drawn = np.random.default_rng(seed).standard_normal(change.shape)
    onto = original if onto is None else onto
    return onto.altered(onto.pixels + mean + deviation * drawn)


def low_pass(images: ImageSet) -> ImageSet:
    """Images halved by averaging areas and doubled again by cubic interpolation."""
    found = np.empty_like(images.pixels)
    for row, pixels in enumerate(images.pixels):
        height, width = pixels.shape[:2]
        for channel in range(pixels.shape[2]):
            picture = Image.fromarray(np.ascontiguousarray(pixels[..., channel]), mode="F")
            half = picture.resize((max(width // 2, 1), max(height // 2, 1)), Image.Resampling.BOX)
            found[row, ..., channel] = half.resize((width, height), Image.Resampling.BICUBIC)
    return images.altered(found)
