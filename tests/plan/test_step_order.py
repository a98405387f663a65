"""What reads what within a step: phases, file order, delays, triggers, pooling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neurosim.plan.operators import Schedule
from neurosim.simulation import Simulator
from neurosim.stimuli.pvp import write_activity
from tests.backends.nets import code, column, group, join, linear, simulator
from tests.tolerances import FLOAT64_EXACT

ONE = group("ConstantLayer", "One", InitVType="ConstantV", valueV=1)
GROW = {"VThresh": -1e9, "AMin": -1e9, "AShift": 0, "InitVType": "ZeroV", "nf": 1}


def counter(name: str = "Count", phase: int = 1, **keys: object) -> str:
    """A layer whose activity is the number of steps done: it adds 1 at each."""
    return group("LeakyIntegrator", name, phase=phase, **GROW, **keys) + join(
        "IdentConn", f"OneTo{name}"
    )


def single(*groups: str, steps: int = 0, **options: object) -> Simulator:
    made = simulator([column(1, 1), ONE, *groups], **options)
    made.run(steps)
    return made


def value(made: Simulator, layer: str) -> float:
    return float(made.backend.read(f"{layer}:A").item())


def history(made: Simulator, layer: str, steps: int) -> list[float]:
    values = []
    for _ in range(steps):
        made.run(made.step + 1)
        values.append(round(value(made, layer), 9))
    return values


def test_a_higher_phase_sees_this_step_and_an_equal_or_lower_one_the_last() -> None:
    made = single(
        counter(phase=2),
        *(linear(f"P{p}", nf=1, phase=p) + join("IdentConn", f"CountToP{p}") for p in (1, 2, 3)),
        steps=5,
    )
    assert [value(made, name) for name in ("Count", "P3", "P2", "P1")] == [5, 5, 4, 4]


def test_all_receive_before_any_updates() -> None:
    """Two layers of one phase exchange their values, whichever stands first."""
    swap = [
        linear("A", nf=1), linear("B", nf=1),
        join("IdentConn", "AToB"), join("IdentConn", "BToA"),
    ]  # fmt: skip
    for order in (swap, [swap[1], swap[0], *swap[2:]]):
        made = single(*order)
        made.backend.write("A:A", np.full((1, 1, 1, 1), 3.0))
        made.backend.write("B:A", np.full((1, 1, 1, 1), 8.0))
        made.run(1)
        assert (value(made, "A"), value(made, "B")) == (8, 3)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_clone_of_the_potential_follows_the_file_order_within_a_phase(backend: str) -> None:
    clone = group("CloneVLayer", "Clone", originalLayerName="Count", phase=1)
    assert value(single(counter(), clone, steps=4, backend=backend), "Clone") == 4
    assert value(single(clone, counter(), steps=4, backend=backend), "Clone") == 3


def test_other_live_readers_follow_the_file_order_too() -> None:
    count = counter()
    readers = [
        (group("RescaleLayer", "R", originalLayerName="Count", phase=1,
               rescaleMethod="zerotonegative"), [1, 2, 3], [-1, 1, 2]),
        (group("MaskLayer", "R", phase=1, maskMethod="layer", maskLayerName="Count", **GROW)
         + join("IdentConn", "OneToR"), [1, 1, 1], [0, 1, 1]),
    ]  # fmt: skip
    for reader, after, before in readers:
        assert history(single(count, reader), "R", 3) == after
        assert history(single(reader, count), "R", 3) == before


def test_a_linear_layer_read_directly_by_its_phase_keeps_its_last_value() -> None:
    """Its input is not summed in place while others may still look."""
    follow = linear("Follow", nf=1, phase=2) + join("IdentConn", "CountToFollow")
    mask = group("RescaleLayer", "R", originalLayerName="Follow", phase=2,
                 rescaleMethod="zerotonegative")  # fmt: skip
    assert history(single(counter(), mask, follow), "R", 3) == [-1, 1, 2]
    reset = group("LeakyIntegrator", "Reset", phase=2, triggerLayerName="Count",
                  triggerBehavior="resetStateOnTrigger", triggerResetLayerName="Follow",
                  **GROW)  # fmt: skip
    assert history(single(counter(), reset, follow), "Reset", 3) == [0, 1, 2]
    assert history(single(counter(), follow, reset), "Reset", 3) == [1, 2, 3]


def test_delays_count_steps_of_published_activity() -> None:
    made = single(
        counter(phase=1),
        linear("Late", nf=1, phase=2), join("IdentConn", "CountToLate", delay=[3]),
        linear("Below", nf=1, phase=0), join("IdentConn", "CountToBelow", delay=[3]),
    )  # fmt: skip
    made_again = single(counter(), linear("Below", nf=1, phase=0),
                        join("IdentConn", "CountToBelow", delay=[3]))  # fmt: skip
    assert history(made, "Late", 7) == [0, 0, 0, 1, 2, 3, 4]
    assert history(made_again, "Below", 7) == [0, 0, 0, 0, 1, 2, 3]
    for first in (counter(), ""):
        beside = linear("Beside", nf=1) + join("IdentConn", "CountToBeside", delay=[3])
        made = single(first, beside, "" if first else counter())
        assert history(made, "Beside", 7) == [0, 0, 0, 0, 1, 2, 3]


def test_delays_of_a_triggered_layer_also_count_steps(tmp_path: Path) -> None:
    write_activity(tmp_path / "f.pvp", np.arange(1, 6, dtype=np.float32).reshape(5, 1, 1, 1))
    clock = group("PvpLayer", "Clock", inputPath="f.pvp", displayPeriod=3)
    made = single(clock, linear("Late", nf=1), join("IdentConn", "ClockToLate", delay=[2]),
                  folder=tmp_path)  # fmt: skip
    assert history(made, "Late", 8) == [0, 1, 1, 1, 1, 2, 2, 2]


def test_nothing_was_published_before_the_start() -> None:
    """A delay reads the start once it is that old, and zero until then."""
    kept = group("LeakyIntegrator", "V", **GROW | {"InitVType": "ConstantV"}, valueV=7)
    made = single(kept, linear("Late", nf=1, phase=2), join("IdentConn", "VToLate", delay=[2]))
    assert history(made, "Late", 4) == [0, 7, 7, 7]


@pytest.mark.parametrize(
    "offset, steps", [(0, [1, 4, 7]), (1, [3, 6, 9]), (2, [2, 5, 8]), (4, [3, 6, 9])]
)
def test_triggers_come_early_by_their_offset(tmp_path: Path, offset: int, steps: list[int]) -> None:
    """Displays of 3 steps begin at 1, 4, 7; an offset of 1 is the last step of a display."""
    write_activity(tmp_path / "f.pvp", np.arange(1, 6, dtype=np.float32).reshape(5, 1, 1, 1))
    clock = group("PvpLayer", "Clock", inputPath="f.pvp", displayPeriod=3)
    gated = linear("Gated", nf=1, phase=2, triggerLayerName="Clock", triggerOffset=offset)
    made = single(clock, counter(), gated, join("IdentConn", "CountToGated"), folder=tmp_path)
    seen = history(made, "Gated", 9)
    assert seen == [max([s for s in steps if s <= t], default=0) for t in range(1, 10)]
    assert history(single(clock, folder=tmp_path), "Clock", 9) == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_a_reset_takes_the_potential_just_before_the_update(tmp_path: Path) -> None:
    write_activity(tmp_path / "f.pvp", np.zeros((5, 1, 1, 1), np.float32))
    clock = group("PvpLayer", "Clock", inputPath="f.pvp", displayPeriod=3)
    rest = group("ConstantLayer", "Rest", InitVType="ConstantV", valueV=10)
    keys = {
        "triggerLayerName": "Clock", "triggerBehavior": "resetStateOnTrigger",
        "triggerResetLayerName": "Rest",
    }  # fmt: skip
    made = single(clock, rest, counter(**keys), folder=tmp_path)
    assert history(made, "Count", 7) == [11, 12, 13, 11, 12, 13, 11]
    # A layer whose potential is its input has nothing to keep: a reset changes nothing.
    linear_layer = linear("Sum", nf=1, **keys) + join("RescaleConn", "OneToSum", scale=4)
    made = single(clock, rest, linear_layer, folder=tmp_path)
    assert history(made, "Sum", 4) == [4, 4, 4, 4]


def test_potential_and_activity_at_the_start() -> None:
    made = single(group("ANNLayer", "A", InitVType="ConstantV", valueV=2, VThresh=0.5, AShift=0.5,
                        AMin=0), linear("Default", nf=1, InitVType="ConstantV"),
                  code("Quiet", nf=1, InitVType="ConstantV"))  # fmt: skip
    assert value(made, "A") == 1.5
    assert value(made, "Default") == -70
    assert value(made, "Quiet") == 0


def test_a_layer_without_input_goes_to_zero() -> None:
    made = single(linear("Alone", nf=1, InitVType="ConstantV", valueV=3), steps=1)
    assert value(made, "Alone") == 0


def test_maximum_pooling_discards_what_was_delivered_before() -> None:
    """PetaVision delivers the connection that stands last in the file first."""
    two = group("ConstantLayer", "Two", InitVType="ConstantV", valueV=2)
    pool = join("PoolingConn", "Pool", preLayerName="Two", postLayerName="Out",
                pvpatchAccumulateType="maxpooling")  # fmt: skip
    ident = join("IdentConn", "OneToOut")
    out = linear("Out", nf=1)
    assert value(single(two, out, ident, pool, steps=1), "Out") == 3
    assert value(single(two, out, pool, ident, steps=1), "Out") == 2
    inhibitory = join("IdentConn", "OneToOut", 1)
    assert value(single(two, out, pool, inhibitory, steps=1), "Out") == 1
    summed = pool.replace("max", "sum")
    assert value(single(two, out, summed, ident, steps=1), "Out") == 3
    from_post = summed.replace("{\n", "{\n    updateGSynFromPostPerspective = true;\n")
    assert value(single(two, out, from_post, ident, steps=1), "Out") == 2
    alone = summed.replace("}", "updateGSynFromPostPerspective = true; }")
    assert value(single(two, out, alone, ident, steps=1), "Out") == 2


def test_channels_are_combined_by_their_coefficients() -> None:
    channels = [join("RescaleConn", f"C{c}", c, preLayerName="One", postLayerName="Out",
                     scale=10.0**c) for c in range(5)]  # fmt: skip
    assert value(single(linear("Out", nf=1), *channels, steps=1), "Out") == 1 - 10
    mixed = linear("Out", nf=1, channelIndices=[1, 3], channelCoefficients=[2, -1])
    assert value(single(mixed, *channels, steps=1), "Out") == 1 + 20 - 1000


def test_the_decay_has_the_square_of_the_time_step() -> None:
    """Without an adaptive probe the step is dt in units of tau / dt: exp(-dt * dt / tau)."""
    made = simulator([column(1, 1, dt=0.5), ONE, code("V", nf=1, phase=1, InitVType="ZeroV",
                                                      timeConstantTau=4, selfInteract=False),
                      join("IdentConn", "OneToV")])  # fmt: skip
    made.run(1)
    assert made.backend.read("V:V").item() == pytest.approx(
        1 - np.exp(-0.25 / 4), abs=FLOAT64_EXACT
    )


def test_schedules() -> None:
    for first in range(1, 6):
        for every in range(0, 6):
            schedule = Schedule(first, every)
            fired = [s for s in range(1, 40) if schedule.fires(s)]
            assert fired == (list(range(first, 40, every)) if every else [first])
            for step in range(1, 20):
                later = [s for s in fired if s >= step]
                assert schedule.next(step) == (later[0] if later else None)
            for offset in range(7):
                moved = [s - offset for s in fired if s - offset >= 1]
                shifted = schedule.shifted(offset)
                assert [s for s in range(1, 30) if shifted.fires(s)][: len(moved)] == [
                    s for s in moved if s < 30
                ]
