"""Weights of a connection from a ``.pvp`` file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neurosim.errors import StimulusError
from neurosim.network import PatchGeometry
from neurosim.stimuli.pvp_weights import PvpWeights, read_weights

KINDS = {True: "shared weights (file type 5)", False: "one patch per neuron (file type 3)"}


def weights_from_file(
    path: Path, frame: int, geometry: PatchGeometry, shape: tuple[int, ...]
) -> np.ndarray:
    """Weights of one frame, checked against a connection.

    Patches per neuron are matched by position: a border of the file's layer
    wider than the connection needs is cut off, and units that a narrower one
    lacks have no weights. Further arbors are left out.

    Parameters
    ----------
    path : Path
    frame : int
    geometry : PatchGeometry
        Of the connection.
    shape : (arbors, kernels, nyp, nxp, nfp)

    Returns
    -------
    float32 array of ``shape``

    Raises
    ------
    StimulusError
        No such file or frame, or it does not suit the connection.
    """
    found = read_weights(path, frame)
    if found.shared != geometry.shared:
        needed = str(geometry.shared).lower()
        raise StimulusError(
            f"{path} has {KINDS[found.shared]}, but sharedWeights = {needed} needs "
            f"{KINDS[geometry.shared]}; set sharedWeights = {str(found.shared).lower()}"
        )
    weights = found.W if geometry.shared else _placed(path, found, geometry)
    if weights.shape[1:] != shape[1:] or weights.shape[0] < shape[0]:
        raise StimulusError(
            f"{path} has weights of {weights.shape} (arbors, kernels, y, x, features), "
            f"but the connection needs {shape}"
        )
    return weights[: shape[0]]


def _placed(path: Path, found: PvpWeights, geometry: PatchGeometry) -> np.ndarray:
    """Patches per neuron on the pre layer with the connection's own margin."""
    pre = geometry.pre
    nx, ny, nf = found.grid
    if (*found.size, nf) != (pre.nx, pre.ny, pre.nf):
        raise StimulusError(
            f"{path} has patches of a layer of {found.size[0]} x {found.size[1]} x {nf} "
            f"(x, y, features), but the pre layer is {pre}"
        )
    border_y, border_x = ny - pre.ny, nx - pre.nx
    if border_y < 0 or border_x < 0 or border_y % 2 or border_x % 2:
        raise StimulusError(
            f"{path} has {nx} x {ny} patches for a layer of {pre.nx} x {pre.ny}; "
            "there must be as many beyond either edge"
        )
    patch = found.W.shape[2:]
    target = np.zeros(
        (len(found.W), geometry.kernels_y, geometry.kernels_x, nf, *patch), np.float32
    )
    source = found.W.reshape(-1, ny, nx, nf, *patch)
    (from_y, to_y), (from_x, to_x) = (
        _overlap(pre.ny, border_y // 2, geometry.margin_y),
        _overlap(pre.nx, border_x // 2, geometry.margin_x),
    )
    target[:, to_y, to_x] = source[:, from_y, from_x]
    return target.reshape(len(target), -1, *patch)


def _overlap(n: int, border: int, margin: int) -> tuple[slice, slice]:
    """Positions that both a border and a margin reach: in the file, in the weights."""
    both = min(border, margin)
    return (
        slice(border - both, border + n + both),
        slice(margin - both, margin + n + both),
    )
