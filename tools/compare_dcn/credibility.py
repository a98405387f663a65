"""Whether the robustness that a comparison measured can be believed."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from attack.checks import Check, iterations_help, success_rises, white_box_wins
from compare_dcn.comparison import Comparison, white_box_set

#: Attacks that see the gradient, those of them that take steps on each image, and one that asks
#: for scores only.
WHITE_BOX = ("single-step", "iterated", "projected", "universal")
STEPS = ("iterated", "projected")
BLACK_BOX = ("estimated",)
#: One image of some eighty: what starts and roundings decide.
SLACK = 0.02

#: Source, method and budget of a set.
Attack = tuple[str, str, float]


def attacks_on_models(comparison: Comparison) -> list[Attack]:
    """The sets that were made to deceive a model, by the model that they were made on."""
    models = sorted(comparison.results["models"], key=len, reverse=True)
    found = []
    for name in comparison.sets:
        for model in models:
            rest = re.fullmatch(r"-(.+)-([\d.]+)", name.removeprefix(model))
            if name.startswith(model) and rest and rest[1] in WHITE_BOX + BLACK_BOX:
                found.append((model, rest[1], float(rest[2])))
                break
    order = list(comparison.results["models"])
    return sorted(found, key=lambda attack: (order.index(attack[0]), *attack[1:]))


def checks(comparison: Comparison) -> list[tuple[str, Check]]:
    """The checks of Athalye et al. 2018 and Carlini et al. 2019, for each attacked model."""
    attacks = attacks_on_models(comparison)
    found: list[tuple[str, Check]] = []
    for model in comparison.results["models"]:
        own = [a for a in attacks if a[0] == model and a[1] in WHITE_BOX]
        by_budget = {b: [a for a in own if a[2] == b] for b in sorted({a[2] for a in own})}
        if len(by_budget) > 1:
            strongest = {b: _strongest(comparison, at, model) for b, at in by_budget.items()}
            found.append((model, success_rises(strongest)))
        for at in by_budget.values():
            found += [(model, check) for check in _at_budget(comparison, model, at, attacks)]
    return found


def _at_budget(
    comparison: Comparison, model: str, own: Sequence[Attack], attacks: Sequence[Attack]
) -> list[Check]:
    """Checks of one model at one budget."""
    made = []
    budget = own[0][2]
    by_iterations = [
        (_iterations(comparison, a), _accuracy(comparison, a, model)) for a in own if a[1] in STEPS
    ]
    if len(by_iterations) > 1:
        made.append(iterations_help(by_iterations, SLACK))
    outside = {
        f"{source}, {method}": _accuracy(comparison, (source, method, budget), model)
        for source, method, b in attacks
        if b == budget and (source != model or method in BLACK_BOX)
    }
    outside = {name: a for name, a in outside.items() if not np.isnan(a)}
    if outside:
        made.append(white_box_wins(_strongest(comparison, own, model), outside, budget))
    return made


def _strongest(comparison: Comparison, own: Sequence[Attack], model: str) -> float:
    """Accuracy under the strongest of some attacks."""
    return min(_accuracy(comparison, attack, model) for attack in own)


def _accuracy(comparison: Comparison, attack: Attack, model: str) -> float:
    return comparison.accuracy(white_box_set(*attack), model)[0]


def _iterations(comparison: Comparison, attack: Attack) -> int:
    return int(comparison.parameters(white_box_set(*attack))["budget"]["iterations"])
