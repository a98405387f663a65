"""Draws the parts of a face, without light, on a transparent canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.stimuli.faces_people import Colour, Dice, Person, blend
from neurosim.stimuli.faces_pose import Pose, Scene, smooth

if TYPE_CHECKING:
    from PIL import Image

_DARK: Colour = (26, 18, 18)


# Right edge of the hair from top to bottom: x in half face widths, x added per unit
# of hair volume, y.
_BACK_HAIR = {
    "long": ((0.5, 0, -1), (1, 0.1, -0.7), (1, 0.16, 0.1), (1, 0.15, 1.1), (0.8, 0, 1.6)),
    "wavy": (
        *((0.5, 0, -1), (1, 0.14, -0.7), (1, 0.28, 0)),
        *((1, 0.14, 0.5), (1, 0.3, 1), (0.7, 0, 1.35)),
    ),
    "fringe": ((0.5, 0, -1), (1, 0.1, -0.6), (1, 0.14, 0.3), (1, 0.08, 1.2), (0.7, 0, 1.3)),
    "bob": ((0.5, 0, -1), (1, 0.14, -0.6), (1, 0.24, 0.2), (1, 0.2, 0.75), (0.6, 0, 0.85)),
    "curls": ((0.5, 0, -1.08), (1, 0.2, -0.75), (1, 0.36, 0), (1, 0.38, 0.7), (0.8, 0, 1.15)),
    "afro": ((0.5, 0, -1.3), (1, 0.34, -0.95), (1, 0.46, -0.3), (1, 0.2, 0.3), (0.5, 0, 0.3)),
}


class Canvas:
    """A Pillow drawing in face coordinates."""

    def __init__(self, pose: Pose, side: int) -> None:
        from PIL import Image, ImageDraw

        self.image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.image)
        self.pose = pose

    def fill(self, pixels: NDArray[np.float64], colour: Colour) -> None:
        """Fill a polygon given in pixels."""
        self._draw.polygon(pixels.ravel().tolist(), fill=_ink(colour))

    def line(self, pixels: NDArray[np.float64], colour: Colour, width: float) -> None:
        """Draw a line of ``width`` face units through pixels."""
        thick = max(1, round(width * self.pose.unit))
        self._draw.line(pixels.ravel().tolist(), fill=_ink(colour), width=thick, joint="curve")

    def disc(
        self, centre: tuple[float, float] | NDArray[np.float64], radius: float, colour: Colour
    ) -> None:
        """Draw a disc of ``radius`` face units around a point of the surface."""
        (x, y), r = self.pose.surface(np.array([centre], float))[0], radius * self.pose.unit
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=_ink(colour))


def _ink(colour: Colour) -> tuple[int, int, int, int]:
    red, green, blue = (min(255, max(0, round(value))) for value in colour)
    return red, green, blue, 255


def _mirrored(points: ArrayLike) -> NDArray[np.float64]:
    """Close a right half, from top to bottom, with its mirror image."""
    right = np.asarray(points, float)
    return np.concatenate([right, right[::-1] * (-1, 1)])


def _arc(half_width: float, height: float, middle: float, count: int = 13) -> NDArray[np.float64]:
    """Return an upper half ellipse from right to left around ``(0, middle)``."""
    t = np.linspace(0, np.pi, count)
    # A little squarer than an ellipse, as skulls are.
    x, y = np.sign(np.cos(t)) * np.abs(np.cos(t)) ** 0.85, np.sin(t) ** 0.85
    return np.stack([half_width * x, middle - height * y], axis=1)


def draw_body(canvas: Canvas, person: Person, scene: Scene) -> None:
    """Draw the neck and the shoulders, which do not turn with the head."""
    a, body = person.half_width, canvas.pose.body
    neck = [(0.62 * a, 0.5), (0.6 * a, 1.1), (0.8 * a, 1.45)]
    shoulders = [(0.62 * a, 1.2), (1.3, 1.42), (1.75, 1.75), (2.1, 4.0)]
    canvas.fill(body(_mirrored(shoulders)), scene.clothes)
    canvas.fill(body(_mirrored(neck)), blend(person.skin, _DARK, 0.14))
    if scene.collar == 1:
        dark = blend(scene.clothes, _DARK, 0.45)
        canvas.line(body([(-0.62 * a, 1.2), (0, 1.62), (0.62 * a, 1.2)]), dark, 0.09)
    elif scene.collar == 2:
        flap = [(0.5 * a, 1.12), (0.95 * a, 1.3), (0.35 * a, 1.75), (0.05, 1.5)]
        for side in (1, -1):
            canvas.fill(
                body(np.array(flap) * (side, 1)), blend(scene.clothes, (255, 255, 255), 0.5)
            )


def draw_back_hair(canvas: Canvas, person: Person, scene: Scene) -> None:
    """Draw the hair behind the head."""
    a, v, sway = person.half_width, person.hair_volume, scene.hair_sway
    dark = blend(person.hair, _DARK, 0.3)
    if person.style == "bun":
        t = np.linspace(0, 2 * np.pi, 17)[:-1]
        knot = np.stack([0.34 * v * np.cos(t), -1.2 - 0.12 * v + 0.28 * v * np.sin(t)], axis=1)
        canvas.fill(canvas.pose.outline(knot), dark)
    if person.style not in _BACK_HAIR:
        return
    wide, extra, y = np.array(_BACK_HAIR[person.style]).T
    points = _mirrored(np.stack([wide * a + extra * v, y], axis=1))
    points[[0, -1], 1] = y[0] - 0.12 * v
    points[:, 0] += sway * np.clip(points[:, 1], 0, None)
    curve = smooth(canvas.pose.outline(points))
    if person.style in ("curls", "afro", "wavy"):
        curve = _ruffled(canvas, curve, 0.05 if person.style != "wavy" else 0.025)
    canvas.fill(curve, dark)


def _ruffled(canvas: Canvas, curve: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    """Give a closed curve the edge of curly hair."""
    centre = curve.mean(axis=0)
    away = curve - centre
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    wave = np.where(np.arange(len(curve)) % 3 == 0, 1.0, -0.4)[:, None]
    return curve + away * wave * size * canvas.pose.unit


def draw_head(canvas: Canvas, person: Person) -> None:
    """Draw the ears and the face."""
    a, skin = person.half_width, person.skin
    t = np.linspace(0, 2 * np.pi, 15)[:-1]
    ear = np.stack([0.11 * person.ear * np.cos(t), 0.2 * person.ear * np.sin(t)], axis=1)
    for side in (1, -1):
        canvas.fill(
            canvas.pose.outline(ear + np.array([side * (a - 0.01), 0.08])), blend(skin, _DARK, 0.16)
        )
    right = [
        (0.42 * a, -0.97), (0.78 * a, -0.78), (0.97 * a, -0.4), (a, 0.0),
        (person.cheek * 0.98 * a, 0.32), (person.jaw * a, 0.64),
        (person.chin * a, 0.92), (0.12 * a, 1.0),
    ]  # fmt: skip
    canvas.fill(smooth(canvas.pose.outline(_mirrored(right))), skin)


def draw_beard(canvas: Canvas, person: Person) -> None:
    """Draw the beard under the mouth that comes later."""
    a, m = person.half_width, person.mouth_y
    hair = blend(person.hair, person.skin, 0.15)
    low = person.chin * a
    if person.beard in ("full", "stubble"):
        if person.beard == "stubble":
            hair = blend(person.skin, person.hair, 0.3)
        jaw = [(0.93 * a, 0.12), (0.93 * person.jaw * a, 0.64), (0.98 * low, 0.93), (0.1 * a, 1.02)]
        inner = [(0.1, m - 0.13), (0.42 * a, m - 0.1), (0.74 * a, 0.3)]
        outside, inside = _mirrored(jaw), np.array(inner)
        inside = np.concatenate([inside[::-1] * (-1, 1), inside])
        canvas.fill(canvas.pose.outline(np.concatenate([outside, inside])), hair)
    if person.beard == "goatee":
        patch = [(0.12, m + 0.02), (0.22, m + 0.12), (0.2, 0.9), (0.06, 1.02)]
        canvas.fill(smooth(canvas.pose.surface(_mirrored(patch))), hair)
    if person.beard in ("moustache", "goatee", "full"):
        w = person.mouth_width
        brush = [
            (0.03, m - 0.16),
            (0.55 * w, m - 0.13),
            (w + 0.03, m + 0.03),
            (0.5 * w, m - 0.03),
            (0.02, m - 0.04),
        ]
        canvas.fill(canvas.pose.surface(_mirrored(brush)), hair)


def draw_mouth(canvas: Canvas, person: Person, scene: Scene) -> None:
    """Draw lips, and teeth where the mouth is open."""
    w = person.mouth_width * (1 + 0.2 * max(scene.smile, 0))
    x = np.linspace(-1, 1, 9)
    lift = -0.1 * scene.smile * (x * x - 0.4)
    gap = 0.5 * scene.mouth_open * 0.16 * (1 - x * x)
    bow = person.upper_lip * (1 - x * x) * (1 + 0.25 * np.abs(np.sin(1.6 * np.pi * x)))
    full = person.lower_lip * (1 - x * x)
    y = person.mouth_y + lift

    def at(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return canvas.pose.surface(np.stack([w * x, values], axis=1))

    upper, lower = at(y - gap - bow), at(y + gap + full)
    canvas.fill(np.concatenate([upper, lower[::-1]]), person.lips)
    if scene.mouth_open > 0.12:
        inside = np.concatenate([at(y - gap), at(y + gap)[::-1]])
        canvas.fill(inside, (92, 34, 36))
        teeth = np.concatenate([at(y - gap), at(y - 0.1 * gap)[::-1]])
        canvas.fill(teeth, (238, 232, 222))
    else:
        canvas.line(at(y), blend(person.lips, _DARK, 0.55), 0.022)


def draw_nose(canvas: Canvas, person: Person) -> None:
    """Draw the wings and the underside of the nose; its ridge comes with the light."""
    w, tip = person.nose_width, person.eye_y + 0.08 + person.nose_length
    shade = blend(person.skin, (90, 40, 34), 0.32)
    wing = [
        (0.3 * w, tip - 0.1),
        (0.85 * w, tip - 0.06),
        (w, tip + 0.0),
        (0.6 * w, tip + 0.04),
        (0.1 * w, tip + 0.06),
    ]
    canvas.fill(smooth(canvas.pose.surface(_mirrored(wing), 1.12)), blend(person.skin, shade, 0.55))
    ridge = [(person.nose_bridge, person.eye_y), (0.6 * w, tip - 0.06), (0.45 * w, tip + 0.015)]
    canvas.fill(smooth(canvas.pose.surface(_mirrored(ridge), 1.2)), person.skin)
    for side in (1, -1):
        canvas.disc((side * 0.5 * w, tip + 0.02), 0.28 * w, blend(person.skin, _DARK, 0.55))


def draw_eyes(canvas: Canvas, person: Person, scene: Scene) -> None:
    """Draw eyes and brows."""
    x = np.linspace(-1, 1, 9)
    w, h = person.eye_width, person.eye_height * scene.eyes_open
    roof = person.eye_height * 1.9
    for side in (1, -1):
        middle = np.array([side * person.eye_x, person.eye_y])
        tilt = -person.eye_tilt * side * x
        top = np.stack([w * x, tilt - h * (1 - x * x) ** 0.8], axis=1) + middle
        low = np.stack([w * x, tilt + 0.8 * h * (1 - x * x) ** 0.8], axis=1) + middle
        project = canvas.pose.surface
        canvas.fill(project(np.concatenate([top, low[::-1]])), (240, 236, 230))
        gaze = middle + np.array([0.35 * w * scene.gaze_x, 0.4 * h * scene.gaze_y])
        radius = 0.9 * person.eye_height
        canvas.disc(gaze, radius, person.iris)
        canvas.disc(gaze, 0.5 * radius, (14, 10, 10))
        canvas.disc(gaze - (0.3 * radius, 0.35 * radius), 0.22 * radius, (250, 250, 250))
        lid = blend(person.skin, _DARK, 0.14)
        above = np.stack([1.05 * w * x, tilt - roof * (1 - 0.6 * x * x)], axis=1) + middle
        below = np.stack([1.05 * w * x, tilt + roof * (1 - 0.6 * x * x)], axis=1) + middle
        canvas.fill(project(np.concatenate([top, above[::-1]])), lid)
        canvas.fill(project(np.concatenate([low, below[::-1]])), person.skin)
        canvas.line(project(top), blend(person.hair, _DARK, 0.75), 0.032)
        height = person.eye_y - person.brow_height - scene.brow_raise
        arch = person.brow_arch * (x * side - 0.1) ** 2 - person.brow_tilt * x * side
        brow = np.stack([1.35 * w * x + 1.05 * middle[0], height + arch], axis=1)
        thick = person.brow_thick * (1.15 - 0.5 * np.clip(x * side, 0, 1))
        edge = brow + np.stack([0 * x, thick], axis=1)
        canvas.fill(project(np.concatenate([brow, edge[::-1]])), person.brow)


def draw_hair(canvas: Canvas, person: Person, scene: Scene, dice: Dice) -> None:
    """Draw the hair over the forehead and temples."""
    style, a, v = person.style, person.half_width, person.hair_volume
    if style == "bald":
        return
    flat = {"buzz": 0.03, "receding": 0.05, "pixie": 0.1, "short": 0.1, "bun": 0.06}
    thick = flat.get(style, 0.14) * v + (0.16 * v if style in ("quiff", "curls_short") else 0)
    thick += 0.38 * v if style == "afro" else 0
    side = {"buzz": -0.18, "receding": -0.05, "short": 0.0, "bun": -0.2}.get(style, 0.12)
    outer = _arc(a + 0.5 * thick + 0.015, 1.0 + thick + side, side)
    if style in ("quiff", "side"):
        outer[:, 1] -= (
            0.12 * v * np.exp(-(((outer[:, 0] - 0.35 * np.sign(person.parting) * a) / 0.4) ** 2))
        )
    if style in ("curls_short", "afro", "wavy_short"):
        outer[1:-1] *= 1 + 0.045 * np.where(np.arange(len(outer) - 2) % 2, 1, -1)[:, None]
    x = np.linspace(-0.97 * a, 0.97 * a, 13)
    u = x / a
    line = person.hairline + 0.1 * u * u
    if style == "receding":
        line = person.hairline - 0.22 + 0.42 * np.abs(np.abs(u) - 0.05) ** 1.5
    elif style in ("fringe", "bob"):
        line = person.eye_y - 0.24 + 0.05 * np.cos(9 * u)
    elif style in ("side", "long", "wavy", "pixie", "wavy_short"):
        line = (
            line
            - 0.1
            + 0.34 * np.clip((u - person.parting) * np.sign(person.parting or 1), -0.3, 1)
        )
    ends = np.abs(u) ** 6
    line = line * (1 - ends) + side * ends
    inner = canvas.pose.surface(np.stack([x, line], axis=1), 0.55)
    curve = smooth(np.concatenate([canvas.pose.outline(outer), inner]))
    colour = blend(person.hair, person.skin, 0.35) if style == "buzz" else person.hair
    canvas.fill(curve, colour)
    if style not in ("buzz", "receding"):
        _strands(canvas, person, outer, np.stack([x, line], axis=1), dice)


def _strands(canvas: Canvas, person: Person, outer: NDArray, inner: NDArray, dice: Dice) -> None:
    """Draw some lighter and darker hair from the crown to the hairline."""
    tops = canvas.pose.outline(outer * (0.9, 0.97))[::-1]
    ends = canvas.pose.surface(inner - (0, 0.05), 0.55)
    for index in range(1, len(tops) - 1):
        share = dice.between(0.05, 0.3)
        tint = blend(person.hair, (255, 236, 200) if index % 2 else _DARK, share)
        canvas.line(np.stack([tops[index], ends[index]]), tint, 0.03)


def draw_glasses(canvas: Canvas, person: Person) -> None:
    """Draw the frame of the glasses."""
    if person.glasses == "none":
        return
    t = np.linspace(0, 2 * np.pi, 25)
    power = 0.45 if person.glasses == "square" else 1.0
    round_x = np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power
    round_y = np.sign(np.sin(t)) * np.abs(np.sin(t)) ** power
    w, h = 0.235, 0.165 if person.glasses != "half" else 0.12
    for side in (1, -1):
        rim = np.stack(
            [side * person.eye_x + w * round_x, person.eye_y + 0.03 + h * round_y], axis=1
        )
        canvas.line(canvas.pose.surface(rim, 1.1), person.glasses_colour, 0.045)
    inner = person.eye_x - w
    bridge = [(-inner, person.eye_y), (0, person.eye_y - 0.04), (inner, person.eye_y)]
    canvas.line(canvas.pose.surface(bridge, 1.15), person.glasses_colour, 0.045)
    for side in (1, -1):
        hinge = canvas.pose.surface([(side * (person.eye_x + w), person.eye_y)], 1.1)
        ear = canvas.pose.outline([(side * 0.98 * person.half_width, person.eye_y + 0.02)])
        canvas.line(np.concatenate([hinge, ear]), person.glasses_colour, 0.04)


def draw_freckles(canvas: Canvas, person: Person, dice: Dice) -> None:
    """Draw freckles on nose and cheeks, at the same places in every picture."""
    if not person.freckles:
        return
    tint = blend(person.skin, (140, 80, 50), 0.5)
    for _ in range(26):
        canvas.disc((dice.bell(0.55), 0.2 + dice.bell(0.2)), 0.018, tint)


def draw_face(person: Person, scene: Scene, dice: Dice, side: int, seed: int) -> Image.Image:
    """Draw a person in a scene on an RGBA image of ``side`` pixels, clear elsewhere."""
    canvas = Canvas(Pose(scene, person.half_width, side), side)
    draw_back_hair(canvas, person, scene)
    draw_body(canvas, person, scene)
    draw_head(canvas, person)
    draw_freckles(canvas, person, Dice(seed, 3))
    draw_beard(canvas, person)
    draw_mouth(canvas, person, scene)
    draw_nose(canvas, person)
    draw_eyes(canvas, person, scene)
    draw_hair(canvas, person, scene, dice)
    draw_glasses(canvas, person)
    return canvas.image
