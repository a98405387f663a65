"""Values of the buffers before the first step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.errors import NeurosimError
from neurosim.network import LayerShape, Network
from neurosim.plan.layers import RECEIVING
from neurosim.plan.operators import Plan
from neurosim.plan.random_stream import SeedCounter
from neurosim.plan.transfer import transfer, transfer_activity
from neurosim.plan.weights import initial_increment, initial_weights
from neurosim.stimuli.paths import locate
from neurosim.stimuli.pvp import read_activity

#: Seed of runs that name none: the same file gives the same numbers.
DEFAULT_SEED = 1234567890


def initial_state(network: Network, plan: Plan, folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Potentials, activities, weights and rates as the params file says.

    Objects are visited in file order, which fixes the random numbers each
    gets. Frames of input layers are not among them.

    Parameters
    ----------
    folder : Path
        Relative file names start here: the folder of the params file.

    Yields
    ------
    (str, array)
        Buffer name and its value.
    """
    seeds = SeedCounter(network.model.column.randomSeed or DEFAULT_SEED)
    potentials: dict[str, np.ndarray] = {}
    for spec in network.model.objects:
        if spec.name in network.layers:
            yield from _layer(network, plan, spec, seeds, folder, potentials)
        elif f"{spec.name}:W" in plan.buffers and hasattr(spec, "weightInitType"):
            yield from _connection(network, plan, spec, seeds, folder)
        elif f"{spec.name}:timescale" in plan.buffers:
            state = np.array([spec.baseMin, -1.0, spec.baseMax])  # type: ignore[attr-defined]
            yield f"{spec.name}:timescale", np.tile(state, (plan.nbatch, 1))


def _layer(
    network: Network,
    plan: Plan,
    spec: Any,
    seeds: SeedCounter,
    folder: Path,
    potentials: dict[str, np.ndarray],
) -> Iterator[tuple[str, np.ndarray]]:
    kind = type(spec).__name__
    v_name, a_name = plan.layers[spec.name]
    if kind == "CloneVLayer":
        # Zero when declared before its original, whose potential is not there yet.
        if spec.originalLayerName in potentials:
            potentials[spec.name] = potentials[spec.originalLayerName]
            yield a_name, potentials[spec.name]
        return
    if kind not in RECEIVING and kind != "ConstantLayer":
        return
    v = initial_potential(network, spec, network.layers[spec.name].shape, seeds, folder)
    potentials[spec.name] = v
    linear = kind in ("HyPerLayer", "ConstantLayer")
    a = v
    if not linear:
        # In float32, as PetaVision: a potential that starts at its threshold is not above it.
        constants = {key: np.asarray(value, np.float32) for key, value in transfer(spec).items()}
        a = np.empty_like(v)
        for image in range(len(v)):
            a[image] = transfer_activity(v[image], constants)
    if v_name != a_name:
        yield v_name, v
    # Histories start at zero: PetaVision publishes the start to the newest level only.
    yield a_name, a


def initial_potential(
    network: Network, spec: Any, shape: LayerShape, seeds: SeedCounter, folder: Path
) -> np.ndarray:
    """Potential of a layer at t = 0, float32 ``(batch, y, x, feature)``."""
    full = (network.nbatch, shape.ny, shape.nx, shape.nf)
    kind = spec.InitVType
    if kind == "ConstantV":
        return np.full(full, spec.valueV, np.float32)
    if kind == "ZeroV":
        return np.zeros(full, np.float32)
    if kind == "InitVFromFile":
        return _potential_from_file(network, spec, full, folder)
    places = shape.ny * shape.nx
    stream = seeds.generators(places * network.nbatch)
    # All batch elements draw from the generators of the first.
    stream.state = stream.state[:, :places]
    v = np.empty((network.nbatch, shape.nf, places), np.float32)
    for b in range(network.nbatch):
        for f in range(shape.nf):
            if kind == "UniformRandomV":
                width = np.float32(spec.maxV - spec.minV)
                v[b, f] = np.float32(spec.minV) + stream.uniform() * width
            elif kind == "GaussianRandomV":
                v[b, f] = np.float32(spec.meanV) + stream.normal() * np.float32(spec.sigmaV)
            else:
                step = (spec.maxV - spec.minV) / (spec.numValues - 1)
                v[b, f] = spec.minV + step * stream.integers(spec.numValues)
    return np.ascontiguousarray(v.transpose(0, 2, 1)).reshape(full)


def _potential_from_file(
    network: Network, spec: Any, full: tuple[int, ...], folder: Path
) -> np.ndarray:
    path = locate(spec.Vfilename, folder)
    try:
        activity = read_activity(path)
        frames = [activity[(spec.frameNumber + b) % len(activity)] for b in range(full[0])]
    except NeurosimError as error:
        raise network.model.error(spec.name, f"Vfilename: {error}", "Vfilename") from None
    if not np.isfinite(frames).all():
        raise network.model.error(
            spec.name, f"Vfilename {path} has values that are not finite numbers", "Vfilename"
        )
    if frames[0].shape != full[1:]:
        raise network.model.error(
            spec.name,
            f"Vfilename {path} has frames of {frames[0].shape} (y, x, features), "
            f"but the layer is {full[1:]}",
            "Vfilename",
        )
    return np.stack(frames)


def _connection(
    network: Network, plan: Plan, spec: Any, seeds: SeedCounter, folder: Path
) -> Iterator[tuple[str, np.ndarray]]:
    node = network.connections[spec.name]
    shape = plan.buffers[f"{spec.name}:W"].shape
    yield f"{spec.name}:W", initial_weights(network, node, shape, seeds, folder)
    if f"{spec.name}:rate" in plan.buffers:
        yield f"{spec.name}:rate", np.array([spec.dWMax, 0.0, 0.0])
    if f"{spec.name}:prev_dW" in plan.buffers:
        previous = initial_increment(network, node, shape, folder)
        if previous is not None:
            yield f"{spec.name}:prev_dW", previous
