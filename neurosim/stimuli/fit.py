"""From a frame as read to the values of a layer: colour, size, jitter, normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import RequestError, StimulusError
from neurosim.stimuli import whiten
from neurosim.stimuli.kept import keep_mean, load_mean, mean_file
from neurosim.stimuli.resize import fit_size, rescale, zoomed

GREY_WEIGHTS = np.array([0.30, 0.59, 0.11], np.float32)

_CHOICES = {
    "aspectRatioAdjustment": ("crop", "pad"),
    "interpolationMethod": ("bicubic", "nearestneighbor"),
    "jitterChangeIntervalUnit": ("displayperiod", "timestep"),
}


@dataclass(frozen=True)
class FitSpec:
    """How a frame becomes a layer; names and defaults are PetaVision's keys, but for ``zoom``,
    ``maxZoom`` and whitening.

    Parameters
    ----------
    offsetX, offsetY
        Pixels by which the window moves right and down over the image.
    offsetAnchor
        Two letters, ``t c b`` and ``l c r``: where image and layer are aligned.
    zoom
        Factor by which the image is enlarged around its middle before all else, at its own
        size; below 1 it shrinks, and its edge pixels are repeated around it.
    autoResizeFlag
        Resize to the layer, with the aspect ratio kept.
    aspectRatioAdjustment
        ``"crop"``: fill the layer and cut the rest; ``"pad"``: show all of the image.
    interpolationMethod
        ``"bicubic"`` or ``"nearestneighbor"``.
    padValue
        Value of what no image covers, after normalisation.
    whiteningExponent, whiteningCutoff
        Gratings of ``f`` cycles per pixel are multiplied by ``(2 f)^whiteningExponent
        exp(-(f / whiteningCutoff)^4)``; 0: not.
    normalizeLuminanceFlag, normalizeStdDev
        Per frame, over the part the image covers: mean 0 and standard deviation 1,
        or (``normalizeStdDev`` false) minimum 0 and maximum 1. A flat frame becomes 0.
    inverseFlag
        Negative after normalisation, else reflected between its minimum and maximum.
    jitterChangeInterval, jitterChangeIntervalUnit
        New random shifts and flips every so many ``"displayPeriod"`` or ``"timestep"``;
        0 never.
    maxShiftX, maxShiftY
        Random shifts are uniform in ``-max..max`` pixels.
    maxZoom
        Random enlargements, on top of ``zoom``, are from ``1 / maxZoom`` to ``maxZoom``, their
        logarithm uniform.
    xFlipEnabled, yFlipEnabled, xFlipToggle, yFlipToggle
        Mirror at random, or (toggle) at every other change.

    Raises
    ------
    RequestError
        A word is none of those allowed, or a count is negative.
    """

    offsetX: int = 0
    offsetY: int = 0
    offsetAnchor: str = "tl"
    zoom: float = 1.0
    autoResizeFlag: bool = False
    aspectRatioAdjustment: str = "crop"
    interpolationMethod: str = "bicubic"
    padValue: float = 0.0
    whiteningExponent: float = 0.0
    whiteningCutoff: float = 0.0
    normalizeLuminanceFlag: bool = False
    normalizeStdDev: bool = True
    inverseFlag: bool = False
    jitterChangeInterval: int = 0
    jitterChangeIntervalUnit: str = "displayPeriod"
    maxShiftX: int = 0
    maxShiftY: int = 0
    maxZoom: float = 1.0
    xFlipEnabled: bool = False
    yFlipEnabled: bool = False
    xFlipToggle: bool = False
    yFlipToggle: bool = False

    def __post_init__(self) -> None:
        for key, allowed in _CHOICES.items():
            if getattr(self, key).lower() not in allowed:
                words = " or ".join(f'"{word}"' for word in allowed)
                raise RequestError(f'{key} = "{getattr(self, key)}"; it must be {words}')
        for key in ("jitterChangeInterval", "maxShiftX", "maxShiftY"):
            if getattr(self, key) < 0:
                raise RequestError(f"{key} = {getattr(self, key)}; it must not be negative")
        for key in ("whiteningExponent", "whiteningCutoff"):
            if not getattr(self, key) >= 0:
                raise RequestError(f"{key} = {getattr(self, key):g}; it must not be negative")
        if not self.maxZoom >= 1:
            raise RequestError(f"maxZoom = {self.maxZoom:g}; it must be at least 1")
        _ = self.anchor

    @property
    def whitens(self) -> bool:
        """Whether gratings are multiplied at all."""
        return self.whiteningExponent > 0 or self.whiteningCutoff > 0

    def whitened(self, pictures: NDArray) -> NDArray[np.floating]:
        """Pictures ``(..., y, x, feature)`` as the layer sees them before all is normalised."""
        if not self.whitens:
            return pictures
        return whiten.whitened(pictures, self.whiteningExponent, self.whiteningCutoff)

    def coloured(self, pictures: NDArray) -> NDArray[np.floating]:
        """The inverse of :meth:`whitened`, but for what that all but takes away."""
        if not self.whitens:
            return pictures
        return whiten.coloured(pictures, self.whiteningExponent, self.whiteningCutoff)

    @property
    def anchor(self) -> tuple[str, str]:
        """The vertical and the horizontal letter of ``offsetAnchor``."""
        text = self.offsetAnchor.lower()
        for pair in (text, text[::-1]):
            if len(pair) == 2 and pair[0] in "tcb" and pair[1] in "lcr":
                return pair[0], pair[1]
        raise RequestError(
            f'offsetAnchor = "{self.offsetAnchor}"; it must be one of t, c, b followed by one of '
            "l, c, r"
        )


@dataclass(frozen=True)
class Jitter:
    """A shift of the image to the right and down, mirroring, and an enlargement."""

    x: int = 0
    y: int = 0
    flip_x: bool = False
    flip_y: bool = False
    zoom: float = 1.0


STILL = Jitter()


def jitter_at(
    spec: FitSpec, seed: int, display: int, element: int, display_period: int = 1
) -> Jitter:
    """Return the jitter of one batch element at a display.

    A pure function of its arguments, so that a resumed run repeats it exactly.

    Parameters
    ----------
    spec
        Its ``jitterChangeInterval`` 0 means :data:`STILL`.
    seed
        Non-negative.
    display
        Number of the display, from 0.
    element
        Index in the batch.
    display_period
        Steps per display; counts where the unit is ``"timestep"``.
    """
    if spec.jitterChangeInterval == 0:
        return STILL
    elapsed = display
    if spec.jitterChangeIntervalUnit.lower() == "timestep":
        elapsed = display * display_period
    change = elapsed // spec.jitterChangeInterval
    # Raw bits: unlike numpy's distributions they are the same in every numpy version.
    entropy = np.random.SeedSequence([seed, element, change])
    bits = [int(word) for word in np.random.Philox(entropy).random_raw(5)]
    toggled = change % 2 == 0
    return Jitter(
        x=bits[0] % (2 * spec.maxShiftX + 1) - spec.maxShiftX,
        y=bits[1] % (2 * spec.maxShiftY + 1) - spec.maxShiftY,
        flip_x=spec.xFlipEnabled and (toggled if spec.xFlipToggle else bits[2] >> 63 == 1),
        flip_y=spec.yFlipEnabled and (toggled if spec.yFlipToggle else bits[3] >> 63 == 1),
        zoom=spec.maxZoom ** (2 * (bits[4] >> 11) / 2**53 - 1),
    )


def convert_colour(raw: ArrayLike, nf: int) -> NDArray[np.float32]:
    """Convert between grey, grey + alpha, RGB and RGBA by the number of features.

    Grey is 0.30 R + 0.59 G + 0.11 B; alpha is dropped, not blended, and 1 where it
    has to be made up.

    Parameters
    ----------
    raw
        ``(y, x, feature)`` with 1 to 4 features, or ``nf``.
    nf
        Features wanted.

    Raises
    ------
    StimulusError
        There is no such conversion.
    """
    image = np.asarray(raw, np.float32)
    have = image.shape[2]
    if have == nf:
        return image
    if not (1 <= have <= 4 and 1 <= nf <= 4):
        raise StimulusError(f"{have} channels cannot become the {nf} features of the layer")
    alpha = image[:, :, -1:] if have in (2, 4) else np.ones_like(image[:, :, :1])
    if nf <= 2:
        body = image[:, :, :1] if have <= 2 else image[:, :, :3] @ GREY_WEIGHTS[:, None]
    else:
        body = np.repeat(image[:, :, :1], 3, axis=2) if have <= 2 else image[:, :, :3]
    return np.concatenate([body, alpha], axis=2) if nf in (2, 4) else np.ascontiguousarray(body)


def _placed(
    raw: ArrayLike, spec: FitSpec, ny: int, nx: int, nf: int, jitter: Jitter, convert: bool
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Return the frame in the layer's shape, whitened, and, per pixel, whether it covers it."""
    image = np.asarray(raw, np.float32)
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or 0 in image.shape:
        raise StimulusError(f"a frame of shape {image.shape}; expected (y, x, feature)")
    if convert:
        image = convert_colour(image, nf)
    elif image.shape[2] != nf:
        raise StimulusError(f"a frame of {image.shape[2]} features for a layer with nf = {nf}")
    zoom = spec.zoom * jitter.zoom
    if zoom != 1:
        image = zoomed(image, zoom, spec.interpolationMethod.lower())
    shift = jitter.y - spec.offsetY, jitter.x - spec.offsetX
    if image.shape[:2] == (ny, nx) and shift == (0, 0):
        data, region = image, np.ones((ny, nx), bool)
    else:
        parts = []
        for part in (image, np.ones((*image.shape[:2], 1), np.float32)):
            if spec.autoResizeFlag:
                how = spec.aspectRatioAdjustment.lower(), spec.interpolationMethod.lower()
                part = rescale(part, ny, nx, spec.anchor, *how)
            parts.append(fit_size(part, ny, nx, spec.anchor, shift))
        data, region = parts[0], parts[1][:, :, 0] > 0
    if spec.whitens and region.any():
        # The rest goes on at the mean, for an edge there would be a grating of its own.
        filled = np.where(region[:, :, None], data, data[region].mean(axis=0))
        data = spec.whitened(filled)
    step_y, step_x = (-1 if flip else 1 for flip in (jitter.flip_y, jitter.flip_x))
    return data[::step_y, ::step_x], region[::step_y, ::step_x]


def fit_frame(
    raw: ArrayLike,
    spec: FitSpec,
    ny: int,
    nx: int,
    nf: int,
    *,
    jitter: Jitter = STILL,
    mean: ArrayLike | None = None,
    convert: bool = True,
) -> NDArray[np.float32]:
    """Fit one frame to a layer.

    Order: colour, size and offset, whitening, mirroring, mean image, luminance, inverse, pad value.

    Parameters
    ----------
    raw
        ``(y, x)`` or ``(y, x, feature)``, as :meth:`FrameSource.read` gives it.
    spec
        The layer's options.
    ny, nx, nf
        Shape of the layer (with its margins where the input fills them).
    jitter
        From :func:`jitter_at`; default none.
    mean
        ``(ny, nx, nf)`` from :func:`mean_frame`, subtracted; default nothing.
    convert
        Convert colours (default). False for data that are no pictures: their
        features must then be ``nf``.

    Returns
    -------
    ndarray
        float32 ``(ny, nx, nf)``, a new array.

    Raises
    ------
    StimulusError
        The features cannot become ``nf``.
    """
    data, region = _placed(raw, spec, ny, nx, nf, jitter, convert)
    out = np.full((ny, nx, nf), spec.padValue, np.float32)
    if not region.any():
        return out
    values = data[region].astype(np.float64)
    if mean is not None:
        values -= np.asarray(mean, np.float64)[region]
    low, high = float(values.min()), float(values.max())
    if spec.normalizeLuminanceFlag:
        if high == low:
            values = np.zeros_like(values)
        elif spec.normalizeStdDev:
            values = (values - values.mean()) / values.std()
        else:
            values = (values - low) / (high - low)
    if spec.inverseFlag:
        values = -values if spec.normalizeLuminanceFlag else high + low - values
    out[region] = values
    return out


class Frames(Protocol):
    """What :func:`mean_frame` needs of a frame source."""

    convert: bool
    fingerprint: str

    def __len__(self) -> int: ...

    def read(self, index: int) -> NDArray[np.float32]: ...


def mean_frame(source: Frames, spec: FitSpec, ny: int, nx: int, nf: int) -> NDArray[np.float32]:
    """Return the mean over all frames, after fitting and before normalisation.

    Kept for the next time where the source has a fingerprint.

    Jitter is left out. Each pixel is averaged over the frames that cover it; where
    none does, the mean is 0.

    Parameters
    ----------
    source
        Frames, read one at a time.
    spec, ny, nx, nf
        As for :func:`fit_frame`.

    Returns
    -------
    ndarray
        float32 ``(ny, nx, nf)``, summed in float64.
    """
    kept = mean_file(source, spec, (ny, nx, nf))
    if kept is not None and (mean := load_mean(kept, (ny, nx, nf))) is not None:
        return mean
    total = np.zeros((ny, nx, nf))
    count = np.zeros((ny, nx, 1))
    for index in range(len(source)):
        data, region = _placed(source.read(index), spec, ny, nx, nf, STILL, source.convert)
        total += np.where(region[:, :, None], data, 0)
        count += region[:, :, None]
    mean = (total / np.maximum(count, 1)).astype(np.float32)
    if kept is not None:
        keep_mean(kept, mean)
    return mean
