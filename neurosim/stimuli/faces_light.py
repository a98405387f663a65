"""Light, background, occlusion and camera: from a drawing to a picture."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from neurosim.stimuli.faces_people import Dice, Person
from neurosim.stimuli.faces_pose import Pose, Scene

Picture = NDArray[np.float32]


@lru_cache(maxsize=8)
def _axis(side: int) -> Picture:
    return np.arange(side, dtype=np.float32) + np.float32(0.5)


def _spot(side: int, x: float, y: float, wide: float, high: float) -> Picture:
    """Return a Gaussian spot ``(side, side)`` of height 1."""
    axis = _axis(side)
    across = np.exp(-(((axis - np.float32(x)) / np.float32(wide)) ** 2))
    down = np.exp(-(((axis - np.float32(y)) / np.float32(high)) ** 2))
    return down[:, None] * across[None, :]


def shade(person: Person, scene: Scene, side: int) -> Picture:
    """Return the light on the person, ``(side, side, 3)``, about 1 where it is full.

    The head is taken as an ellipsoid; nose, eye sockets, cheeks and the shadow
    under the chin are soft spots on it.
    """
    pose = Pose(scene, person.half_width, side)
    unit, (cx, cy) = pose.unit, pose.centre
    axis = _axis(side)
    u = (axis - np.float32(cx)) / np.float32(unit * (person.half_width + 0.12))
    v = (axis - np.float32(cy)) / np.float32(unit * 1.15)
    square = u[None, :] ** 2 + v[:, None] ** 2
    # Beyond the head the light of its rim goes on.
    shrink = np.sqrt(np.minimum(np.float32(1), np.float32(0.9) / np.maximum(square, 1e-3)))
    depth = np.sqrt(np.float32(1) - square * shrink**2)
    lx, ly, lz = (np.float32(value) for value in scene.light)
    lambert = np.maximum((u[None, :] * lx + v[:, None] * ly) * shrink + depth * lz, 0)
    light = np.float32(scene.ambient) + np.float32(1.15 - scene.ambient) * lambert
    tip = person.eye_y + 0.05 + person.nose_length
    spots = pose.surface(
        [
            (0.0, tip - 0.12), (0.0, tip - 0.02), (person.eye_x, person.eye_y - 0.07),
            (-person.eye_x, person.eye_y - 0.07), (0.45, 0.3), (-0.45, 0.3),
        ],
        1.15,
    )  # fmt: skip
    turn = -np.sign(lx) * unit * (person.nose_width + 0.05)
    (nx, ny), (tx, ty), *eyes_and_cheeks = spots.tolist()
    light -= np.float32(0.24 * abs(lx)) * _spot(side, nx + turn, ny, 0.11 * unit, 0.24 * unit)
    light += np.float32(0.2) * _spot(side, tx, ty, 0.09 * unit, 0.1 * unit)
    for ex, ey in eyes_and_cheeks[:2]:
        light -= np.float32(0.13) * _spot(side, ex, ey, 0.24 * unit, 0.15 * unit)
    neck_x, neck_y = pose.body([(0.0, 1.18)])[0]
    light -= np.float32(0.2) * _spot(side, neck_x, neck_y, 0.6 * unit, 0.2 * unit)
    cast = np.array(scene.cast, np.float32) * np.float32(scene.gain)
    picture = light[:, :, None] * cast
    for ex, ey in eyes_and_cheeks[2:]:
        red = np.float32(person.blush) * _spot(side, ex, ey, 0.2 * unit, 0.16 * unit)
        picture[:, :, 1] -= red
        picture[:, :, 2] -= red
    return np.maximum(picture, 0)


def background(dice: Dice, side: int) -> Picture:
    """Return a background ``(side, side, 3)`` in 0..1: a gradient, a texture, blobs."""
    axis = _axis(side) / np.float32(side) - np.float32(0.5)
    first, second = (np.array(dice.muted(), np.float32) / 255 for _ in range(2))
    angle = dice.between(0, 2 * np.pi)
    ramp = np.float32(np.cos(angle)) * axis[None, :] + np.float32(np.sin(angle)) * axis[:, None]
    picture = first + (ramp[:, :, None] + np.float32(0.5)) * (second - first)
    kind = dice.unit()
    if kind < 0.3:
        waves = np.float32(dice.between(8, 45))
        stripes = np.sin(waves * ramp + np.float32(dice.between(0, 6)))
        picture = picture + np.float32(dice.between(0.04, 0.18)) * stripes[:, :, None]
    elif kind < 0.55:
        cells = dice.bytes(64).reshape(8, 8).astype(np.float32) / np.float32(255) - np.float32(0.5)
        picture = picture + np.float32(dice.between(0.1, 0.4)) * _enlarge(cells, side)[:, :, None]
    elif kind < 0.75:
        cut = dice.between(-0.35, 0.35)
        tint = np.array(dice.muted(), np.float32) / 255
        picture = np.where((ramp > cut)[:, :, None], picture, tint)
    for _ in range(int(dice.between(0, 5))):
        x, y = dice.between(0, side), dice.between(0, side)
        blob = _spot(side, x, y, dice.between(2, 12) * side / 64, dice.between(2, 12) * side / 64)
        tint = np.array(dice.muted(), np.float32) / 255
        picture = picture + np.float32(dice.between(0.3, 0.9)) * blob[:, :, None] * (tint - picture)
    return picture.astype(np.float32)


@lru_cache(maxsize=8)
def _interpolation(cells: int, side: int) -> Picture:
    place = (np.arange(side) + 0.5) / side * (cells - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(cells))).astype(np.float32)


def _enlarge(cells: Picture, side: int) -> Picture:
    matrix = _interpolation(len(cells), side)
    return (matrix @ cells @ matrix.T).astype(np.float32)


def occlude(picture: Picture, dice: Dice) -> Picture:
    """Cover part of the picture with a soft-edged bar or ball, one time in three."""
    side = len(picture)
    if not dice.chance(0.33):
        return picture
    tint = np.array(dice.muted(), np.float32) / 255
    if dice.chance(0.5):
        size = dice.between(6, 12) * side / 64
        spot = _spot(side, dice.between(0, side), dice.between(0.3 * side, side), size, size)
        cover = np.clip(4 * spot - 1, 0, 1)
    else:
        axis = _axis(side)
        angle, width = dice.between(0, np.pi), dice.between(2, 5) * side / 64
        far = dice.between(0.2, 0.42) * side * (1 if dice.chance(0.5) else -1)
        distance = np.float32(np.cos(angle)) * (axis - side / 2)[None, :]
        distance = distance + np.float32(np.sin(angle)) * (axis - side / 2)[:, None] - far
        cover = np.clip(width + 0.5 - np.abs(distance), 0, 1)
    return (picture + cover[:, :, None] * (tint - picture)).astype(np.float32)


def photograph(picture: Picture, scene: Scene, dice: Dice) -> NDArray[np.uint8]:
    """Return what the camera stores: gamma, blur, noise and 8 bits."""
    picture = np.clip(picture, 0, 1) ** np.float32(scene.gamma)
    blur = dice.between(0, 0.5) if dice.chance(0.5) else 0.0
    if blur:
        share = np.float32(blur / 2)
        for axis in (0, 1):
            around = np.roll(picture, 1, axis) + np.roll(picture, -1, axis)
            picture = picture + share * (around - 2 * picture) * np.float32(0.5)
    # Four bytes add up to nearly a normal variable, of standard deviation 147.8.
    grains = dice.bytes(4 * picture.size).reshape(*picture.shape, 4).sum(axis=-1, dtype=np.int32)
    sigma = np.float32(dice.between(0.005, 0.045) / 147.8)
    picture = picture + (grains.astype(np.float32) - np.float32(510)) * sigma
    return (np.clip(picture, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
