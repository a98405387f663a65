"""Measures neurosim beside others that compute the same: ``python tools/bench.py [CASE...]``.

Contestants take turns in one run; every number is a median with its range. Nothing here is a
limit on time. ``--report docs/benchmarks`` runs all cases and writes the page, its figures and
results.json there; with ``--from`` it writes them from results that were measured before.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import neurosim
from bench_cases import case_dense, case_learning, case_paper, case_v1
from bench_core import Settings, cores, machine, optional
from bench_curves import case_ceilings, case_curves
from bench_memory import case_memory
from bench_output import report, show
from bench_problems import given_problem
from bench_solution import case_solution

FORMAT = "neurosim-bench"
CASES: dict[str, Callable[[Settings, Path], dict[str, Any]]] = {
    "ceilings": case_ceilings,
    "v1": case_v1,
    "dense": case_dense,
    "paper": case_paper,
    "learning": case_learning,
    "memory": case_memory,
    "solution": case_solution,
    "curves": case_curves,
}


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tools/bench.py", description=__doc__.partition("\n")[0])
    parser.add_argument("case", nargs="*", help=f"some of {', '.join(CASES)}; all by default")
    parser.add_argument("--backend", choices=("cpu", "cuda", "reference"), default="cpu")
    parser.add_argument("--threads", type=int, nargs="+", help="cores; one, and all, by default")
    parser.add_argument("--repeats", type=int, default=5, help="rounds (5)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, a smoke test")
    parser.add_argument("--problem", type=Path, metavar="FOLDER", help="x.npy and w8.npy")
    parser.add_argument("--no-fuse", action="store_true", help="measure the plain plan only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here")
    parser.add_argument("--figures", type=Path, metavar="FOLDER", help="write figures here")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="write a page with all of it")
    parser.add_argument(
        "--from", type=Path, metavar="FILE", dest="measured", help="earlier results"
    )
    chosen = parser.parse_args(given)
    wrong = [name for name in chosen.case if name not in CASES]
    if wrong:
        parser.error(f"no case {', '.join(wrong)}; there are {', '.join(CASES)}")
    if chosen.repeats < 1 or any(n < 1 for n in chosen.threads or ()):
        parser.error("--repeats and --threads must be at least 1")
    # Found now, not after an hour of measuring.
    if chosen.json and (chosen.json.is_dir() or not chosen.json.absolute().parent.is_dir()):
        parser.error(f"--json {chosen.json}: its folder does not exist, or it is a folder")
    for folder in (chosen.figures, chosen.report):
        if folder and folder.exists() and not folder.is_dir():
            parser.error(f"{folder}: is a file; give a folder")
    return chosen


def earlier(path: Path) -> dict[str, Any]:
    """Results that this program wrote."""
    try:
        result: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise neurosim.RequestError(f"{path}: is not JSON: {error}") from None
    if not isinstance(result, dict) or result.get("format") != FORMAT:
        raise neurosim.RequestError(f"{path}: holds no results of this program")
    return result


def measure(chosen: argparse.Namespace, command: list[str]) -> dict[str, Any]:
    """Run the cases."""
    every = (1,) if chosen.backend == "cuda" else (1, cores())
    threads = tuple(dict.fromkeys(chosen.threads or every))
    settings = Settings(
        chosen.backend, threads, 2 if chosen.quick else chosen.repeats, chosen.quick,
        not chosen.no_fuse, chosen.problem,
    )  # fmt: skip
    optional("torch")  # before the machine is asked for its device
    if settings.problem is not None:
        given_problem(settings.problem)
    began = time.perf_counter()
    result: dict[str, Any] = {
        "format": FORMAT,
        "format_version": 1,
        "began": datetime.now(UTC).isoformat(timespec="minutes"),
        # Where files lie on this machine says nothing to others.
        "command": shlex.join(
            ["python", "tools/bench.py", *(Path(a).name if a[:1] == "/" else a for a in command)]
        ),
        "settings": {
            "backend": settings.backend,
            "threads": list(threads),
            "repeats": settings.repeats,
            "quick": settings.quick,
            "fuse": settings.fuse,
        },
        "machine": machine(),
        "cases": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.case or CASES:
            print(f"{name} ...", file=sys.stderr, flush=True)
            case_began = time.perf_counter()
            result["cases"][name] = CASES[name](settings, Path(folder))
            result["cases"][name]["seconds"] = time.perf_counter() - case_began
            result["seconds"] = time.perf_counter() - began
            save(result, chosen)  # what is measured is not lost if a later case fails
    return result


def save(result: dict[str, Any], chosen: argparse.Namespace) -> None:
    """Write results as JSON where the command line asks for them."""
    text = json.dumps(result, indent=1) + "\n"
    if chosen.json:
        chosen.json.write_text(text, encoding="utf-8")
    if chosen.report:
        chosen.report.mkdir(parents=True, exist_ok=True)
        (chosen.report / "results.json").write_text(text, encoding="utf-8")


def main(given: list[str] | None = None) -> int:
    """Entry point; 2 for a wrong request."""
    chosen = arguments(given)
    try:
        if chosen.measured:
            result = earlier(chosen.measured)
        else:
            result = measure(chosen, sys.argv[1:] if given is None else given)
    except (neurosim.NeurosimError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    show(result)
    save(result, chosen)
    for folder in (chosen.figures, chosen.report):
        if folder:
            from bench_figures import draw

            draw(result, folder)
    if chosen.report:
        report(result, chosen.report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
