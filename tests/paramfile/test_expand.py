"""The compact form: its wiring is PetaVision's, its sizes follow, its mistakes have its lines."""

from __future__ import annotations

import math

import pytest

from neurosim.errors import ParamsError
from neurosim.paramfile import load_text, parse_model

HEAD = """HyPerCol "column" = { nx = 64; ny = 64; };
ImageLayer "Face" = { nf = 3; inputPath = "x"; displayPeriod = 400; };
"""
V1 = """SparseCoding "V1" = {
  codes = "Face"; patchSize = 8; stride = 2; features = 128;
  VThresh = 0.015; dWMax = 1; %s
};
"""
VP1 = """SparseCoding "VP1" = {
  codes = "V1"; patchSize = 8; stride = 2; features = 64;
  VThresh = 0.02; dWMax = 1; %s
};
"""


def model(text):
    return parse_model(HEAD + text, "f")


def told(text):
    with pytest.raises(ParamsError) as caught:
        model(text)
    return str(caught.value)


def wires(m):
    """Return kind, ends and channel of every connection."""
    return {
        (c.kind, c.preLayerName, c.postLayerName, c.channelCode) for c in m.connections.values()
    }


def test_one_level_is_wired_as_in_petavision_files():
    m = model(V1 % "")
    assert wires(m) == {
        ("RescaleConn", "Face", "FaceError", 0),
        ("IdentConn", "FaceRecon", "FaceError", 1),
        ("MomentumConn", "V1", "FaceError", -1),
        ("TransposeConn", "FaceError", "V1", 0),
        ("CloneConn", "V1", "FaceRecon", 0),
    }
    assert {n: layer.phase for n, layer in m.layers.items()} == {
        "Face": 0,
        "FaceError": 1,
        "V1": 2,
        "FaceRecon": 3,
    }


def test_one_level_has_the_papers_numbers():
    m = model(V1 % "momentumTimeConstant = 200;")
    v1, weights = m.layers["V1"], m.connections["V1ToFaceError"]
    assert (v1.nxScale, v1.nyScale, v1.nf) == (0.5, 0.5, 128)
    assert (v1.VThresh, v1.AShift, v1.AMin, v1.VWidth) == (0.015, 0.015, 0, 0)
    assert (v1.InitVType, v1.valueV, v1.timeConstantTau) == ("ConstantV", 0.015, 100)
    assert (weights.nxp, weights.nyp, weights.nfp) == (8, 8, 3)
    assert (weights.wMinInit, weights.wMaxInit, weights.sparseFraction) == (-1, 1, 0.9)
    assert (weights.triggerLayerName, weights.triggerOffset) == ("Face", 1)
    assert (weights.momentumMethod, weights.timeConstantTau) == ("viscosity", 200)
    assert m.connections["FaceToFaceError"].scale == pytest.approx(1 / math.sqrt(8 * 8 * 3))
    assert m.layers["FaceError"].writeStep == m.layers["FaceRecon"].writeStep == -1


FEEDBACK = {
    "potential": {("IdentConn", "CloneV1", "V1Error", 0), ("IdentConn", "V1Error", "V1", 1)},
    "activity": {("IdentConn", "V1", "V1Error", 0), ("IdentConn", "V1Error", "V1", 1)},
    "none": {("IdentConn", "V1", "V1Error", 0)},
}


@pytest.mark.parametrize("feedback", FEEDBACK)
def test_feedback_between_levels(feedback):
    m = model(V1 % "" + VP1 % f'feedback = "{feedback}";')
    expected = FEEDBACK[feedback] | {
        ("IdentConn", "V1Recon", "V1Error", 1),
        ("MomentumConn", "VP1", "V1Error", -1),
        ("TransposeConn", "V1Error", "VP1", 0),
        ("CloneConn", "VP1", "V1Recon", 0),
    }
    assert wires(m) - wires(model(V1 % "")) == expected
    assert ("CloneV1" in m.layers) is (feedback == "potential")
    assert m.connections["VP1ToV1Error"].triggerLayerName == "Face"


def test_two_children_and_a_whole_field():
    m = model(
        'NameLayer "Name" = { nxScale = 2; nyScale = 0.25; labelSource = "Face"; };\n'
        + V1 % ""
        + 'SparseCoding "T1" = { codes = "Name"; patchSize = 16; strideX = 2; strideY = 16;'
        " features = 32; VThresh = 0.01; dWMax = 1; };\n"
        + 'SparseCoding "P1" = { codes = ["V1", "T1"]; wholeField = true; features = 512;'
        " VThresh = 0.03; learn = false; };"
    )
    p1 = m.layers["P1"]
    assert (p1.nxScale * 64, p1.nyScale * 64, p1.nf) == (1, 1, 512)
    over_v1, over_t1 = m.connections["P1ToV1Error"], m.connections["P1ToT1Error"]
    assert (over_v1.nxp, over_v1.nyp, over_v1.nfp) == (32, 32, 128)
    assert (over_t1.nxp, over_t1.nyp, over_t1.nfp) == (64, 1, 32)
    assert not over_v1.plasticityFlag
    assert m.connections["T1ToNameError"].triggerLayerName == "Face"
    drives = [
        c for c in m.connections.values() if (c.postLayerName, c.kind) == ("P1", "TransposeConn")
    ]
    assert [c.preLayerName for c in drives] == ["V1Error", "T1Error"]


def test_levels_may_stand_in_any_order_and_share_a_child():
    second = V1.replace('"V1"', '"W1"')
    m = model(VP1 % "" + second % "" + V1 % "")
    assert [n for n in m.layers if n.startswith("FaceE")] == ["FaceError"]
    into = [c.name for c in m.connections.values() if c.postLayerName == "FaceRecon"]
    assert sorted(into) == ["V1ToFaceRecon", "W1ToFaceRecon"]


def test_energy_of_a_deep_network():
    m = model(V1 % 'energy = "E";' + VP1 % 'energy = "E"; threshold = "hard";')
    terms = {p.name: (p.kind, p.targetLayer) for p in m.probes.values() if p.name != "E"}
    assert terms == {
        "FaceErrorL2": ("L2NormProbe", "FaceError"),
        "V1ErrorL2": ("L2NormProbe", "V1Error"),
        "V1Cost": ("L1NormLCAProbe", "V1"),
        "VP1Cost": ("L0NormLCAProbe", "VP1"),
    }
    l2 = m.probes["FaceErrorL2"]
    assert (l2.coefficient, l2.exponent, l2.energyProbe) == (0.5, 2, "E")


@pytest.mark.parametrize(
    ("threshold", "shift", "width"), [("soft", 0.015, 0), ("hard", 0, 0), ("firm", 0, 0.015)]
)
def test_thresholds(threshold, shift, width):
    v1 = model(V1 % f'threshold = "{threshold}";').layers["V1"]
    assert (v1.AShift, v1.VWidth) == (shift, width)


def test_other_dynamics_weights_and_outputs():
    v1 = model(V1 % 'layerKind = "MomentumLCALayer"; LCAMomentumRate = 0.5; writeStep = 7;')
    assert v1.layers["V1"].LCAMomentumRate == 0.5
    assert v1.layers["V1"].writeStep == 7
    m = model(
        V1 % 'layerKind = "ISTALayer"; initWeightsFile = "w.pvp"; weightInitType = "FileWeight";'
    )
    assert m.layers["V1"].kind == "ISTALayer"
    assert m.connections["V1ToFaceError"].initWeightsFile == "w.pvp"


def test_learning_rates_may_fall():
    m = model(V1 % "dWMaxDecayInterval = 49; dWMaxDecayFactor = 0.1;")
    weights = m.connections["V1ToFaceError"]
    assert (weights.dWMax, weights.dWMaxDecayInterval, weights.dWMaxDecayFactor) == (1, 49, 0.1)
    assert "must be a number >= 0 and < 1" in told(V1 % "dWMaxDecayFactor = 1;")


def test_learning_starts_at_the_last_step_of_a_presentation():
    text = HEAD.replace("ny = 64;", "ny = 64; dt = 0.5;") + V1 % ""
    assert parse_model(text).connections["V1ToFaceError"].triggerOffset == 0.5


def test_generated_groups_have_the_lines_of_the_compact_one():
    m = model(V1 % "")
    assert m.where("FaceError") == "f:3"
    assert m.where("V1", "VThresh") == "f:5"
    assert m.where("V1ToFaceError", "nxp") == "f:4"


MISTAKES = {
    V1.replace("codes = ", "code = ") % "": (
        'f:4: SparseCoding "V1": unknown key "code"; did you mean "codes"?\n'
        'f:3: SparseCoding "V1": missing key "codes" (The layers that are coded): '
        "an array of texts"
    ),
    V1.replace('"Face"', '"Fase"') % "": (
        'f:4: SparseCoding "V1": codes "Fase", which does not exist; did you mean "Face"?'
    ),
    V1.replace('"Face"', '"column"') % "": (
        'f:4: SparseCoding "V1": codes "column", which is a HyPerCol, no layer'
    ),
    V1.replace("stride = 2", "stride = 3") % "": (
        'f:4: SparseCoding "V1": stride 3 is no power of two'
    ),
    V1.replace("stride = 2", "stride = 128") % "": (
        'f:4: SparseCoding "V1": stride 128 does not divide the width 64 of "Face"'
    ),
    V1.replace("patchSize = 8", "patchSize = 7") % "": (
        'f:4: SparseCoding "V1": patchSize 7 over "Face" must be a multiple of stride 2'
    ),
    V1.replace("stride = 2", "stride = 1") % "": (
        'f:4: SparseCoding "V1": patchSize 8 over "Face" must be odd at stride 1'
    ),
    V1.replace("patchSize = 8;", "") % "": (
        'f:3: SparseCoding "V1": missing key "patchSize" (Width and height of a patch): '
        "an array of integers"
    ),
    V1.replace("VThresh = 0.015", "VThresh = 0") % "": (
        'f:5: SparseCoding "V1": VThresh = 0: must be a number > 0'
    ),
    V1.replace('"Face"', '"VP1"') % "" + VP1 % "": (
        'f:4: SparseCoding "V1": V1 codes VP1 codes V1'
    ),
    V1 % "" + 'HyPerLayer "FaceError" = {};': (
        'f:3: SparseCoding "V1": makes a group "FaceError", but that name is used by HyPerLayer '
        '"FaceError" at f:7; rename that one'
    ),
    V1 % "" + V1.replace('"V1"', '"W1"') % 'energy = "E";': (
        'f:9: SparseCoding "W1": codes "Face" as SparseCoding "V1" at f:3 does, but with another '
        "energy; they share its error, so give both the same"
    ),
    V1 % 'energy = "Face";': (
        'f:5: SparseCoding "V1": energy names ImageLayer "Face" at f:2, which is no '
        "ColumnEnergyProbe"
    ),
    'ImageLayer "Voice" = { inputPath = "x"; };\nHyPerLayer "H" = { nf = 3; };\n'
    + V1.replace('"Face"', '"H"') % "": (
        'f:5: SparseCoding "V1": cannot tell which input layer\'s change ends a presentation; '
        "give triggerLayerName"
    ),
}


@pytest.mark.parametrize("text", MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes(text):
    assert told(text) == MISTAKES[text]


def test_positions_over_two_children_must_agree():
    said = told(
        'HyPerLayer "Wide" = { nxScale = 2; };\nSparseCoding "V1" = { codes = ["Face", "Wide"]; '
        "patchSize = 8; stride = 2; features = 8; VThresh = 1; dWMax = 1; };"
    )
    assert said == (
        'f:4: SparseCoding "V1": the numbers of positions along x disagree (32 over "Face", '
        '64 over "Wide"); choose stride so that they are equal'
    )


def test_overrides_reach_compact_and_generated_groups():
    sets = ["V1.VThresh=0.5", "V1.triggerBehavior=ignore", "V1ToFaceError.dWMax=7"]
    with pytest.raises(ValueError, match="no key"):
        load_text(HEAD + V1 % "", "f", ["V1.triggerBehaviour=ignore"])
    m = load_text(HEAD + V1 % "", "f", sets).model
    assert (m.layers["V1"].VThresh, m.layers["V1"].AShift) == (0.5, 0.5)
    assert m.connections["V1ToFaceError"].dWMax == 7


def test_one_norm_over_all_coded_layers():
    text = """ImageLayer "Name" = { nf = 1; inputPath = "y"; displayPeriod = 400; };
SparseCoding "P1" = { codes = ["Face", "Name"]; wholeField = true; features = 8; VThresh = 0.1;
  dWMax = 1; triggerLayerName = "Face"; strength = 2; normalizeTogether = %s; };
"""
    apart, together = (model(text % flag).connections for flag in ("false", "true"))
    for connection in (*apart.values(), together["P1ToFaceError"]):
        if connection.kind == "MomentumConn":
            assert connection.normalizeMethod == "normalizeL2"
    assert together["P1ToFaceError"].strength == apart["P1ToNameError"].strength == 2
    assert together["P1ToNameError"].normalizeMethod == "normalizeGroup"
    assert together["P1ToNameError"].normalizeGroupName == "P1ToFaceError"


def test_weights_without_a_norm_start_at_zero():
    text = """ImageLayer "Name" = { nf = 1; inputPath = "y"; displayPeriod = 400; };
SparseCoding "P1" = { codes = ["Face", "Name"]; wholeField = true; features = 8; VThresh = 0.1;
  dWMax = 1; triggerLayerName = "Face"; unnormalized = %s; normalizeTogether = true; };
"""
    made = model(text % '["Name"]').connections
    assert made["P1ToFaceError"].normalizeMethod == "normalizeL2"
    name = made["P1ToNameError"]
    assert (name.normalizeMethod, name.weightInitType, name.weightInit) == (
        "none", "UniformWeight", 0.0,
    )  # fmt: skip
    # The group's head is the first layer that has a norm.
    assert model(text % '["Face"]').connections["P1ToNameError"].normalizeMethod == "normalizeL2"
    for wrong in ('["Face", "Name"]', '["Nose"]'):
        assert "must name some of the coded layers, not all" in told(text % wrong)
