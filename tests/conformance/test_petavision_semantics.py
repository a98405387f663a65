"""Rules of PetaVision that files of all its years rely on, each in a network made for it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import neurosim
from neurosim import ParamsError, Simulation
from neurosim.stimuli.pvp import write_activity
from tests.backends.nets import column, group, join, linear, noise, plastic, weights

BACKENDS = pytest.mark.parametrize("backend", [("cpu", "float32"), ("reference", "float64")])
Backend = tuple[str, str]


def simulate(
    text: str, backend: Backend = ("reference", "float64"), folder: Path | str = "."
) -> Simulation:
    return Simulation(neurosim.loads(text, folder), *backend)


def notes(text: str) -> str:
    return "\n".join(neurosim.loads(text).loaded.notes)


# Files -----------------------------------------------------------------------------------


def test_names_may_have_blanks_and_override_like_others():
    text = column() + noise("Layer A") + linear("Layer B")
    text += join("IdentConn", "A to B", preLayerName="Layer A", postLayerName="Layer B")
    experiment = neurosim.loads(text).override({"Layer A.sigmaV": 0.0})
    assert not np.any(Simulation(experiment, "reference", "float64").run(2).activity("Layer B"))
    assert np.any(simulate(text).run(2).activity("Layer B"))


def test_a_seed_beyond_32_bits_counts_by_its_last_32():
    text = column(randomSeed="SEED") + noise("A")
    first, second, third = (
        simulate(text.replace('"SEED"', seed)).activity("A")
        for seed in ("17406293508", str(17406293508 % 2**32), "17406293507")
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)


def test_accumulation_is_told_in_any_case():
    text = column() + noise("A") + linear("B")
    text += weights("AToB", kind="HyPerConn", pvpatchAccumulateType="Convolve")
    spec = neurosim.loads(text).network.connections["AToB"].spec
    assert spec.pvpatchAccumulateType == "convolve"


def test_a_key_given_twice_with_one_value_is_a_note():
    twice = column() + 'HyPerLayer "A" = { nf = 2; valueBC = 0; nf = 2; };'
    assert 'key "nf" is given twice' in notes(twice)
    with pytest.raises(ParamsError, match='key "nf" is given twice'):
        neurosim.loads(twice.replace("nf = 2; };", "nf = 3; };"))


def test_a_key_that_nothing_reads_may_hold_anything():
    text = column(checkpointWrite=True, checkpointWriteTimeInterval=-1) + noise("A")
    assert "checkpointWriteTimeInterval" in notes(text)
    with pytest.raises(ParamsError, match="checkpointWriteTimeInterval = -1"):
        neurosim.loads(text.replace("stopTime", 'checkpointWriteTriggerMode = "time"; stopTime'))


@pytest.mark.parametrize(
    "key, cure",
    [("dtAdaptFlag = true", "AdaptiveTimeScaleProbe"), ("startTime = 5", "time starts at 0")],
)
def test_keys_that_would_change_the_numbers_are_refused(key: str, cure: str):
    text = column() + noise("A")
    with pytest.raises(ParamsError, match=cure):
        neurosim.loads(text.replace("nx =", f"{key}; nx ="))
    name = key.split(" = ")[0]
    assert f"{name} (column)" in notes(text.replace("nx =", f"{name} = 0; nx ="))


def test_old_names_of_kinds_and_keys():
    text = column() + noise("A") + linear("B") + linear("C")
    text += weights("AToB", kind="KernelConn")
    text += group("CloneKernelConn", "AToC", channelCode=0, originalConnName="AToB")
    text += group("GenColProbe", "Energy")
    text += group("L2NormProbe", "Norm", targetLayer="B", parentGenColProbe="Energy", exponent=2)
    text += group(
        "AdaptiveTimeScaleProbe", "Scale", targetName="Energy", BaseMax=5, BaseMin=0.125,
        dtChangeMax=0.05, dtChangeMin=0.5,
    )  # fmt: skip
    simulation = simulate(text).run(2)
    assert np.array_equal(simulation.activity("B"), simulation.activity("C"))
    assert np.any(simulation.energy("Energy"))
    scale = neurosim.loads(text).network.model.probes["Scale"]
    assert (scale.baseMax, scale.baseMin) == (5, 0.125)
    assert (scale.tauFactor, scale.growthFactor) == (0.05, 0.5)


def test_probes_that_only_print_are_left_out():
    text = column() + noise("A") + group("PointProbe", "p", targetLayer="A", xLoc=1, yLoc=1)
    assert 'PointProbe "p": left out' in notes(text)
    assert not neurosim.loads(text).network.model.probes


def test_a_sweep_may_give_what_its_groups_leave_out():
    text = column() + 'ConstantLayer "A" = { InitVType = "InitVFromFile"; };\n'
    text += 'ParameterSweep "A":Vfilename = { "a.pvp"; "b.pvp"; };\n'
    text += 'ParameterSweep "column":lastCheckpointDir = { "a/Last"; "b/Last"; };\n'
    loaded = neurosim.loads(text).loaded
    assert [dict(run) for run in loaded.sweeps] == [
        {"A.Vfilename": "a.pvp"},
        {"A.Vfilename": "b.pvp"},
    ]
    assert any("lastCheckpointDir: left out" in note for note in loaded.notes)


def test_files_are_also_looked_for_in_the_working_directory(tmp_path: Path, monkeypatch):
    values = np.arange(8.0).reshape(1, 2, 2, 2)
    write_activity(tmp_path / "start.pvp", values)
    (tmp_path / "params").mkdir()
    text = column(2, 2) + noise("A", 2, InitVType="InitVFromFile", Vfilename="start.pvp")
    with pytest.raises(neurosim.NeurosimError, match=r"start\.pvp"):
        simulate(text, folder=tmp_path / "params")
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(simulate(text, folder=tmp_path / "params").activity("A"), values)


def test_a_broadcast_layer_has_one_position_whatever_its_scales():
    text = column(16, 8) + group(
        "ConstantLayer", "A", broadcastFlag=True, nxScale=1, nf=5, InitVType="ZeroV"
    )
    assert str(neurosim.loads(text).network.layers["A"].shape) == "1 x 1 x 5"


def test_an_old_movie_advances_by_its_skip(tmp_path: Path):
    write_activity(tmp_path / "m.pvp", np.arange(6.0).reshape(6, 1, 1, 1))
    text = column(1, 1) + group(
        "MoviePvp", "M", inputPath="m.pvp", displayPeriod=1, skip_frame_index=2,
        start_frame_index=1,
    )  # fmt: skip
    movie = simulate(text, folder=tmp_path)
    assert [float(movie.run(1).activity("M").item()) for _ in range(4)] == [1, 3, 5, 1]


def test_a_display_shorter_than_a_step_lasts_a_step(tmp_path: Path):
    write_activity(tmp_path / "m.pvp", np.arange(3.0).reshape(3, 1, 1, 1))
    text = column(1, 1, dt=6) + group("PvpLayer", "M", inputPath="m.pvp", displayPeriod=1)
    movie = simulate(text, folder=tmp_path)
    assert [float(movie.run(1).activity("M").item()) for _ in range(4)] == [0, 1, 2, 0]


# Layers ----------------------------------------------------------------------------------


@BACKENDS
@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_the_old_error_layer_has_a_threshold_on_both_sides(backend: Backend, threshold: float):
    text = column() + noise("A")
    text += group(
        "ANNNormalizedErrorLayer", "E", nf=3, phase=1, InitVType="ZeroV", VThresh=threshold,
        VMin=0, AShift=7, errScale=2,
    )  # fmt: skip
    text += join("IdentConn", "AToE")
    simulation = simulate(text, backend).run(1)
    v = 2 * simulation.activity("A")
    assert np.any(v < -threshold) and np.any(v > threshold)
    np.testing.assert_allclose(
        simulation.activity("E"), np.where(np.abs(v) < threshold, 0, v), rtol=1e-6
    )


def test_a_threshold_whose_meaning_changed_is_told():
    text = column() + group("ANNErrorLayer", "E", VThresh=0.5, InitVType="ZeroV")
    assert "on both sides of 0" in notes(text)
    assert "on both sides" not in notes(text.replace("0.5", "-infinity"))


@BACKENDS
@pytest.mark.parametrize("phases", [(0, 0, 0), (1, 2, 3)], ids=["one phase", "in turn"])
def test_a_layer_sees_new_values_of_lower_phases_only(backend: Backend, phases):
    """Recon = Code, Error = 1 - Recon, Code = Code + Error."""
    text = column(2, 2) + group("ConstantLayer", "One", InitVType="ConstantV", valueV=1, phase=0)
    for name, phase in zip(("Recon", "Error", "Code"), phases, strict=True):
        text += linear(name, 1, phase)
    text += join("IdentConn", "OneToError") + join("IdentConn", "ReconToError", 1)
    text += join("IdentConn", "CodeToRecon") + join("IdentConn", "ErrorToCode")
    text += join("IdentConn", "CodeToCode")
    simulation = simulate(text, backend)
    recon = error = code = 0
    for _ in range(19):
        if phases[0]:
            recon = code
            error = 1 - recon
            code = code + error
        else:
            recon, error, code = code, 1 - recon, code + error
        simulation.run(1)
        seen = [simulation.activity(name)[0, 0, 0, 0] for name in ("Recon", "Error", "Code")]
        assert seen == [recon, error, code]
    assert (recon, error, code) == ((1, 0, 1) if phases[0] else (-13, 11, -9))


@BACKENDS
def test_a_reset_copies_the_potential_before_the_update(backend: Backend, tmp_path: Path):
    frames = np.eye(16).reshape(16, 4, 4, 1)
    write_activity(tmp_path / "dots.pvp", frames)
    movie = {"inputPath": "dots.pvp", "nf": 1, "phase": 0}
    text = column(4, 4) + group("PvpLayer", "Dots", displayPeriod=1, **movie)
    text += group("PvpLayer", "Clock", displayPeriod=5, **movie) + noise("In", 1)
    text += group(
        "LeakyIntegrator", "Sum", phase=1, InitVType="ZeroV", triggerLayerName="Clock",
        triggerBehavior="resetStateOnTrigger", triggerResetLayerName="Dots",
    )  # fmt: skip
    text += join("IdentConn", "InToSum")
    simulation = simulate(text, backend, tmp_path)
    for step in range(1, 13):
        simulation.run(1)
        count = (step - 1) % 5 + 1
        expected = frames[step - count] + count * simulation.activity("In")[0]
        np.testing.assert_allclose(simulation.activity("Sum")[0], expected, rtol=1e-5, atol=1e-6)


@BACKENDS
def test_what_a_delay_reads_before_the_start_is_zero(backend: Backend):
    text = column(2, 2) + noise("A", 2) + linear("Late", 2, 1) + linear("Arbors", 2, 1)
    text += join("IdentConn", "AToLate", delay=3)
    text += weights(
        "AToArbors", 1, numAxonalArbors=4, delay=(0, 1, 2, 3), weightInitType="OneToOneWeights",
        weightInit=1,
    )  # fmt: skip
    simulation = simulate(text, backend)
    a = simulation.activity("A")
    for step in range(1, 6):
        simulation.run(1)
        assert np.array_equal(simulation.activity("Late"), a if step >= 3 else 0 * a)
        levels = min(step + 1, 4)
        np.testing.assert_allclose(simulation.activity("Arbors"), levels * a, rtol=1e-6)


# Connections -----------------------------------------------------------------------------

SCALES = [(1, 5), (0.25, 3), (4, 12)]


@BACKENDS
@pytest.mark.parametrize("scale, patch", SCALES, ids=["equal", "coarser", "finer"])
def test_transposed_twice_is_the_original(backend: Backend, scale: float, patch: int):
    size = {"nxScale": scale, "nyScale": scale}
    text = column() + noise("A") + linear("B", 4, 1, **size) + linear("C", 4, 1, **size)
    text += weights("AToB", patch)
    text += join("TransposeConn", "BToA", -1, originalConnName="AToB")
    text += join("TransposeConn", "AToC", originalConnName="BToA")
    simulation = simulate(text, backend).run(1)
    once, twice = simulation.activity("B"), simulation.activity("C")
    assert np.abs(once).max() > 0.1
    np.testing.assert_allclose(twice, once, rtol=1e-5, atol=1e-5)


@BACKENDS
@pytest.mark.parametrize("scale, patch", SCALES, ids=["equal", "coarser", "finer"])
def test_feedback_of_feedback_goes_forth_again(backend: Backend, scale: float, patch: int):
    text = column() + noise("A") + linear("B", 4, 1, nxScale=scale, nyScale=scale)
    text += weights("AToB", patch)
    text += join("FeedbackConn", "back", -1, originalConnName="AToB")
    text += join("FeedbackConn", "forth", 1, originalConnName="back")
    forth = neurosim.loads(text).network.connections["forth"]
    assert (forth.pre, forth.post) == ("A", "B")
    simulation = simulate(text, backend).run(1)
    assert np.any(simulation.weights("AToB"))
    np.testing.assert_allclose(simulation.activity("B"), 0, atol=1e-5)


def reached(pre: int, post: int, patch: int) -> np.ndarray:
    """How many of ``pre`` neurons reach each of ``post``, by where PetaVision's patches start."""
    counts = np.zeros(post)
    for x in range(pre):
        if post >= pre:
            scale = post // pre
            start = scale * x - (patch - scale) // 2
        else:
            scale = pre // post
            start = math.floor((x - scale / 2 * (patch - 1)) / scale)
        for k in range(max(0, -start), min(patch, post - start)):
            counts[start + k] += 1
    return counts


@BACKENDS
@pytest.mark.parametrize(
    "scale, nxp, nyp", [(1, 5, 3), (1, 3, 7), (0.5, 5, 2), (0.25, 3, 4), (2, 10, 6), (4, 4, 12)]
)
def test_patches_are_where_they_are(backend: Backend, scale: float, nxp: int, nyp: int):
    text = column(16, 8) + group("ConstantLayer", "A", InitVType="ConstantV", valueV=1, phase=0)
    text += linear("B", 1, 1, nxScale=scale, nyScale=scale)
    text += group(
        "HyPerConn", "AToB", channelCode=0, nxp=nxp, nyp=nyp, weightInitType="UniformWeight",
        weightInit=1, normalizeMethod="none", plasticityFlag=False,
    )  # fmt: skip
    seen = simulate(text, backend).run(1).activity("B")[0, :, :, 0]
    down, across = reached(8, int(8 * scale), nyp), reached(16, int(16 * scale), nxp)
    assert np.array_equal(seen, down[:, None] * across[None, :])


@BACKENDS
def test_a_group_is_normalised_as_one_patch(backend: Backend):
    text = column() + group(
        "ConstantLayer", "A", nf=3, InitVType="ConstantV", valueV=1, mirrorBCflag=True, phase=0
    )
    uniform = {
        "channelCode": 0, "weightInitType": "UniformWeight", "weightInit": 1,
        "plasticityFlag": False,
    }  # fmt: skip
    text += linear("B", 8) + linear("C", 4)
    text += group("HyPerConn", "AToB", nxp=5, nyp=5, normalizeMethod="normalizeL2", **uniform)
    text += group(
        "HyPerConn", "AToC", nxp=3, nyp=3, normalizeMethod="normalizeGroup",
        normalizeGroupName="AToB", **uniform,
    )  # fmt: skip
    simulation = simulate(text, backend).run(1)
    norm = math.sqrt(5 * 5 * 8 + 3 * 3 * 4)
    np.testing.assert_allclose(simulation.activity("B"), 5 * 5 * 3 / norm, rtol=1e-6)
    np.testing.assert_allclose(simulation.activity("C"), 3 * 3 * 3 / norm, rtol=1e-6)


# Learning --------------------------------------------------------------------------------


@BACKENDS
@pytest.mark.parametrize("scale, patch", SCALES, ids=["equal", "coarser", "finer"])
def test_increments_are_means_also_at_the_edges(backend: Backend, scale: float, patch: int):
    half = {"InitVType": "ConstantV", "valueV": 0.5, "phase": 0}
    text = column() + group("ConstantLayer", "A", nf=3, mirrorBCflag=True, **half)
    text += group("ConstantLayer", "B", nf=4, nxScale=scale, nyScale=scale, **half)
    text += plastic(
        "AToB", patch, channelCode=-1, weightInitType="UniformWeight", dWMax=1,
        weightUpdatePeriod=1,
    )  # fmt: skip
    learned = simulate(text, backend).run(5).weights("AToB")
    np.testing.assert_allclose(learned, 5 * 0.25, rtol=1e-6)


@BACKENDS
@pytest.mark.parametrize(
    "key, kept, added",
    [("momentumTau", 1.0, 1.0), ("timeConstantTau", 0.75, 0.25)],
    ids=["older rule", "rule of today"],
)
def test_momentum_of_both_rules(backend: Backend, key: str, kept: float, added: float):
    text = column(2, 2) + group("ConstantLayer", "A", InitVType="ConstantV", valueV=1, phase=0)
    text += linear("B", 1, 1)
    text += group(
        "MomentumConn", "AToB", channelCode=0, weightInitType="IdentWeight", dWMax=1,
        normalizeMethod="none", weightUpdatePeriod=2, momentumMethod="simple", **{key: kept},
    )  # fmt: skip
    simulation = simulate(text, backend)
    weight, increment = 1.0, 0.0
    for step in range(1, 9):
        simulation.run(1)
        if step % 2 == 0:
            increment = added * weight + kept * increment
            weight += increment
        np.testing.assert_allclose(simulation.weights("AToB"), weight, rtol=1e-6)
    assert weight > 2


@BACKENDS
@pytest.mark.parametrize("kind", ["HyPerConn", "MomentumConn"])
def test_plastic_clones_train_the_original(backend: Backend, kind: str):
    """Two originals see the same two inputs, one of each pair through a clone."""
    momentum = {"momentumMethod": "simple"} if kind == "MomentumConn" else {}
    text = column() + noise("A", 1) + noise("B", 1) + noise("Out", 2)
    for original, clone, pre, other in (("one", "two", "A", "B"), ("three", "four", "B", "A")):
        text += plastic(
            original, 5, kind=kind, channelCode=-1, preLayerName=pre, postLayerName="Out",
            weightInitType="UniformWeight", weightInit=1, **momentum,
        )  # fmt: skip
        text += join(
            "PlasticCloneConn", clone, -1, preLayerName=other, postLayerName="Out",
            originalConnName=original,
        )  # fmt: skip
    simulation = simulate(text, backend).run(7)
    first, second = simulation.weights("one"), simulation.weights("three")
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)
    assert np.abs(first - 1).max() > 0.01
