"""Small networks written as params text, and simulators made of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurosim import loads
from neurosim.experiment import Experiment
from neurosim.plan import Plan
from neurosim.plan.tune import learn_in_blocks
from neurosim.plan.winograd import Rule, rules, shorten
from neurosim.simulation import Simulator
from neurosim.specs.base import literal

#: Backends under test: name, precision, threads. Another one is named in the environment.
BACKENDS: tuple[tuple[str, str, int], ...] = (("cpu", "float32", 1), ("cpu", "float64", 2))
if other := os.environ.get("NEUROSIM_TEST_BACKEND"):
    BACKENDS = ((other, "float32", 1), (other, "float64", 1))


def group(kind: str, name: str, **keys: Any) -> str:
    """One group; a key that ends in _ loses it (``lambda_``)."""
    body = "".join(f"    {key} = {literal(value)};\n" for key, value in keys.items())
    return f'{kind} "{name}" = {{\n{body}}};\n'


def column(nx: int = 8, ny: int = 8, nbatch: int = 1, **keys: Any) -> str:
    keys = {"nx": nx, "ny": ny, "nbatch": nbatch, "randomSeed": 1234567890, "stopTime": 1000} | keys
    return group("HyPerCol", "column", **keys)


def noise(name: str, nf: int = 3, sigma: float = 1.0, **keys: Any) -> str:
    """A layer of fixed random numbers, different in each batch element."""
    keys = {"nf": nf, "InitVType": "GaussianRandomV", "sigmaV": sigma, "phase": 0} | keys
    return group("ConstantLayer", name, **keys)


def linear(name: str, nf: int = 3, phase: int = 1, **keys: Any) -> str:
    return group("HyPerLayer", name, **{"nf": nf, "phase": phase, "InitVType": "ZeroV"} | keys)


def code(name: str, nf: int = 4, phase: int = 2, kind: str = "HyPerLCALayer", **keys: Any) -> str:
    """A coding layer with a soft threshold."""
    threshold = keys.get("VThresh", 0.1)
    defaults = {
        "nf": nf, "phase": phase, "InitVType": "UniformRandomV", "minV": -0.2, "maxV": 0.5,
        "VThresh": threshold, "AMin": 0, "AShift": threshold, "timeConstantTau": 5,
    }  # fmt: skip
    if "verticesV" in keys:
        for key in ("VThresh", "AMin", "AShift"):
            defaults.pop(key)
    return group(kind, name, **defaults | keys)


def weights(name: str, nxp: int = 3, nyp: int | None = None, **keys: Any) -> str:
    """A connection with random weights that neither learns nor normalises unless told."""
    defaults = {
        "channelCode": 0, "nxp": nxp, "nyp": nxp if nyp is None else nyp,
        "weightInitType": "GaussianRandomWeight", "wGaussStdev": 0.3,
        "normalizeMethod": "none", "plasticityFlag": False,
    }  # fmt: skip
    kind = keys.pop("kind", "HyPerConn")
    return group(kind, name, **defaults | keys)


def plastic(name: str, nxp: int = 3, **keys: Any) -> str:
    """A connection that learns at every third step."""
    defaults = {"plasticityFlag": True, "dWMax": 0.1, "weightUpdatePeriod": 3}
    if "triggerLayerName" in keys:
        defaults.pop("weightUpdatePeriod")
    return weights(name, nxp, **defaults | keys)


def join(kind: str, name: str, channel: int = 0, **keys: Any) -> str:
    """A connection without weights of its own."""
    return group(kind, name, channelCode=channel, **keys)


#: Forms of a plan: as the file has it, fused, and tuned for a host, with short convolutions
#: wherever they are possible. In a fourth form, "rows", these leave the columns as they are.
FORMS = ("plain", "fused", "tuned")


def formed(experiment: Experiment, form: str) -> Plan:
    """The plan of an experiment in one form."""
    if form == "plain":
        return experiment.plan
    fused = experiment.fused_plan
    if form == "fused":
        return fused
    place = 0 if form == "tuned" else -1

    def choose(scalars: Mapping[str, Any]) -> Rule | None:
        found = rules(scalars["geometry"])
        return found[place] if found else None

    return learn_in_blocks(shorten(fused, choose))


def simulator(
    text: str | Iterable[str],
    backend: str = "reference",
    dtype: str = "float64",
    threads: int = 1,
    folder: Path | str = ".",
    start: Mapping[str, np.ndarray] | None = None,
    form: str = "fused",
    **options: Any,
) -> Simulator:
    """A started simulator; ``start`` replaces values of buffers afterwards."""
    text = text if isinstance(text, str) else "".join(text)
    experiment = loads(text, folder)
    made = experiment.simulator(backend, dtype, threads, plan=formed(experiment, form), **options)
    experiment.start(made)
    for name, value in (start or {}).items():
        made.backend.write(name, value)
    return made


def read_all(made: Simulator) -> dict[str, np.ndarray]:
    return {name: made.backend.read(name) for name in made.plan.buffers}
