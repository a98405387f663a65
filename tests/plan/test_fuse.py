"""A fused plan gives the numbers of the plain one, in fewer operators."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosim import loads
from neurosim.network.geometry import PatchGeometry
from neurosim.plan import Plan, fuse
from neurosim.plan.winograd import rules, transform, worthwhile
from tests.backends.circuits import CIRCUITS, CLOCK
from tests.backends.nets import (
    BACKENDS,
    code,
    column,
    group,
    join,
    linear,
    noise,
    plastic,
    read_all,
    simulator,
)

LEVELS = 3


@st.composite
def networks(draw: st.DrawFn) -> str:
    """A sparse-coding network of some levels, in some order and with some phases."""
    levels = draw(st.integers(1, LEVELS))
    nbatch = draw(st.integers(1, 2))
    parts = [column(nbatch=nbatch), noise("In", nf=2)]
    phase = st.integers(0, 4)
    below, scale, features = "In", 1.0, 2
    for level in range(1, levels + 1):
        name, kind = f"L{level}", draw(st.sampled_from(["HyPerLCALayer", "MomentumLCALayer"]))
        over = {"nxScale": scale, "nyScale": scale}
        scale /= 2
        own = {"nxScale": scale, "nyScale": scale}
        nf = draw(st.integers(2, 4))
        parts += [
            linear(f"{name}Error", features, phase=draw(phase), **over),
            linear(f"{name}Recon", features, phase=draw(phase), **over),
            code(name, nf, phase=draw(phase), kind=kind, timeConstantTau=6, **own),
            plastic(f"{name}ToRecon", 4, wGaussStdev=0.1, preLayerName=name,
                    postLayerName=f"{name}Recon", dWMax=0.05,
                    weightUpdatePeriod=draw(st.integers(1, 5))),
            join("IdentConn", f"{below}ToError{level}", preLayerName=below,
                 postLayerName=f"{name}Error"),
            join("IdentConn", f"{name}Left", 1, preLayerName=f"{name}Recon",
                 postLayerName=f"{name}Error"),
            join("TransposeConn", f"{name}Drive", originalConnName=f"{name}ToRecon",
                 preLayerName=f"{name}Error", postLayerName=name),
        ]  # fmt: skip
        if level > 1:
            parts.append(
                join("IdentConn", f"{name}Back", 1, preLayerName=f"{name}Error",
                     postLayerName=f"L{level - 1}")
            )  # fmt: skip
        if draw(st.booleans()):
            parts.append(group("L2NormProbe", f"{name}Norm", targetLayer=f"{name}Recon"))
        below, features = name, nf
        if draw(st.booleans()) and level < levels:
            below = f"{name}Shown"
            parts.append(group("CloneVLayer", below, originalLayerName=name, phase=draw(phase)))
    fixed, free = parts[:1], parts[1:]
    layers = [p for p in free if 'Layer "' in p.split("=")[0]]
    others = [p for p in free if p not in layers]
    return "".join(fixed + draw(st.permutations(layers)) + draw(st.permutations(others)))


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray], what: str) -> None:
    for name, value in one.items():
        if not name.endswith(":G"):
            scale = max(1.0, float(np.abs(value).max(initial=0)))
            difference = float(np.abs(other[name] - value).max(initial=0))
            assert difference <= 1e-10 * scale, f"{name} {what}: {difference:.2g}"


@settings(max_examples=120, deadline=None)
@given(networks(), st.lists(st.integers(1, 6), min_size=2, max_size=4), st.data())
def test_random_networks_give_the_same_numbers(
    text: str, stretches: list[int], data: st.DataObject
) -> None:
    plain, fused = (simulator(text, form=form) for form in ("plain", "fused"))
    step = 0
    for stretch in stretches:
        step += stretch
        for made in (plain, fused):
            made.run(step)
        same(read_all(plain), read_all(fused), f"at step {step}")
        if data.draw(st.booleans(), label="write a reconstruction"):
            value = 0.5 * plain.backend.read("L1Recon:A") + 0.1
            for made in (plain, fused):
                made.write("L1Recon:A", value)


def steady(plan: Plan) -> Counter:
    """Kinds of the operators that run in a step between two interruptions."""
    return Counter(op.kind for op in plan.step if op.at in ("every", "rest") and op.when.always)


@pytest.mark.parametrize("case", [c for c in CIRCUITS if c.startswith("two levels, potential")])
def test_two_levels_need_one_operator_for_each_error_drive_and_code(case: str) -> None:
    plan = loads(column() + "".join(CIRCUITS[case])).fused_plan
    assert steady(plan) == Counter(residual=2, gather=2, lca=2, guard=2)


def test_the_compact_form_is_fused_the_same() -> None:
    text = column(16, 16) + CLOCK + group(
        "SparseCoding", "V1", codes="Clock", patchSize=4, stride=2, features=6, VThresh=0.1,
        timeConstantTau=10, dWMax=1,
    ) + group(
        "SparseCoding", "V2", codes="V1", patchSize=4, stride=2, features=6, VThresh=0.1,
        timeConstantTau=10, dWMax=1, feedback="potential",
    )  # fmt: skip
    assert steady(loads(text).fused_plan) == Counter(residual=2, gather=2, lca=2, guard=2)


def test_a_whole_field_needs_no_error() -> None:
    plan = loads(column() + "".join(CIRCUITS["whole-field code of a shown input"])).fused_plan
    assert steady(plan) == Counter(lateral=1, lca=1, guard=1)


def test_a_probe_of_the_error_keeps_it() -> None:
    text = column() + "".join(CIRCUITS["whole-field code of a fixed input"])
    text += group("L2NormProbe", "Left", targetLayer="Error")
    assert steady(loads(text).fused_plan) == Counter(residual=1, gather=1, lca=1, guard=1, norm=1)


def test_a_probe_of_a_reconstruction_keeps_it() -> None:
    text = column() + "".join(CIRCUITS["two levels, potential fed back, early errors"])
    text += group("L2NormProbe", "Shape", targetLayer="Above")
    kinds = steady(loads(text).fused_plan)
    assert kinds["scatter"] == 1 and kinds["residual"] == 2


def test_fusing_twice_changes_nothing() -> None:
    for parts in CIRCUITS.values():
        once = loads(column() + "".join(parts)).fused_plan
        assert fuse(once) == once


@pytest.mark.parametrize("taps", [1, 2, 4, 8])
def test_short_convolutions_are_exact(taps: int) -> None:
    rule = transform(taps)
    rng = np.random.default_rng(taps)
    x, w = rng.integers(-9, 9, 2 * taps - 1), rng.integers(-9, 9, taps)
    outputs = rule.outputs @ ((rule.inputs @ x) * (rule.weights @ w))
    assert np.allclose(outputs, [x[i : i + taps] @ w for i in range(taps)], rtol=0, atol=1e-11)
    assert rule.products == {1: 1, 2: 3, 4: 7, 8: 21}[taps]


def test_rounding_of_short_convolutions_in_single_precision() -> None:
    rule = transform(4)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((7, 4096)).astype(np.float32)
    w = (rng.standard_normal((4, 4096)) / 128).astype(np.float32)
    inputs, weights = rule.inputs.astype(np.float32) @ x, rule.weights.astype(np.float32) @ w
    outputs = rule.outputs.astype(np.float32) @ (inputs * weights).sum(1)
    exact = [np.vdot(x[i : i + 4].astype(float), w.astype(float)) for i in range(4)]
    assert np.abs(outputs - exact).max() < 2e-5


def drive(patch: int, features: int, coarse: int) -> PatchGeometry:
    """Geometry of the drive of a code with stride 2 over a layer."""
    text = column(32, 32) + noise("In", nf=features) + linear("Left", features, phase=3) + code(
        "V", coarse, nxScale=0.5, nyScale=0.5
    ) + join("IdentConn", "InToLeft") + plastic("VToLeft", patch) + join(
        "TransposeConn", "LeftToV", originalConnName="VToLeft"
    )  # fmt: skip
    plan = loads(text).fused_plan
    geometry = next(op for op in plan.step if op.kind == "gather").scalars["geometry"]
    assert isinstance(geometry, PatchGeometry)
    return geometry


def test_work_of_short_convolutions() -> None:
    both, rows = rules(drive(8, 128, 128))
    plain = 16 * 16 * 8 * 8 * 128 * 128
    assert both.products == 49
    assert 16 * 49 * 512 * 128 < both.work < 0.4 * plain
    assert rows.products == 7
    assert 4 * 16 * 7 * 2048 * 128 < rows.work < 0.5 * plain
    assert worthwhile({"geometry": drive(8, 128, 128)}) == both
    # Products of few features are thin: columns stay as they are.
    assert worthwhile({"geometry": drive(8, 4, 512)}) == rules(drive(8, 4, 512))[1]
    assert worthwhile({"geometry": drive(8, 128, 4)}) is None
    assert rules(drive(6, 128, 128)) == ()


@pytest.mark.parametrize("form", ["tuned", "rows"])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize(("backend", "dtype", "threads"), BACKENDS)
def test_short_convolutions_drive_as_the_plain_product(
    form: str, mirror: bool, backend: str, dtype: str, threads: int
) -> None:
    text = column(24, 16, nbatch=3) + noise("In", nf=5, mirrorBCflag=mirror, valueBC=0.7) + code(
        "V", 6, nxScale=0.5, nyScale=0.5
    ) + plastic("VToIn", 8, plasticityFlag=False, channelCode=-1) + join(
        "TransposeConn", "InToV", originalConnName="VToIn"
    )  # fmt: skip
    plain = simulator(text, form="plain")
    short = simulator(text, backend, dtype, threads, form=form)
    assert any(op.kind == "gather_winograd" for op in short.plan.step)
    for each in (plain, short):
        each.run(3)
    potential, found = plain.backend.read("V:V"), short.backend.read("V:V")
    assert np.abs(potential).max() > 0.1
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    assert np.allclose(found, potential, rtol=0, atol=tolerance * np.abs(potential).max())
