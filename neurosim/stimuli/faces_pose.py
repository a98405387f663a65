"""What changes from picture to picture, and where a point of the face lands."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.stimuli.faces_people import Colour, Dice

# Half a face height in pixels of a 64 pixel picture.
FACE_PIXELS = 22.5


@dataclass(frozen=True)
class Scene:
    """One picture's pose, expression, clothes, light and camera.

    Angles in radians, shifts in shares of the picture's side, gaze and expression
    in shares of their range.
    """

    yaw: float
    pitch: float
    roll: float
    scale: float
    shift_x: float
    shift_y: float
    smile: float
    mouth_open: float
    eyes_open: float
    brow_raise: float
    gaze_x: float
    gaze_y: float
    hair_sway: float
    clothes: Colour
    collar: int
    light: tuple[float, float, float]
    ambient: float
    gain: float
    cast: Colour
    gamma: float


def draw_scene(dice: Dice) -> Scene:
    """Return a random scene."""
    angle = dice.between(-math.pi, 0.35 * math.pi)
    low = dice.between(0.3, 0.98)
    light = (low * math.cos(angle), low * math.sin(angle), math.sqrt(1 - low * low))
    warm = dice.bell(0.24)
    return Scene(
        yaw=dice.bell(0.66),
        pitch=dice.bell(0.4),
        roll=dice.bell(0.5),
        scale=1 + dice.bell(0.26),
        shift_x=dice.bell(0.17),
        shift_y=dice.bell(0.14),
        smile=dice.between(-0.35, 1.0),
        mouth_open=max(0.0, dice.between(-0.8, 1.0)),
        eyes_open=dice.between(0.45, 1.2) if dice.chance(0.93) else 0.1,
        brow_raise=dice.bell(0.07),
        gaze_x=dice.bell(0.5),
        gaze_y=dice.bell(0.3),
        hair_sway=dice.bell(0.12),
        clothes=dice.muted(15, 235),
        collar=int(dice.unit() * 3),
        light=light,
        ambient=dice.between(0.26, 0.66),
        gain=dice.between(0.72, 1.22),
        cast=(1 + warm, 1 + dice.bell(0.05), 1 - warm),
        gamma=dice.between(0.8, 1.25),
    )


class Pose:
    """Maps face coordinates to pixels of a square canvas.

    Parameters
    ----------
    scene
        The angles, scale and shifts.
    half_width
        Of the face: how fast its surface falls away to the side.
    side
        Of the canvas in pixels.
    """

    def __init__(self, scene: Scene, half_width: float, side: int) -> None:
        self.unit = FACE_PIXELS / 64 * side * scene.scale
        self.centre = side * (0.5 + scene.shift_x), side * (0.55 + scene.shift_y)
        self._a = half_width
        self._yaw = math.cos(scene.yaw), math.sin(scene.yaw)
        self._pitch = math.cos(scene.pitch), math.sin(scene.pitch)
        self._roll = math.cos(scene.roll), math.sin(scene.roll)

    def surface(self, points: ArrayLike, depth: float = 1.0) -> NDArray[np.float64]:
        """Return pixels ``(n, 2)`` of points ``(x, y)`` on the front of the face."""
        x, y = np.asarray(points, float).T
        z = 1 - 0.8 * (x / self._a) ** 2 - 0.4 * y * y
        z = 0.78 * depth * np.sqrt(np.maximum(z, 0.02))
        return self._flat(
            x * self._yaw[0] + z * self._yaw[1], y * self._pitch[0] + z * self._pitch[1]
        )

    def outline(self, points: ArrayLike) -> NDArray[np.float64]:
        """Return pixels ``(n, 2)`` of points on the silhouette of head, hair and body."""
        x, y = np.asarray(points, float).T
        lean = np.clip(0.5 + 0.5 * y, 0, 1)
        return self._flat(x + 0.2 * self._yaw[1] * lean, y + 0.1 * self._pitch[1])

    def body(self, points: ArrayLike) -> NDArray[np.float64]:
        """Return pixels ``(n, 2)`` of points that do not turn with the head."""
        return np.asarray(points, float) * self.unit + self.centre

    def _flat(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        cos, sin = self._roll
        return np.stack(
            [
                self.centre[0] + self.unit * (x * cos - y * sin),
                self.centre[1] + self.unit * (x * sin + y * cos),
            ],
            axis=1,
        )


def _catmull_rom(steps: int) -> NDArray[np.float64]:
    t = np.arange(steps) / steps
    return 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2],
        axis=1,
    )


_BASIS = _catmull_rom(5)


def smooth(points: ArrayLike, closed: bool = True) -> NDArray[np.float64]:
    """Return a curve through ``points`` ``(n, 2)``, five times as dense."""
    knots = np.asarray(points, float)
    if not closed:
        knots = np.concatenate([knots[:1], knots, knots[-1:]])
        around = [knots[:-3], knots[1:-2], knots[2:-1], knots[3:]]
    else:
        around = [np.roll(knots, shift, axis=0) for shift in (1, 0, -1, -2)]
    curve = np.einsum("sk,knd->nsd", _BASIS, np.stack(around)).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, knots[-1:]])
