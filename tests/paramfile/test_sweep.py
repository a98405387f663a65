"""Overrides from the command line and from ParameterSweep groups."""

from __future__ import annotations

import pytest

from neurosim.errors import ParamsError, RequestError
from neurosim.paramfile import load_text, read_overrides

TEXT = """HyPerCol "column" = { nx = 64; ny = 64; };
HyPerLCALayer "V1" = { VThresh = 0.1; };
ImageLayer "Face" = { inputPath = "a.txt"; };
"""


def test_texts_are_read_as_in_a_file_and_paths_need_no_quotes():
    assert read_overrides(
        ["a.b=0.5", "a.c=true", "a.d=[1, 2]", 'a.e="x y"', "a.f=faces/train", "a.g=NULL", "a.h=a=b"]
    ) == {
        "a.b": 0.5,
        "a.c": True,
        "a.d": (1.0, 2.0),
        "a.e": "x y",
        "a.f": "faces/train",
        "a.g": None,
        "a.h": "a=b",
    }


def test_python_values_are_taken_as_they_are():
    values = {"a.b": 2, "a.c": [1, 2.5], "a.d": "1", "a.e": True, "a.f": None}
    assert read_overrides(values) == {**values, "a.b": 2.0, "a.c": (1.0, 2.5)}
    with pytest.raises(RequestError, match="is no number"):
        read_overrides({"a.b": object()})


def test_overrides_change_the_model():
    model = load_text(TEXT, overrides={"V1.VThresh": 0.3, "Face.inputPath": "b.txt"}).model
    assert (model["V1"].VThresh, model["Face"].inputPath) == (0.3, "b.txt")
    assert model.where("V1", "VThresh") == "--set V1.VThresh"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("V2.VThresh=1", 'V2.VThresh: no group "V2"; did you mean "V1"?'),
        (
            "V1.VThres=1",
            'V1.VThres: HyPerLCALayer "V1" has no key "VThres"; did you mean "VThresh"?',
        ),
        ("VThresh=1", '--set VThresh=1: give Group.key=value, as in "V1.VThresh=0.02"'),
        ("V1.VThresh", '--set V1.VThresh: give Group.key=value, as in "V1.VThresh=0.02"'),
        (
            "V1.VThresh=high",
            '--set V1.VThresh: HyPerLCALayer "V1": VThresh = "high": must be a number',
        ),
    ],
)
def test_wrong_overrides(override, message):
    with pytest.raises(RequestError) as caught:
        load_text(TEXT, overrides=[override])
    assert str(caught.value) == message


def test_sweeps_run_side_by_side():
    text = TEXT + (
        'ParameterSweep "V1":VThresh = { 0.1; 0.2; };\n'
        'ParameterSweep "column":outputPath = { "out/a"; "out/b"; };'
    )
    assert load_text(text).sweeps == (
        {"V1.VThresh": 0.1, "column.outputPath": "out/a"},
        {"V1.VThresh": 0.2, "column.outputPath": "out/b"},
    )
    assert load_text(TEXT).sweeps == ()


@pytest.mark.parametrize(
    ("sweeps", "message"),
    [
        ('"V1":VThresh = { };', 'f:4: ParameterSweep "V1":VThresh: has no values'),
        ('"V1":VThres = { 1; };', 'f:4: ParameterSweep: V1.VThres: HyPerLCALayer "V1" has no key'),
        ('"V2":VThresh = { 1; };', 'f:4: ParameterSweep: V2.VThresh: no group "V2"'),
        (
            '"V1":VThresh = { 1; };\nParameterSweep "V1":AMin = { 1; 2; };',
            'f:5: ParameterSweep "V1":AMin: has 2 values, but the sweep at f:4 has 1',
        ),
        (
            '"V1":VThresh = { 1; };\nParameterSweep "V1":VThresh = { 1; };',
            'f:5: ParameterSweep "V1":VThresh: is swept twice, first at line 4',
        ),
    ],
)
def test_wrong_sweeps(sweeps, message):
    with pytest.raises(ParamsError) as caught:
        load_text(f"{TEXT}ParameterSweep {sweeps}", "f")
    assert str(caught.value).startswith(message)
