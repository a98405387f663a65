"""Each figure shows the numbers that it was given, in the order it says."""

from __future__ import annotations

import doctest
import importlib
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from neurosim.plotting.curves import learning_curves, settling, smooth
from neurosim.plotting.dictionaries import dictionary, most_used
from neurosim.plotting.history import Course
from neurosim.plotting.network import Box, network_graph, places
from neurosim.plotting.readout import Interval, scores, svm_weights
from neurosim.plotting.reconstructions import likeness, picture_table, same_contrast
from neurosim.plotting.robustness import Coded, compared_codes, distances
from neurosim.plotting.selectivity import (
    Answers,
    average_faces,
    neuron_activity,
    radial,
    two_ways,
    weighted_means,
)
from neurosim.plotting.style import COLORS, MARKERS, SETS, centred, encode

BOXES = [
    Box("P1", (1, 1, 512), "threshold 0.03", {"VP1": "", "T1": ""}, ("VP1",)),
    Box("Face", (64, 64, 3)),
    Box("VP1", (8, 8, 128), "", {"V1": ""}),
    Box("Name", (128, 16, 1)),
    Box("V1", (16, 16, 128), "", {"Face": "128 atoms"}),
    Box("T1", (32, 1, 64), "", {"Name": ""}),
]


def texts(figure: Figure) -> list[str]:
    """All that can be read in a figure."""
    figure.canvas.draw()
    found = figure.findobj(matplotlib.text.Text)
    return [text.get_text() for text in found if text.get_text()]


@pytest.mark.parametrize(
    "module",
    ["dictionaries", "material", "of_analysis", "style"],
)
def test_examples(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"neurosim.plotting.{module}"))
    assert result.failed == 0
    assert result.attempted > 0


def test_levels_stand_above_what_they_code_and_none_on_another() -> None:
    at = places(BOXES)
    for box in BOXES:
        assert all(at[box.name][1] > at[below][1] for below in box.codes)
    assert at["Face"][1] == at["Name"][1] == 0
    assert at["P1"][1] == 3
    assert len(set(at.values())) == len(BOXES)


def test_the_graph_tells_names_sizes_and_arrows() -> None:
    figure = network_graph(BOXES)
    shown = texts(figure)
    assert {box.name for box in BOXES} <= set(shown)
    assert "16 × 16 × 128 = 32,768" in shown
    assert "1 × 1 × 512 = 512\nthreshold 0.03" in shown
    arrows = figure.axes[0].findobj(matplotlib.patches.FancyArrowPatch)
    assert len(arrows) == 6  # five dictionaries, one feedback


def test_ends_of_presentations_are_the_last_samples_before_the_next() -> None:
    when = Course(np.array([1.0, 101.0, 131.0]), nbatch=4)
    shown, sample = when.ends(np.arange(1.0, 151.0))
    assert list(shown) == [0, 1, 2]
    assert list(sample) == [99, 129, 149]
    # A layer that was recorded in the second presentation alone.
    shown, sample = when.ends(np.array([110.0, 120.0]))
    assert (list(shown), list(sample), list(when.shown(shown))) == ([1], [1], [8])


def test_few_values_are_drawn_as_they_are_and_many_smoothed(rng: np.random.Generator) -> None:
    x, y = np.arange(1.0, 9.0), rng.uniform(1, 2, 8)
    many = np.arange(1.0, 101.0), rng.uniform(10, 20, 100)
    figure = learning_curves({"panel": {"low": (x, y), "high": many}}, "images", "energy")
    (ax,) = figure.axes
    faint, bold, few = ax.lines
    assert (bold.get_label(), few.get_label()) == ("high", "low")  # as they end
    np.testing.assert_array_equal(faint.get_ydata(), many[1])
    np.testing.assert_array_equal(bold.get_ydata(), smooth(many[1], 4))
    np.testing.assert_array_equal(few.get_ydata(), y)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title("left")) == ("images", "energy", "panel")


def test_a_running_mean_keeps_a_constant() -> None:
    np.testing.assert_allclose(smooth(np.full(50, 3.0), 7), 3.0)


def test_settling_shows_the_mean_and_the_range_of_a_batch(rng: np.random.Generator) -> None:
    values = rng.random((10, 3))
    figure = settling(np.arange(10.0), [values], ["images 1 to 3"])
    (ax,) = figure.axes
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), values.mean(axis=1))
    vertices = ax.collections[0].get_paths()[0].vertices
    assert vertices[:, 1].min() == values.min()
    assert vertices[:, 1].max() == values.max()


def test_most_used_leaves_out_what_is_never_active() -> None:
    assert list(most_used(np.array([0.1, 0, 0.4, 0.1, 0]), 10)) == [2, 0, 3]
    assert list(most_used(np.array([0.1, 0, 0.4, 0.1, 0]), 1)) == [2]


def test_the_dictionary_shows_atoms_in_order_and_counts_the_dead(rng: np.random.Generator) -> None:
    atoms = rng.normal(size=(3, 4, 4, 3))
    use = np.array([0.1, 0, 0.4, 0.1, 0])
    figure = dictionary(atoms, use, shown=most_used(use, 3))
    sheet, curve = figure.axes
    canvas = sheet.images[0].get_array()
    for number, atom in enumerate(centred(atoms)):
        np.testing.assert_allclose(canvas[:4, 5 * number : 5 * number + 4], atom)
    np.testing.assert_array_equal(curve.lines[0].get_ydata(), [0.4, 0.1, 0.1])
    assert "2 never active" in "".join(texts(figure))
    assert "the 5 atoms, by use" in texts(figure)


def test_signed_pictures_have_zero_at_mid_grey() -> None:
    images = np.zeros((2, 1, 2, 1))
    images[0, 0] = [[-2], [1]]
    np.testing.assert_array_equal(centred(images)[:, 0, :, 0], [[0, 0.75], [0.5, 0.5]])


def test_pictures_stand_in_their_row_and_column(rng: np.random.Generator) -> None:
    rows = [rng.random((2, 4, 4, 3)), rng.random((2, 2, 8, 1))]
    figure = picture_table(rows, ["first", "second"], ["a", "b"], [[], ["r 1", "r 2"]])
    first, _, third, fourth = figure.axes
    np.testing.assert_array_equal(first.images[0].get_array(), rows[0][0])
    np.testing.assert_array_equal(fourth.images[0].get_array()[..., 0], rows[1][1, ..., 0])
    assert (first.get_title("center"), first.get_ylabel()) == ("a", "first")
    assert (third.get_xlabel(), fourth.get_xlabel()) == ("r 1", "r 2")


def test_contrast_is_that_of_the_others_and_likeness_ignores_it(rng: np.random.Generator) -> None:
    images, others = rng.normal(size=(2, 3, 4, 4, 3))
    made = same_contrast(images, others)
    np.testing.assert_allclose(made.mean((1, 2, 3)), others.mean((1, 2, 3)))
    np.testing.assert_allclose(made.std((1, 2, 3)), others.std((1, 2, 3)))
    assert likeness(images, 3 * images - 1) == ["r 1.00"] * 3
    assert likeness(images, np.zeros_like(images)) == [""] * 3


def test_average_faces_are_weighted_by_activity(rng: np.random.Generator) -> None:
    pictures = rng.random((3, 2, 2, 1))
    activity = np.array([[1.0, 0, 0], [3, 2, 0], [0, 0, 0]])
    means = weighted_means(activity, pictures)
    np.testing.assert_allclose(means[0], (pictures[0] + 3 * pictures[1]) / 4)
    np.testing.assert_allclose(means[1], pictures[1])
    assert not means[2].any()
    figure = average_faces(means[:2], pictures.mean(axis=0), ["7", "9"])
    np.testing.assert_allclose(figure.axes[0].images[0].get_array()[:2, :2, 0], means[0, ..., 0])
    assert {"7", "9"} <= set(texts(figure))


def test_the_circle_shows_means_clockwise_from_the_top(rng: np.random.Generator) -> None:
    mean, deviation = rng.random((2, 5))
    figure = radial([mean, mean[::-1]], [deviation, deviation], ["her", "others"], 2, "neuron 40")
    ax = figure.axes[0]
    np.testing.assert_array_equal(ax.lines[0].get_ydata()[:5], mean)
    np.testing.assert_allclose(ax.lines[0].get_xdata()[:5], 2 * np.pi * np.arange(5) / 5)
    assert (ax.get_theta_direction(), ax.get_theta_offset()) == (-1, np.pi / 2)  # type: ignore[attr-defined]
    assert ax.lines[2].get_ydata()[0] == mean[2]
    assert figure.axes[1].lines[2].get_ydata()[0] == mean[2]  # the middle of five
    assert {"her", "others", "neuron 40"} <= set(texts(figure))
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


def test_every_image_is_a_dot_on_its_side(rng: np.random.Generator) -> None:
    activity, target = rng.random(20) + 0.01, np.arange(20) < 8
    activity[:2] = 0
    figure = neuron_activity([Answers("validation", activity, target)], 0.5, "her")
    left, middle, right = figure.axes
    np.testing.assert_array_equal(left.lines[0].get_ydata(), activity[target])
    np.testing.assert_array_equal(middle.lines[0].get_ydata(), activity[~target])
    assert all(list(ax.lines[-1].get_ydata()) == [0.5, 0.5] for ax in figure.axes)
    assert left.get_ylim() == middle.get_ylim() == right.get_ylim()
    assert {"images of her", "images of others", "validation"} <= set(texts(figure))
    assert {"25 % silent", "0 % silent"} <= set(texts(figure))
    shares = [bar.get_width() for bar in right.patches]
    assert sum(shares) == pytest.approx(6 / 8 + 1)


def test_a_neuron_that_never_answers_can_be_drawn() -> None:
    none = Answers("validation", np.zeros(6), np.arange(6) < 2)
    assert encode(neuron_activity([none], 0.0, "her"), "png")


def test_two_ways_marks_the_neuron(rng: np.random.Generator) -> None:
    x, y = rng.random((2, 6))
    (ax,) = two_ways(x, y, "by face", "by name", {4: "neuron 4"}).axes
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), np.delete(x, 4))
    assert (ax.lines[1].get_xdata()[0], ax.lines[1].get_ydata()[0]) == (x[4], y[4])


def test_weights_stand_at_their_neuron_and_sorted(rng: np.random.Generator) -> None:
    weights = rng.normal(size=12)
    figure = svm_weights(weights, marked=3, named=2)
    left, right = figure.axes
    segments = left.collections[0].get_segments()  # type: ignore[attr-defined]
    np.testing.assert_allclose([s[1] for s in segments], np.stack([np.arange(12), weights], 1))
    assert (left.lines[0].get_xdata()[0], left.lines[0].get_ydata()[0]) == (3, weights[3])
    rank = int(np.count_nonzero(weights > weights[3]))
    assert (right.lines[0].get_xdata()[0], right.lines[0].get_ydata()[0]) == (rank, weights[3])
    told = {text.get_text() for text in left.texts}
    assert told == {"3", *map(str, np.argsort(-np.abs(weights))[:2])}


def test_scores_stand_beside_their_name_with_their_interval() -> None:
    rows = {
        "P1": {"original": Interval(0.8, 0.7, 0.85), "noisy": Interval(0.75, 0.7, 0.8)},
        "pixels": {"original": Interval(0.6, 0.5, 0.7)},
    }
    (ax,) = scores(rows, ["original", "noisy"], strong=["P1"]).axes
    assert [text.get_text() for text in ax.get_yticklabels()] == ["P1", "pixels"]
    assert [text.get_fontweight() for text in ax.get_yticklabels()] == ["bold", "normal"]
    original, noisy = ax.containers
    np.testing.assert_array_equal(original.lines[0].get_xdata(), [0.8, 0.6])  # type: ignore[attr-defined]
    np.testing.assert_array_equal(np.rint(original.lines[0].get_ydata()), [0, 1])  # type: ignore[attr-defined]
    bars = original.lines[2][0].get_segments()  # type: ignore[attr-defined]
    np.testing.assert_allclose([[s[0, 0], s[1, 0]] for s in bars], [[0.7, 0.85], [0.5, 0.7]])
    assert len(noisy.lines[0].get_xdata()) == 1  # type: ignore[attr-defined]
    assert ax.yaxis_inverted()


def test_codes_are_compared_by_neuron(rng: np.random.Generator) -> None:
    codes = {"original": np.array([0, 3.0, 0, 1, 2]), "noisy": np.array([0, 2.5, 0.5, 0, 2])}
    pictures = {name: rng.random((4, 4, 3)) for name in codes}
    figure = compared_codes([Coded("a.png", pictures, codes)], units=3, marked=4)
    (ax,) = (ax for ax in figure.axes if ax.get_xlabel() == "neuron")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "4", "3"]
    np.testing.assert_array_equal([bar.get_height() for bar in ax.patches], [3, 2, 1])
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [2.5, 2, 0])
    assert ax.get_xticklabels()[1].get_fontweight() == "bold"


def test_distances_are_bars_with_their_numbers() -> None:
    figure = distances({"V1": {"noisy": 0.5}, "P1": {"noisy": 0.02}}, ["noisy"])
    (ax,) = figure.axes
    assert [bar.get_width() for bar in ax.patches] == [0.5, 0.02]
    assert {" 0.500", " 0.020", "noisy"} <= set(texts(figure))


DRAWN: dict[str, Callable[[], Figure]] = {
    "network": lambda: network_graph(BOXES),
    "atoms": lambda: dictionary(np.ones((5, 4, 4, 3)), np.array([0.1, 0.2, 0, 0.3, 0.1])),
    "curve": lambda: settling(np.arange(3.0), [np.ones((3, 1))], ["one"]),
}


@pytest.mark.parametrize("name", DRAWN)
def test_files_are_whole_and_the_same_each_time(name: str) -> None:
    about = {"Title": "A title", "Description": "What one sees", "Source": "neurosim report out"}
    png, again = (encode(DRAWN[name](), "png", about) for _ in range(2))
    assert png == again
    picture = Image.open(io.BytesIO(png))
    picture.load()
    assert (picture.format, picture.text["Description"]) == ("PNG", "What one sees")  # type: ignore[attr-defined]
    svg, again = (encode(DRAWN[name](), "svg", about) for _ in range(2))
    assert svg == again
    assert ET.fromstring(svg).tag.endswith("svg")
    assert b"neurosim report out" in svg
    # Addresses of vocabularies are names; nothing is loaded from them.
    assert not re.search(rb'(?:href|src)="(?!#|data:)', svg)


def test_figures_neither_use_nor_change_the_readers_settings() -> None:
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"font.size": 40, "lines.linewidth": 9}):
        figure = DRAWN["curve"]()
        small = encode(figure, "png")
    assert dict(matplotlib.rcParams) == before
    assert small == encode(DRAWN["curve"](), "png")


def luminance(color: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", [COLORS, SETS])
def test_neighbouring_colours_differ_and_show_on_white(palette: tuple[str, ...]) -> None:
    # Okabe and Ito's: what a dichromat sees of two of them still differs; markers help besides.
    assert len(set(palette)) == len(palette)
    assert len(MARKERS) >= len(SETS)
    assert all(1.05 / (luminance(color) + 0.05) > 1.9 for color in palette)
