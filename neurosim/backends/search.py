"""The decisions of a solver's search, one image at a time: plain Python, compiled per backend.

``c`` is the image's row of the control buffer. Every number comes from sums over the
units of the image; no decision looks at another image.
"""

from __future__ import annotations

from typing import Any

from neurosim.plan.searching import (
    ACTION,
    AGAIN,
    AGE,
    BACK,
    BEGIN,
    CHANGED,
    CURVATURE,
    FIRST,
    GOING,
    HOLD,
    LOWEST,
    MODE,
    NORM,
    OLDEST,
    REFUSED,
    RENEW,
    SEARCH,
    SETTLE,
    SHARE,
    SHOWN,
    START,
    STARTS,
    STEP,
    TAKE,
    TURN,
)

#: Length of a first trial where no earlier presentation tells one; the line search corrects it.
PROBE = 1e-3
#: A trial is longer than the last best one: too far costs less than too short.
REACH = 1.2
#: Smallest and largest change of length from one trial to the next.
SHRINK, GROW = 0.3, 2.0


def interrupted(c: Any, event: int, step: int) -> None:
    """What is known has become wrong (CHANGED, SHOWN), or what is delivered is looked at (ENDS)."""
    if event == CHANGED:
        c[MODE] = STARTS if step <= 1 else RENEW
    elif event != SHOWN:
        c[AGE] = OLDEST
    elif c[MODE] > RENEW:
        c[MODE] = BEGIN


def searched(c: Any, distance: float, along: float, slope: float) -> float:
    """Choose the share of the last trial that is taken, and the length of the next.

    ``distance`` is |d|², ``along`` d·Hd and ``slope`` d·g, for the displacement d from
    the code to the trial, its curvature Hd and the gradient g of descent at the code.
    Returns the energy of the code that is taken less that of the trial.
    """
    mode, settles = c[MODE], c[AGE] >= OLDEST
    c[SHARE] = 1.0
    c[CURVATURE] = along
    if mode == RENEW or (mode == STARTS and distance > 0.0):
        c[ACTION], c[MODE] = HOLD, BEGIN
        return 0.0
    if mode < FIRST or not along > 0.0:
        # Nothing to compare with, or (rounding apart) another problem than a step ago.
        if mode in (STARTS, BEGIN) or distance == 0.0:
            c[STEP] = c[START] if c[START] > 0.0 else PROBE
        c[ACTION], c[AGE] = TAKE, 0.0
        c[MODE] = FIRST if mode < AGAIN else GOING
        if settles:
            c[ACTION], c[MODE] = SETTLE, AGAIN
        return 0.0
    share = slope / along
    best = max(share, 0.0) * c[STEP]
    if mode == FIRST and best > 0.0:
        c[START] = best
    else:
        best = min(max(best, SHRINK * c[STEP]), GROW * c[STEP])
    c[STEP] = REACH * best
    c[ACTION], c[MODE] = SEARCH, GOING
    c[SHARE] = min(max(share, 0.0), 1.0)
    c[AGE] = 0.0 if share >= 1.0 else c[AGE] + 1.0
    if settles or c[AGE] >= OLDEST:
        c[ACTION], c[MODE], c[AGE] = SETTLE, AGAIN, 0.0
    if share >= 1.0:
        return 0.0
    return -0.5 * along * (1.0 - c[SHARE]) * (1.0 + c[SHARE] - 2.0 * share)


def turned(c: Any, change: float, behind: float, free: float) -> None:
    """Choose how much of the last direction is kept, so that both are conjugate.

    ``change`` is the direction of descent times Hd, ``behind`` d·g over the active
    units and ``free`` |g|² over them.
    """
    c[TURN] = 0.0
    if c[ACTION] != SEARCH or c[SHARE] <= 0.0 or not change < 0.0:
        return
    turn = -change / c[CURVATURE]
    if behind < 0.0 and -turn * behind > 0.5 * free:
        return
    c[TURN] = turn


#: A relaxation: its first rate, the least one, and the part of the rate at which the last
#: change of residuals would have vanished.
RATE, LEAST, CAUTION = 0.01, 1e-4, 0.5
#: Growth of the squared residual at which a step is refused, refusals in a row, and the
#: largest share of the last change that is undone or repeated.
REFUSAL, REFUSALS, UNDO = 4.0, 4, 4.0
#: Squared residual, beside the least of late, from which on a relaxation calms down: growth by
#: which the least is forgotten in a step, and what is left of the rate after each.
WORSE, FORGET, CALM = 4.0, 1.02, 0.7


def relaxed(c: Any, square: float, moved: float, common: float, against: float) -> None:
    """Choose the rate of the next step and how much of the last change is undone.

    Over active units: ``square`` is |R|² of the residual R, ``moved`` |dR|² of its
    last change, ``common`` R·dR and ``against`` -dR·dV with the last change dV.
    """
    mode = c[MODE]
    c[TURN] = 0.0
    if mode == RENEW:
        c[ACTION], c[MODE] = HOLD, BEGIN
        return
    c[ACTION] = TAKE
    if mode < FIRST:
        c[STEP], c[NORM], c[REFUSED], c[MODE] = RATE, square, 0.0, FIRST
        return
    fine = square <= REFUSAL * c[NORM] or mode == FIRST
    if not fine and c[REFUSED] < REFUSALS and c[STEP] > LEAST:
        c[STEP] = max(SHRINK * c[STEP], LEAST)
        c[REFUSED] += 1.0
        c[ACTION] = BACK
        return
    if mode == FIRST:
        c[LOWEST] = square
    # A rate that is a little too high lets residuals grow slowly, and the undone part hides it.
    if square > WORSE * c[LOWEST]:
        c[STEP] = max(CALM * c[STEP], LEAST)
    elif moved > 0.0:
        if against > 0.0:
            rate = CAUTION * against / moved
            c[STEP] = max(min(max(rate, SHRINK * c[STEP]), GROW * c[STEP]), LEAST)
        c[TURN] = min(max(common / moved, -UNDO), UNDO)
    c[LOWEST] = min(square, FORGET * c[LOWEST])
    c[NORM], c[REFUSED], c[MODE] = square, 0.0, GOING


def relax_unit(
    v: float, r: float, rate: float, natural: float, threshold: float, active: bool
) -> float:
    """Potential of a unit a step on.

    An inactive one goes all the way (``natural``: the share of its residual at which it
    comes to rest), as far as the threshold; activity changes at ``rate``.
    """
    if active:
        return v + rate * r
    u = v + natural * r
    if u > threshold:
        return threshold + rate * (u - threshold) / natural
    return u
