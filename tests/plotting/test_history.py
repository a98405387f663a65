"""The numbers behind the curves of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import neurosim
from neurosim.plotting.history import course, energy_curves, unexplained_curves
from neurosim.plotting.material import gather
from neurosim.plotting.of_run import _grouped
from tests.analysis.networks import faces, params


def test_terms_of_neurons_that_inhibit_themselves(tmp_path: Path) -> None:
    """All terms are told, by different names, and an inhibition is not what is left of a layer."""
    text = params(faces(tmp_path / "train"), displays=20).replace(
        "writeStep = -1", "writeStep = 20"
    )
    head, p1, rest = text.partition('SparseCoding "P1" = {')
    text = head + p1 + "selfInhibition = 0.5;" + rest
    neurosim.run(neurosim.loads(text), tmp_path / "run", threads=1).close()
    material = gather(tmp_path / "run")
    with material.run as run:
        when = course(run, "Face")
        curves = energy_curves(run, material.network, "Energy", when)
        total, (errors, costs) = _grouped(material, curves, "Energy")
        left = unexplained_curves(run, material.network, when)
    assert {"cost of P1", "cost of squares in P1"} <= set(costs)
    terms = sum(curve[1] for curve in (*errors.values(), *costs.values()))
    np.testing.assert_allclose(total["energy"][1], terms, rtol=1e-5)
    assert set(left) == {"Face", "Name"}
