"""Whitening, against closed forms of gratings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurosim import loads
from neurosim.errors import ParamsError, RequestError
from neurosim.stimuli.fit import FitSpec, Jitter, fit_frame

RETINA = FitSpec(whiteningExponent=1.0, whiteningCutoff=0.25)


def grating(ny: int, nx: int, across: int, down: int) -> np.ndarray:
    """A cosine of half as many cycles, (y, x, 1), that goes on mirrored beyond its edges."""
    y, x = (np.arange(n) + 0.5 for n in (ny, nx))
    return (np.cos(np.pi * down * y / ny)[:, None] * np.cos(np.pi * across * x / nx))[:, :, None]


@pytest.mark.parametrize(("down", "across"), [(0, 3), (5, 0), (4, 6), (11, 15)])
@pytest.mark.parametrize("exponent", [0.5, 1.0])
@pytest.mark.parametrize("cutoff", [0.0, 0.2])
def test_a_grating_keeps_its_form_and_gets_its_gain(
    down: int, across: int, exponent: float, cutoff: float
) -> None:
    ny, nx = 12, 16
    picture = grating(ny, nx, across, down)
    f = np.hypot(down / (2 * ny), across / (2 * nx))  # cycles per pixel
    gain = (2 * f) ** exponent * (np.exp(-((f / cutoff) ** 4)) if cutoff else 1)
    spec = FitSpec(whiteningExponent=exponent, whiteningCutoff=cutoff)
    np.testing.assert_allclose(spec.whitened(picture), gain * picture, atol=1e-12)


def test_brightness_is_gone_and_each_feature_is_by_itself(rng: np.random.Generator) -> None:
    picture = rng.random((10, 7, 3))
    seen = RETINA.whitened(picture)
    np.testing.assert_allclose(seen.mean(axis=(0, 1)), 0, atol=1e-12)
    np.testing.assert_allclose(RETINA.whitened(picture + np.arange(3)), seen, atol=1e-12)
    np.testing.assert_allclose(RETINA.whitened(picture[:, :, 1:2]), seen[:, :, 1:2], atol=1e-12)


def test_pictures_whose_amplitude_falls_as_the_frequency_become_white(
    rng: np.random.Generator,
) -> None:
    """Amplitude 1 / f, as natural images have: all gratings but brightness are as large after."""
    size = 32
    f = np.hypot(*np.meshgrid(*[np.arange(size) / (2 * size)] * 2, indexing="ij"))
    white = rng.choice([-1.0, 1.0], (size, size))
    seen = FitSpec(whiteningExponent=1.0).whitened(_picture(white / np.where(f > 0, 2 * f, 1)))
    np.testing.assert_allclose(_spectrum(seen), np.where(f > 0, white, 0), atol=1e-12)


def _basis(size: int) -> np.ndarray:
    """Orthonormal cosines, (frequency, pixel)."""
    pixel, frequency = np.arange(size) + 0.5, np.arange(size)
    rows = np.cos(np.pi * frequency[:, None] * pixel / size)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _picture(spectrum: np.ndarray) -> np.ndarray:
    basis = _basis(len(spectrum))
    return (basis.T @ spectrum @ basis)[:, :, None]


def _spectrum(picture: np.ndarray) -> np.ndarray:
    basis = _basis(len(picture))
    return basis @ picture[:, :, 0] @ basis.T


def test_it_commutes_with_mirroring(rng: np.random.Generator) -> None:
    raw = rng.random((16, 16, 3)).astype(np.float32)
    turned = fit_frame(raw, RETINA, 16, 16, 3, jitter=Jitter(flip_x=True))
    expected = fit_frame(raw, RETINA, 16, 16, 3)[:, ::-1]
    np.testing.assert_allclose(turned, expected, atol=1e-6)


def test_a_layer_shows_a_whitened_picture_at_mean_0_and_deviation_1(
    rng: np.random.Generator,
) -> None:
    raw = rng.random((16, 16, 3)).astype(np.float32)
    shown = fit_frame(raw, replace(RETINA, normalizeLuminanceFlag=True), 16, 16, 3)
    seen = RETINA.whitened(raw)
    np.testing.assert_allclose(shown, seen / seen.std(), atol=1e-5)


def test_where_no_image_is_there_is_no_edge() -> None:
    """A flat image in the middle of a larger layer stays flat."""
    flat = np.full((4, 4, 1), 7, np.float32)
    spec = replace(RETINA, offsetAnchor="cc")
    np.testing.assert_allclose(fit_frame(flat, spec, 8, 8, 1), 0, atol=1e-6)


@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_a_flat_picture_is_nothing_once_normalised(exponent: float) -> None:
    spec = FitSpec(whiteningExponent=exponent, whiteningCutoff=0.3, normalizeLuminanceFlag=True)
    assert not fit_frame(np.full((6, 7, 3), 0.1, np.float32), spec, 6, 7, 3).any()


def test_what_was_whitened_is_coloured_again(rng: np.random.Generator) -> None:
    picture = rng.random((3, 12, 9, 2))
    spec = FitSpec(whiteningExponent=0.5)
    apart = picture - picture.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(spec.coloured(spec.whitened(picture)), apart, atol=1e-12)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(RequestError, match="whiteningExponent = -1; it must not be negative"):
        FitSpec(whiteningExponent=-1)
    with pytest.raises(RequestError, match="whiteningCutoff = -2; it must not be negative"):
        FitSpec(whiteningCutoff=-2)
    # One in cycles per picture would cut nothing off.
    layer = 'ImageLayer "I" = { nf = 3; inputPath = "x.png"; whiteningCutoff = 25; };'
    with pytest.raises(ParamsError, match="whiteningCutoff = 25: must be a number >= 0 and <= 1"):
        loads('HyPerCol "c" = { nx = 8; ny = 8; };' + layer)
