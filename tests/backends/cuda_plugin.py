"""Plugin of pytest for the process that tests the CUDA backend; see test_cuda.py."""

from __future__ import annotations

import os
from typing import Any

from neurosim import loads
from neurosim.plan import Operator


def pytest_configure() -> None:
    """In the simulator, every kernel runs without threads of the host."""
    if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
        from tests.backends.quick_simulator import quicken

        quicken(os.environ.get("NEUROSIM_TEST_ORDER") == "backwards")


def variant(op: Operator) -> tuple[Any, ...]:
    """What of an operator makes its kernels take another path."""
    s = op.scalars
    ways = [s.get(k) for k in ("method", "norm", "mirror", "per_arbor", "deferred", "normalize")]
    margin = bool(s.get("value")) and not s.get("mirror")
    more = (margin, "vertices_v" in s, len(s.get("terms", ())), len(s.get("patches", ())))
    return (op.kind, bool(op.incs), *ways, *more)


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Keep the contract on this backend; of its cases, where asked, those that add something.

    Of a pair of precisions the finer one is kept, whose tolerance finds more; of each
    fifth the other.
    """
    if os.environ.get("NEUROSIM_TEST_SUBSET") != "1":
        items[:] = [i for i in items if "contract" not in i.nodeid or "agrees" in i.name]
        return
    from tests.backends.nets import formed
    from tests.backends.test_contract import text_of

    seen: set[Any] = set()
    kept: dict[tuple[str, str], str] = {}
    chosen = []
    for item in items:
        if "contract" not in item.nodeid:
            chosen.append(item)
            continue
        if "agrees" not in item.name:
            continue
        given = item.callspec.params
        key = given["case"], given["form"]
        if key not in kept:
            plan = formed(loads(text_of(key[0])), key[1])
            found = {variant(op) for op in (*plan.start, *plan.step, *plan.learn)}
            kept[key] = "" if found <= seen else "float32" if len(seen) % 5 == 0 else "float64"
            seen |= found
        if given["backend"][1] == kept[key]:
            chosen.append(item)
    items[:] = chosen
