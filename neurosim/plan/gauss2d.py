"""Weights that depend on the distance between pre and post units."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosim.network import ConnectionNode, PatchGeometry

Shape = tuple[int, ...]


def distances(geometry: PatchGeometry) -> tuple[np.ndarray, np.ndarray]:
    """Distance from a pre unit to each unit of its patch, in pre units.

    Returns
    -------
    y : array (cell y, nyp)
    x : array (cell x, nxp)
        One row per position of the pre unit in its unit cell.
    """

    def axis(name: str) -> np.ndarray:
        ax = getattr(geometry, name)
        if geometry.coarse_is_pre:
            position = ax.offset + np.arange(ax.patch)
            # Centres: pre unit 0 spans fine positions 0 to ratio - 1.
            return ((position + 0.5) / ax.ratio - 0.5)[None, :]
        patch = ax.patch // ax.ratio
        cell = np.arange(ax.ratio)
        head = -((ax.offset + ax.patch - 1 - cell) // ax.ratio)
        post = head[:, None] + np.arange(patch)[None, :]
        return (post + 0.5) * ax.ratio - 0.5 - cell[:, None]

    return axis("y"), axis("x")


def gauss2d_weights(node: ConnectionNode, shape: Shape) -> np.ndarray:
    """Oriented Gaussians of distance, as Gauss2DWeight declares them.

    Returns
    -------
    float32 array ``(arbor, kernel, y, x, feature)``
    """
    spec: Any = node.spec
    g = node.geometry
    assert g is not None
    weights = np.zeros(shape, np.float32)
    y_all, x_all = distances(g)
    n_post = spec.numOrientationsPost if spec.numOrientationsPost > 0 else shape[4]
    n_pre = spec.numOrientationsPre if spec.numOrientationsPre > 0 else g.pre.nf
    for kernel in range(shape[1]):
        cell, f_pre = divmod(kernel, g.pre.nf)
        y = y_all[cell // g.cell_x][:, None]
        x = x_all[cell % g.cell_x][None, :]
        theta_pre = _angle(spec, kernel, n_pre)
        for f_post in range(shape[4]):
            theta = _angle(spec, f_post, n_post)
            if n_post == 1 and n_pre > 1:
                theta = theta_pre
            if abs(theta_pre - theta) > spec.deltaThetaMax:
                continue
            if f_post // n_post != f_pre // n_pre:
                continue
            patch = _profile(spec, y, x, theta)
            if node.pre == node.post and f_pre == f_post:
                patch = np.where((y == 0) & (x == 0), 0.0, patch)
            weights[:, kernel, :, :, f_post] = patch
    return weights


def _angle(spec: Any, feature: int, orientations: int) -> float:
    step = np.pi * spec.thetaMax / orientations
    return float(spec.rotate * step / 2 + (feature % orientations) * step)


def _profile(spec: Any, y: np.ndarray, x: np.ndarray, theta: float) -> np.ndarray:
    """Gaussian between rMin and rMax, along and across an orientation."""
    along = x * np.cos(theta) + y * np.sin(theta)
    across = -x * np.sin(theta) + y * np.cos(theta)
    inside = np.ones(np.broadcast(x, y).shape, bool)
    if spec.bowtieFlag:
        off_axis = np.arctan2(across, along)
        half = spec.bowtieAngle / 2
        inside = (np.abs(off_axis) <= half) | (np.abs(off_axis) >= np.pi - half)
    total = np.zeros(inside.shape)
    for shift in (-1, 1) if spec.numFlanks > 1 else (-1,):
        squared = along**2 + (spec.aspect * (across + shift * spec.flankShift)) ** 2
        ring = (squared >= spec.rMin**2) & (squared <= spec.rMax**2)
        total += np.where(ring, spec.strength * np.exp(-squared / (2 * spec.sigma**2)), 0.0)
    return np.where(inside, total, 0.0)


def spread_over_arbors(node: ConnectionNode, shape: Shape) -> np.ndarray:
    """A weight shared between the two arbors whose angles enclose the direction."""
    spec: Any = node.spec
    g = node.geometry
    assert g is not None
    weights = np.zeros(shape, np.float32)
    arbors = shape[0]
    y_all, x_all = distances(g)
    for kernel in range(shape[1]):
        cell = kernel // g.pre.nf
        y, x = np.broadcast_arrays(
            y_all[cell // g.cell_x][:, None], x_all[cell % g.cell_x][None, :]
        )
        centre = (x**2 + y**2 <= 1e-4)[:, :, None]
        turn = np.mod(np.arctan2(y, x) / (2 * np.pi), 1.0) * arbors
        low = np.floor(turn).astype(int) % arbors
        part = (turn - np.floor(turn))[:, :, None]
        for arbor in range(arbors):
            share = np.where((low == arbor)[:, :, None], 1 - part, 0.0)
            share = share + np.where(((low + 1) % arbors == arbor)[:, :, None], part, 0.0)
            share = np.where(centre, 1.0 / arbors, share)
            weights[arbor, kernel] = spec.weightInit * share
    return weights
