"""Weights at the start: ``(arbor, kernel, y, x, feature)`` as declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.errors import NeurosimError
from neurosim.network import ConnectionNode, Network, layer_margins
from neurosim.plan.gauss2d import gauss2d_weights, spread_over_arbors
from neurosim.plan.random_stream import SeedCounter, Tausworthe
from neurosim.plan.weight_files import weights_from_file
from neurosim.stimuli.paths import locate

Shape = tuple[int, ...]


def initial_weights(
    network: Network, node: ConnectionNode, shape: Shape, seeds: SeedCounter, folder: Path
) -> np.ndarray:
    """Weights of a connection before the first normalisation.

    Parameters
    ----------
    shape : (arbors, kernels, nyp, nxp, nfp)
    seeds : SeedCounter
        Advanced when the initialiser is random: by the number of kernels, or of
        neurons of the pre layer with its margin where weights are not shared.
    folder : Path
        Relative file names start here.

    Returns
    -------
    float32 array of ``shape``
    """
    spec: Any = node.spec
    if spec.initWeightsFile:
        return _from_file(network, node, "initWeightsFile", shape, folder, spec.frameNumber)
    initialiser = INITIALISERS.get(spec.weightInitType)
    if initialiser is None:
        raise network.model.error(
            spec.name,
            f'weightInitType "{spec.weightInitType}" is not one of {", ".join(INITIALISERS)}'
            + (" with an initWeightsFile" if spec.weightInitType == "FileWeight" else ""),
            "weightInitType",
        )
    numbers, count = _patch_numbers(network, node)
    if spec.weightInitType in RANDOM:
        generators = seeds.generators(count)
        generators.state = generators.state[:, numbers]
        return initialiser(node, shape, generators)
    if spec.weightInitType == "UniformWeight":
        return initialiser(node, shape, numbers)
    g = node.geometry
    assert g is not None
    # These depend on the place of a unit in its unit cell alone.
    cell = initialiser(node, (shape[0], replace(g, shared=True).kernels, *shape[2:]), None)
    return cell if g.shared else cell[:, g.shared_kernels()]


def _patch_numbers(network: Network, node: ConnectionNode) -> tuple[np.ndarray, int]:
    """PetaVision's number of each patch, and how many generators it gives to all.

    Without sharing, neurons are numbered over the pre layer with the margin that
    all its connections need, and there are generators for every batch element.
    """
    g = node.geometry
    assert g is not None
    if g.shared:
        return np.arange(g.kernels), g.kernels
    margin_y, margin_x = layer_margins(network)[node.pre]
    height, width = g.pre.ny + 2 * margin_y, g.pre.nx + 2 * margin_x
    y = np.arange(g.kernels_y) + margin_y - g.margin_y
    x = np.arange(g.kernels_x) + margin_x - g.margin_x
    place = (y[:, None] * width + x[None, :])[:, :, None]
    numbers = place * g.pre.nf + np.arange(g.pre.nf)
    return numbers.reshape(-1), height * width * g.pre.nf * network.nbatch


def _from_file(
    network: Network, node: ConnectionNode, key: str, shape: Shape, folder: Path, frame: int
) -> np.ndarray:
    """Weights of a .pvp file; its sizes must be those of the connection."""
    assert node.geometry is not None
    path = locate(getattr(node.spec, key), folder)
    try:
        return weights_from_file(path, frame, node.geometry, shape)
    except NeurosimError as error:
        raise network.model.error(node.name, f"{key}: {error}", key) from None


def initial_increment(
    network: Network, node: ConnectionNode, shape: Shape, folder: Path
) -> np.ndarray | None:
    """The last increment of a momentum rule, from its file; None without one."""
    if not getattr(node.spec, "initPrev_dWFile", None):
        return None
    frame = node.spec.prev_dWFrameNumber
    return _from_file(network, node, "initPrev_dWFile", shape, folder, frame)


def _filled(shape: Shape, draw: Callable[[], np.ndarray]) -> np.ndarray:
    """Every weight from its kernel's generator: arbors, then the patch in order."""
    arbors, kernels = shape[:2]
    size = int(np.prod(shape[2:]))
    weights = np.empty((arbors, size, kernels), np.float32)
    for arbor in range(arbors):
        for n in range(size):
            weights[arbor, n] = draw()
    return np.ascontiguousarray(weights.transpose(0, 2, 1)).reshape(shape)


def _uniform(node: ConnectionNode, shape: Shape, numbers: np.ndarray) -> np.ndarray:
    spec: Any = node.spec
    weights = np.full(shape, spec.weightInit, np.float32)
    if spec.connectOnlySameFeatures:
        same = numbers[:, None] % shape[4] == np.arange(shape[4])[None, :]
        weights *= same[None, :, None, None, :]
    return weights


def _uniform_random(node: ConnectionNode, shape: Shape, kernels: Tausworthe) -> np.ndarray:
    """Uniform weights, a fraction of them set to zero while zeros are left."""
    spec: Any = node.spec
    arbors, count = shape[:2]
    size = int(np.prod(shape[2:]))
    low = np.float32(spec.wMinInit)
    width = max(0.0, spec.wMaxInit - spec.wMinInit) / 2.0**32
    limit = np.float32(spec.sparseFraction * 2.0**32)
    weights = np.empty((arbors, size, count), np.float32)
    columns = np.arange(count)
    # No kernel can have used up its zeros before as many weights are drawn.
    free = size - spec.minNNZ
    for arbor in range(arbors):
        start = kernels.draw() % np.uint32(size) if spec.minNNZ else np.zeros(count, np.int64)
        zeros = np.full(count, free)
        for first in range(0, free, BLOCK):
            words = kernels.words(2 * min(BLOCK, free - first))
            block = low + (width * words[0::2]).astype(np.float32)
            none = words[1::2].astype(np.float32) < limit
            block[none] = 0
            zeros -= none.sum(axis=0)
            if spec.minNNZ:
                places = np.arange(first, first + len(block))[:, None] + start
                weights[arbor, places % size, columns] = block
            else:
                weights[arbor, first : first + len(block)] = block
        for n in range(free, size):
            value = low + (width * kernels.draw()).astype(np.float32)
            may = zeros > 0
            if may.any():
                none = may & (kernels.draw(may).astype(np.float32) < limit)
                value[none] = 0
                zeros -= none
            weights[arbor, (n + start) % size, columns] = value
    return np.ascontiguousarray(weights.transpose(0, 2, 1)).reshape(shape)


def _gaussian_random(node: ConnectionNode, shape: Shape, kernels: Tausworthe) -> np.ndarray:
    spec: Any = node.spec
    mean, sigma = np.float32(spec.wGaussMean), np.float32(spec.wGaussStdev)
    return _filled(shape, lambda: mean + kernels.normal() * sigma)


def _discrete_random(node: ConnectionNode, shape: Shape, kernels: Tausworthe) -> np.ndarray:
    spec: Any = node.spec
    step = (spec.wMax - spec.wMin) / (spec.numValues - 1)
    return _filled(shape, lambda: spec.wMin + step * kernels.integers(spec.numValues))


def _one_to_one(weight: float, node: ConnectionNode, shape: Shape, by_arbor: bool) -> np.ndarray:
    """The centre of each patch joins a kernel to the feature of its own number."""
    weights = np.zeros(shape, np.float32)
    arbors, count, nyp, nxp, nfp = shape
    for arbor in range(arbors):
        feature = np.arange(count) * arbors + arbor if by_arbor else np.arange(count)
        kernel = np.flatnonzero(feature < nfp)
        weights[arbor, kernel, nyp // 2, nxp // 2, feature[kernel]] = weight
    return weights


INITIALISERS: dict[str, Callable[[ConnectionNode, Shape, Any], np.ndarray]] = {
    "UniformWeight": _uniform,
    "UniformRandomWeight": _uniform_random,
    "GaussianRandomWeight": _gaussian_random,
    "DiscreteUniformRandomWeight": _discrete_random,
    "Gauss2DWeight": lambda node, shape, _: gauss2d_weights(node, shape),
    "IdentWeight": lambda node, shape, _: _one_to_one(1.0, node, shape, False),
    "OneToOneWeights": lambda n, s, _: _one_to_one(n.spec.weightInit, n, s, False),
    "OneToOneWeightsWithDelays": lambda n, s, _: _one_to_one(n.spec.weightInit, n, s, True),
    "SpreadOverArborsWeight": lambda node, shape, _: spread_over_arbors(node, shape),
}
#: Weights of each kernel that are drawn before they are looked at.
BLOCK = 512
RANDOM = ("UniformRandomWeight", "GaussianRandomWeight", "DiscreteUniformRandomWeight")
