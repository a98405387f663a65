"""Levels of a code whose children are other levels, inputs, or what a layer makes of these."""

from __future__ import annotations

from neurosim import loads
from neurosim.network.levels import gone_without, levels, made_of, top_level
from tests.physics.test_held import TEXT

WORD = 'NameLayer "Word" = { nxScale = 1; nyScale = 1; labelSource = "Face"; writeStep = -1; };'
NAMED = TEXT.replace('codes = "Pool";', 'codes = ["Pool", "Word"];') + WORD


def test_a_level_over_a_pooled_level_is_the_top() -> None:
    network = loads(TEXT).network
    assert list(levels(network)) == ["V1", "P1"]
    assert top_level(network) == "P1"
    assert made_of(network, "Pool") == {"V1"}
    assert made_of(network, "Face") == {"Face"}


def test_what_pools_a_missing_level_is_missing_too() -> None:
    network = loads(NAMED).network
    gone = gone_without(network, ["Face"])
    # The image is still shown: it tells the name.
    assert gone == {"V1", "FaceError", "FaceRecon", "Pool", "PoolError", "PoolRecon"}
    assert gone_without(network, ["Word"]) == {"Word", "WordError", "WordRecon"}


def test_a_level_over_a_rescaled_pool_is_the_top() -> None:
    text = TEXT.replace('codes = "Pool"', 'codes = "Even"') + (
        'RescaleLayer "Even" = { originalLayerName = "Pool"; rescaleMethod = "meanstd"; };'
    )
    network = loads(text).network
    assert made_of(network, "Even") == {"V1"}
    assert top_level(network) == "P1"
    named = loads(text.replace('"Even";', '["Even", "Word"];', 1) + WORD).network
    assert {"V1", "Even", "EvenError"} <= gone_without(named, ["Face"])
