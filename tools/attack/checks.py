"""Whether a robustness that was measured can be believed.

A gradient that is hidden (masked, shattered, noisy) makes attacks fail that ought to succeed
(Athalye et al. 2018, Carlini et al. 2019). It shows: attacks stay weak at any budget, more
iterations make them weaker, or attacks that never looked inside (transferred, estimated) beat
those that did.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One check of one model.

    Attributes
    ----------
    what : str
        What ought to hold.
    holds : bool
    found : str
        The numbers.
    """

    what: str
    holds: bool
    found: str


def success_rises(accuracy: Mapping[float, float], floor: float = 0.02) -> Check:
    """Accuracy under white-box attack falls with the budget, down to (nearly) nothing.

    Parameters
    ----------
    accuracy : mapping
        Of the attacked model, by budget in grey levels.
    floor : float
        Accuracy that the largest budget has to leave at most.
    """
    budgets = sorted(accuracy)
    values = [accuracy[budget] for budget in budgets]
    # An image more or less is chance: starts and steps differ from budget to budget.
    falls = all(after <= before + floor for before, after in itertools.pairwise(values))
    numbers = ", ".join(f"{budget:g}: {accuracy[budget]:.3f}" for budget in budgets)
    return Check(
        "success of the white-box attack rises to 100 % with its budget",
        falls and values[-1] <= floor, numbers,
    )  # fmt: skip


def iterations_help(accuracy: Sequence[tuple[int, float]], slack: float = 0.0) -> Check:
    """More iterations never make an attack weaker.

    Parameters
    ----------
    accuracy : sequence of (int, float)
        Iterations, and accuracy under the attack.
    slack : float
        Accuracy by which more iterations may leave more.
    """
    ordered = sorted(accuracy)
    steps = itertools.pairwise(ordered)
    numbers = ", ".join(f"{count}: {value:.3f}" for count, value in ordered)
    return Check(
        "more iterations never hurt",
        all(after[1] <= before[1] + slack for before, after in steps), numbers,
    )  # fmt: skip


def white_box_wins(
    white: float, others: Mapping[str, float], budget: float, slack: float = 0.0
) -> Check:  # fmt: skip
    """No attack that did not see the gradient leaves less accuracy than the one that did.

    Parameters
    ----------
    white : float
        Accuracy under the white-box attack.
    others : mapping
        Accuracy under transferred and black-box attacks of the same budget, by their source.
    budget : float
        In grey levels, for the text.
    slack : float
        Accuracy by which one of them may be stronger.
    """
    stronger = {name: value for name, value in others.items() if value < white - slack}
    named = stronger or dict([min(others.items(), key=lambda item: item[1])])
    numbers = ", ".join(f"{name} {value:.3f}" for name, value in sorted(named.items()))
    kind = "stronger" if stronger else "the strongest of the others"
    return Check(
        f"at {budget:g}, attacks from outside are never stronger than the white-box attack",
        not stronger, f"white box {white:.3f}; {kind}: {numbers}",
    )  # fmt: skip
