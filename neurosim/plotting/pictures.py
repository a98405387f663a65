"""Images as people know them: raw pictures, and what a network saw or made of them put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from neurosim.network import Network
from neurosim.stimuli.fit import FitSpec, fit_frame
from neurosim.stimuli.images import open_source
from neurosim.stimuli.sources import FrameSource

_FIT = tuple(FitSpec.__dataclass_fields__)


class Viewer:
    """Turns what an image layer holds back into pictures.

    A layer sees pictures, whitened or not, minus a mean image, each then normalised; the inverse
    needs the picture itself, for its brightness, its contrast and what whitening took away.

    Parameters
    ----------
    network : Network
    layer : str
        An ImageLayer.
    mean : array (y, x, feature), optional
        The mean image that was subtracted.
    """

    def __init__(self, network: Network, layer: str, mean: np.ndarray | None) -> None:
        node = network.layers[layer]
        spec: Any = node.spec
        self.shape = (node.shape.ny, node.shape.nx, node.shape.nf)
        self.fit = FitSpec(**{key: getattr(spec, key) for key in _FIT})
        self.mean = np.zeros(self.shape, np.float32) if mean is None else mean

    def pictures(self, source: FrameSource, frames: Sequence[int]) -> np.ndarray:
        """Pictures at the size of the layer, float32 (image, y, x, feature), as they were stored.

        Parameters
        ----------
        source : FrameSource
        frames : sequence of int
            Which of its frames.
        """
        plain = replace(
            self.fit,
            normalizeLuminanceFlag=False,
            inverseFlag=False,
            whiteningExponent=0.0,
            whiteningCutoff=0.0,
        )
        shown = np.empty((len(frames), *self.shape), np.float32)
        for row, frame in enumerate(frames):
            raw = source.read(int(frame))
            shown[row] = fit_frame(raw, plain, *self.shape, convert=source.convert)
        return shown

    def restored(self, values: np.ndarray, pictures: np.ndarray) -> np.ndarray:
        """Values of the layer as pictures, with the brightness and contrast of the originals.

        Parameters
        ----------
        values, pictures : array (image, y, x, feature)
        """
        if not self.fit.normalizeLuminanceFlag:
            return self.together(values, pictures)
        apart = self.apart(pictures)
        if self.fit.normalizeStdDev:
            center = apart.mean(axis=(1, 2, 3), keepdims=True)
            spread = apart.std(axis=(1, 2, 3), keepdims=True)
        else:
            center = apart.min(axis=(1, 2, 3), keepdims=True)
            spread = apart.max(axis=(1, 2, 3), keepdims=True) - center
        return self.together(values * spread + center, pictures)

    def apart(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures as the layer sees them before it normalises: whitened, less the mean image."""
        return self.fit.whitened(pictures) - self.mean

    def together(self, values: np.ndarray, pictures: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`apart`; what whitening took away is put back from pictures."""
        if not self.fit.whitens:
            return values + self.mean
        return pictures + self.fit.coloured(values - self.apart(pictures))


def frames_of(path: str, names: Sequence[str]) -> tuple[FrameSource, list[int]]:
    """The source of a set's images, and where each of some names is in it."""
    source = open_source(path, validate=False)
    place = {name: index for index, name in enumerate(source.names)}
    return source, [place[name] for name in names]
