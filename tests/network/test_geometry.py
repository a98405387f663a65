"""Deliveries and increments against PetaVision's patch rules written unit by unit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.backends.nets import column, group, join, simulator, weights
from tests.network.geometry_by_hand import Axis, delivered, increments, kernels, transposed
from tests.tolerances import FLOAT64_EXACT

BOUNDARIES = ({"mirrorBCflag": True}, {"valueBC": 0.0}, {"valueBC": -0.7})


@st.composite
def axes(draw: st.DrawFn) -> tuple[Axis, Axis]:
    """Two axes that run the same way, with patches that suit them."""
    way = draw(st.sampled_from(["same", "pre finer", "post finer"]))

    def axis() -> Axis:
        ratio = 1 if way == "same" else draw(st.sampled_from([1, 2, 4]))
        coarse = draw(st.integers(1, 4))
        fine = coarse * ratio
        if ratio == 1:
            return Axis(coarse, coarse, draw(st.sampled_from([1, 3, 5])))
        if way == "pre finer":
            return Axis(fine, coarse, draw(st.integers(1, 4)))
        return Axis(coarse, fine, ratio * draw(st.integers(1, 4)))

    y, x = axis(), axis()
    for a in (y, x):
        # PetaVision reads beyond the layer where a margin is wider than the layer.
        assume(a.margin <= a.pre and a.turned.margin <= a.post)
    return y, x


Size = tuple[int, int]


def layer(name: str, like: str, y: int, x: int, nf: int, size: Size, **keys: float) -> str:
    return group(
        like, name, nf=nf, nyScale=y / size[0], nxScale=x / size[1], InitVType="ZeroV",
        phase=0 if like == "ConstantLayer" else 1, **keys,
    )  # fmt: skip


def network(y: Axis, x: Axis, nf: Size, boundary: dict[str, float], plastic: bool) -> str:
    """Pre to Post by weights, and Source, like Post, to Target, like Pre, by their transpose."""
    size = (y.pre, x.pre)
    learns = {"plasticityFlag": plastic, "channelCode": -1 if plastic else 0}
    if plastic:
        learns |= {"weightUpdatePeriod": 1, "dWMax": 0.3, "normalizeDw": False}
    post = "ConstantLayer" if plastic else "HyPerLayer"
    return "".join([
        column(x.pre, y.pre),
        layer("Pre", "ConstantLayer", y.pre, x.pre, nf[0], size, **boundary),
        layer("Post", post, y.post, x.post, nf[1], size),
        layer("Source", "ConstantLayer", y.post, x.post, nf[1], size, **boundary),
        layer("Target", "HyPerLayer", y.pre, x.pre, nf[0], size),
        weights("PreToPost", x.n, y.n, **learns),
        join("TransposeConn", "SourceToTarget", originalConnName="PreToPost"),
    ])  # fmt: skip


MANY = settings(max_examples=80)
CASES = given(axes(), st.tuples(st.integers(1, 3), st.integers(1, 3)), st.sampled_from(BOUNDARIES))


def data(y: Axis, x: Axis, nf: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pre activity with zeros in it, post activity, weights."""
    rng = np.random.default_rng([y.pre, x.pre, y.post, x.post, y.n, x.n])
    pre = rng.normal(size=(y.pre, x.pre, nf[0])) * (rng.random((y.pre, x.pre, nf[0])) < 0.6)
    post = rng.normal(size=(y.post, x.post, nf[1]))
    return pre, post, rng.normal(size=(kernels(y, x, nf[0]), y.n, x.n, nf[1]))


def bounds(boundary: dict[str, float]) -> tuple[bool, float]:
    return "mirrorBCflag" in boundary, float(boundary.get("valueBC", 0.0))


@MANY
@CASES
def test_delivery_and_its_transpose(
    both: tuple[Axis, Axis], nf: tuple[int, int], boundary: dict[str, float]
) -> None:
    y, x = both
    pre, post, w = data(y, x, nf)
    made = simulator(network(y, x, nf, boundary, plastic=False))
    made.overwrite([("Pre:A", pre[None]), ("Source:A", post[None]), ("PreToPost:W", w[None])])
    made.run(1)
    ends = bounds(boundary)
    expected = delivered(pre, w, y, x, *ends)
    np.testing.assert_allclose(made.backend.read("Post:A")[0], expected, atol=FLOAT64_EXACT)
    back = delivered(post, transposed(w, y, x), y.turned, x.turned, *ends)
    np.testing.assert_allclose(made.backend.read("Target:A")[0], back, atol=FLOAT64_EXACT)


@MANY
@CASES
def test_increments_and_counts(
    both: tuple[Axis, Axis], nf: tuple[int, int], boundary: dict[str, float]
) -> None:
    y, x = both
    pre, post, w = data(y, x, nf)
    made = simulator(network(y, x, nf, boundary, plastic=True))
    made.overwrite([("Pre:A", pre[None]), ("Post:A", post[None]), ("PreToPost:W", w[None])])
    made.run(1)
    total, count = increments(pre, post, y, x, *bounds(boundary))
    assert np.array_equal(made.backend.read("PreToPost:count")[0, ...], count)
    np.testing.assert_allclose(
        made.backend.read("PreToPost:W")[0], w + 0.3 * total, atol=FLOAT64_EXACT
    )


@MANY
@CASES
def test_the_transpose_is_the_adjoint(
    both: tuple[Axis, Axis], nf: tuple[int, int], _: dict[str, float]
) -> None:
    """With zero margins <W a, e> = <a, W' e>."""
    y, x = both
    pre, post, w = data(y, x, nf)
    made = simulator(network(y, x, nf, {}, plastic=False))
    made.overwrite([("Pre:A", pre[None]), ("Source:A", post[None]), ("PreToPost:W", w[None])])
    made.run(1)
    there = np.vdot(made.backend.read("Post:A"), post)
    back = np.vdot(made.backend.read("Target:A"), pre)
    assert there == pytest.approx(back, abs=FLOAT64_EXACT * (1 + np.abs(pre).sum()))


def test_patch_of_the_documented_example() -> None:
    """V1 at stride 2 with patch 8: unit x covers 2x - 3 to 2x + 4."""
    axis = Axis(32, 64, 8)
    assert [axis.start(x) for x in (0, 1, 31)] == [-3, -1, 59]
