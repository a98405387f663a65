"""The CUDA backend: the contract of all backends, in a process of its own.

On a machine with a usable device that process runs the whole suite on the device. Elsewhere it runs
in numba's simulator: a subset in which every operator takes each of its ways, or, with
NEUROSIM_TEST_CUDA=all, every case in both precisions.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from neurosim.backends import choose_backend, presence
from neurosim.errors import RequestError
from tests.backends.nets import column, join, linear, noise

ROOT = Path(__file__).resolve().parents[2]
SUITE = ("tests/backends/test_contract.py", "tests/backends/cuda_checks.py")
#: The subset holds at least this many cases.
LEAST = 60
#: No device is visible to a process with this in its environment.
HIDDEN = {"CUDA_VISIBLE_DEVICES": "-1", "NUMBA_ENABLE_CUDASIM": "0"}


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=os.environ | environment, text=True,
        capture_output=True, check=False,
    )  # fmt: skip


def test_the_contract_holds_on_cuda() -> None:
    on_device = not presence.simulated() and not presence.cuda_problem()
    whole = on_device or os.environ.get("NEUROSIM_TEST_CUDA") == "all"
    environment = {
        "NEUROSIM_TEST_BACKEND": "cuda",
        "NEUROSIM_TEST_SUBSET": "0" if whole else "1",
        "NUMBA_ENABLE_CUDASIM": "0" if on_device else "1",
    }
    plugins = ("-p", "tests.backends.cuda_plugin", "-p", "no:cacheprovider")
    done = python("-m", "pytest", "-q", *plugins, *SUITE, **environment)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) >= LEAST, done.stdout[-500:]


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.params"
    groups = (column(stopTime=2), noise("In"), linear("Out"), join("IdentConn", "InToOut"))
    path.write_text("".join(groups))
    return str(path)


def test_without_a_device_the_request_for_one_gets_one_clear_message(
    net: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = python("-m", "neurosim", "run", net, "-o", str(out), "--backend", "cuda", **HIDDEN)
    assert done.returncode == 2 and not done.stdout and not out.exists()
    assert len(done.stderr.strip().splitlines()) == 1
    for part in (
        "no CUDA device",
        "NVIDIA driver",
        'pip install "neurosim[cuda]"',
        "--backend cpu",
    ):
        assert part in done.stderr


def test_without_a_device_auto_takes_the_cpu_and_says_so(net: str, tmp_path: Path) -> None:
    done = python("-m", "neurosim", "run", net, "-o", str(tmp_path / "out"), **HIDDEN)
    assert done.returncode == 0, done.stderr
    assert "backend  cpu: " in done.stdout and "CUDA" in done.stdout


def test_looking_for_a_device_imports_nothing_where_there_is_no_driver() -> None:
    program = (
        "import sys; from neurosim.backends import choose_backend, presence; "
        "presence.DRIVERS = ('no such library',); backend = choose_backend(); "
        "assert backend.name == 'cpu' and backend.remark; "
        "assert 'numba.cuda' not in sys.modules"
    )
    done = python("-c", program)
    assert done.returncode == 0, done.stderr


def test_a_driver_that_fails_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurosim.backends.cuda_problem", lambda: "its version is too old")
    with pytest.raises(RequestError, match=r'"cuda".* its version is too old; install'):
        choose_backend("cuda")
    monkeypatch.setattr("neurosim.backends.driver_present", lambda: True)
    monkeypatch.setattr("neurosim.backends.simulated", lambda: False)
    backend = choose_backend("auto")
    assert (backend.name, backend.remark) == ("cpu", "its version is too old")


def test_a_device_on_which_no_kernel_compiles_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails() -> None:
        raise AttributeError("module 'numpy' has no attribute 'row_stack'\nand more")

    monkeypatch.setattr(presence, "driver_present", lambda: True)
    monkeypatch.setattr("numba.cuda.is_available", lambda: True)
    monkeypatch.setattr(presence, "_launch_something", fails)
    told = "AttributeError: module 'numpy' has no attribute 'row_stack'"
    assert presence.cuda_problem.__wrapped__() == told
