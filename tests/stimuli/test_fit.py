"""From a frame to a layer, against closed forms and against PetaVision."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from neurosim.errors import RequestError, StimulusError
from neurosim.stimuli.fit import FitSpec, Jitter, convert_colour, fit_frame, jitter_at, mean_frame
from neurosim.stimuli.images import open_source
from tests.tolerances import FLOAT32_REORDERED, V1_IMAGE_INPUT


class Stack:
    """Frames from an array."""

    convert = True

    def __init__(self, frames: list[np.ndarray]) -> None:
        self.frames = frames

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, index: int) -> np.ndarray:
        return self.frames[index]


def test_petavision_input_from_the_png(conformance: Path) -> None:
    source = open_source("images.txt", conformance)
    assert len(source) == 32
    spec = FitSpec(normalizeLuminanceFlag=True, normalizeStdDev=True)
    for index, case in ((0, "v1_lca"),):
        frame = fit_frame(source.read(index), spec, 64, 64, 3)
        expected = np.load(conformance / "expected" / f"{case}.npz")["Input"]
        assert np.abs(frame - expected).max() < V1_IMAGE_INPUT


def test_colour_conversions() -> None:
    red = np.zeros((1, 1, 3), "f4")
    red[..., 0] = 1
    for channel, weight in enumerate((0.30, 0.59, 0.11)):
        assert convert_colour(np.roll(red, channel, -1), 1).item() == pytest.approx(weight)
    grey_alpha = np.array([[[0.25, 0.5]]], "f4")
    assert convert_colour(grey_alpha, 1).ravel().tolist() == [0.25]
    assert convert_colour(grey_alpha, 3).ravel().tolist() == [0.25, 0.25, 0.25]
    assert convert_colour(grey_alpha, 4).ravel().tolist() == [0.25, 0.25, 0.25, 0.5]
    assert convert_colour(red, 4).ravel().tolist() == [1, 0, 0, 1]  # alpha made up
    rgba = np.array([[[0.2, 0.4, 0.6, 0.1]]], "f4")
    np.testing.assert_array_equal(convert_colour(rgba, 3), rgba[..., :3])  # not blended
    assert convert_colour(rgba, 2)[0, 0, 1] == np.float32(0.1)
    with pytest.raises(StimulusError, match="3 channels cannot become the 5 features"):
        convert_colour(red, 5)
    with pytest.raises(StimulusError, match="nf = 1"):
        fit_frame(red, FitSpec(), 1, 1, 1, convert=False)


@pytest.mark.parametrize("vertical", "tcb")
@pytest.mark.parametrize("horizontal", "lcr")
def test_anchor_crops_the_named_part(vertical: str, horizontal: str) -> None:
    image = np.arange(7 * 8, dtype="f4").reshape(7, 8, 1)
    top = {"t": 0, "c": 7 // 2 - 4 // 2, "b": 3}[vertical]
    left = {"l": 0, "c": 8 // 2 - 3 // 2, "r": 5}[horizontal]
    for anchor in (vertical + horizontal, (horizontal + vertical).upper()):
        frame = fit_frame(image, FitSpec(offsetAnchor=anchor), 4, 3, 1)
        np.testing.assert_array_equal(frame, image[top : top + 4, left : left + 3])


def test_small_image_is_placed_and_padded() -> None:
    image = np.ones((2, 3, 1), "f4")
    frame = fit_frame(image, FitSpec(offsetAnchor="br", padValue=-7), 4, 5, 1)
    expected = np.full((4, 5, 1), -7.0)
    expected[2:, 2:] = 1
    np.testing.assert_array_equal(frame, expected)


def test_offset_moves_the_window_right_and_down() -> None:
    image = np.arange(64, dtype="f4").reshape(8, 8, 1)
    frame = fit_frame(image, FitSpec(offsetX=2, offsetY=1), 4, 4, 1)
    np.testing.assert_array_equal(frame, image[1:5, 2:6])
    # A negative offset uncovers the left edge; what is uncovered is pad.
    frame = fit_frame(image, FitSpec(offsetX=-2, padValue=-1), 8, 8, 1)
    np.testing.assert_array_equal(frame[:, 2:], image[:, :6])
    assert (frame[:, :2] == -1).all()
    # The shift happens within the image, before the crop: at the far anchor nothing is left.
    frame = fit_frame(image, FitSpec(offsetX=5, offsetAnchor="tr", padValue=-1), 8, 4, 1)
    assert (frame == -1).all()


@pytest.mark.parametrize("method", ["bicubic", "nearestNeighbor"])
def test_resize_keeps_corners_and_constants(method: str, rng: np.random.Generator) -> None:
    image = rng.random((9, 9, 2)).astype("f4")
    spec = FitSpec(autoResizeFlag=True, interpolationMethod=method)
    for side in (5, 17, 3):  # corners map to corners, so every old or second pixel is kept
        frame = fit_frame(image, spec, side, side, 2)
        np.testing.assert_allclose(
            frame[[0, 0, -1, -1], [0, -1, 0, -1]], image[[0, 0, -1, -1], [0, -1, 0, -1]], atol=1e-6
        )
    np.testing.assert_allclose(fit_frame(image, spec, 17, 17, 2)[::2, ::2], image, atol=1e-6)
    flat = fit_frame(np.full((5, 7, 1), 0.3, "f4"), spec, 11, 23, 1)
    np.testing.assert_allclose(flat, 0.3, atol=1e-6)


def test_bicubic_is_the_kernel_with_a_minus_one() -> None:
    # Halfway between pixels the weights are -1/8, 5/8, 5/8, -1/8.
    line = np.array([0.1, 0.9, 0.4, 0.7, 0.2], "f4")
    image = np.repeat(line[None, :, None], 5, axis=0)
    frame = fit_frame(image, FitSpec(autoResizeFlag=True), 9, 9, 1)[4, :, 0]
    inside = (-line[:-3] + 5 * line[1:-2] + 5 * line[2:-1] - line[3:]) / 8
    np.testing.assert_allclose(frame[3:6:2], inside, atol=1e-6)
    # Left of the first pixel its neighbour comes again, right of the last the last one.
    assert frame[1] == pytest.approx((-line[1] + 5 * line[0] + 5 * line[1] - line[2]) / 8)
    assert frame[7] == pytest.approx((-line[2] + 5 * line[3] + 5 * line[4] - line[4]) / 8)


def test_aspect_ratio_crop_and_pad() -> None:
    ramp = np.repeat(np.linspace(0, 1, 21, dtype="f4")[None, :, None], 11, axis=0)
    nearest = {"autoResizeFlag": True, "interpolationMethod": "nearestneighbor"}
    crop = fit_frame(ramp, FitSpec(**nearest, offsetAnchor="cc"), 11, 11, 1)
    np.testing.assert_allclose(crop[5, :, 0], ramp[0, 5:16, 0])
    spec = FitSpec(**nearest, aspectRatioAdjustment="pad", offsetAnchor="cc", padValue=2)
    pad = fit_frame(ramp, spec, 21, 21, 1)
    np.testing.assert_allclose(pad[5:16], ramp)
    assert (pad[:5] == 2).all() and (pad[16:] == 2).all()


def test_extreme_shapes_do_not_break() -> None:
    for shape, how in product(((1, 1), (1, 900), (900, 1), (2, 3)), ("crop", "pad")):
        spec = FitSpec(autoResizeFlag=True, aspectRatioAdjustment=how, offsetAnchor="cc")
        frame = fit_frame(np.full((*shape, 1), 0.5, "f4"), spec, 6, 5, 1)
        assert frame.shape == (6, 5, 1) and np.isfinite(frame).all() and frame.max() > 0.4


def test_luminance_over_the_covered_part_only(rng: np.random.Generator) -> None:
    image = rng.random((4, 4, 3)).astype("f4") * 9 + 2
    spec = FitSpec(normalizeLuminanceFlag=True, padValue=5)
    frame = fit_frame(image, spec, 6, 8, 3)
    inside = frame[:4, :4].astype(float)
    assert abs(inside.mean()) < 1e-6 and abs(inside.std() - 1) < 1e-6
    assert (frame[4:] == 5).all() and (frame[:, 4:] == 5).all()
    stretched = fit_frame(
        image, FitSpec(normalizeLuminanceFlag=True, normalizeStdDev=False), 4, 4, 3
    )
    assert stretched.min() == 0 and stretched.max() == 1
    for std in (True, False):
        flat = FitSpec(normalizeLuminanceFlag=True, normalizeStdDev=std)
        assert not fit_frame(np.full((4, 4, 3), 0.1, "f4"), flat, 4, 4, 3).any()


def test_inverse() -> None:
    image = np.array([[[0.2], [0.5], [0.6]]], "f4")
    reflected = fit_frame(image, FitSpec(inverseFlag=True), 1, 3, 1)
    np.testing.assert_allclose(reflected.ravel(), [0.6, 0.3, 0.2], atol=1e-7)
    spec = FitSpec(normalizeLuminanceFlag=True)
    negative = FitSpec(normalizeLuminanceFlag=True, inverseFlag=True)
    np.testing.assert_array_equal(
        fit_frame(image, negative, 1, 3, 1), -fit_frame(image, spec, 1, 3, 1)
    )


def test_mean_frame_is_the_mean_and_leaves_none(rng: np.random.Generator) -> None:
    frames = [rng.random((6, 5, 3)).astype("f4") for _ in range(7)]
    mean = mean_frame(Stack(frames), FitSpec(), 6, 5, 3)
    np.testing.assert_allclose(mean, np.mean(frames, axis=0), rtol=FLOAT32_REORDERED)
    left = sum(fit_frame(frame, FitSpec(), 6, 5, 3, mean=mean).astype(float) for frame in frames)
    assert np.abs(left).max() < 1e-5
    # Subtracted before the luminance: an image equal to the mean becomes 0.
    spec = FitSpec(normalizeLuminanceFlag=True)
    assert not fit_frame(mean, spec, 6, 5, 3, mean=mean).any()
    # Normalisation takes no part in the mean.
    np.testing.assert_array_equal(mean_frame(Stack(frames), spec, 6, 5, 3), mean)


def test_mean_frame_counts_covering_frames_only() -> None:
    frames = [np.full((2, 2, 1), 1.0, "f4"), np.full((1, 2, 1), 3.0, "f4")]
    mean = mean_frame(Stack(frames), FitSpec(padValue=100), 3, 2, 1)
    np.testing.assert_array_equal(mean[:, 0, 0], [2, 1, 0])


def test_jitter_is_repeatable_and_covers_its_range() -> None:
    spec = FitSpec(
        jitterChangeInterval=2, maxShiftX=3, maxShiftY=1, xFlipEnabled=True, yFlipEnabled=True,
        yFlipToggle=True,
    )  # fmt: skip
    many = [jitter_at(spec, 5, display, 0) for display in range(800)]
    assert many == [jitter_at(spec, 5, display, 0) for display in range(800)]
    assert all(many[i] == many[i + 1] for i in range(0, 800, 2))
    shifts = np.array([many[i].x for i in range(0, 800, 2)])
    assert sorted(set(shifts.tolist())) == list(range(-3, 4))
    assert {jitter.y for jitter in many} == {-1, 0, 1}
    assert 0.4 < np.mean([jitter.flip_x for jitter in many]) < 0.6
    assert [many[i].flip_y for i in range(0, 8, 2)] == [True, False, True, False]
    assert many != [jitter_at(spec, 5, display, 1) for display in range(800)]
    assert jitter_at(FitSpec(maxShiftX=3), 5, 9, 0) == Jitter()
    timed = FitSpec(jitterChangeInterval=400, jitterChangeIntervalUnit="timestep", maxShiftX=50)
    assert jitter_at(timed, 1, 3, 0, 100) == jitter_at(timed, 1, 0, 0, 100)
    assert jitter_at(timed, 1, 4, 0, 100) != jitter_at(timed, 1, 0, 0, 100)


def test_jitter_shifts_then_mirrors() -> None:
    image = np.arange(12, dtype="f4").reshape(3, 4, 1)
    frame = fit_frame(image, FitSpec(padValue=-1), 3, 4, 1, jitter=Jitter(x=1, flip_x=True))
    np.testing.assert_array_equal(frame[:, :3, 0], image[:, 2::-1, 0])
    assert (frame[:, 3] == -1).all()
    flipped = fit_frame(image, FitSpec(), 3, 4, 1, jitter=Jitter(flip_y=True))
    np.testing.assert_array_equal(flipped, image[::-1])


@pytest.mark.parametrize("method", ["bicubic", "nearestneighbor"])
def test_zoom_looks_at_the_middle_and_keeps_the_size(method: str, rng: np.random.Generator) -> None:
    image = rng.random((8, 12, 3)).astype("f4")
    spec = FitSpec(zoom=2, interpolationMethod=method)
    near = fit_frame(image, spec, 8, 12, 3)
    # Corner pixels map to corner pixels: those of the middle half.
    np.testing.assert_allclose(near[:: 8 - 1, :: 12 - 1], image[2:6:3, 3:9:5], atol=1e-6)
    away = fit_frame(image, FitSpec(zoom=0.5, interpolationMethod="nearestneighbor"), 8, 12, 3)
    np.testing.assert_array_equal(away[:2, :3], np.broadcast_to(image[0, 0], (2, 3, 3)))
    np.testing.assert_array_equal(away[-2:, -3:], np.broadcast_to(image[-1, -1], (2, 3, 3)))
    flat = fit_frame(np.full((8, 12, 1), 0.3, "f4"), FitSpec(zoom=1.3), 8, 12, 1)
    np.testing.assert_allclose(flat, 0.3, rtol=1e-6)


def test_random_zooms_are_even_in_their_logarithm_and_multiply_zoom() -> None:
    spec = FitSpec(jitterChangeInterval=1, maxZoom=1.25, maxShiftX=3, xFlipEnabled=True)
    many = [jitter_at(spec, 5, display, 2) for display in range(2000)]
    exponent = np.log([jitter.zoom for jitter in many]) / np.log(1.25)
    counts, _ = np.histogram(exponent, 8, (-1, 1))
    assert counts.sum() == 2000 and counts.min() > 200
    # A new key leaves the shifts and flips that runs have had.
    still = [jitter_at(replace(spec, maxZoom=1.0), 5, d, 2) for d in range(9)]
    assert [(j.x, j.flip_x, 1.0) for j in many[:9]] == [(j.x, j.flip_x, j.zoom) for j in still]
    image = np.random.default_rng(3).random((16, 16, 1), np.float32)
    both = fit_frame(image, FitSpec(zoom=1.5), 16, 16, 1, jitter=Jitter(zoom=4 / 3))
    np.testing.assert_array_equal(both, fit_frame(image, FitSpec(zoom=2), 16, 16, 1))


def test_zoom_comes_before_size_and_offset(rng: np.random.Generator) -> None:
    image = rng.random((8, 8, 1)).astype("f4")
    near = fit_frame(image, FitSpec(zoom=1.5), 8, 8, 1)
    how = {"autoResizeFlag": True, "offsetX": 1}
    both = fit_frame(image, FitSpec(zoom=1.5, **how), 4, 4, 1)
    np.testing.assert_array_equal(both, fit_frame(near, FitSpec(**how), 4, 4, 1))


def test_wrong_words_are_refused() -> None:
    for options in (
        {"offsetAnchor": "xx"}, {"offsetAnchor": "t"}, {"aspectRatioAdjustment": "fill"},
        {"interpolationMethod": "cubic"}, {"maxShiftX": -1}, {"maxZoom": 0.9},
        {"jitterChangeIntervalUnit": "s"},
    ):  # fmt: skip
        with pytest.raises(RequestError, match=next(iter(options))):
            FitSpec(**options)


def test_the_frame_given_is_not_changed(rng: np.random.Generator) -> None:
    image = rng.random((4, 4, 3)).astype("f4")
    before = image.copy()
    frame = fit_frame(image, FitSpec(), 4, 4, 3)
    frame[:] = 0
    np.testing.assert_array_equal(image, before)
