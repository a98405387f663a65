"""The scalar equations of layers and rules: plain Python, compiled per backend.

Each function is the maths of one unit. Backends jit them into their kernels,
so that the equations stand in one place.
"""

from __future__ import annotations

#: Potentials smaller than this are zero: decaying to denormals slows a core tenfold.
TINY = 1e-30


def threshold_activity(v, v_thresh, v_top, a_min, slope, a_shift, a_max):
    """Activity of a potential: ``a_min`` below threshold, a ramp, then ``v - a_shift``.

    ``v_top`` is the end of the ramp and ``slope`` its rise per unit of potential, None
    without a ramp; ``a_max`` is None where there is no limit.
    """
    a = v - a_shift
    if slope is not None and v < v_top:
        a = a_min + slope * (v - v_thresh)
    if v < v_thresh:
        a = a_min
    if a_max is not None and a > a_max:
        a = a_max
    return a


def leaky_drive(v, drive, decay, gain):
    """Exact step of ``tau dv/dt = -v + drive`` with ``gain = 1 - decay``."""
    u = decay * v + gain * drive
    # Not 0.0: that is a double, and would make one of everything that follows.
    return u - u if abs(u) < TINY else u


def soft_sign(a):
    """Sign of an activity; 0 at 0."""
    if a > 0.0:
        return 1.0
    if a < 0.0:
        return -1.0
    return 0.0


def next_timescale(
    ts, before, ts_max, energy, base_min, base_max, tau_factor, growth, per_length, knee, knee_slope
):
    """Adaptive time step from the energies of the last two steps.

    Returns the new step, the energy to remember and the new largest step.
    ``per_length`` is the inverse length of a logarithmic growth (0: plain) and
    ``knee`` the step beyond which growth is multiplied by ``knee_slope``.
    """
    if energy == before:
        return ts, energy, ts_max
    last_max = ts_max
    slope = (before - energy) / ts
    if slope < 0.0 or before <= 0.0 or energy <= 0.0:
        ts = base_min
        ts_max = base_max
    else:
        if slope > 0.0:
            ts = tau_factor * before / slope
        if slope == 0.0 or not ts < ts_max:
            ts = ts_max
            ts_max = ts_max * (
                1.0 + growth * 2.718281828459045 ** (-(ts_max - base_max) * per_length)
            )
    if ts_max > knee:
        ts_max = last_max + (ts_max - last_max) * knee_slope
        ts = min(ts, ts_max)
    return ts, energy, ts_max


def momentum_increment(dw, previous, w, gain, factor, decay):
    """Increment of a weight: part of the new one, part of the last, a pull to zero."""
    return gain * dw + factor * previous - decay * w
