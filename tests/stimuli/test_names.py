"""Names as pictures."""

from __future__ import annotations

import numpy as np
import pytest

from neurosim.errors import RequestError
from neurosim.stimuli.names import font_name, render_text


def test_ink_is_white_on_black_in_the_asked_size() -> None:
    image = render_text("Halle_Berry")
    assert image.shape == (16, 128) and image.dtype == np.float32
    assert image.min() == 0 and image.max() > 0.9
    assert len(np.unique(image)) > 10  # grey edges, not a bitmap
    np.testing.assert_array_equal(image, render_text("Halle Berry"))
    assert render_text("A", 40, 30).shape == (30, 40)


def test_blank_is_black() -> None:
    for blank in ("", "  ", "_"):
        assert not render_text(blank).any()


def test_different_names_differ_and_prefixes_agree() -> None:
    first, second = render_text("Mara Quill"), render_text("Joren Varga")
    assert np.abs(first - second).mean() > 0.05
    longer = render_text("Mara")
    width = np.flatnonzero(longer.any(axis=0)).max() - 1
    np.testing.assert_array_equal(longer[:, :width], render_text("Mara J")[:, :width])


@pytest.mark.parametrize("text", ["Bartholomew Featherstonehaugh", "W" * 200])
def test_long_names_shrink_to_fit(text: str) -> None:
    columns = np.flatnonzero(render_text(text).max(axis=0) > 0.2)
    assert columns.size and columns.max() <= 127
    assert columns.max() > 100  # all of the width is used


def test_capitals_are_not_cut() -> None:
    ink = render_text("HEH", 128, 16, 20)
    taller = render_text("HEH", 128, 40, 20)
    assert ink.sum() == pytest.approx(taller.sum(), rel=0.02)


def test_font_and_errors() -> None:
    assert font_name()
    with pytest.raises(RequestError, match="positive"):
        render_text("x", 0)
