"""A run gives the same bits wherever it is interrupted, also where a kernel does many steps."""

from __future__ import annotations

import numpy as np
import pytest

from neurosim.errors import DivergenceError
from tests.backends.circuits import CIRCUITS
from tests.backends.nets import BACKENDS, column, read_all, simulator

STEPS = 30


@pytest.mark.parametrize(("backend", "dtype", "threads"), BACKENDS)
@pytest.mark.parametrize("threshold", ["0.1", "-0.2", "100"], ids=["some", "nearly all", "none"])
def test_steps_one_by_one_and_in_stretches(
    backend: str, dtype: str, threads: int, threshold: str
) -> None:
    circuit = "".join(CIRCUITS["whole-field code of a fixed input"])
    text = (column(nbatch=3) + circuit).replace("VThresh = 0.1", f"VThresh = {threshold}")
    one_by_one, at_once, in_pieces = (simulator(text, backend, dtype, threads) for _ in range(3))
    for step in range(1, STEPS + 1):
        one_by_one.run(step)
    at_once.run(STEPS)
    for step in (2, 9, 23, STEPS):
        in_pieces.run(step)
    expected = read_all(one_by_one)
    assert (expected["V:A"] != 0).any() == (threshold != "100")
    for made in (at_once, in_pieces):
        for name, values in read_all(made).items():
            np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_a_stretch_sees_growth_without_bound() -> None:
    """Images whose potentials leave all bounds are told, each with its first such step."""
    text = column(nbatch=2) + "".join(CIRCUITS["whole-field code of a fixed input"])
    made = simulator(text, "cpu", "float32", 1)
    v = made.backend.read("V:V")
    v[1] = 1e30
    made.write("V:V", v)
    with pytest.raises(DivergenceError, match="V"):
        made.run(1000)
    flag = made.backend.read("V:diverged")
    assert flag[0] == 0 and flag[1] > 0
