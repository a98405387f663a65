"""Every backend does what the reference does: every buffer of every operator after some steps."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from neurosim import loads
from neurosim.backends.reference import KERNELS
from neurosim.plan import Operator, Plan
from neurosim.simulation import Simulator
from neurosim.stimuli.pvp import write_activity
from tests.backends.cases import CASES, COLUMN
from tests.backends.nets import BACKENDS, FORMS, formed, read_all, simulator
from tests.tolerances import FLOAT32_REORDERED, FLOAT64_REORDERED, SEARCH_STATE

STEPS = 10
TOLERANCE = {"float32": FLOAT32_REORDERED, "float64": FLOAT64_REORDERED}


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the frames of the input layers."""
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(5)
    write_activity(folder / "frames.pvp", rng.normal(size=(7, 8, 8, 3)).astype(np.float32))
    return folder


def text_of(case: str) -> str:
    groups = "".join(CASES[case])
    return groups if groups.startswith("HyPerCol") else COLUMN + groups


def operators(plan: Plan) -> tuple[Operator, ...]:
    return (*plan.start, *plan.step, *plan.learn)


def forms_of(case: str) -> list[str]:
    """Forms of the plan that differ from those before them."""
    experiment = loads(text_of(case))
    plans = [formed(experiment, form) for form in FORMS]
    return [form for i, form in enumerate(FORMS) if plans[i] not in plans[:i]]


CASE_FORMS = [(case, form) for case in CASES for form in forms_of(case)]


@cache
def reference(case: str, frames: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Every buffer of the plain plan after the first and the last step."""
    made = simulator(text_of(case), folder=frames, form="plain")
    made.run(1)
    first = read_all(made)
    made.run(STEPS)
    return first, read_all(made)


def assert_same(found: np.ndarray, wanted: np.ndarray, tolerance: float, what: str) -> None:
    assert found.shape == wanted.shape
    assert np.isfinite(wanted).all(), f"{what} is not finite"
    largest = max(float(np.abs(wanted).max(initial=0)), 1e-3)
    difference = float(np.abs(found - wanted).max(initial=0))
    assert difference <= tolerance * largest, f"{what} differs by {difference:.3g} of {largest:.3g}"


def compare(tested: Simulator, case: str, frames: Path, tolerance: float, fused: bool) -> None:
    """Compare all buffers with those of the reference on the plain plan.

    What a fused plan sums in a drive is part of it only.
    """
    for step, wanted in zip((1, STEPS), reference(case, frames), strict=True):
        tested.run(step)
        # The rounding of each step and update adds up.
        limit = tolerance if step == 1 else 10 * tolerance
        for name, value in wanted.items():
            if name in tested.plan.buffers and not (fused and name.endswith(":G")):
                allowed = limit * (SEARCH_STATE if name.endswith(":control") else 1)
                assert_same(tested.backend.read(name), value, allowed, f"{name} at step {step}")
    assert any(np.any(value) for value in wanted.values()), "nothing but zeros was compared"


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda b: f"{b[0]}-{b[1]}")
@pytest.mark.parametrize(("case", "form"), CASE_FORMS)
def test_backend_agrees_with_the_reference(
    case: str, form: str, backend: tuple[str, str, int], frames: Path
) -> None:
    tested = simulator(text_of(case), *backend, folder=frames, form=form)
    compare(tested, case, frames, TOLERANCE[backend[1]], form != "plain")


@pytest.mark.parametrize(("case", "form"), [(c, f) for c, f in CASE_FORMS if f != "plain"])
def test_fused_operators_do_what_they_stand_for(case: str, form: str, frames: Path) -> None:
    tested = simulator(text_of(case), folder=frames, form=form)
    compare(tested, case, frames, 1e-11, True)


def test_the_cases_hold_every_operator() -> None:
    """A kernel without a case would be compared with nothing."""
    kinds: set[str] = set()
    for case, form in CASE_FORMS:
        kinds |= {op.kind for op in operators(formed(loads(text_of(case)), form))}
    assert kinds == set(KERNELS)


def test_the_cases_hold_kernels_of_zeros() -> None:
    """A kernel of norm zero ends L2 normalisation, but not where each arbor is on its own."""
    seen = []
    for case in CASES:
        if "kernel of zeros" not in case:
            continue
        norms = np.sqrt((simulator(text_of(case)).backend.read("InToOut:W") ** 2).sum((2, 3, 4)))
        unit = np.abs(norms - 1) < 1e-9
        if case.endswith("alone"):
            assert (norms == 0).any() and np.all(unit | (norms == 0))
        else:
            first = int(np.argmax(norms[0] == 0))
            assert norms[0, first] == 0 and unit[0, :first].all()
            assert not unit[0, first:].any() and norms[0, first:].any()
        seen.append(case)
    assert len(seen) == 2
