"""Whether a robustness is believed: what each check accepts, and what it doubts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from attack.checks import iterations_help, success_rises, white_box_wins
from attack.images import ImageSet, write_images
from compare_dcn.figures import look


@pytest.mark.parametrize(
    ("accuracy", "holds"),
    [
        ({2: 0.8, 8: 0.3, 32: 0.0}, True),
        ({2: 0.8, 8: 0.3, 32: 0.1}, False),  # a gradient that leads nowhere: success stalls
        ({2: 0.3, 8: 0.8, 32: 0.0}, False),  # a larger budget that does less
    ],
)
def test_success_has_to_rise_to_all(accuracy: dict[float, float], holds: bool) -> None:
    check = success_rises(accuracy)
    assert check.holds is holds
    assert "32: " in check.found


def test_iterations_must_not_hurt() -> None:
    assert iterations_help([(20, 0.6), (5, 0.7)]).holds
    assert not iterations_help([(20, 0.8), (5, 0.7)]).holds
    assert iterations_help([(20, 0.71), (5, 0.7)], slack=0.02).holds


def test_attacks_from_outside_must_not_win() -> None:
    good = white_box_wins(0.3, {"other": 0.9, "estimated": 0.5}, 4)
    assert good.holds and "the strongest of the others: estimated 0.500" in good.found
    bad = white_box_wins(0.7, {"other": 0.9, "estimated": 0.5}, 4)
    assert not bad.holds and "stronger: estimated 0.500" in bad.found


def test_a_comparison_is_checked_attack_by_attack(tmp_path: Path) -> None:
    """Scores written by hand: a model that its own gradient does not deceive, and one it does."""
    from compare_dcn.comparison import Comparison
    from compare_dcn.credibility import checks

    target = np.array([True, True, False, False])
    pixels = np.zeros((4, 8, 8, 3), np.float32)
    names = tuple(f"{'her' if t else 'other'}/{i}.png" for i, t in enumerate(target))
    images = ImageSet(pixels, names, target)
    comparison = Comparison.begin(tmp_path, images, "her", "nowhere")
    right, wrong = np.where(target, 1.0, -1.0), np.where(target, -1.0, 1.0)
    half = np.where([True, False, True, False], right, wrong)
    scores = {
        "net-iterated-2": (right, right), "net-iterated-8": (right, wrong),
        "code-iterated-2": (right, half), "code-iterated-8": (wrong, right),
        "code-estimated-2": (half, right),
    }  # fmt: skip
    for name, (code, net) in scores.items():
        record = {"budget": {"iterations": 5}, "seconds": 1.0}
        write_images(images, tmp_path / "sets" / name, record)
        comparison.results["scores"][name] = {"code": [*code], "net": [*net]}
    comparison.results["models"] = {"code": "a code", "net": "a net"}
    (tmp_path / "results.json").write_text(json.dumps(comparison.results))
    found = {(model, check.what): check for model, check in checks(Comparison.open(tmp_path))}
    rises = "success of the white-box attack rises to 100 % with its budget"
    assert found["code", rises].holds and found["net", rises].holds
    outside = "at 2, attacks from outside are never stronger than the white-box attack"
    assert "code, estimated 0.500" in found["code", outside].found
    assert not found["code", outside].holds
    assert not found["net", outside].holds
    assert len(found) == 6


def test_lines_of_many_models_are_told_apart() -> None:
    assert len({tuple(look(index).values()) for index in range(40)}) == 40
