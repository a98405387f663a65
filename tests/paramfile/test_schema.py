"""Groups to models: unknown keys and kinds, old names, notes, what each message says."""

from __future__ import annotations

import pytest

from neurosim.errors import ParamsError
from neurosim.paramfile import load_model, load_text, parse_model

COLUMN = 'HyPerCol "column" = { nx = 64; ny = 64; };\n'


def load(text, **options):
    return load_text(COLUMN + text, "f", **options)


def told(text):
    with pytest.raises(ParamsError) as caught:
        load(text)
    return str(caught.value)


@pytest.mark.parametrize(
    "name", ["v1_lca", "v1_image", "v1_adaptive", "v1_momentum", "v1_learn", "dsc2"]
)
def test_recorded_cases_load(conformance, name):
    loaded = load_model(conformance / f"{name}.params")
    assert loaded.model.column.nx == 64
    assert "V1" in loaded.model.layers
    assert len(loaded.notes) == 1
    assert "updateGpu" in loaded.notes[0]


def test_all_mistakes_of_a_file_are_told_together():
    text = (
        'HyPerLCALayer "V1" = {\n  timeConstTau = 3;\n  nf = 0;\n};\n'
        'HyPerLayer "E" = { InitVType = "Zero"; };\nIdentConn "c" = { channelCode = "a"; };'
    )
    assert told(text).split("\n") == [
        'f:3: HyPerLCALayer "V1": unknown key "timeConstTau"; did you mean "timeConstantTau"?',
        'f:4: HyPerLCALayer "V1": nf = 0: must be an integer >= 1',
        'f:6: HyPerLayer "E": InitVType = "Zero": must be one of "ConstantV", "ZeroV", '
        '"UniformRandomV", "GaussianRandomV", "DiscreteUniformRandomV", "InitVFromFile"',
        'f:7: IdentConn "c": channelCode = "a": must be an integer >= -1 and <= 4',
    ]


def test_missing_keys_say_what_they_are():
    assert told('RescaleLayer "R" = { originalLayerName = "x"; };') == (
        'f:2: RescaleLayer "R": missing key "rescaleMethod" (What is made equal for all inputs): '
        'one of "maxmin", "meanstd", "pointmeanstd", "pointResponseNormalization", "l2", '
        '"l2NoMean", "zerotonegative", "softmax", "logreg"'
    )


def test_kinds_outside_the_list_are_one_error_that_names_them_all():
    said = told('LIF "a" = {};\nHyPerLayers "b" = {};\nQuux "c" = {};')
    assert said.split("\n") == [
        'f:2: LIF "a": PetaVision has it, neurosim does not',
        'f:3: HyPerLayers "b": no such kind; did you mean "HyPerLayer"?',
        'f:4: Quux "c": no such kind',
    ]


def test_names_that_no_result_file_could_hold():
    assert told('HyPerLayer "a/b" = {};') == (
        'f:2: HyPerLayer "a/b": name = "a/b": must be letters, digits, blanks, _, - '
        "and ., the first a letter, a digit or _"
    )


def test_a_key_of_ours_in_the_wrong_place_says_where_it_belongs():
    assert told('HyPerLayer "E" = { subtractMean = true; };') == (
        'f:2: HyPerLayer "E": unknown key "subtractMean" here; it belongs to ImageLayer, PvpLayer'
    )


def test_lenient_turns_unknown_keys_into_notes():
    loaded = load('HyPerLayer "E" = { nff = 3; };', lenient=True)
    assert loaded.notes == ('f:2: HyPerLayer "E": unknown key "nff"; did you mean "nf"?',)


def test_keys_without_effect_are_one_note():
    loaded = load(
        'HyPerLayer "a" = { updateGpu = true; InitVType = "ZeroV"; valueV = 1; };\n'
        'HyPerLayer "b" = { updateGpu = true; timeConstantTau = 3; };'
    )
    assert loaded.notes == (
        "ignored, for they have no effect where they stand: timeConstantTau (b), "
        "updateGpu (2 groups), valueV (a)",
    )


def test_error_on_unused_param():
    text = 'HyPerCol "c" = { nx = 1; ny = 1; errorOnUnusedParam = true; verifyWrites = true; };'
    with pytest.raises(ParamsError, match='f:1: HyPerCol "c": key "verifyWrites" has no effect'):
        load_text(text, "f")


def test_old_names_of_keys_and_kinds():
    model = load(
        'ANNLayer "a" = { VThresh = 1; VMax = 5; VMin = 0; VShift = 1; };\n'
        'Movie "m" = { imagePath = "x.png"; writeSparseActivity = true; };\n'
        'L1NormProbe "p" = { targetName = "a"; };\n'
        'AdaptiveTimeScaleProbe "t" = { energyProbe = "p"; };\n'
        'KernelConn "aTom" = { channelCode = 0; weightInitType = "UniformWeight";\n'
        '  plasticityFlag = false; normalizeMethod = "normalizeL2"; nonnegConstraintFlag = true; };'
    ).model
    layer = model.layers["a"]
    assert (layer.AMax, layer.AMin, layer.AShift) == (5.0, 0.0, 1.0)
    assert (model["m"].kind, model["m"].inputPath, model["m"].sparseLayer) == (
        "ImageLayer",
        "x.png",
        True,
    )
    assert (model["p"].targetLayer, model["t"].targetName) == ("a", "p")
    assert (model["aTom"].kind, model["aTom"].nonnegativeConstraintFlag) == ("HyPerConn", True)


def test_an_old_name_beside_the_new_one_is_ignored():
    loaded = load('ANNLayer "a" = { AMax = 5; VMax = 7; };')
    assert loaded.model.layers["a"].AMax == 5.0
    assert "VMax (a)" in loaded.notes[0]


def test_old_trigger_flag_false_switches_the_trigger_off():
    text = 'HyPerLayer "a" = { triggerLayerName = "b"; triggerFlag = %s; };'
    assert load(text % "false").model.layers["a"].triggerLayerName is None
    assert load(text % "true").model.layers["a"].triggerLayerName == "b"


def test_old_momentum_tau_is_kept_apart():
    text = """MomentumConn "aTob" = { channelCode = -1; weightInitType = "UniformRandomWeight";
        normalizeMethod = NULL; dWMax = 1; momentumMethod = "viscosity"; momentumTau = 200;
        triggerLayerName = "b"; };"""
    conn = load(text).model.connections["aTob"]
    assert conn.momentumTau == 200.0
    assert conn.normalizeMethod == "none"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'f:1: no HyPerCol; a params file starts with HyPerCol "column" ='),
        ('HyPerLayer "a" = {};', "f:1: no HyPerCol"),
        (COLUMN + 'HyPerCol "d" = { nx = 1; ny = 1; };', 'f:2: HyPerCol "d": a second HyPerCol'),
    ],
)
def test_there_is_one_column(text, message):
    with pytest.raises(ParamsError) as caught:
        parse_model(text, "f")
    assert message in str(caught.value)


def test_errors_of_the_model_have_a_place():
    said = told(
        'HyPerLayer "a" = {};\nCloneVLayer "c" = {\n originalLayerName = "a";\n nf = 7;\n};'
    )
    assert said.startswith('f:5: CloneVLayer "c": nf = 7, but its original a has 1')
    model = load('HyPerLayer "a" = {\n nf = 3; };').model
    assert model.where("a") == "f:2"
    assert model.where("a", "nf") == "f:3"
    assert str(model.error("a", "is odd", "nf")) == 'f:3: HyPerLayer "a": is odd'


def test_every_integer_is_rounded_as_petavision_does():
    assert load('HyPerLayer "a" = { nf = 2.5; phase = 3.5; };').model["a"].nf == 2
    assert load('HyPerLayer "a" = { nf = 2.5; phase = 3.5; };').model["a"].phase == 4
