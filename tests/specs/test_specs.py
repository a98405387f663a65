"""The specs: PetaVision's defaults, what is read when, ranges, and what follows from what."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from neurosim.errors import ParamsError
from neurosim.specs import (
    FLOAT_MAX,
    KINDS,
    CloneVLayer,
    FeedbackConn,
    HyPerCol,
    HyPerConn,
    HyPerLayer,
    HyPerLCALayer,
    IdentConn,
    ImageLayer,
    MaskLayer,
    Model,
    MomentumConn,
    RescaleLayer,
    SparseCoding,
    allowed,
    build,
    conditions,
    gather,
    markdown_reference,
)

COLUMN = HyPerCol(name="column", nx=64, ny=64, dt=2)
WEIGHTS = {
    "channelCode": -1,
    "weightInitType": "UniformRandomWeight",
    "normalizeMethod": "normalizeL2",
    "triggerLayerName": "Input",
    "dWMax": 1,
}

CODE = {"codes": "V", "features": 1, "VThresh": 1, "dWMax": 1, "patchSize": 2, "stride": 2}


def problem(kind, **values):
    spec, problems = build(kind, "x", values)
    assert spec is None
    return dict(problems)


def test_petavision_defaults_surprising_or_not():
    layer = HyPerLCALayer(name="V1", VThresh=0.05)
    assert (layer.InitVType, layer.valueV) == ("ConstantV", -70.0)
    assert layer.AMin == 0.05  # follows VThresh
    assert layer.AMax == FLOAT_MAX
    assert (layer.AShift, layer.VWidth, layer.timeConstantTau) == (0.0, 0.0, 1.0)
    conn = MomentumConn(name="V1ToError", momentumMethod="viscosity", **WEIGHTS)
    assert conn.plasticityFlag and conn.normalizeDw and conn.sharedWeights
    assert (conn.nxp, conn.nyp, conn.nfp, conn.delay) == (1, 1, -1, (0.0,))


@pytest.mark.parametrize(("method", "tau"), [("viscosity", 100), ("simple", 0.25), ("alex", 0.9)])
def test_momentum_time_constant_depends_on_the_method(method, tau):
    assert MomentumConn(name="aTob", momentumMethod=method, **WEIGHTS).timeConstantTau == tau


def test_momentum_tau_keeps_its_old_rule():
    conn = MomentumConn(name="aTob", momentumMethod="viscosity", momentumTau=200, **WEIGHTS)
    assert conn.momentumTau == 200
    assert not conn.reads("timeConstantTau")
    both = problem(
        MomentumConn, **WEIGHTS, momentumMethod="viscosity", momentumTau=200, timeConstantTau=1
    )
    assert "contradicts timeConstantTau" in both["momentumTau"]


def test_keys_that_are_not_read_are_let_go_and_told():
    layer = HyPerLayer(name="E", InitVType="ZeroV", valueV=3, mirrorBCflag=True, valueBC=1)
    assert layer.unread() == ("valueBC", "valueV")
    assert layer == HyPerLayer(name="E", InitVType="ZeroV", mirrorBCflag=True)
    assert "valueV" not in layer.effective()


def test_conditions_chain():
    silent = HyPerConn(
        name="aTob", channelCode=0, weightInitType="UniformWeight", normalizeMethod="none",
        plasticityFlag=False, triggerLayerName="T", triggerOffset=1, dWMax=5,
    )  # fmt: skip
    assert set(silent.unread()) == {"triggerLayerName", "triggerOffset", "dWMax"}


def test_numbers_become_what_the_field_is():
    column = HyPerCol(name="c", nx=63.6, ny=2.5, checkpointWrite=1, nbatch=True)
    assert (column.nx, column.ny, column.checkpointWrite, column.nbatch) == (64, 2, True, 1)
    assert HyPerLCALayer(name="V", AMax=float("inf")).AMax == FLOAT_MAX


def test_spellings_petavision_accepts():
    layer = ImageLayer(
        name="I", inputPath="x", offsetAnchor="LT", batchMethod="byImage", autoResizeFlag=True,
        aspectRatioAdjustment="PAD", interpolationMethod="nearestNeighbor",
    )  # fmt: skip
    assert (layer.offsetAnchor, layer.batchMethod) == ("tl", "byFile")
    assert (layer.aspectRatioAdjustment, layer.interpolationMethod) == ("pad", "nearestneighbor")
    assert problem(ImageLayer, inputPath="x", offsetAnchor="q") == {
        "offsetAnchor": 'offsetAnchor = "q": must be one of "tl", "tc", "tr", "cl", "cc", "cr", '
        '"bl", "bc", "br"'
    }


@pytest.mark.parametrize(
    ("kind", "values", "key", "message"),
    [
        (HyPerCol, {"nx": 0, "ny": 1}, "nx", "nx = 0: must be an integer >= 1"),
        (
            HyPerCol,
            {"ny": 1},
            "nx",
            'missing key "nx" (Width of a layer with nxScale 1): an integer',
        ),
        (HyPerCol, {"nx": "a", "ny": 1}, "nx", 'nx = "a": must be an integer >= 1'),
        (HyPerLayer, {"nxScale": -1}, "nxScale", "nxScale = -1: must be a number > 0"),
        (HyPerLayer, {"InitVType": "Zero"}, "InitVType", 'InitVType = "Zero": must be one of "Con'),
        (HyPerLayer, {"phase": None}, "phase", "phase = NULL: must be an integer >= 0"),
        (HyPerLayer, {"triggerLayerName": "x"}, "triggerLayerName", "cannot trigger itself"),
        (HyPerLayer, {"channelIndices": [1]}, "channelCoefficients", 'missing key "channelCoeff'),
        (HyPerLCALayer, {"verticesV": [1, 0], "verticesA": [0, 1]}, "verticesV", "not decrease"),
        (HyPerLCALayer, {"verticesV": [0], "verticesA": [0, 1]}, "verticesA", "2 values for 1"),
        (
            ImageLayer,
            {"inputPath": "x", "triggerLayerName": "y"},
            "triggerLayerName",
            "input layer",
        ),
        (MaskLayer, {"maskMethod": "layer"}, "maskLayerName", 'missing key "maskLayerName"'),
        (
            MaskLayer,
            {"maskMethod": "maskFeatures", "featureIdxs": [1]},
            "featureIdxs",
            "nf - 1 = 0",
        ),
        (IdentConn, {"channelCode": 9}, "channelCode", "must be an integer >= -1 and <= 4"),
        (IdentConn, {"channelCode": 0, "preLayerName": "a"}, "postLayerName", "name both ends"),
        (
            HyPerConn,
            {**WEIGHTS, "dWMaxDecayFactor": 1},
            "dWMaxDecayFactor",
            "a number >= 0 and < 1",
        ),
        (HyPerConn, {**WEIGHTS, "delay": [1, 2]}, "delay", "2 delays for numAxonalArbors = 1"),
        (HyPerConn, {**WEIGHTS, "weightInitType": "FileWeight"}, "initWeightsFile", "missing key"),
        (HyPerConn, {k: v for k, v in WEIGHTS.items() if k != "dWMax"}, "dWMax", "missing key"),
        (MomentumConn, WEIGHTS, "momentumMethod", 'missing key "momentumMethod"'),
        (
            MomentumConn,
            {**WEIGHTS, "momentumMethod": "simple", "timeConstantTau": 1},
            "timeConstantTau",
            'must be < 1 for momentumMethod "simple"',
        ),
        (SparseCoding, {**CODE, "stride": ()}, "stride", 'missing key "stride" (Distance of'),
        (SparseCoding, {**CODE, "patchSize": (), "patchSizeX": 4}, "patchSizeY", "missing key"),
        (SparseCoding, {**CODE, "codes": "x"}, "codes", "must name other layers, each once"),
        (SparseCoding, {**CODE, "stride": [1, 2]}, "stride", "has 2 values for 1 coded layers"),
    ],
)
def test_what_is_refused_and_why(kind, values, key, message):
    assert message in problem(kind, **values)[key]


def test_specs_are_frozen_and_closed():
    with pytest.raises(ValidationError):
        COLUMN.nx = 3
    with pytest.raises(ValidationError):
        HyPerCol(name="c", nx=1, ny=1, nz=1)
    with pytest.raises(ValidationError):
        HyPerLayer(name="a/b")


def test_replace_checks_again():
    assert COLUMN.replace(nx=8).nx == 8
    with pytest.raises(ValidationError):
        COLUMN.replace(nx=0)


def test_completed_fills_what_follows_from_other_groups():
    model = gather(
        [
            COLUMN,
            HyPerLCALayer(name="V1", nxScale=0.5, nyScale=0.25, nf=16),
            CloneVLayer(name="CloneV1", originalLayerName="V1"),
            RescaleLayer(name="Scaled", originalLayerName="CloneV1", rescaleMethod="l2"),
            HyPerLayer(name="Error", nf=3, writeStep=-1),
            MomentumConn(name="V1ToError", momentumMethod="alex", **WEIGHTS),
            FeedbackConn(name="Back", channelCode=0, originalConnName="V1ToError"),
        ]
    )
    clone, scaled = model.layers["CloneV1"], model.layers["Scaled"]
    assert (clone.nxScale, clone.nyScale, clone.nf) == (0.5, 0.25, 16)
    assert (scaled.nxScale, scaled.nyScale, scaled.nf) == (0.5, 0.25, 16)
    assert (model.layers["V1"].writeStep, model.layers["Error"].writeStep) == (2.0, -1.0)
    assert model.connections["V1ToError"].nfp == 3
    back = model.connections["Back"]
    assert (back.preLayerName, back.postLayerName) == ("Error", "V1")
    assert model.completed() == model


def test_ends_from_a_name_with_several_tos():
    layers = [HyPerLayer(name="InTo"), HyPerLayer(name="Top")]
    model = gather([COLUMN, *layers, IdentConn(name="InToToTop", channelCode=0)])
    conn = model.connections["InToToTop"]
    assert (conn.preLayerName, conn.postLayerName) == ("InTo", "Top")
    with pytest.raises(ParamsError, match='IdentConn "wire": preLayerName and postLayerName are'):
        gather([COLUMN, *layers, IdentConn(name="wire", channelCode=0)])


def test_a_clone_of_another_size_is_refused():
    clone = CloneVLayer(name="C", originalLayerName="V", nf=3)
    with pytest.raises(ParamsError, match="nf = 3, but its original V has 16"):
        gather([COLUMN, HyPerLCALayer(name="V", nf=16), clone])


def test_clones_of_each_other_do_not_hang():
    pair = [CloneVLayer(name=a, originalLayerName=b) for a, b in ("xy", "yx")]
    assert gather([COLUMN, *pair]).layers["x"].nf == 0


def test_model_by_name_in_order_and_its_equality():
    layers = (HyPerLayer(name="b"), HyPerLayer(name="a"))
    model = Model(COLUMN, layers)
    assert list(model.layers) == ["b", "a"]
    assert not model.connections and not model.probes
    assert model != Model(COLUMN, layers[::-1])
    assert model["column"] is COLUMN
    with pytest.raises(ParamsError, match="used by two groups"):
        Model(COLUMN, (layers[0], layers[0]))


def test_every_key_of_every_kind_says_what_it_is():
    for kind in KINDS.values():
        assert kind.__doc__ and kind.__doc__.rstrip().endswith(".")
        for key in conditions(kind):
            description = kind.model_fields[key].description
            assert description, key
            assert not allowed(kind, key).startswith("<"), key
            assert "typing" not in allowed(kind, key), key
            for condition in conditions(kind)[key]:
                assert condition.key in conditions(kind), (kind, key)


def test_reference_has_every_key_of_every_kind_in_its_section_or_in_one_it_names():
    text = markdown_reference()
    sections = {part.partition("\n")[0]: part for part in text.split("\n### ")[1:]}
    anchors = {title.lower().replace(" ", "-"): part for title, part in sections.items()}
    assert len(anchors) == text.count("\n### ")
    for kind in (*KINDS.values(), SparseCoding):
        section = sections[kind.__name__]
        named = [anchors[anchor] for anchor in re.findall(r"\]\(#([^)]+)\)", section)]
        for key in conditions(kind):
            row = f"\n| `{key}` | {allowed(kind, key)} | "
            assert (row in section) != any(row in other for other in named), (kind, key)
