"""Tables of what operators cost: as planned, and as measured in a run."""

from __future__ import annotations

from typing import Any

from neurosim.backends.profile import Ceiling, OperatorTime, Profile, measure_ceiling
from neurosim.console import count_text, light_table, output_console
from neurosim.plan import Plan, tune
from neurosim.plan.winograd import best
from neurosim.plan.work import operator_work

#: Operators that took less than this part of a run are told together.
LEAST_SHARE = 0.001


def work_table(experiment: Any) -> None:
    """Print what each operator of a step on the CPU has to do for an image."""
    plan = tune(experiment.fused_plan)
    table = light_table(
        "Operators of a step, per image",
        left=("operator", "name"),
        right=("operations", "if all active", "bytes"),
    )
    for op in plan.step:
        if not op.when.always or op.at not in ("every", "rest"):
            continue
        work = operator_work(op, plan.buffers)
        sparse = sum(flops for _, flops in work.sparse)
        cells = [count_text(n) if n else "" for n in (work.dense, sparse, work.bytes)]
        table.add_row(op.kind, op.name, *cells)
    console = output_console()
    console.print(table)
    console.print("\n".join(_choices(plan)), soft_wrap=True, highlight=False, markup=False)


def _choices(plan: Plan) -> list[str]:
    """What the plan has chosen for its drives, and what each would cost otherwise."""
    lines = []
    for op in plan.step:
        if not op.when.always or op.at not in ("every", "rest"):
            continue
        if op.kind == "gather":
            geometry = op.scalars["geometry"]
            plain, rule = count_text(geometry.multiply_adds), best(geometry)
            other = f"; by short convolutions {count_text(rule.work)}" if rule else ""
            lines.append(f"{op.name}: one product of {plain} multiply-adds{other}")
        elif op.kind == "gather_winograd":
            lines.append(
                f"{op.name}: short convolutions worth {count_text(op.scalars['rule'].work)} "
                f"multiply-adds instead of {count_text(op.scalars['geometry'].multiply_adds)}"
            )
        elif op.kind == "lateral":
            lines.append(f"{op.name}: inner products of the active atoms, no error is made")
    return [f"{'drives' if i == 0 else '':<9}{line}" for i, line in enumerate(lines)]


def profile_table(profile: Profile, seconds: float) -> None:
    """Print the time of each operator of a run that took ``seconds``.

    On the host rates are compared with what a core can do, which is measured now.
    """
    entries = profile.operators()
    console = output_console()
    if not entries:
        console.print("profile  this backend does not time its operators", highlight=False)
        return
    ceiling = measure_ceiling() if profile.on_host else None
    cores = f"{profile.cores} core{'s' if profile.cores > 1 else ''}"
    table = light_table(
        f"Time per operator on {cores if ceiling else 'the device'}",
        left=("operator", "name"),
        right=("calls", "ms", "share", "per core" if ceiling else "rate", "of bound", "bound"),
    )
    # What is measured before the first step is not in the time of the stepping.
    whole = max(seconds * profile.cores, sum(entry.seconds for entry in entries))
    few = [entry for entry in entries if entry.seconds < LEAST_SHARE * whole]
    for entry in entries:
        if entry.seconds >= LEAST_SHARE * whole:
            timed = _times(f"{entry.calls:,}", entry.seconds, whole)
            table.add_row(entry.kind, entry.name, *timed, *_rate(entry, ceiling))
    if few:
        calls = f"{sum(entry.calls for entry in few):,}"
        timed = _times(calls, sum(entry.seconds for entry in few), whole)
        table.add_row(f"{len(few)} others", "", *timed, "", "", "")
    rest = whole - sum(entry.seconds for entry in entries)
    table.add_row("", "loading kernels, and besides", *_times("", rest, whole), "", "", "")
    console.print(table)
    if ceiling:
        console.print(
            f"bound    of one core: sgemm {ceiling.flops / 1e9:,.0f} GFLOP/s, copy in memory "
            f"{ceiling.bytes / 1e9:,.0f} GB/s (read and written; what stays in a cache can be "
            "faster, and so can a product that saves multiplications)",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )


def _times(calls: str, seconds: float, whole: float) -> tuple[str, str, str]:
    """Calls, milliseconds and share of the whole."""
    return calls, f"{1e3 * seconds:,.1f}", f"{seconds / whole:.1%}"


def _rate(entry: OperatorTime, ceiling: Ceiling | None) -> tuple[str, str, str]:
    """What was reached, its part of the limit that binds, and which that is."""
    spent = max(entry.seconds, 1e-9)
    binds, least = entry.bound(ceiling) if ceiling else ("sgemm" if entry.flops else "copy", 0.0)
    amount, unit = (entry.flops, "GFLOP/s") if binds == "sgemm" else (entry.bytes, "GB/s")
    reached = f"{amount / spent / 1e9:,.1f} {unit}"
    return (reached, f"{least / spent:.0%}", binds) if ceiling else (reached, "", "")
