"""The transfer function from membrane potential to activity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def transfer(spec: Any) -> dict[str, Any]:
    """Constants of the transfer function from potential to activity."""
    if getattr(spec, "verticesV", None):
        return {
            "vertices_v": tuple(spec.verticesV),
            "vertices_a": tuple(spec.verticesA),
            "slope_neg": spec.slopeNegInf,
            "slope_pos": spec.slopePosInf,
        }
    return {
        "v_thresh": spec.VThresh,
        "a_min": spec.AMin,
        "a_max": spec.AMax,
        "a_shift": spec.AShift,
        "v_width": spec.VWidth,
    }


def transfer_activity(v: np.ndarray, s: Mapping[str, Any]) -> np.ndarray:
    """Activity of a potential, in float64: the definition.

    Below ``VThresh`` the activity is ``AMin``; over the next ``VWidth`` it
    rises linearly to ``VThresh + VWidth - AShift``; above it is
    ``V - AShift``; never more than ``AMax``. With vertices it is piecewise
    linear through them, with given slopes beyond the ends.
    """
    v = v.astype(np.float64)
    if "vertices_v" in s:
        xs, ys = np.array(s["vertices_v"], float), np.array(s["vertices_a"], float)
        low = ys[0] + s["slope_neg"] * (v - xs[0])
        high = ys[-1] + s["slope_pos"] * (v - xs[-1])
        return np.where(v < xs[0], low, np.where(v > xs[-1], high, np.interp(v, xs, ys)))
    above = v - s["a_shift"]
    if s["v_width"] > 0:
        top = s["v_thresh"] + s["v_width"] - s["a_shift"]
        ramp = s["a_min"] + (top - s["a_min"]) * (v - s["v_thresh"]) / s["v_width"]
        above = np.where(v < s["v_thresh"] + s["v_width"], ramp, above)
    return np.minimum(np.where(v < s["v_thresh"], s["a_min"], above), s["a_max"])
