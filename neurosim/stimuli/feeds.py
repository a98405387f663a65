"""Layers filled from outside: what each batch element is shown at each display."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import RequestError, StimulusError
from neurosim.specs import LayerSpec, Model
from neurosim.stimuli.fit import FitSpec, fit_frame, jitter_at, mean_frame
from neurosim.stimuli.images import open_source
from neurosim.stimuli.names import render_text
from neurosim.stimuli.order import FrameOrder
from neurosim.stimuli.paths import locate

Shape = tuple[int, int, int, int]
_FIT = tuple(FitSpec.__dataclass_fields__)


class ImageFeed:
    """Frames of an ImageLayer or PvpLayer.

    Parameters
    ----------
    spec
        The layer.
    shape
        ``(batch, y, x, feature)`` of the layer.
    folder
        Folder of the params file, where relative paths start.
    mean
        Mean image to subtract where ``subtractMean`` is set; computed from the
        frames themselves by default.

    Raises
    ------
    StimulusError
        Names every input that is missing, empty or damaged.
    """

    def __init__(self, spec: Any, shape: Shape, folder: Path, mean: NDArray | None = None) -> None:
        if spec.useInputBCflag:
            raise RequestError("useInputBCflag = true (inputs that fill margins) is not supported")
        self.name = spec.name
        self.shape = shape
        self.fit = FitSpec(**{key: getattr(spec, key) for key in _FIT})
        self.source = open_source(spec.inputPath, folder)
        self.order = FrameOrder(
            spec.batchMethod,
            len(self.source),
            shape[0],
            start_frame_index=spec.start_frame_index,
            skip_frame_index=spec.skip_frame_index,
            resetToStartOnLoop=spec.resetToStartOnLoop,
            seed=spec.randomSeed,
        )
        self._seed = spec.randomSeed
        self._period = max(1, round(spec.displayPeriod))
        self._changing = spec.displayPeriod > 0
        self.mean: NDArray | None = None
        if spec.subtractMean:
            self.mean = mean if mean is not None else mean_frame(self.source, self.fit, *shape[1:])
            if self.mean.shape != shape[1:]:
                raise RequestError(
                    f"the mean image is {self.mean.shape}, but the layer is {shape[1:]} "
                    "(y, x, features)"
                )
        # A wrong number of features is told before the run starts.
        self.frames(0)

    def indices(self, display: int) -> NDArray[np.int64]:
        """Frame number of each batch element at a display."""
        return self.order.at(display if self._changing else 0)

    def frames(self, display: int) -> NDArray[np.float32]:
        """Values of the layer at a display, ``(batch, y, x, feature)``."""
        out = np.empty(self.shape, np.float32)
        for element, index in enumerate(self.indices(display)):
            jitter = jitter_at(self.fit, self._seed, display, element, self._period)
            raw = self.source.read(int(index))
            out[element] = fit_frame(
                raw,
                self.fit,
                *self.shape[1:],
                jitter=jitter,
                mean=self.mean,
                convert=self.source.convert,
            )
        return out

    def labels(self, display: int) -> list[str]:
        """Label of each batch element; its file's name where there are no labels."""
        names = self.source.labels or [Path(n).stem for n in self.source.names]
        return [names[i] for i in self.indices(display)]


class ClassFeed:
    """A FilenameParsingLayer: which class texts occur in the shown file's name."""

    def __init__(self, spec: Any, shape: Shape, folder: Path, images: ImageFeed) -> None:
        path = locate(spec.classList or "classes.txt", folder)
        try:
            classes = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise StimulusError(f"classList {path}: cannot be read ({_reason(error)})") from None
        if len(classes) != shape[3]:
            raise StimulusError(
                f"classList {path} has {len(classes)} lines, but the layer has nf = {shape[3]}; "
                "there must be one line per feature"
            )
        self.shape, self.images = shape, images
        self._values = (spec.gtClassFalseValue, spec.gtClassTrueValue)
        self._classes = classes

    def frames(self, display: int) -> NDArray[np.float32]:
        """One value per class at every position, ``(batch, y, x, feature)``."""
        out = np.empty(self.shape, np.float32)
        for element, index in enumerate(self.images.indices(display)):
            name = self.images.source.names[index]
            out[element] = [self._values[text in name] for text in self._classes]
        return out


class NameFeed:
    """A NameLayer: the name that belongs to what is shown, as a picture of text."""

    def __init__(self, spec: Any, shape: Shape, folder: Path, images: ImageFeed | None) -> None:
        if shape[3] != 1:
            raise RequestError(f"nf = {shape[3]}; a NameLayer is grey, so nf must be 1")
        self.spec, self.shape, self.images = spec, shape, images
        self._names: list[str] = []
        if images is None:
            path = locate(spec.namesPath, folder)
            try:
                self._names = path.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise StimulusError(f"namesPath {path}: {_reason(error)}") from None
            if not self._names:
                raise StimulusError(f"namesPath {path}: no names; give one per line")
        self._pictures: dict[str, NDArray[np.float32]] = {}

    def _picture(self, name: str) -> NDArray[np.float32]:
        """Picture of a name, blank where the layer's keys ask for it."""
        spec = self.spec
        if name in spec.blankFor or (spec.targetNames and name not in spec.targetNames):
            name = ""
        if name not in self._pictures:
            picture = render_text(name, self.shape[2], self.shape[1], spec.points)
            if spec.inverseFlag:
                picture = 1 - picture
            if spec.normalizeLuminanceFlag and picture.std() > 0:
                picture = (picture - picture.mean()) / picture.std()
            elif spec.normalizeLuminanceFlag:
                picture = np.zeros_like(picture)
            self._pictures[name] = picture
        return self._pictures[name]

    def labels(self, display: int) -> list[str]:
        """Name of each batch element."""
        if self.images is not None:
            return self.images.labels(display)
        batch = self.shape[0]
        return [self._names[(display * batch + b) % len(self._names)] for b in range(batch)]

    def frames(self, display: int) -> NDArray[np.float32]:
        """Pictures of the names at a display, ``(batch, y, x, 1)``."""
        return np.stack([self._picture(name)[:, :, None] for name in self.labels(display)])


Feed = ImageFeed | ClassFeed | NameFeed


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "not UTF-8 text"


def open_feeds(
    model: Model,
    shapes: Mapping[str, Shape],
    folder: Path,
    means: Mapping[str, NDArray] | None = None,
) -> dict[str, Feed]:
    """Open every input of a model and check all of it.

    Parameters
    ----------
    shapes
        ``(batch, y, x, feature)`` by layer.
    means
        Mean images by input layer, from an earlier run.

    Returns
    -------
    dict
        By layer name, in file order.

    Raises
    ------
    StimulusError
        One message for all inputs of all layers that are missing or damaged.
    """
    feeds: dict[str, Feed] = {}
    problems: list[str] = []

    def attempt(spec: LayerSpec, make: Any) -> None:
        try:
            feeds[spec.name] = make()
        except (StimulusError, RequestError) as error:
            problems.append(str(model.error(spec.name, str(error), "inputPath")))

    for name, spec in model.layers.items():
        if spec.kind in ("ImageLayer", "PvpLayer"):
            mean = (means or {}).get(name)
            attempt(spec, lambda s=spec, m=mean: ImageFeed(s, shapes[s.name], folder, m))
    for name, spec in model.layers.items():
        source = getattr(spec, "inputLayerName", None) or getattr(spec, "labelSource", None)
        images = feeds.get(source or "")
        if spec.kind not in ("FilenameParsingLayer", "NameLayer") or (source and not images):
            if source in model.layers and model.layers[source].kind not in (
                "ImageLayer",
                "PvpLayer",
            ):
                problems.append(str(model.error(name, f'"{source}" is not an input layer')))
            continue
        maker: Any = ClassFeed if spec.kind == "FilenameParsingLayer" else NameFeed
        attempt(spec, lambda s=spec, m=maker, i=images: m(s, shapes[s.name], folder, i))
    if problems:
        raise StimulusError("\n".join(problems))
    return {name: feeds[name] for name in model.layers if name in feeds}
