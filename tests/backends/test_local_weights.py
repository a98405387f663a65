"""One patch per neuron: PetaVision's rules unit by unit, learning, files, seeds, errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurosim import loads
from neurosim.errors import NeurosimError
from neurosim.plan.random_stream import Tausworthe
from neurosim.record.reader import open_run
from neurosim.run import run_experiment
from neurosim.stimuli.pvp_weights import read_weights, write_weights
from tests.backends.nets import (
    code,
    column,
    group,
    join,
    linear,
    noise,
    plastic,
    simulator,
    weights,
)
from tests.network.geometry_by_hand import Axis, extended
from tests.tolerances import FLOAT64_EXACT

SEED = 1234567890
NF, NF_POST = 2, 3
OWN: dict[str, Any] = {"sharedWeights": False}
#: y and x axis: units of the pre and the post layer, patch.
AXES = {
    "one to one": (Axis(4, 4, 3), Axis(5, 5, 5)),
    "one to many": (Axis(2, 4, 6), Axis(3, 6, 4)),
    "many to one, odd patch": (Axis(4, 2, 3), Axis(6, 3, 1)),
    "many to one, even patch": (Axis(8, 2, 2), Axis(4, 2, 2)),
}
BOUNDARIES: dict[str, dict[str, Any]] = {
    "zero": {},
    "mirror": {"mirrorBCflag": True},
    "value": {"valueBC": -0.7},
}
both_ways = pytest.mark.parametrize("axes", AXES)
all_boundaries = pytest.mark.parametrize("boundary", BOUNDARIES)


def layer(
    kind: str, name: str, y: int, x: int, nf: int, like: tuple[Axis, Axis], **keys: Any
) -> str:
    scale = {"nyScale": y / like[0].pre, "nxScale": x / like[1].pre}
    phase = 0 if kind == "ConstantLayer" else 1
    return group(kind, name, nf=nf, phase=phase, InitVType="ZeroV", **scale, **keys)


def pair(y: Axis, x: Axis, post: str, boundary: dict[str, Any], **keys: Any) -> str:
    """Pre to Post through own patches, and Source, like Post, back to Target, like Pre."""
    like = (y, x)
    defaults = {"weightInitType": "UniformWeight", "plasticityFlag": False} | OWN
    return "".join([
        column(x.pre, y.pre),
        layer("ConstantLayer", "Pre", y.pre, x.pre, NF, like, **boundary),
        layer(post, "Post", y.post, x.post, NF_POST, like),
        layer("ConstantLayer", "Source", y.post, x.post, NF_POST, like, **boundary),
        layer("HyPerLayer", "Target", y.pre, x.pre, NF, like),
        weights("PreToPost", x.n, y.n, **defaults | keys),
        join("TransposeConn", "SourceToTarget", originalConnName="PreToPost"),
    ])  # fmt: skip


def patches(y: Axis, x: Axis) -> int:
    return (y.pre + 2 * y.margin) * (x.pre + 2 * x.margin) * NF


def meetings(y: Axis, x: Axis) -> Iterator[tuple[int, int, int, int, int, int, int]]:
    """Patch, pre y and x with the margin, patch item, first post unit; feature 0 of the patch."""
    for py in range(-y.margin, y.pre + y.margin):
        for px in range(-x.margin, x.pre + x.margin):
            first = ((py + y.margin) * (x.pre + 2 * x.margin) + px + x.margin) * NF
            for j in range(y.n):
                for i in range(x.n):
                    yield first, py, px, j, i, y.start(py) + j, x.start(px) + i


def inside(y: Axis, x: Axis, qy: int, qx: int) -> bool:
    return 0 <= qy < y.post and 0 <= qx < x.post


def data(y: Axis, x: Axis, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pre activity with zeros, post activity, weights."""
    pre = rng.normal(size=(y.pre, x.pre, NF)) * (rng.random((y.pre, x.pre, NF)) < 0.6)
    post = rng.normal(size=(y.post, x.post, NF_POST))
    return pre, post, rng.normal(size=(patches(y, x), y.n, x.n, NF_POST))


@both_ways
@all_boundaries
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_delivery_and_its_transpose(
    axes: str, boundary: str, backend: str, rng: np.random.Generator
) -> None:
    y, x = AXES[axes]
    pre, source, w = data(y, x, rng)
    keys = BOUNDARIES[boundary]
    ends = ("mirrorBCflag" in keys, float(keys.get("valueBC", 0)))
    there, back = np.zeros((y.post, x.post, NF_POST)), np.zeros((y.pre, x.pre, NF))
    for first, py, px, j, i, qy, qx in meetings(y, x):
        own = w[first : first + NF, j, i]
        if inside(y, x, qy, qx):
            there[qy, qx] += extended(pre, py, px, *ends) @ own
        if 0 <= py < y.pre and 0 <= px < x.pre:
            back[py, px] += own @ extended(source, qy, qx, *ends)
    made = simulator(pair(y, x, "HyPerLayer", keys), backend)
    made.overwrite([("Pre:A", pre[None]), ("Source:A", source[None]), ("PreToPost:W", w[None])])
    made.run(1)
    read = made.backend.read
    np.testing.assert_allclose(read("Post:A")[0], there, atol=FLOAT64_EXACT)
    np.testing.assert_allclose(read("Target:A")[0], back, atol=FLOAT64_EXACT)
    if boundary == "zero":
        adjoint = np.vdot(read("Post:A"), source) - np.vdot(read("Target:A"), pre)
        assert abs(adjoint) < FLOAT64_EXACT


@both_ways
@all_boundaries
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_each_neuron_learns_for_itself(
    axes: str, boundary: str, backend: str, rng: np.random.Generator
) -> None:
    """The sum of products, never divided by occurrences, margins included."""
    y, x = AXES[axes]
    pre, post, w = data(y, x, rng)
    keys = BOUNDARIES[boundary]
    ends = ("mirrorBCflag" in keys, float(keys.get("valueBC", 0)))
    wanted = w.copy()
    for first, py, px, j, i, qy, qx in meetings(y, x):
        if inside(y, x, qy, qx):
            unit = extended(pre, py, px, *ends)
            wanted[first : first + NF, j, i] += 0.3 * np.outer(unit, post[qy, qx])
    learns = {"plasticityFlag": True, "weightUpdatePeriod": 1, "dWMax": 0.3, "normalizeDw": True}
    made = simulator(pair(y, x, "ConstantLayer", keys, channelCode=-1, **learns), backend)
    made.overwrite([("Pre:A", pre[None]), ("Post:A", post[None]), ("PreToPost:W", w[None])])
    made.run(1)
    learned = made.backend.read("PreToPost:W")[0]
    np.testing.assert_allclose(learned, wanted, atol=FLOAT64_EXACT)
    assert np.abs(learned - w).max() > 0.1


@both_ways
@all_boundaries
def test_equal_patches_are_shared_weights(axes: str, boundary: str) -> None:
    """A code driven and reconstructed through copies of one set of kernels is the same code."""
    y, x = AXES[axes]
    like, keys = (y, x), BOUNDARIES[boundary]
    text = column(x.pre, y.pre, nbatch=2)
    text += noise("In", nf=NF_POST, nyScale=y.post / y.pre, nxScale=x.post / x.pre, **keys)
    text += layer("HyPerLayer", "Error", y.post, x.post, NF_POST, like, **keys)
    text += code("V", nf=NF, **keys) + layer(
        "HyPerLayer", "Recon", y.post, x.post, NF_POST, like
    ).replace("phase = 1", "phase = 3")
    text += join("IdentConn", "InToError") + join("IdentConn", "ReconToError", 1)
    text += join("TransposeConn", "ErrorToV", originalConnName="VToRecon")
    codes = []
    for shared in (True, False):
        made = simulator(text + weights("VToRecon", x.n, y.n, sharedWeights=shared))
        if shared:
            kernels = made.backend.read("VToRecon:W")
        else:
            op = next(op for op in made.plan.step if op.kind == "scatter_local")
            same = kernels[:, op.scalars["geometry"].shared_kernels()]
            made.overwrite([("VToRecon:W", same)])
        made.run(15)
        codes.append(made.backend.read("V:A"))
    assert np.count_nonzero(codes[0])
    np.testing.assert_allclose(codes[1], codes[0], atol=FLOAT64_EXACT)


# ---- Weights at the start ----------------------------------------------------------------------


@pytest.mark.parametrize("nbatch", [1, 3])
def test_each_neuron_of_the_extended_layer_has_its_generator(nbatch: int) -> None:
    """Numbered over the widest margin of the layer, times the batch, in PetaVision's order."""
    draws = {"weightInitType": "DiscreteUniformRandomWeight", "numValues": 1 << 20, "wMin": 0,
             "wMax": (1 << 20) - 1}  # fmt: skip
    made = simulator(
        column(5, 4, nbatch, randomSeed=SEED) + linear("In", nf=NF, phase=0)
        + linear("Out", nf=1) + linear("Wide")
        + weights("InToOut", 3, nyp=1, **draws, **OWN) + weights("InToWide", 7, 5, **OWN)
        + weights("OutToWide", 1, **draws)
    )  # fmt: skip
    rows, columns = 4 + 2 * 2, 5 + 2 * 3
    base = SEED
    own = made.backend.read("InToOut:W").reshape(4, 5 + 2, NF, 3)
    for y, x, f in ((0, -1, 0), (0, 0, 1), (3, 5, 1), (2, 3, 0)):
        number = ((y + 2) * columns + x + 3) * NF + f
        stream = Tausworthe(np.array([base + number], np.uint32))
        assert own[y, x + 1, f].tolist() == [stream.integers(1 << 20)[0] for _ in range(3)]
    # The next connections take the seeds after those of all neurons and batch elements.
    after = base + 2 * rows * columns * NF * nbatch
    stream = Tausworthe(np.array([after], np.uint32))
    wanted = [stream.integers(1 << 20)[0] for _ in range(3)]
    assert made.backend.read("OutToWide:W").reshape(-1).tolist() == wanted


@pytest.mark.parametrize(
    "keys",
    [
        {"weightInitType": "Gauss2DWeight", "sigma": 2, "rMax": 9, "aspect": 2,
         "numOrientationsPost": 2},
        {"weightInitType": "OneToOneWeights", "weightInit": 0.5},
        {"weightInitType": "UniformWeight", "weightInit": 2, "connectOnlySameFeatures": True},
        {"weightInitType": "SpreadOverArborsWeight", "numAxonalArbors": 3},
    ],
    ids=lambda keys: keys["weightInitType"],
)  # fmt: skip
@both_ways
def test_weights_by_place_are_those_of_shared_kernels(keys: dict[str, Any], axes: str) -> None:
    """Each neuron's patch is the kernel of its feature and place in the unit cell."""
    y, x = AXES[axes]
    # Not L2, which a patch of zeros ends for all patches after it.
    keys = {"normalizeMethod": "normalizeMax"} | keys
    started = [
        simulator(
            column(x.pre, y.pre) + noise("In", nf=NF)
            + layer("HyPerLayer", "Out", y.post, x.post, NF, (y, x))
            + weights("InToOut", x.n, y.n, sharedWeights=shared, **keys)
        ).backend.read("InToOut:W")
        for shared in (True, False)
    ]  # fmt: skip
    assert started[0].any()
    for py in range(-y.margin, y.pre + y.margin):
        for px in range(-x.margin, x.pre + x.margin):
            for f in range(NF):
                own = ((py + y.margin) * (x.pre + 2 * x.margin) + px + x.margin) * NF + f
                kernel = ((py % y.m) * x.m + px % x.m) * NF + f
                assert np.array_equal(started[1][:, own], started[0][:, kernel])


def test_each_patch_is_normalised_alone() -> None:
    made = simulator(
        column(4, 4) + noise("In") + linear("Out")
        + weights("InToOut", 3, normalizeMethod="normalizeL2", strength=0.5, **OWN)
    )  # fmt: skip
    w = made.backend.read("InToOut:W")
    assert w.shape == (1, 6 * 6 * 3, 3, 3, 3)
    norms = np.sqrt((w**2).sum((0, 2, 3, 4)))
    np.testing.assert_allclose(norms, 0.5, atol=FLOAT64_EXACT)


# ---- Files -------------------------------------------------------------------------------------


def from_file(path: Path, frame: int = 0, **keys: Any) -> np.ndarray:
    """Weights of a 5 x 4 layer's patches of 3 x 1, as the network has them, by y, x, feature."""
    keys = OWN | keys
    text = column(5, 4) + linear("In", nf=NF) + linear("Out", nf=NF_POST)
    text += weights("InToOut", 3, nyp=1, initWeightsFile=path.name, frameNumber=frame, **keys)
    made = simulator(text, folder=path.parent)
    return made.backend.read("InToOut:W").reshape(4, 7, NF, 3, NF_POST)


def bordered(path: Path, border: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A file of own patches of a 5 x 4 layer with a border; its weights by y, x, feature."""
    ny, nx = 4 + 2 * border[0], 5 + 2 * border[1]
    w = rng.normal(size=(ny, nx, NF, 3, NF_POST)).astype(np.float32)
    flat = w.reshape(1, -1, 1, 3, NF_POST)
    write_weights(path, np.zeros_like(flat), (nx, ny, NF), shared=False, size=(5, 4))
    write_weights(path, flat, (nx, ny, NF), shared=False, size=(5, 4), append=True)
    return w


def test_weights_from_a_file_with_any_border(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "w.pvp"
    w = bordered(path, (0, 1), rng)
    assert np.array_equal(from_file(path, 1), w)
    w = bordered(path, (2, 3), rng)
    assert np.array_equal(from_file(path, 1), w[2:-2, 2:-2])
    w = bordered(path, (1, 0), rng)
    found = from_file(path, 1)
    assert np.array_equal(found[:, 1:-1], w[1:-1])
    assert not found[:, [0, -1]].any()


def test_weights_go_through_a_file(tmp_path: Path) -> None:
    """Written as they are and read back, they give the same network."""
    text = column(4, 4) + noise("In", mirrorBCflag=True) + linear("Out")
    made = simulator(text + weights("InToOut", 3, **OWN), dtype="float64")
    w = made.backend.read("InToOut:W")
    write_weights(tmp_path / "w.pvp", w, (6, 6, 3), shared=False, size=(4, 4))
    assert read_weights(tmp_path / "w.pvp").size == (4, 4)
    again = simulator(
        text + weights("InToOut", 3, initWeightsFile="w.pvp", weightInitType="FileWeight", **OWN),
        folder=tmp_path,
    )
    for each in (made, again):
        each.run(1)
    assert again.backend.read("Out:A").any()
    np.testing.assert_allclose(again.backend.read("InToOut:W"), w, rtol=1e-6)


def test_files_that_do_not_suit(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "w.pvp"
    w = rng.normal(size=(1, 7 * 4 * NF, 1, 3, NF_POST))

    def refused(match: str, **keys: Any) -> None:
        where = r"<text>:\d+: .*InToOut.*initWeightsFile: .*"
        with pytest.raises(NeurosimError, match=where + match):
            from_file(path, **keys)

    bordered(path, (0, 1), rng)
    refused("one patch per neuron .*set sharedWeights = false", sharedWeights=True)
    write_weights(path, w[:, :NF], (1, 1, NF))
    refused("shared weights .*set sharedWeights = true")
    write_weights(path, w, (7, 4, NF), shared=False, size=(7, 4))
    refused(r"layer of 7 x 4 x 2 .* is 5 x 4 x 2")
    write_weights(path, w[:, : 6 * 4 * NF], (6, 4, NF), shared=False, size=(5, 4))
    refused("as many beyond either edge")
    write_weights(path, w[:, :, :, :1], (7, 4, NF), shared=False, size=(5, 4))
    refused(r"weights of .*needs")


def test_a_run_resumes_with_its_own_patches(tmp_path: Path) -> None:
    def experiment(steps: int) -> Any:
        return loads(
            column(4, 4, nbatch=2, stopTime=steps, checkpointWrite=True,
                   checkpointWriteStepInterval=100)
            + noise("In", writeStep=-1) + noise("Up", writeStep=-1)
            + linear("Out", writeStep=1) + join("IdentConn", "UpToOut")
            + plastic("InToOut", 3, kind="MomentumConn", momentumMethod="simple",
                      weightUpdatePeriod=2, **OWN)
        )  # fmt: skip

    keys = {"backend": "cpu", "dtype": "float64", "threads": 1}
    run_experiment(experiment(9), tmp_path / "whole", **keys)
    run_experiment(experiment(5), tmp_path / "parts", **keys)
    half = open_run(tmp_path / "parts").weights("InToOut")
    assert run_experiment(experiment(9), tmp_path / "parts", resume=True, **keys).began == 5
    whole, parts = (open_run(tmp_path / n).weights("InToOut") for n in ("whole", "parts"))
    assert whole.shape[-4:] == (6 * 6 * 3, 3, 3, 3)
    assert not np.array_equal(half, whole) and np.array_equal(parts, whole)


# ---- Requests that cannot be met ---------------------------------------------------------------

SMALL = column(4, 4) + noise("In") + linear("Out") + noise("Half", nxScale=0.5, nyScale=0.5)


@pytest.mark.parametrize(
    ("groups", "match"),
    [
        (
            weights("InToOut", 3, normalizeMethod="normalizeL2", normalizeFromPostPerspective=True,
                    **OWN),
            r'InToOut": normalizeFromPostPerspective = true needs sharedWeights = true',
        ),
        (
            weights("InToOut", 3, **OWN) + linear("HalfOut", nxScale=0.5, nyScale=0.5)
            + join("CloneConn", "Clone", preLayerName="Half", postLayerName="HalfOut",
                   originalConnName="InToOut"),
            r'Clone": needs weights of \(4, 4, 3, 3, 3, 3\).*has \(6, 6, 3, 3, 3, 3\)',
        ),
        (
            weights("InToOut", 3, normalizeMethod="normalizeL2")
            + weights("Member", 3, preLayerName="In", postLayerName="Out",
                      normalizeMethod="normalizeGroup", normalizeGroupName="InToOut", **OWN),
            r'Member": .*another sharedWeights',
        ),
    ],
    ids=["post perspective", "clone between other sizes", "group of both"],
)  # fmt: skip
def test_what_own_patches_cannot_do(groups: str, match: str) -> None:
    with pytest.raises(NeurosimError, match=r'<text>:\d+: \w+ "' + match):
        simulator(SMALL + groups)
