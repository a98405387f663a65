"""The benchmark runs, and those it compares compute the same. No time is looked at."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tolerances import FLOAT32_REORDERED

BENCH = Path(__file__).resolve().parent.parent.parent / "tools" / "bench.py"


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own, on one thread, so that it disturbs nobody."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return subprocess.run(
        [sys.executable, str(BENCH), *map(str, arguments)],
        capture_output=True, text=True, env=os.environ | one, check=False, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def result(folder: Path) -> dict[str, Any]:
    cases = ("v1", "dense", "paper", "learning", "curves")
    done = bench(*cases, "--quick", "--threads", 1, "--report", folder)
    assert done.returncode == 0, done.stderr
    text = (folder / "results.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    assert list(found["cases"]) == list(cases)
    for case in found["cases"].values():
        for row in case["rows"]:
            assert row["contestant"] in done.stdout
    return found


def numbers(value: object) -> Iterator[float]:
    """All numbers in nested results."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def test_results_say_what_they_depend_on(result: dict[str, Any]) -> None:
    assert result["format"] == "neurosim-bench"
    assert result["command"].startswith("python tools/bench.py v1 dense paper learning")
    assert {"cpu", "cores", "python", "versions", "blas"} <= result["machine"].keys()
    assert {"neurosim", "numpy", "numba"} <= result["machine"]["versions"].keys()
    assert result["settings"]["threads"] == [1]


def test_every_number_is_finite_and_every_time_has_its_range(result: dict[str, Any]) -> None:
    assert all(math.isfinite(n) for n in numbers(result))
    for name, case in result["cases"].items():
        assert len(case["rows"]) >= 2, name
        for row in case["rows"]:
            ms = row["ms"]
            assert 0 < ms["min"] <= ms["median"] <= ms["max"]
            assert len(ms["runs"]) == result["settings"]["repeats"]


@pytest.mark.parametrize("case", ["v1", "dense", "paper"])
def test_contestants_compute_the_same_codes(result: dict[str, Any], case: str) -> None:
    rows = [row for row in result["cases"][case]["rows"] if "difference" in row]
    names = {row["contestant"].partition(",")[0] for row in rows}
    assert {"neurosim", "numpy"} <= names
    for row in rows:
        assert row["active_units"] > 20
        assert row["difference"] <= FLOAT32_REORDERED * row["largest_code"], row
        assert row["support_mismatches"] <= 2, row


def test_learning_learned(result: dict[str, Any]) -> None:
    _, plastic = result["cases"]["learning"]["rows"]
    assert plastic["weights_changed_by"] > 0


def test_every_axis_has_a_curve(result: dict[str, Any]) -> None:
    axes = {row["axis"] for row in result["cases"]["curves"]["rows"]}
    assert axes == {"batch", "features", "image side", "threshold", "levels", "threads"}


def test_the_page_shows_tables_and_figures(result: dict[str, Any], folder: Path) -> None:
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert result["command"] in page
    for case in result["cases"]:
        assert f"## {case}" in page
    for figure in ("curves", "v1", "dense", "paper"):
        assert f"({figure}.png)" in page
        assert (folder / f"{figure}.png").stat().st_size > 5000


def test_energies_fall_towards_the_least(folder: Path) -> None:
    path = folder / "solution.json"
    done = bench("solution", "--quick", "--threads", 1, "--json", path)
    assert done.returncode == 0, done.stderr
    case = json.loads(path.read_text(encoding="utf-8"))["cases"]["solution"]
    tracks = case["facts"]["tracks"]
    assert {"HyPerLCALayer, tau 100", "FISTA with restart (numpy)"} <= tracks.keys()
    for name, gaps in tracks.items():
        assert min(gaps) >= 0
        assert gaps[-1] < 0.5 * gaps[0], name


def test_measured_results_are_shown_again(result: dict[str, Any], tmp_path: Path) -> None:
    """Results of a device, made up from others: they are compared with its own limits."""
    other = json.loads(json.dumps(result))
    other["settings"] |= {"backend": "cuda", "quick": False}
    rate = {"median": 50e3, "min": 49e3, "max": 51e3, "runs": [50e3]}
    sgemm = {"contestant": "device sgemm 8192 (float32)", "threads": 0, "of": "GFLOP/s"}
    other["cases"]["ceilings"] = {
        "title": "", "unit": "", "rows": [sgemm | {"rate": rate}], "facts": {}
    }  # fmt: skip
    path = tmp_path / "device.json"
    path.write_text(json.dumps(other), encoding="utf-8")
    done = bench("--from", path, "--report", tmp_path)
    assert done.returncode == 0, done.stderr
    facts, ms = other["cases"]["v1"]["facts"], other["cases"]["v1"]["rows"][0]["ms"]
    drives = f"v1: drives at {facts['drive_mflop'] / ms['median']:,.0f} GFLOP/s"
    assert drives in done.stdout
    assert drives in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8")) == other


def test_wrong_requests_are_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench import main

    unknown = bench("no-such-case")
    assert unknown.returncode == 2
    assert "no case no-such-case; there are ceilings, v1" in unknown.stderr
    broken = tmp_path / "broken.json"
    broken.write_text("{}", encoding="utf-8")
    images, kernels = np.zeros((2, 1, 16, 16)), np.ones((4, 3, 8, 8))
    for name, x in {"channels": images, "nan": np.full((2, 3, 16, 16), np.nan)}.items():
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "x.npy", x)
        np.save(tmp_path / name / "w8.npy", kernels)
    requests = {
        "cannot be read as an array": ("--problem", tmp_path),
        "the images have 1 channels and the kernels 3": ("--problem", tmp_path / "channels"),
        "it must hold finite floats": ("--problem", tmp_path / "nan"),
        "holds no results": ("--from", broken),
        "its folder does not exist": ("--json", tmp_path / "nowhere" / "out.json"),
        "is a file; give a folder": ("--report", broken),
    }
    for message, request in requests.items():
        try:
            status: object = main(["v1", "--quick", *map(str, request)])
        except SystemExit as stopped:
            status = stopped.code
        told = capsys.readouterr().err
        assert status == 2 and message in told.splitlines()[-1], told
    assert broken.read_text(encoding="utf-8") == "{}"
