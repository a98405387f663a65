"""Labelled pictures to prepare: smooth random colours, no two alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def picture(number: int, size: int = 64) -> NDArray[np.uint8]:
    """uint8 ``(size, size, 3)``: details of all scales, like a photograph's."""
    rng = np.random.default_rng(number)
    out = np.zeros((size, size, 3), np.float32)
    for scale in (4, 8, 16, 32):
        noise = rng.normal(size=(scale, scale, 3)).astype(np.float32) / scale**0.5
        for channel in range(3):
            image = Image.fromarray(noise[:, :, channel])
            out[:, :, channel] += np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    out -= out.min()
    return np.rint(out * (255 / out.max())).astype(np.uint8)


def save(pixels: NDArray, path: Path, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def people(folder: Path, counts: dict[str, int], size: int = 64) -> Path:
    """``NAME/NAME_0001.png`` and on, so many of each."""
    number = 0
    for name, count in counts.items():
        for index in range(1, count + 1):
            save(picture(number, size), folder / name / f"{name}_{index:04d}.png")
            number += 1
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
