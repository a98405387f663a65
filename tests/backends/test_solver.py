"""The sparse solver: how fast, how surely and to which point it comes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Lasso

from neurosim import load, loads
from neurosim.backends import search
from neurosim.errors import NeurosimError
from neurosim.plan import searching
from neurosim.simulation import Simulator
from tests.backends.cases import COLUMN
from tests.backends.nets import code, column, group, linear, noise, read_all, simulator
from tests.backends.solver_cases import HALF, SOLVER_CASES, one_level, solver
from tests.physics.networks import (
    SIZE,
    STRIDE,
    Coder,
    dictionary_matrix,
    lca_text,
    random_coder,
    start,
    two_levels,
)
from tests.tolerances import FLOAT64_EXACT, LASSO_OPTIMALITY_RELATIVE, SKLEARN_LASSO_CODE

ROOT = Path(__file__).resolve().parents[2]
#: Least energies of its 16 images, from 1,200 steps in float64 (optimal to 1e-6 of themselves).
LEAST = (
    607.4494,
    566.3254,
    537.9737,
    1070.0999,
    1027.9478,
    783.4805,
    648.0385,
    788.3059,
    786.8259,
    579.7522,
    784.3505,
    867.7030,
    686.6087,
    603.8586,
    687.9637,
    452.9536,
)


def solved(text: str) -> str:
    """The same network with solvers for its coding layers."""
    text = re.sub(r"    timeConstantTau = .*;\n", "", text)
    return text.replace("HyPerLCALayer", "SparseSolverLayer")


def follow(made: Simulator, steps: int, probe: str = "Energy") -> np.ndarray:
    """Energies (step, image) of ``steps`` steps."""
    energies = []
    for step in range(made.step + 1, made.step + steps + 1):
        made.run(step)
        energies.append(made.backend.read(f"{probe}:value"))
    return np.array(energies)


def excess(coder: Coder, codes: np.ndarray) -> float:
    """Largest violation of the optimality conditions, relative to the threshold."""
    a = codes.reshape(len(codes), -1)
    drive = (coder.x.reshape(len(a), -1) - a @ coder.matrix.T) @ coder.matrix
    wrong = np.where(a > 0, np.abs(drive - coder.lam), np.maximum(drive - coder.lam, 0))
    return float(wrong.max() / coder.lam)


@pytest.fixture
def coder(rng: np.random.Generator) -> Coder:
    return random_coder(rng, nbatch=3)


# ---- How fast ----------------------------------------------------------------------------------


def test_steps_on_natural_images(conformance: Path) -> None:
    x, w = (np.load(conformance / "problem_k8" / name) for name in ("x.npy", "w8.npy"))
    x = x[::2]
    text = column(64, 64, len(x)) + noise("X") + group(
        "SparseCoding", "V1", codes="X", patchSize=8, stride=2, features=128, VThresh=0.6,
        layerKind="SparseSolverLayer", inputScale=1, learn=False, energy="Energy",
    )  # fmt: skip
    found: list[np.ndarray] = []

    def recorded(first: int, values: dict[str, np.ndarray]) -> None:
        if first > 0:
            found.append(values["Energy"])

    made = simulator(text, "cpu", "float32", 2, recorded=recorded)
    images, kernels = x.transpose(0, 2, 3, 1), w.transpose(0, 2, 3, 1)[None]
    made.overwrite([("X:A", images), ("V1ToXError:W", kernels)])
    made.run(150)
    gaps = np.concatenate(found) / np.array(LEAST[::2]) - 1
    assert np.all(gaps[59] <= 1e-2) and np.all(gaps[149] <= 1e-3)
    # Monotone, up to the rounding of a sum of squares in float32.
    assert np.all(np.diff(gaps[2:], axis=0) <= 1e-6) and np.all(gaps >= -1e-5)


def test_steps_on_random_pictures(rng: np.random.Generator) -> None:
    """A dictionary with a common part: the largest curvature is far above the others."""
    made_of = random_coder(rng, nbatch=4, lam=0.1)
    coder = biased(made_of, 0.5)
    gaps = gaps_of(coder, 120)
    assert np.all(gaps[25] < 1e-2) and np.all(gaps[50] < 1e-3) and np.all(gaps[119] < 1e-8)
    assert np.all(np.diff(gaps, axis=0) < 1e-12)


def biased(coder: Coder, part: float) -> Coder:
    """The same pictures, and a dictionary whose elements share a part."""
    kernels = coder.kernels + part * np.abs(coder.kernels[:1])
    kernels /= np.sqrt(np.sum(kernels**2, (1, 2, 3), keepdims=True))
    return with_kernels(coder, kernels)


def with_kernels(coder: Coder, kernels: np.ndarray) -> Coder:
    matrix = dictionary_matrix(kernels, SIZE, STRIDE)
    return Coder(coder.x, kernels, matrix, coder.lam)


def gaps_of(coder: Coder, steps: int) -> np.ndarray:
    """Relative energy gaps, the least energy from a long run."""
    made = start(coder, solved(lca_text(coder, 10)))
    energies = follow(made, steps)
    made.run(1500)
    codes = made.backend.read("V:A")
    assert excess(coder, codes) < 1e-6
    return energies / coder.energy(codes) - 1


# ---- To which point ----------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_it_comes_to_the_lasso(coder: Coder, backend: str) -> None:
    made = start(coder, solved(lca_text(coder, 10)), backend)
    energies = follow(made, 150)
    codes = made.backend.read("V:A")
    assert excess(coder, codes) < LASSO_OPTIMALITY_RELATIVE
    lasso = Lasso(coder.lam / len(coder.matrix), positive=True, fit_intercept=False, tol=1e-10,
                  max_iter=100_000)  # fmt: skip
    for x, a in zip(coder.x, codes, strict=True):
        wanted = lasso.fit(coder.matrix, x.ravel()).coef_
        assert np.count_nonzero(wanted) > 5
        np.testing.assert_allclose(a.ravel(), wanted, atol=SKLEARN_LASSO_CODE)
    # The energy that is recorded is that of the code that is shown.
    np.testing.assert_allclose(energies[-1], coder.energy(codes), rtol=FLOAT64_EXACT)
    potential = made.backend.read("V:V")
    np.testing.assert_allclose(np.maximum(potential - coder.lam, 0), codes, atol=FLOAT64_EXACT)


def test_the_recorded_energy_is_that_of_the_code_at_every_step(coder: Coder) -> None:
    made = start(coder, solved(lca_text(coder, 10)))
    for energy in follow(made, 1):
        assert np.all(energy > 0)
    last = np.inf
    for _ in range(40):
        (energy,) = follow(made, 1)
        np.testing.assert_allclose(energy, coder.energy(made.backend.read("V:A")), rtol=1e-10)
        assert np.all(energy <= last * (1 + 1e-12))
        last = energy


@pytest.mark.parametrize("feedback", ["activity", "potential"])
def test_two_levels_come_to_the_rest_of_the_plain_dynamics(coder: Coder, feedback: str) -> None:
    text = two_levels(coder, 10, 0.1, feedback)
    plain, quick = start(coder, text), start(coder, solved(text))
    plain.run(3000)
    quick.run(200)
    for name in ("V:A", "W:A"):
        wanted = plain.backend.read(name)
        assert np.count_nonzero(wanted) > 3
        np.testing.assert_allclose(quick.backend.read(name), wanted, atol=1e-6)
    if feedback == "potential":
        np.testing.assert_allclose(quick.backend.read("V:V"), plain.backend.read("V:V"), atol=1e-6)


# ---- How surely --------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("part", [0.0, 1.0, 20.0])
def test_no_dictionary_makes_it_diverge(coder: Coder, part: float, scale: float) -> None:
    """Kernels of any norm, alike or not: the energy never rises."""
    kernels = scale * biased(coder, part).kernels
    energies = follow(start(with_kernels(coder, kernels), solved(lca_text(coder, 10))), 60)
    # What is left is the rounding of the gradient.
    assert np.all(np.diff(energies, axis=0) <= 1e-9 * energies[:-1])
    zero = 0.5 * np.sum(coder.x**2, axis=(1, 2, 3))
    assert np.all(energies[-1] <= zero * (1 + 1e-12))


def test_potentials_with_a_dictionary_of_large_norm(coder: Coder) -> None:
    """The plain dynamics would need a time constant of thousands of steps."""
    text = two_levels(coder, 10, 0.1, "potential")
    made = start(coder, solved(text))
    made.overwrite([("VToRecon:W", 20 * coder.kernels[None])])
    made.run(600)
    before = made.backend.read("V:V")
    made.run(603)
    after = made.backend.read("V:V")
    assert np.abs(after - before).max() < 1e-3 * np.abs(after).max()


def relaxation(answer: np.ndarray, late: int, steps: int) -> np.ndarray:
    """Lengths of v on its way to rest under v' = -v - answer @ (v of ``late`` steps ago)."""
    v = np.random.default_rng(1).standard_normal(len(answer))
    control = np.zeros(searching.CONTROL)
    control[searching.MODE] = searching.BEGIN
    earlier, rest, past = v, np.zeros_like(v), [v] * (late + 1)
    for _ in range(steps):
        r = -v - answer @ past[-1 - late]
        change = r - rest
        sums = r @ r, change @ change, change @ r, -change @ (v - earlier)
        search.relaxed(control, *sums)
        rate, undone = control[searching.STEP], control[searching.TURN]
        if control[searching.ACTION] == searching.BACK:
            v = earlier + rate * rest
        else:
            following = v - undone * (v - earlier) + rate * (r - undone * change)
            earlier, rest, v = v, r, following
        past.append(v)
    return np.linalg.norm(past[late:], axis=1)


@pytest.mark.parametrize("late", [0, 1, 2])
def test_a_relaxation_whose_answer_comes_late_does_not_run_away(late: int) -> None:
    turned, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((30, 30)))
    answer = turned @ np.diag(np.geomspace(0.1, 10, 30)) @ turned.T
    length = relaxation(answer, late, 200)
    assert length.max() < 100 * length[0]
    if late == 0:
        assert length[50] < 1e-6 * length[0]


@pytest.mark.parametrize("told", [True, False])
def test_it_notices_that_its_problem_has_changed(coder: Coder, told: bool) -> None:
    """New pictures and weights come from outside; new pictures behind the simulator's back."""
    made = start(coder, solved(lca_text(coder, 10)))
    made.run(20)
    other = Coder(coder.x[::-1], coder.kernels, coder.matrix, coder.lam)
    made.backend.write("X:A", other.x)
    if told:
        other = with_kernels(other, np.roll(coder.kernels, 1, axis=1))
        made.write("VToRecon:W", other.kernels[None])
    made.run(220)
    assert excess(other, made.backend.read("V:A")) < LASSO_OPTIMALITY_RELATIVE


def test_images_do_not_see_each_other(coder: Coder) -> None:
    """Whatever the other images do, each takes the same steps."""
    other = Coder(coder.x * np.array([1, 5, 0])[:, None, None, None], *[
        coder.kernels, coder.matrix, coder.lam])  # fmt: skip
    found = []
    for each in (coder, other):
        made = start(each, solved(lca_text(coder, 10)))
        made.run(37)
        found.append(made.backend.read("V:A")[0])
    assert np.any(found[0]) and np.array_equal(*found)


@pytest.mark.parametrize("case", [c for c in SOLVER_CASES if "reset" not in c])
def test_it_goes_on_from_a_checkpoint_bit_for_bit(case: str) -> None:
    text = "".join((COLUMN, *SOLVER_CASES[case]))
    whole = simulator(text, "cpu", "float32")
    whole.run(40)
    for step in (1, 12, 17):
        first, second = (simulator(text, "cpu", "float32") for _ in range(2))
        first.run(step)
        second.restore(step, list(first.saved()), first.bookkeeping())
        second.run(40)
        wanted = dict(whole.saved())
        assert all(np.array_equal(value, wanted[name]) for name, value in second.saved())


def test_learning_with_large_steps_stays_finite() -> None:
    learning = {"plasticityFlag": True, "dWMax": 5.0, "weightUpdatePeriod": 25,
                "normalizeMethod": "normalizeL2"}  # fmt: skip
    made = simulator((COLUMN, *one_level(learning=learning)), "cpu", "float32")
    energies = follow(made, 200, "VEnergy")
    rises = np.diff(energies, axis=0) > 1e-5 * energies[:-1]
    steps = np.nonzero(rises.any(1))[0] + 2
    # The step after an update shows the old code with the new weights.
    assert np.all(np.isin(steps % 25, (1, 2))) and np.all(energies[199] < energies[0])


def test_cpu_and_reference_come_to_the_same_point() -> None:
    for case in ("solvers of two levels with one energy", "solvers of two levels with potentials"):
        text = "".join((COLUMN, *SOLVER_CASES[case]))
        found = []
        for backend in (("reference", "float64"), ("cpu", "float64"), ("cpu", "float32")):
            made = simulator(text, *backend)
            made.run(150)
            found.append(read_all(made))
        for name in ("V:A", "W:A", "V:V"):
            for other in found[1:]:
                np.testing.assert_allclose(other[name], found[0][name], atol=1e-4)


# ---- In files ----------------------------------------------------------------------------------

LEVEL = one_level()
MISTAKES = {
    "AShift = 0; this solver has a one-sided soft": one_level(AShift=0),
    "VWidth = 0.1; this solver": one_level(VWidth=0.1),
    "verticesV: this solver has": one_level(verticesV=[0, 1], verticesA=[0, 1]),
    'VThresh = 0: must be': one_level(VThresh=0),
    "nothing that V drives comes back to it": (noise("X"), solver("V", nf=3),
                                             group("IdentConn", "XToV", channelCode=0)),
    "2 steps late": tuple(t.replace("phase = 3", "phase = 1") for t in LEVEL),
    "does not update in every step": (
        group("PvpLayer", "Clock", nf=3, inputPath="frames.pvp", displayPeriod=8),
        *(t.replace('"XError" = {', '"XError" = { triggerLayerName = "Clock";') for t in LEVEL),
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_told_with_their_place(message: str) -> None:
    with pytest.raises(NeurosimError, match=r":\d+: .*" + re.escape(message)):
        _ = loads(COLUMN + "".join(MISTAKES[message])).plan


def test_a_loop_with_another_kind_is_told(coder: Coder) -> None:
    text = two_levels(coder, 10, 0.1, "activity")
    second = text.index('HyPerLCALayer "W"')
    mixed = solved(text[:second]) + text[second:]
    with pytest.raises(NeurosimError, match='shares a loop with HyPerLCALayer "W"; give both'):
        _ = loads(mixed).plan


def test_compact_files_take_it_as_their_dynamics() -> None:
    change = "V1.layerKind=SparseSolverLayer"
    experiment = load(ROOT / "params" / "lca_patch.params", [change])
    assert "solver_move" in {op.kind for op in experiment.plan.step}
    levels = [f"{name}.layerKind=SparseSolverLayer" for name in ("V1", "VP1", "T1", "P1")]
    experiment = load(ROOT / "params" / "halle_berry_paper.params", levels)
    moves = [op for op in experiment.plan.step if op.kind == "relax_move"]
    assert [op.name for op in moves] == ["V1", "VP1", "T1", "P1"]
    assert [op.scalars["natural"] for op in moves] == [0.5, 0.5, 0.5, 1.0]
    # All levels are one circuit: one decision, from the sums of all.
    (search,) = (op for op in experiment.plan.step if op.kind == "relax_search")
    assert len(search.reads) == 4


def test_presentations_end_once_it_has_settled(tmp_path: Path) -> None:
    changes = ["V1.layerKind=SparseSolverLayer", "Face.convergenceTolerance=1e-5",
               "Face.displayPeriod=400"]  # fmt: skip
    experiment = load(ROOT / "params" / "lca_patch.params", changes)
    made = experiment.start(experiment.simulator("cpu"))
    made.run(399)
    assert made.step == 399 and made.executed < 120
    early = made.backend.read("Energy:value")
    whole = experiment.override({"Face.convergenceTolerance": 0})
    longer = whole.start(whole.simulator("cpu"))
    longer.run(399)
    np.testing.assert_allclose(early, longer.backend.read("Energy:value"), rtol=1e-3)


def test_other_layers_see_the_code_and_not_the_trials() -> None:
    """A layer outside the circuit is driven by what is written."""
    shown = (linear("Seen", nf=4, phase=4, **HALF), group("IdentConn", "VToSeen", channelCode=0))
    made = simulator((COLUMN, *LEVEL, *shown, code("Unused", **HALF)), "cpu", "float32")
    for step in range(1, 12):
        made.run(step)
        assert np.array_equal(made.backend.read("Seen:A"), made.backend.read("V:A"))
