"""The way from an image up to the top of a trained network, as maps whose gradients are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import neurosim
from attack.dictionary import Dictionary
from attack.fixed_point import Circuit, Level

#: Layers whose code is that of a one-sided soft threshold at rest.
SPARSE = ("SparseSolverLayer", "HyPerLCALayer", "ISTALayer")


@dataclass(frozen=True)
class Pool:
    """A layer that sums a level over cells of positions and passes that through a curve.

    Attributes
    ----------
    name : str
    cell : tuple of int
        Positions of the level per position of the pool, down and across.
    weight : float
        Of each summed activity.
    vertices : ndarray
        ``(2, n)``: the curve's corners, potential and activity.
    slopes : tuple of float
        Of the curve before its first and after its last corner.
    """

    name: str
    cell: tuple[int, int]
    weight: float
    vertices: np.ndarray
    slopes: tuple[float, float]

    def apply(self, code: np.ndarray) -> np.ndarray:
        """Activity of the pool for codes ``(image, y, x, feature)`` of the level."""
        v, a = self.vertices
        summed = self._summed(code)
        inside = np.interp(summed, v, a)
        below = a[0] + self.slopes[0] * (summed - v[0])
        above = a[-1] + self.slopes[1] * (summed - v[-1])
        return np.where(summed < v[0], below, np.where(summed > v[-1], above, inside))

    def pullback(self, code: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Gradient by the code of the level, from that by the pool's activity."""
        v, a = self.vertices
        rises = np.concatenate([[self.slopes[0]], np.diff(a) / np.diff(v), [self.slopes[1]]])
        slope = rises[np.searchsorted(v, self._summed(code), side="right")]
        spread = (self.weight * slope * gradient).repeat(self.cell[0], 1).repeat(self.cell[1], 2)
        return spread.astype(code.dtype)

    def _summed(self, code: np.ndarray) -> np.ndarray:
        count, ny, nx, nf = code.shape
        (cy, cx) = self.cell
        return self.weight * code.reshape(count, ny // cy, cy, nx // cx, cx, nf).sum((2, 4))


@dataclass(frozen=True)
class Stage:
    """A circuit, and the pool through which it sees what is below; None: it sees it directly."""

    circuit: Circuit
    pool: Pool | None


def pathway(
    experiment: Any, decoder: neurosim.Decoder, top: str, image: str, dtype: type = np.float32
) -> list[Stage]:
    """The stages from an input to a level, lowest first.

    Parameters
    ----------
    experiment : Experiment
        The network that codes images; :attr:`neurosim.Coder.experiment`.
    decoder : neurosim.Decoder
        Of the same run: it holds the dictionaries.
    top, image : str
        The level, and the input layer.
    dtype : numpy dtype
        Precision.

    Raises
    ------
    neurosim.RequestError
        The network has parts through which no gradient is known here.
    """
    stages: list[Stage] = []
    levels: list[Level] = []
    for name, coding in reversed(list(_codings(experiment.network, decoder, top, image))):
        dictionary = _dictionary(experiment, decoder, name, coding, dtype)
        level = Level(name, dictionary, _threshold(experiment.network, name), coding.scale)
        pool = _pool(experiment.network, coding.child, image, decoder)
        if levels and pool is None and _pulled(experiment.network, coding):
            levels.append(level)
            stages[-1] = Stage(Circuit(levels), stages[-1].pool)
        else:
            levels = [level]
            stages.append(Stage(Circuit(levels), pool))
    return stages


def _codings(
    network: Any, decoder: neurosim.Decoder, top: str, image: str
) -> Iterator[tuple[str, Any]]:
    """Levels and what each codes, from the top down to the input."""
    name = top
    while True:
        found = [c for c in decoder.levels.get(name, ()) if c.error in network.layers]
        if len(found) != 1:
            raise neurosim.RequestError(
                f'"{name}" codes {len(found)} layers when images are shown; gradients are known '
                "where each level codes one"
            )
        if found[0].potential:
            raise neurosim.RequestError(
                f'"{name}" codes the potential of "{found[0].child}"; gradients are known for '
                'codes of activities (feedback = "activity" or none)'
            )
        yield name, found[0]
        if found[0].child == image:
            return
        name = _level_below(network, found[0].child, decoder)


def _level_below(network: Any, child: str, decoder: neurosim.Decoder) -> str:
    """The level that a coded layer is, or pools."""
    if child in decoder.levels:
        return child
    sources = [c.pre for c in network.incoming(child)]
    if len(sources) != 1 or sources[0] not in decoder.levels:
        raise neurosim.RequestError(
            f'"{child}" is made of {", ".join(sources) or "nothing"}; gradients are known through '
            "layers that pool one level"
        )
    return sources[0]


def _threshold(network: Any, name: str) -> float:
    spec = network.layers[name].spec
    soft = (0.0, spec.VThresh, 0.0)
    if network.layers[name].kind not in SPARSE or (spec.AMin, spec.AShift, spec.VWidth) != soft:
        raise neurosim.RequestError(
            f'"{name}" is a {network.layers[name].kind} with AMin = {spec.AMin:g}, AShift = '
            f"{spec.AShift:g}; gradients need soft thresholds (AMin = 0, AShift = VThresh) "
            f"of {', '.join(SPARSE)}"
        )
    return float(spec.VThresh)


def _dictionary(
    experiment: Any, decoder: neurosim.Decoder, name: str, coding: Any, dtype: type
) -> Dictionary:
    shape = experiment.network.layers[name].shape
    atoms = decoder.atoms(name, coding.child)
    found = Dictionary(atoms, (shape.ny, shape.nx, shape.nf), dtype)
    # One probe tells whether all positions share the atoms, with edges and margins as here.
    code = np.random.default_rng(0).random((1, *found.shape), dtype=np.float32)
    wanted, got = decoder.decode(code, name, coding.child), found.apply(code.astype(dtype))
    if not np.allclose(got, wanted, rtol=0, atol=1e-3 * np.abs(wanted).max()):
        raise neurosim.RequestError(
            f'"{coding.dictionary}" is no dictionary that all positions of "{name}" share within '
            "edges that are cut off; gradients are known for these only"
        )
    return found


def _pulled(network: Any, coding: Any) -> bool:
    """Whether what a level leaves unexplained pulls the level that it codes."""
    return any(c.pre == coding.error for c in network.incoming(coding.child))


def _pool(network: Any, child: str, image: str, decoder: neurosim.Decoder) -> Pool | None:
    """The pool that a coded layer is; None for an input or a level."""
    if child == image or child in decoder.levels:
        return None
    node = network.layers[child]
    (joined,) = network.incoming(child)
    below, spec = network.layers[joined.pre].shape, joined.spec
    how = getattr(spec, "pvpatchAccumulateType", "")
    cell = below.ny // node.shape.ny, below.nx // node.shape.nx
    sums = how in ("sumpooling", "avgpooling") and (spec.nxp, spec.nyp) == (1, 1)
    if node.kind != "ANNLayer" or not node.spec.verticesV or not sums or not all(cell):
        raise neurosim.RequestError(
            f'"{child}" is a {node.kind} fed by a {joined.kind}; gradients are known for an '
            "ANNLayer with verticesV fed by a sum or mean over cells (nxp = nyp = 1)"
        )
    weight = 1.0 if how == "sumpooling" else 1.0 / (cell[0] * cell[1])
    vertices = np.array([node.spec.verticesV, node.spec.verticesA], float)
    slopes = float(node.spec.slopeNegInf), float(node.spec.slopePosInf)
    return Pool(child, cell, weight, vertices, slopes)
