"""What is shown of the results: tables, figures, the page docs/benchmarks/README.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

Result = dict[str, Any]
Row = dict[str, Any]

#: The columns of a table that are there if any row has them: key, head, how it is written.
COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("axis", "axis", str),
    ("value", "value", lambda v: f"{v:g}"),
    ("threads", "cores", lambda v: str(v) if v else "device"),
    ("images", "batch", str),
    ("steps", "steps", lambda v: "not reached" if v is None else str(v)),
    ("gap", "gap", lambda v: f"{v:g}"),
    ("steps_worst_image", "worst image", lambda v: "not reached" if v is None else str(v)),
    ("ms", "median", lambda v: f"{v['median']:.3g}"),
    ("ms", "min..max", lambda v: f"{v['min']:.3g}..{v['max']:.3g}"),
    ("rate", "median", lambda v: f"{v['median']:.4g}"),
    ("rate", "min..max", lambda v: f"{v['min']:.4g}..{v['max']:.4g}"),
    ("of", "unit", str),
    ("ratio", "ratio", lambda v: f"{v:.2f}"),
    ("drive_gflops", "drive GFLOP/s", lambda v: f"{v:.1f}"),
    ("added_percent", "added", lambda v: f"{v:.1f} %"),
    ("growth_mb", "grew by", lambda v: f"{v:.1f}"),
    ("target_mb", "target", lambda v: f"{v:.1f}"),
    ("difference", "codes differ by", lambda v: f"{v:.1e}"),
    ("support_mismatches", "support differs in", str),
    ("last_gap", "gap at the end", lambda v: f"{v:.2g}"),
    ("largest_rise_after", "largest rise after", lambda v: f"{v:.1e}"),
)


def cells(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells of a table."""
    used = [c for c in COLUMNS if any(c[0] in row for row in rows)]
    heads = ["", *(head for _, head, _ in used)]
    body = [
        [str(row["contestant"]), *(write(row[key]) if key in row else "" for key, _, write in used)]
        for row in rows
    ]
    return heads, body


def machine_line(result: Result) -> str:
    """The machine in one line."""
    m = result["machine"]
    versions = ", ".join(f"{name} {v}" for name, v in m["versions"].items())
    device = f"; {m['device']}" if m["device"] else ""
    return (
        f"{m['cpu']}, {m['cores_used']} of {m['cores']} cores{device}; {m['system']}; "
        f"Python {m['python']}, {versions}; {', '.join(m['blas'])}"
    )


def show(result: Result) -> None:
    """Everything on standard output."""
    console = Console(width=None if Console().is_terminal else 220)
    plain = {"soft_wrap": True, "highlight": False, "markup": False}
    console.print(machine_line(result), **plain)  # type: ignore[arg-type]
    console.print(f"command: {result['command']}", **plain)  # type: ignore[arg-type]
    for name, case in result["cases"].items():
        title = f"\n{name}: {case['title']} ({case['unit']})"
        heads, body = cells(case["rows"])
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        for number, head in enumerate(heads):
            table.add_column(Text(head), justify="left" if number == 0 else "right")
        for row in body:
            table.add_row(*map(Text, row))
        console.print(table)
        for fact in told(case["facts"]):
            console.print(f"  {fact}", **plain)  # type: ignore[arg-type]
    for line in target_lines(result):
        console.print(line, **plain)  # type: ignore[arg-type]


def told(facts: Row) -> list[str]:
    """Facts of a case, one a line; long series stay in the JSON."""
    return [f"{k.replace('_', ' ')}: {plain(v)}" for k, v in facts.items() if k != "tracks"]


def plain(value: Any, depth: int = 0) -> str:
    """A fact without the marks of JSON.

    >>> plain({"step 10": {"V1": 0.0312}, "runs": [1, 2]})
    'step 10 (V1 0.0312); runs 1, 2'
    """
    if isinstance(value, dict):
        parts = []
        for k, v in value.items():
            told_value = plain(v, depth + 1)
            parts.append(f"{k} ({told_value})" if isinstance(v, dict) else f"{k} {told_value}")
        return ("; " if depth == 0 else ", ").join(parts)
    if isinstance(value, list):
        return ", ".join(plain(v, depth + 1) for v in value) or "none"
    if value is None or isinstance(value, bool):
        return {True: "yes", False: "no", None: "not reached"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# ---- targets ------------------------------------------------------------------------------------


def _time(case: str, threads: int, contestant: str = "neurosim") -> Callable[[Result], Any]:
    def find(result: Result) -> Any:
        for row in result["cases"].get(case, {}).get("rows", []):
            named = row["contestant"] in (contestant, f"{contestant}, plain plan")
            if named and row["threads"] == threads:
                return row["ms"]["median"], f"{row['ms']['min']:.3g}..{row['ms']['max']:.3g}"
        return None

    return find


def _added(result: Result) -> Any:
    rows = [r for r in result["cases"].get("learning", {}).get("rows", []) if "added_percent" in r]
    return (rows[0]["added_percent"], "") if rows else None


def _memory(result: Result) -> Any:
    rows = result["cases"].get("memory", {}).get("rows", [])
    if not rows:
        return None
    worst = max(rows, key=lambda r: r["growth_mb"] / r["target_mb"])
    return worst["growth_mb"] / worst["target_mb"], worst["contestant"]


def _steps(gap: float) -> Callable[[Result], Any]:
    def find(result: Result) -> Any:
        rows = result["cases"].get("solution", {}).get("rows", [])
        reached = [
            r for r in rows if r["gap"] == gap and r["steps"] and "numpy" not in r["contestant"]
        ]
        best = min(reached, key=lambda r: r["steps"], default=None)
        return (best["steps"], best["contestant"]) if best else None

    return find


def _rest(result: Result) -> Any:
    paper = result["cases"].get("solution", {}).get("facts", {}).get("paper", {})
    times = {
        n: s["seconds_per_image"]["median"]
        for n, s in paper.get("solvers", {}).items()
        if s["steps"]
    }
    best = min(times, key=lambda n: times[n], default=None)
    return (times[best], f"{best}, {paper['threads']} cores") if best else None


TARGETS: tuple[tuple[str, float, str, Callable[[Result], Any]], ...] = (
    ("V1, one image, one core", 1.0, "ms per image and step", _time("v1", 1)),
    ("V1, batch 16, two cores", 0.55, "ms per image and step", _time("v1", 2)),
    ("dense code, batch 128, one core", 0.10, "ms per step", _time("dense", 1)),
    ("the paper's network, one core", 4.0, "ms per image and step", _time("paper", 1)),
    ("learning adds", 10.0, "% of a presentation", _added),
    ("memory, of 40 MB + 12 B a neuron + twice the weights", 1.0, "times", _memory),
    ("energy gap 1e-2", 60, "steps", _steps(1e-2)),
    ("energy gap 1e-3", 150, "steps", _steps(1e-3)),
    ("the paper's network at rest", 1.0, "s per image", _rest),
)


def targets(result: Result) -> list[tuple[str, str, str, str, str]]:
    """(what, target, measured, range or which, met) of the targets that were measured."""
    rows = []
    for what, target, unit, find in TARGETS:
        measured = find(result)
        if measured is not None:
            value, more = measured
            met = "yes" if value <= target else "no"
            rows.append((what, f"{target:g} {unit}", f"{value:.3g}", more, met))
    return rows


def device_lines(result: Result) -> list[str]:
    """A device: neurosim beside the fastest PyTorch, and its drives beside the matrix product."""
    rates = {
        row["contestant"]: row["rate"]["median"]
        for row in result["cases"].get("ceilings", {}).get("rows", [])
    }
    sgemm = next((r for n, r in rates.items() if n.startswith("device") and "float32" in n), None)
    lines = []
    for name in ("v1", "dense", "paper"):
        case = result["cases"].get(name, {"rows": []})
        others = [r for r in case["rows"] if "PyTorch" in r["contestant"]]
        for mode in ("float32", "TF32"):
            there = [r for r in others if mode in r["contestant"]]
            if there:
                best = min(there, key=lambda r: r["ms"]["median"])
                lines.append(f"  {name}: {best['ratio']:.2f} x {best['contestant']} (target 2)")
        if sgemm and case["rows"] and "drive_mflop" in case["facts"]:
            rate = case["facts"]["drive_mflop"] / case["rows"][0]["ms"]["median"]
            lines.append(
                f"  {name}: drives at {rate:,.0f} GFLOP/s over the whole step, {rate / sgemm:.0%} "
                "of the device's float32 matrix product (target 50 % of the limit that binds)"
            )
    return ["", "On the device", *lines] if lines else []


def target_lines(result: Result) -> list[str]:
    """The targets as text; none for a smoke test."""
    if result["settings"]["quick"] or result["settings"]["backend"] == "reference":
        return []
    if result["settings"]["backend"] == "cuda":
        return device_lines(result)
    found = targets(result)
    return ["", "Targets (at most)"] * bool(found) + [
        f"  {what}: {target}; measured {value}{f' ({more})' if more else ''}: {met}"
        for what, target, value, more, met in found
    ]


# ---- the page -----------------------------------------------------------------------------------


def report(result: Result, folder: Path) -> None:
    """README.md of a folder that holds the results and figures."""
    lines = [
        "# Benchmarks",
        "",
        "Made from [results.json](results.json) by `tools/bench.py --report`; do not edit. "
        "Contestants take turns in one run; medians, and the range over the rounds. Absolute times "
        "drift with the machine; ratios are taken within a round.",
        "",
        "```text",
        result["command"],
        "```",
        "",
        f"{machine_line(result)}; {result['began']}, {result['seconds']:.0f} s.",
        "",
    ]
    found = targets(result) if result["settings"]["backend"] == "cpu" else []
    if found and not result["settings"]["quick"]:
        heads = ["", "target: at most", "measured", "range or which", "met"]
        lines += ["## Targets", "", *_markdown(heads, [list(r) for r in found]), ""]
    if result["settings"]["backend"] == "cuda" and not result["settings"]["quick"]:
        lines += ["## Targets", "", *(f"-{line[1:]}" for line in device_lines(result)[2:]), ""]
    for name, case in result["cases"].items():
        figure = folder / f"{name}.png"
        lines += [f"## {name}", "", f"{case['title']} Unit: {case['unit']}.", ""]
        lines += [f"![{name}]({figure.name})", ""] if figure.exists() else []
        if name != "curves":
            lines += [*_markdown(*cells(case["rows"])), ""]
        lines += [f"- {fact}" for fact in told(case["facts"])] + [""] * bool(told(case["facts"]))
    text = "\n".join(lines).rstrip() + "\n"
    (folder / "README.md").write_text(text, encoding="utf-8")


def _markdown(heads: list[str], body: list[list[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return [f"| {' | '.join(row)} |" for row in (heads, rule, *body)]
