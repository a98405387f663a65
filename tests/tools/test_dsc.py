"""Gradients of sparse codes: exact on one side of each kink, the same by every way."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import neurosim
from attack.dictionary import Dictionary
from attack.dsc import DeepSparseCoding
from attack.fixed_point import Circuit, Level
from attack.images import read_images
from attack.models import open_model
from attack.pathway import Pool, pathway
from attack.unrolled import Unrolled
from tests.analysis.networks import faces, params

TARGET = "Joren Varga"

#: V1, pooled through a curve, then P1: both at rest when the display ends.
POOLED = """
PoolingConn "V1ToPool" = {
    channelCode = 0;  pvpatchAccumulateType = "sumpooling";  nxp = 1;  nyp = 1;
};
ANNLayer "Pool" = {
    nxScale = 0.125;  nyScale = 0.125;  nf = 24;  InitVType = "ZeroV";
    verticesV = [0, 0.1, 0.4, 1, 4];  verticesA = [0, 0.3, 0.6, 1, 2];
    slopeNegInf = 0;  slopePosInf = 0.2;  writeStep = -1;
    triggerLayerName = "Face";  triggerOffset = 90;  triggerBehavior = "updateOnlyOnTrigger";
};
"""


def text(folder: Path, pooled: bool) -> str:
    """The small network with the solver, for faces alone, a display long enough to settle."""
    whole = params(folder, displays=12)
    head, _, p1 = whole.partition('SparseCoding "P1"')
    v1 = (
        head.partition('NameLayer "Name"')[0]
        + 'SparseCoding "V1"'
        + (head.partition('SparseCoding "V1"')[2].partition('SparseCoding "T1"')[0])
    )
    p1 = p1.replace('["V1", "T1"]', '"Pool"' if pooled else '"V1"')
    if pooled:
        p1 = p1.replace("wholeField", "inputScale = 1;  wholeField")
    else:
        p1 = p1.replace("VThresh = 0.05", "VThresh = 0.01")
    made = v1 + (POOLED if pooled else "") + 'SparseCoding "P1"' + p1
    made = made.replace("timeConstantTau = 10;", 'layerKind = "SparseSolverLayer";')
    made = made.replace("VThresh", 'feedback = "activity";  VThresh')
    return made.replace("displayPeriod = 20", "displayPeriod = 200").replace(
        f"stopTime = {20 * 12}", f"stopTime = {200 * 12}"
    )


@pytest.fixture(scope="module", params=["pooled", "joint"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained and analysed run; its images are beside it."""
    folder = tmp_path_factory.mktemp(request.param)
    train = faces(folder / "train")
    neurosim.run(neurosim.loads(text(train, request.param == "pooled")), folder / "run", threads=1)
    validation = faces(folder / "validation", each=8, split="validation")
    neurosim.analyze(folder / "run", validation, target=TARGET, zooms=[1.0], threads=1)
    return folder


@pytest.fixture
def circuit(rng: np.random.Generator) -> Circuit:
    """Two levels over 12 x 12 x 2, in float64: patches with edges cut off, then the whole field."""
    first = np.zeros((10, 12, 12, 2))
    first[:, 5:9, 5:9] = rng.standard_normal((10, 4, 4, 2))
    first /= np.linalg.norm(first.reshape(10, -1), axis=1)[:, None, None, None]
    second = rng.standard_normal((7, 6, 6, 10))
    second /= np.linalg.norm(second.reshape(7, -1), axis=1)[:, None, None, None]
    levels = [
        Level("V1", Dictionary(first, (6, 6, 10), np.float64), 0.05, 0.7),
        Level("P1", Dictionary(second, (1, 1, 7), np.float64), 0.02),
    ]
    return Circuit(levels, tolerance=1e-12, iterations=2000)


def test_transpose_is_the_adjoint(circuit: Circuit, rng: np.random.Generator) -> None:
    for level in circuit.levels:
        code = rng.standard_normal((3, *level.dictionary.shape))
        error = rng.standard_normal((3, *level.dictionary.below))
        pushed = np.vdot(level.dictionary.apply(code), error)
        assert pushed == pytest.approx(np.vdot(code, level.dictionary.transpose(error)), rel=1e-12)


def test_the_gradient_through_the_fixed_point_is_that_of_finite_differences(
    circuit: Circuit, rng: np.random.Generator
) -> None:
    below = rng.standard_normal((2, 12, 12, 2))
    weights = rng.standard_normal((1, 1, 1, 7))
    codes = circuit.settle(below, 4000)
    for code, descent, level in zip(
        codes, circuit.descent(codes, below), circuit.levels, strict=True
    ):
        # At rest: the drive is the threshold where active, at most that elsewhere.
        assert np.abs(descent - level.threshold)[code > 0].max() < 1e-9
        assert (descent - level.threshold)[code == 0].max() < 1e-9
        assert 0 < np.count_nonzero(code) < code.size
    gradient = circuit.pullback(codes, np.tile(weights, (2, 1, 1, 1)))
    way = rng.standard_normal(below.shape)
    ahead, behind = (circuit.settle(below + h * way, 4000)[-1] for h in (1e-6, -1e-6))
    slope = (weights * (ahead - behind)).sum(axis=(1, 2, 3)) / 2e-6
    assert np.allclose((gradient * way).sum(axis=(1, 2, 3)), slope, rtol=1e-4)


def test_the_unrolled_gradient_is_that_of_its_own_dynamics_and_comes_to_the_implicit_one(
    circuit: Circuit, rng: np.random.Generator
) -> None:
    below = rng.standard_normal((2, 12, 12, 2))
    weights = np.tile(rng.standard_normal((1, 1, 1, 7)), (2, 1, 1, 1))
    way = rng.standard_normal(below.shape)
    short = Unrolled(circuit, below, 15)
    ahead, behind = (Unrolled(circuit, below + h * way, 15).codes[-1] for h in (1e-6, -1e-6))
    slope = (weights * (ahead - behind)).sum(axis=(1, 2, 3)) / 2e-6
    assert np.allclose((short.pullback(weights) * way).sum(axis=(1, 2, 3)), slope, rtol=1e-4)
    long = Unrolled(circuit, below, 3000)
    exact = circuit.pullback(long.codes, weights)
    assert np.allclose(long.pullback(weights), exact, rtol=0, atol=1e-6 * np.abs(exact).max())


def test_a_pool_is_differentiated_by_its_curve(rng: np.random.Generator) -> None:
    vertices = np.array([[0, 1, 4], [0, 1, 2]], float)
    pool = Pool("pool", (2, 3), 1.0, vertices, (0.0, 0.25))
    code = rng.random((2, 4, 6, 5)) * 1.3
    weights = rng.standard_normal(pool.apply(code).shape)
    way = rng.standard_normal(code.shape)
    ahead, behind = ((weights * pool.apply(code + h * way)).sum() for h in (1e-7, -1e-7))
    assert pool.apply(np.full((1, 2, 3, 1), 1.0)).item() == pytest.approx(2.5)
    assert np.vdot(pool.pullback(code, weights), way) == pytest.approx(
        (ahead - behind) / 2e-7, rel=1e-5
    )


@pytest.mark.parametrize(("part", "key"), [("", "top-face"), (":augmented", "top-augmented")])
def test_scores_are_the_decisions_of_the_analysis(model: Path, part: str, key: str) -> None:
    images = read_images(model / "validation", TARGET)
    readouts = neurosim.open_analysis(model / "run").readouts
    wanted = readouts[key].scores["validation"].decision - readouts[key].threshold
    scores = open_model(f"{model / 'run'}{part}").scores(images.pixels)
    assert np.abs(scores - wanted).max() < 1e-4 * np.abs(wanted).max()
    one, other = readouts["top-face"].weights, readouts["top-augmented"].weights
    assert not np.allclose(one, other, rtol=0.1)


def test_the_gradient_of_the_whole_model_is_that_of_the_engine(
    model: Path, rng: np.random.Generator
) -> None:
    """Finite differences of scores that the engine gives, along the gradient and elsewhere."""
    dsc = DeepSparseCoding(model / "run", threads=1)
    pixels = read_images(model / "validation", TARGET).pixels[::3]
    gradient = dsc.gradient(pixels).astype(float)
    sign = np.sign(gradient)
    predicted = (gradient * sign).sum(axis=(1, 2, 3))
    ahead, behind = (dsc.scores(np.float32(pixels + h * sign)) for h in (0.02, -0.02))
    found = (ahead - behind) / 0.04
    # A few images cross a kink, where a unit falls silent.
    assert np.median(np.abs(found / predicted - 1)) < 0.02
    assert np.abs(found / predicted - 1).max() < 0.5


def test_both_ways_agree_where_dynamics_have_settled(model: Path) -> None:
    implicit = DeepSparseCoding(model / "run", threads=1)
    unrolled = DeepSparseCoding(model / "run", "unrolled", steps=1500, threads=1)
    pixels = read_images(model / "validation", TARGET).pixels[:6]
    one, other = (m.gradient(pixels).reshape(6, -1) for m in (implicit, unrolled))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    assert ((one * other).sum(axis=1) / norms).min() > 0.97


def test_what_an_analysis_lacks_is_told(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model / "run", tmp_path / "run")
    neurosim.analyze(tmp_path / "run", model / "validation", target=TARGET, threads=1)
    with pytest.raises(neurosim.RequestError, match=r'no readout "top-augmented".* --zoom'):
        open_model(f"{tmp_path / 'run'}:augmented")
    with pytest.raises(neurosim.RequestError, match=r'no model "augmnted" .*RUN:augmented'):
        open_model(f"{tmp_path / 'run'}:augmnted")


def test_what_has_no_gradient_is_told(tmp_path: Path) -> None:
    train = faces(tmp_path / "train")
    potential = text(train, pooled=False).replace('feedback = "activity"', 'feedback = "potential"')
    neurosim.run(neurosim.loads(potential).override({"column.stopTime": 200}), tmp_path / "run")
    coder, decoder = neurosim.Coder(tmp_path / "run"), neurosim.Decoder(tmp_path / "run")
    with pytest.raises(neurosim.RequestError, match="codes the potential"):
        pathway(coder.experiment, decoder, "P1", "Face")
    with pytest.raises(neurosim.RequestError, match='no gradient "guessed"; there are implicit'):
        DeepSparseCoding(tmp_path / "run", "guessed")  # type: ignore[arg-type]
