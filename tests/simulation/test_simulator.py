"""Steps do not depend on how they are grouped, stopped, divided among threads or batched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosim import RequestError, Simulation, loads
from neurosim.backends import choose_backend
from neurosim.plan.operators import Operator, Schedule
from neurosim.simulation import Simulator
from neurosim.simulation.clock import Clock
from neurosim.stimuli.pvp import write_activity
from tests.backends.nets import column, group, join, linear, noise, read_all, simulator
from tests.simulation.rich_network import rich_text
from tests.tolerances import FLOAT64_REORDERED

BACKENDS = [("cpu", "float32"), ("cpu", "float64"), ("reference", "float64")]
SAVED_KINDS = {"state", "weights", "momentum", "probe"}


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(11)
    write_activity(folder / "frames.pvp", rng.normal(size=(12, 8, 8, 3)).astype(np.float32))
    return folder


def make(
    folder: Path, backend: tuple[str, str], nbatch: int = 3, threads: int = 1, learn: bool = True
) -> tuple[Simulator, list[tuple[int, dict[str, np.ndarray]]]]:
    rows: list[tuple[int, dict[str, np.ndarray]]] = []
    made = simulator(
        rich_text(nbatch, learn), *backend, threads, folder,
        recorded=lambda first, values: rows.append((first, values)),
    )  # fmt: skip
    return made, rows


def probe_rows(rows: list[tuple[int, dict[str, np.ndarray]]]) -> dict[str, np.ndarray]:
    stepped = [values for first, values in rows if first > 0]
    return {name: np.concatenate([v[name] for v in stepped]) for name in stepped[0]}


def assert_equal(left: Simulator, right: Simulator) -> None:
    assert left.step == right.step
    for buffer in left.plan.buffers.values():
        if buffer.saved:
            a, b = left.backend.read(buffer.name), right.backend.read(buffer.name)
            assert np.array_equal(a, b), f"{buffer.name} differs by {np.abs(a - b).max()}"


@pytest.mark.parametrize("backend", BACKENDS, ids="-".join)
@settings(max_examples=6)
@given(st.integers(1, 30), st.integers(1, 30))
def test_stop_save_and_go_on_bit_for_bit(
    frames: Path, backend: tuple[str, str], n: int, m: int
) -> None:
    whole, whole_rows = make(frames, backend)
    whole.run(n + m)
    first, first_rows = make(frames, backend)
    first.run(n)
    saved = {name: value.copy() for name, value in first.saved()}
    second, second_rows = make(frames, backend)
    second.run(3)  # whatever it did before does not matter
    del second_rows[:]
    second.restore(n, saved.items(), first.bookkeeping())
    second.run(n + m)
    assert_equal(whole, second)
    expected = probe_rows(whole_rows)
    found = probe_rows(first_rows), probe_rows(second_rows)
    for name, values in expected.items():
        joined = np.concatenate([found[0][name], found[1][name]])
        assert np.array_equal(joined, values), name


def test_everything_that_lasts_is_saved(frames: Path) -> None:
    """Scratch holds nothing that the next step reads: scribbling over it changes nothing."""
    one, _ = make(frames, ("reference", "float64"))
    other, _ = make(frames, ("reference", "float64"))
    one.run(9)
    other.run(9)
    scribbled = 0
    for buffer in other.plan.buffers.values():
        if buffer.role == "scratch" and not buffer.name.endswith((":diverged", ":D")):
            other.backend.write(buffer.name, np.full(buffer.shape, 12345))
            scribbled += 1
    assert scribbled > 2
    one.run(20)
    other.run(20)
    assert_equal(one, other)
    assert {b.role for b in one.plan.buffers.values() if b.saved} == SAVED_KINDS


@pytest.mark.parametrize("backend", BACKENDS, ids="-".join)
def test_grouping_of_steps(frames: Path, backend: tuple[str, str]) -> None:
    whole, _ = make(frames, backend)
    whole.run(40)
    single, _ = make(frames, backend)
    for step in range(1, 41):
        single.run(step)
    assert_equal(whole, single)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("nbatch", [1, 2, 5])
def test_threads_change_nothing(frames: Path, dtype: str, nbatch: int) -> None:
    one, _ = make(frames, ("cpu", dtype), nbatch, 1)
    for threads in (2, 3):
        many, _ = make(frames, ("cpu", dtype), nbatch, threads)
        one.run(25)
        many.run(25)
        assert_equal(one, many)


def wide_text(nbatch: int) -> str:
    """Large weights onto one unit, which the images of a thread share; and no learning."""
    return "".join([
        column(8, 8, nbatch), noise("In", 3), noise("Top", 700, nxScale=0.125, nyScale=0.125),
        linear("Out", 700, nxScale=0.125, nyScale=0.125),
        linear("Down", 3), linear("Unused", 3),
        group("HyPerConn", "TopToUnused", channelCode=-1, nxp=8, nyp=8, normalizeMethod="none",
              weightInitType="UniformRandomWeight", plasticityFlag=False),
        join("TransposeConn", "InToOut", originalConnName="TopToUnused"),
        join("CloneConn", "TopToDown", originalConnName="TopToUnused"),
    ])  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS, ids="-".join)
def test_images_of_a_batch_do_not_see_each_other(frames: Path, backend: tuple[str, str]) -> None:
    """Each image alone gives what it gives among others, in any place and with any threads."""
    together, _ = make(frames, backend, 5, 2, learn=False)
    starts = read_all(together)
    together.run(6)
    for members in ([0], [3], [4, 1], [2, 0, 3]):
        alone, _ = make(frames, backend, len(members), 2, learn=False)
        for buffer in alone.plan.buffers.values():
            whole = starts[buffer.name]
            per_image = whole.shape[0] == 5 and buffer.role != "weights"
            alone.backend.write(buffer.name, whole[members] if per_image else whole)
        # The first display is over after 7 steps; its frames are those of the members.
        alone.stimuli.clear()
        alone.backend.write("In:frame", together.backend.read("In:A")[members])
        alone.run(6)
        # Sums of the reference run over the batch at once and may be ordered otherwise.
        slack = FLOAT64_REORDERED if backend[0] == "reference" else 0
        for name in ("V:A", "Error:A", "Reset:A", "Late:A", "Energy:value"):
            expected = together.backend.read(name)[members]
            difference = np.abs(alone.backend.read(name) - expected).max()
            assert difference <= slack * np.abs(expected).max(), name


def test_images_that_share_large_weights_agree_with_the_reference() -> None:
    reference = simulator(wide_text(5))
    for threads in (1, 2):
        made = simulator(wide_text(5), "cpu", "float64", threads)
        for sim in (reference, made):
            sim.run(2)
        for layer in ("Out", "Down"):
            found, wanted = (s.backend.read(f"{layer}:A") for s in (made, reference))
            assert np.abs(found - wanted).max() <= FLOAT64_REORDERED * np.abs(wanted).max()


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 6)), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 6)), max_size=2),
    st.integers(1, 25),
)
def test_segments(gates: list[tuple[int, int]], ends: list[tuple[int, int]], limit: int) -> None:
    """Segments cover all steps once, end where they must, and never mix two sets of operators."""
    operators = [Operator("k", str(i), when=Schedule(*gate)) for i, gate in enumerate(gates)]
    stops = [Schedule(*end) for end in ends]
    clock = Clock(operators, stops)
    step = 1
    while step <= limit:
        segment = clock.segment(step, limit)
        assert segment.first == step and segment.last <= limit
        for inside in range(segment.first, segment.last + 1):
            assert segment.operators == tuple(op for op in operators if op.when.fires(inside))
            assert inside == segment.last or not any(stop.fires(inside) for stop in stops)
        step = segment.last + 1


def test_observers_see_the_steps_they_ask_for(frames: Path) -> None:
    class Watch:
        def __init__(self, every: int) -> None:
            self.every, self.seen = every, []

        def next_step(self, step: int) -> int:
            return step - step % self.every + self.every

        def observe(self, simulator: Simulator) -> None:
            self.seen.append(simulator.step)

    made, _ = make(frames, ("cpu", "float32"))
    watches = [Watch(5), Watch(8)]
    made.observers.extend(watches)
    made.run(33)
    assert [w.seen for w in watches] == [[5, 10, 15, 20, 25, 30], [8, 16, 24, 32]]


def test_a_requested_stop_is_heeded_and_nothing_is_lost(frames: Path) -> None:
    made, rows = make(frames, ("cpu", "float32"))

    def between(simulator: Simulator) -> None:
        simulator.stop_requested = simulator.step >= 10

    made.between = between
    made.run(1000)
    assert 10 <= made.step < 1000
    assert len(probe_rows(rows)["Energy"]) == made.step
    whole, _ = make(frames, ("cpu", "float32"))
    whole.run(made.step)
    assert_equal(whole, made)


def test_in_memory_simulation(frames: Path) -> None:
    """The public face of the above: look, change, step."""
    net = Simulation(loads(rich_text(2), frames), "cpu", "float64")
    assert net.run(5).step == 5
    assert net.activity("V").shape == (2, 4, 4, 4)
    assert net.energy("Energy").shape == (5, 2)
    assert net.weights("VToRecon").shape == (1, 4, 4, 4, 3)
    new = np.ones((1, 4, 4, 4, 3))
    net.set_weights("VToRecon", new)
    np.testing.assert_allclose(np.sum(net.weights("VToRecon") ** 2, (2, 3, 4)), 1)
    net.set_potential("V", np.full((2, 4, 4, 4), 0.5))
    assert np.all(net.potential("V") == 0.5)
    for wrong, call in {
        'no layer "Q"': lambda: net.activity("Q"),
        'connection "ErrorToV" has no weights of its own': lambda: net.weights("ErrorToV"),
        'no values of a probe "Q"': lambda: net.energy("Q"),
    }.items():
        with pytest.raises(RequestError, match=wrong):
            call()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"name": "gpu"}, 'backend "gpu"; there are auto, cpu'),
        ({"dtype": "float16"}, 'dtype "float16"; it must be "float32" or "float64"'),
        ({"threads": 0}, "threads = 0; it must be at least 1"),
    ],
)
def test_wrong_requests(options: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        choose_backend(**options)
    assert str(caught.value).startswith(message)
