"""What the CUDA backend must do beyond the contract; test_cuda.py runs this in its own process.

With NUMBA_ENABLE_CUDASIM=1 in the simulator, else on the device.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import cuda

from neurosim import loads
from neurosim.backends import cuda_device, cuda_matmul
from neurosim.backends.cuda import STEPS_KEPT, CudaBackend
from neurosim.backends.cuda_device import SIMULATED, Device
from neurosim.backends.profile import Profile
from neurosim.errors import RequestError
from neurosim.run import run_experiment
from tests.backends.nets import (
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
from tests.tolerances import FLOAT32_REORDERED, FLOAT64_REORDERED

#: A circuit with everything in it: drive, reconstruction, codes, learning, probes, guards.
NETWORK = (
    column(nx=4, ny=4, nbatch=2),
    noise("In", nf=2), linear("Error", nf=2), linear("Recon", nf=2, phase=3),
    code("V", nf=5, nxScale=0.5, nyScale=0.5), join("IdentConn", "InToError"),
    plastic("VToRecon", 4, wGaussStdev=0.2, normalizeMethod="normalizeL2"),
    join("IdentConn", "ReconToError", 1),
    join("TransposeConn", "ErrorToV", originalConnName="VToRecon"),
    group("ColumnEnergyProbe", "Energy"),
    group("L2NormProbe", "L2", targetLayer="Error", exponent=2, energyProbe="Energy"),
    group("L1NormLCAProbe", "L1", targetLayer="V", energyProbe="Energy"),
    group("StatsProbe", "Stats", targetLayer="V"),
)  # fmt: skip


def run(cuts: tuple[int, ...], dtype: str = "float32") -> tuple[dict, dict]:
    """All buffers, and what each probe recorded, after stretches that end at ``cuts``."""
    values: dict[str, list[np.ndarray]] = {}

    def recorded(first: int, found: dict[str, np.ndarray]) -> None:
        for name, part in found.items():
            values.setdefault(name, []).append(part)

    made = simulator(NETWORK, "cuda", dtype, recorded=recorded)
    for cut in cuts:
        made.run(cut)
    return read_all(made), {n: np.concatenate(parts) for n, parts in values.items()}


def assert_equal(a: tuple[dict, dict], b: tuple[dict, dict]) -> None:
    for one, other in zip(a, b, strict=True):
        assert one.keys() == other.keys() and one
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_runs_are_the_same_to_the_bit_wherever_they_are_cut(dtype: str) -> None:
    whole = run((STEPS_KEPT + 3,), dtype)
    assert np.any(whole[0]["V:A"]) and np.any(np.diff(whole[1]["Energy"], axis=0))
    assert_equal(whole, run((STEPS_KEPT + 3,), dtype))
    assert_equal(whole, run((2, STEPS_KEPT, STEPS_KEPT + 3), dtype))


@pytest.mark.skipif(SIMULATED, reason="the simulator records no graphs")
def test_what_is_repeated_is_recorded_and_repeats_to_the_bit() -> None:
    recorded = run((2, 3, 4))
    made = simulator(NETWORK, "cuda")
    made.run(4)
    steps = [bound.step for bound in made.backend._bound]  # type: ignore[attr-defined]
    assert any(step._recorded is not None for step in steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neurosim.backends.cuda_graph._driver", lambda: None)
        assert_equal(recorded, run((2, 3, 4)))


@pytest.mark.skipif(not SIMULATED, reason="a device runs its blocks in an order of its own")
def test_the_order_of_blocks_and_threads_does_not_matter() -> None:
    from tests.backends.quick_simulator import quicken

    forwards = run((4,))
    quicken(backwards=True)
    try:
        assert_equal(forwards, run((4,)))
    finally:
        quicken()


def test_probe_values_are_those_of_the_reference() -> None:
    found = run((STEPS_KEPT + 3,), "float64")[1]
    values: dict[str, list[np.ndarray]] = {}
    made = simulator(
        NETWORK,
        recorded=lambda first, v: [values.setdefault(n, []).append(x) for n, x in v.items()],
    )
    made.run(STEPS_KEPT + 3)
    for name, parts in values.items():
        wanted = np.concatenate(parts)
        np.testing.assert_allclose(
            found[name], wanted, rtol=1e3 * FLOAT64_REORDERED, atol=1e-10, err_msg=name
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("parts", [1, 3])
def test_every_tile_of_every_form_makes_the_product(dtype: str, parts: int) -> None:
    rng = np.random.default_rng(3)
    device = Device(np.dtype(dtype))
    k, nf = 45, 3
    layer = rng.normal(size=(2, 7, 5, nf)).astype(dtype)
    right = rng.normal(size=(6, k)).astype(dtype)
    tolerance = {"float32": FLOAT32_REORDERED, "float64": FLOAT64_REORDERED}[dtype]
    inside = np.arange(3)[:, None] + np.arange(5)[None, :]
    for rows, columns in (
        (inside, np.arange(3)[None, :]), (inside - 1, np.arange(3)[None, :] - 1),
    ):  # fmt: skip
        rows = np.where(rows < 0, -1, rows)
        columns = np.where(columns < 0, -1, columns)
        layout = cuda_matmul.patch_layout(device, rows, columns, 5, nf, 7 * 5 * nf, 0.5)
        padded = np.full((2, 8, 6, nf), 0.5, dtype)
        padded[:, :7, :5] = layer
        left = padded[:, rows[:, None, :, None], columns[None, :, None, :]].reshape(-1, k)
        for tile in cuda_matmul.TILES[device.dtype.itemsize]:
            for clear in (True, False):
                out = device.upload(np.ones((len(left), 6)), dtype)
                for launch in cuda_matmul.bind_product(
                    device, device.upload(layer, dtype), layout, 2, device.upload(right, dtype), 6,
                    2.0, clear, out, (tile, parts),
                ):  # fmt: skip
                    launch(device.stream)
                wanted = 2.0 * (left @ right.T) + (0.0 if clear else 1.0)
                difference = np.abs(out.copy_to_host().reshape(wanted.shape) - wanted).max()
                assert difference <= tolerance * np.abs(wanted).max()


def test_few_results_of_long_sums_are_shared_among_blocks() -> None:
    tiles = cuda_matmul.DEVICE_TILES[4]
    assert cuda_matmul.choose_tile(32, 512, 12288, 132, tiles)[1] > 1
    assert cuda_matmul.choose_tile(131072, 128, 192, 132, tiles) == (tiles[0], 1)


def test_buffers_larger_than_a_piece_travel_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_device, "PIECE_BYTES", 64)
    made = simulator(NETWORK, "cuda")
    values = np.random.default_rng(1).normal(size=(2, 2, 2, 5)).astype(np.float32)
    made.backend.write("V:V", values)
    np.testing.assert_array_equal(made.backend.read("V:V"), values)
    made.backend.sync()


def test_too_little_memory_is_told_before_and_while_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = loads("".join(NETWORK)).plan
    backend = CudaBackend()

    class Full:
        device = None

        def get_memory_info(self) -> tuple[float, float]:
            return 100.0, 1000.0

    with monkeypatch.context() as patched:
        patched.setattr(cuda, "current_context", Full)
        with pytest.raises(RequestError, match=r"MiB more and has 0 MiB left; lower nbatch"):
            backend.allocate(plan)

    def fail(*_: Any, **__: Any) -> None:
        error = cuda_device.CudaAPIError(
            2, "Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY"
        )
        error.code = 2
        raise error

    monkeypatch.setattr(cuda, "device_array", fail)
    with pytest.raises(RequestError, match="lower nbatch"):
        backend.allocate(plan)


def test_a_precision_it_does_not_have_is_refused() -> None:
    with pytest.raises(RequestError, match='"float16"'):
        CudaBackend("float16")


def test_operators_are_timed_where_asked() -> None:
    experiment, profile = loads("".join(NETWORK)), Profile()
    made = experiment.start(experiment.simulator("cuda", profile=profile))
    made.run(3)
    times = {entry.kind: entry.calls for entry in profile.operators()}
    assert times["lca"] == 3 and times["hebbian"] == 1


def test_a_run_writes_its_results(tmp_path: Path) -> None:
    experiment = loads("".join(NETWORK)).override({"column.stopTime": 5})
    outcome = run_experiment(experiment, tmp_path / "out", backend="cuda")
    assert outcome.finished and outcome.backend == "cuda"
