"""The echo: a model's text gives the model again, whatever the model."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings

from neurosim.paramfile import load_model, load_text, parse_model, write_groups, write_model
from neurosim.specs import Model, conditions
from tests.specs.strategies import models

GOOD = Path(__file__).parent / "good.params"


@settings(max_examples=150)
@given(models())
def test_parse_of_write_is_the_same(model: Model):
    assert parse_model(write_model(model)) == model


def test_echo_of_a_file_is_the_same_model_and_needs_no_note():
    loaded = load_model(GOOD)
    again = load_text(write_model(loaded.model))
    assert again.model == loaded.model
    assert again.notes == ()


def test_echo_says_every_key_that_is_read_and_no_other():
    model = load_model(GOOD).model
    text = write_model(model)
    for spec in (model.column, *model.objects):
        block = text.split(f'{spec.kind} "{spec.name}" = {{')[1].split("};")[0]
        for key in conditions(type(spec)):
            shown = spec.reads(key) and getattr(spec, key) != ()
            assert (f"    {key} " in block) is shown, (spec.name, key)


def test_groups_are_written_as_given():
    loaded = load_model(GOOD)
    for groups in (loaded.groups, loaded.expanded_groups):
        again = load_text(write_groups(groups))
        assert again.model == loaded.model
    assert "SparseCoding" not in write_groups(loaded.expanded_groups)


def test_numbers_survive_exactly():
    text = 'HyPerCol "c" = { nx = 1; ny = 1; dt = 0.1; stopTime = 1e-7; progressInterval = 1e30; };'
    column = parse_model(write_model(parse_model(text))).column
    assert (column.dt, column.stopTime, column.progressInterval) == (0.1, 1e-7, 1e30)
