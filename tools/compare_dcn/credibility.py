"""Whether the robustness that a comparison measured can be believed."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from attack.checks import Check, iterations_help, success_rises, white_box_wins
from compare_dcn.comparison import Comparison, white_box_set

#: Attacks that ask for scores only.
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
            if name.startswith(model) and rest:
                found.append((model, rest[1], float(rest[2])))
                break
    order = list(comparison.results["models"])
    return sorted(found, key=lambda attack: (order.index(attack[0]), *attack[1:]))


def checks(comparison: Comparison) -> list[tuple[str, Check]]:
    """The checks of Athalye et al. 2018 and Carlini et al. 2019, for each attacked model."""
    attacks = attacks_on_models(comparison)
    found: list[tuple[str, Check]] = []
    for model in comparison.results["models"]:
        own = [a for a in attacks if a[0] == model and a[1] not in BLACK_BOX]
        for method in dict.fromkeys(m for _, m, _ in own):
            accuracy = {a[2]: _accuracy(comparison, a, model) for a in own if a[1] == method}
            if len(accuracy) > 1:
                found.append((model, success_rises(accuracy)))
        for budget in sorted({a[2] for a in own}):
            at = [a for a in own if a[2] == budget]
            found += [(model, check) for check in _at_budget(comparison, model, at, attacks)]
    return found


def _at_budget(
    comparison: Comparison, model: str, own: Sequence[Attack], attacks: Sequence[Attack]
) -> list[Check]:
    """Checks of one model at one budget."""
    made = []
    budget = own[0][2]
    by_iterations = [(_iterations(comparison, a), _accuracy(comparison, a, model)) for a in own]
    if len(own) > 1:
        made.append(iterations_help(by_iterations, SLACK))
    outside = {
        f"{source}, {method}": _accuracy(comparison, (source, method, budget), model)
        for source, method, b in attacks
        if b == budget and (source != model or method in BLACK_BOX)
    }
    outside = {name: a for name, a in outside.items() if not np.isnan(a)}
    if outside:
        made.append(white_box_wins(min(a for _, a in by_iterations), outside, budget))
    return made


def _accuracy(comparison: Comparison, attack: Attack, model: str) -> float:
    return comparison.accuracy(white_box_set(*attack), model)[0]


def _iterations(comparison: Comparison, attack: Attack) -> int:
    return int(comparison.parameters(white_box_set(*attack))["budget"]["iterations"])
