"""Codes -> what they stand for: through the dictionaries of a checkpoint, level by level.

What a network's reconstruction layers do, by the same operators, for any code: those of a set of
images, or single units, which shows what each of them means.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neurosim.coding.trained import Trained, open_trained
from neurosim.errors import RequestError
from neurosim.experiment import Experiment, loads
from neurosim.network import Coding, levels
from neurosim.network.graph import nearest
from neurosim.network.levels import made_of
from neurosim.paramfile import write_model
from neurosim.simulation import Simulator
from neurosim.specs import ConstantLayer, HyPerLayer, Model

#: Codes that pass through a dictionary side by side.
BLOCK = 32


class Decoder:
    """Decodes codes through the dictionaries of a trained run.

    Parameters
    ----------
    run : path or Trained
        Output folder of the run; its newest undamaged checkpoint is used.
    threads : int, optional
        Cores to use; all by default.

    Examples
    --------
    ``Decoder(run).atoms("V1", "Face")`` are V1's dictionary elements, ``(feature, y, x, 3)``;
    ``Decoder(run).decode(codes.dense("P1"), "P1", "Name")`` the names that codes stand for.
    """

    def __init__(self, run: str | Path | Trained, threads: int | None = None) -> None:
        self.trained = run if isinstance(run, Trained) else open_trained(run)
        self.levels = levels(self.trained.network)
        self._threads = threads
        self._steps: dict[tuple[str, str], _Step] = {}

    def scale(self, layer: str) -> float:
        """Factor by which an input was multiplied before it was coded; 1 for a level."""
        found = [c.scale for codings in self.levels.values() for c in codings if c.child == layer]
        return found[0] if found else 1.0

    def decode(self, code: np.ndarray, layer: str, to: str) -> np.ndarray:
        """What the code of a level says about a layer below it.

        Each dictionary on the way is applied as it is: the code that one level reconstructs in
        the next is not thresholded. Where several ways lead down, they are added up.

        Parameters
        ----------
        code : ndarray
            ``(image, y*x*feature)`` or ``(image, y, x, feature)`` of the level.
        layer : str
            The level.
        to : str
            A layer that it codes, directly or through others.

        Returns
        -------
        ndarray
            float32 ``(image, y, x, feature)``, as the network's reconstruction layer has it: that
            of an input is :meth:`scale` times the input.

        Raises
        ------
        RequestError
            No way leads from ``layer`` down to ``to``, or the code is of another size.
        """
        below = self._below(layer, to)
        shape = self._shape(layer)
        values = np.asarray(code, np.float32)
        if values.ndim < 2 or values[0].size != np.prod(shape):
            raise RequestError(
                f'codes {values.shape} are not those of "{layer}"; one code is {shape} (y, x, '
                "feature), the images first"
            )
        values = values.reshape(-1, *shape)
        total = np.zeros((len(values), *self._shape(to)), np.float32)
        for coding in below:
            part = self._step(layer, coding).apply(values)
            total += part if coding.child == to else self.decode(part, coding.child, to)
        return total

    def atoms(self, layer: str, to: str) -> np.ndarray:
        """What each feature of a level stands for: the decoded code of one unit, at 1.

        Parameters
        ----------
        layer, to : str
            As in :meth:`decode`.

        Returns
        -------
        ndarray
            float32 ``(feature, y, x, feature of to)``: the whole of the lower layer, the unit
            standing at the middle position of its own.
        """
        self._below(layer, to)
        ny, nx, nf = self._shape(layer)
        code = np.zeros((nf, ny, nx, nf), np.float32)
        code[np.arange(nf), ny // 2, nx // 2, np.arange(nf)] = 1
        return self.decode(code, layer, to)

    def reaches(self, layer: str, to: str) -> bool:
        """Whether a way leads from a level down to a layer."""
        return any(c.child == to or self.reaches(c.child, to) for c in self.levels.get(layer, ()))

    def dead_ends(self, layer: str, to: str) -> list[str]:
        """Layers at which ways from a level down to a layer end, in file order.

        They are coded, but are no code themselves: what they pool or rescale cannot be told from
        them, so that nothing is decoded beyond.
        """
        found = set()
        for coding in self.levels.get(layer, ()):
            child = coding.child
            sources = made_of(self.trained.network, child) - {child}
            if any(s == to or self.reaches(s, to) or self.dead_ends(s, to) for s in sources):
                found.add(child)
            found.update(self.dead_ends(child, to))
        return [name for name in self.trained.network.layers if name in found]

    def _below(self, layer: str, to: str) -> list[Coding]:
        """Codings of a level that lead to a layer."""
        if layer not in self.levels:
            raise RequestError(f'no level "{layer}"{nearest(layer, self.levels)}')
        found = [c for c in self.levels[layer] if c.child == to or self.reaches(c.child, to)]
        if not found:
            below = [n for n in self.trained.network.layers if self.reaches(layer, n)]
            ends = [f'"{name}"' for name in self.dead_ends(layer, to)]
            raise RequestError(
                f'no way leads from "{layer}" to "{to}"'
                + (f", for {' and '.join(ends)} only pools what is below" if ends else "")
                + f"; from it lead ways to {', '.join(below)}"
            )
        lost = [c.child for c in found if c.recon is None]
        if lost:
            raise RequestError(
                f'"{layer}" does not reconstruct "{lost[0]}" by the dictionary that drives it'
            )
        return found

    def _shape(self, layer: str) -> tuple[int, int, int]:
        shape = self.trained.network.layers[layer].shape
        return shape.ny, shape.nx, shape.nf

    def _step(self, layer: str, coding: Coding) -> _Step:
        key = (layer, coding.child)
        if key not in self._steps:
            weights = self.trained.checkpoint.weights(coding.dictionary)
            self._steps[key] = _Step(self.trained, layer, coding, weights, self._threads)
        return self._steps[key]


class _Step:
    """One dictionary: a network of the code, its reconstruction and what joins them."""

    def __init__(
        self, trained: Trained, layer: str, coding: Coding, weights: np.ndarray,
        threads: int | None,
    ) -> None:  # fmt: skip
        assert coding.recon is not None
        self.recon = coding.recon.post
        self.layer = layer
        experiment = _alone(trained, layer, coding)
        buffer = f"{coding.dictionary}:W"
        shape = experiment.plan.buffers[buffer].shape
        self.simulator: Simulator = experiment.simulator("cpu", "float32", threads)
        experiment.start(self.simulator)
        self.simulator.overwrite([(buffer, weights.reshape(shape))])

    def apply(self, code: np.ndarray) -> np.ndarray:
        """Reconstruction of codes, (image, y, x, feature)."""
        plan, backend = self.simulator.plan, self.simulator.backend
        parts = []
        for start in range(0, len(code), BLOCK):
            block = code[start : start + BLOCK]
            whole = np.zeros((BLOCK, *code.shape[1:]), np.float32)
            whole[: len(block)] = block
            for buffer in plan.layers[self.layer]:
                self.simulator.write(buffer, whole)
            self.simulator.run(self.simulator.step + 1)
            parts.append(backend.read(plan.layers[self.recon][1])[: len(block)].copy())
        return np.concatenate(parts) if parts else np.zeros((0,), np.float32)


def _alone(trained: Trained, layer: str, coding: Coding) -> Experiment:
    """An experiment of one dictionary and its reconstruction."""
    network = trained.network
    assert coding.recon is not None
    chain = [coding.recon]
    while chain[-1].name != coding.dictionary:
        chain.append(network.connections[chain[-1].spec.originalConnName])
    specs: dict[str, Any] = {}
    for node in chain:
        for name in (node.pre, node.post):
            spec = network.layers[name].spec
            size = {key: getattr(spec, key) for key in ("nxScale", "nyScale", "nf")}
            # The code stays what it is set to; the rest only takes part in the geometry.
            kind = ConstantLayer if name == layer else HyPerLayer
            phase = 0 if name == layer else 1
            specs[name] = kind(name=name, InitVType="ZeroV", phase=phase, writeStep=-1.0, **size)
    connections = [_still(node.spec, node.name == coding.recon.name) for node in chain]
    column = network.model.column
    bare = type(column)(name=column.name, nx=column.nx, ny=column.ny, nbatch=BLOCK, stopTime=1e9)
    return loads(write_model(Model(bare, (*specs.values(), *connections))))


def _still(spec: Any, delivers: bool) -> Any:
    """A connection that keeps its weights as they are, and delivers where that is asked for."""
    changes: dict[str, Any] = {"channelCode": 0 if delivers else -1}
    if "plasticityFlag" in type(spec).model_fields:
        changes["plasticityFlag"] = False
    if "normalizeMethod" in type(spec).model_fields:
        changes["normalizeMethod"] = "none"
    if "weightInitType" in type(spec).model_fields:
        changes |= {"weightInitType": "UniformWeight", "weightInit": 1.0, "initWeightsFile": None}
    return spec.replace(**changes)
