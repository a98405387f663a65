"""Every backend does what the reference does: every buffer of every operator after some steps."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from neurosim.backends.reference import KERNELS
from neurosim.network import build_network
from neurosim.paramfile import load_text
from neurosim.plan import Plan, lower
from neurosim.stimuli.pvp import write_activity
from tests.backends.cases import CASES, COLUMN
from tests.backends.nets import BACKENDS, read_all, simulator
from tests.tolerances import FLOAT32_REORDERED, FLOAT64_REORDERED

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


def plan_of(case: str) -> Plan:
    return lower(build_network(load_text(text_of(case), "<text>").model))


@cache
def reference(case: str, frames: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Every buffer after the first and the last step."""
    made = simulator(text_of(case), folder=frames)
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


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda b: f"{b[0]}-{b[1]}")
@pytest.mark.parametrize("case", CASES)
def test_backend_agrees_with_the_reference(
    case: str, backend: tuple[str, str, int], frames: Path
) -> None:
    tested = simulator(text_of(case), *backend, folder=frames)
    tolerance = TOLERANCE[backend[1]]
    first, last = reference(case, frames)
    tested.run(1)
    for name, wanted in first.items():
        assert_same(tested.backend.read(name), wanted, tolerance, f"{name} at step 1")
    tested.run(STEPS)
    changed = False
    for name, wanted in last.items():
        # The rounding of each step and update adds up.
        assert_same(tested.backend.read(name), wanted, 10 * tolerance, f"{name} at step {STEPS}")
        changed |= bool(np.any(wanted))
    assert changed, "nothing but zeros was compared"


def test_the_cases_hold_every_operator() -> None:
    """A kernel without a case would be compared with nothing."""
    kinds: set[str] = set()
    for case in CASES:
        plan = plan_of(case)
        kinds |= {op.kind for slot in (plan.start, plan.step, plan.learn) for op in slot}
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
