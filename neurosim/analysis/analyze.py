"""Everything that is found out about a trained network, in one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.analysis.completion import complete
from neurosim.analysis.copies import copies
from neurosim.analysis.decode import Decoder
from neurosim.analysis.features import pooled
from neurosim.analysis.parts import Part, Parts, choose_target, open_parts
from neurosim.analysis.readout import readout
from neurosim.analysis.results import (
    TRAIN,
    VALIDATION,
    Analysis,
    Completion,
    Distance,
    Readout,
    Selectivity,
    write_analysis,
)
from neurosim.analysis.selectivity import correlation, mean_responses, selectivity
from neurosim.coding.encode import Report, coding_experiment, encode, seen
from neurosim.coding.network import Settings, check_zoom
from neurosim.coding.trained import Trained, open_trained
from neurosim.errors import RequestError
from neurosim.network import gone_without, image_input, levels, name_inputs, top_level

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass
class _Study:
    """One analysis in the making: what is asked for, and the codes so far."""

    trained: Trained
    parts: Parts
    layer: str
    settings: Settings
    baselines: bool
    options: dict[str, Any]
    tell: Callable[[str], None]
    notes: list[str] = field(default_factory=list)
    _codes: dict[tuple[Any, ...], csr_array] = field(default_factory=dict)

    @property
    def network(self) -> Any:
        return self.trained.network

    @cached_property
    def copies(self) -> np.ndarray:
        """Which training images are copies of each other."""
        return copies(self.parts.all[TRAIN])

    @property
    def image(self) -> str:
        """The input that shows images."""
        return image_input(self.network)

    @property
    def name(self) -> str:
        """The input that shows names; empty where there is none that the level answers to."""
        if self.layer in gone_without(self.network, [self.image]):
            return ""
        coded = {c.child for codings in levels(self.network).values() for c in codings}
        return next((name for name in name_inputs(self.network) if name in coded), "")

    @property
    def first(self) -> str:
        """The level above the image."""
        found = levels(self.network)
        return next(n for n, cs in found.items() if any(c.child == self.image for c in cs))

    def codes(self, part: Part, layer: str, shown: str = "face", **changes: Any) -> csr_array:
        """Codes of the images of a part, in its order."""
        trained: Trained = changes.pop("trained", self.trained)
        suffix = "".join(_suffix(key, value) for key, value in changes.items())
        images = replace(part.images, name=part.images.name + suffix)
        key = (trained.folder, images.name, shown, layer)
        if key not in self._codes:
            layers = {layer, self.layer}
            if self.baselines and shown == "face" and not suffix and trained is self.trained:
                layers.add(self.first)
            settings = replace(self.settings, **changes)
            with encode(
                trained, images, shown=shown, layers=sorted(layers), settings=settings,
                **self.options,
            ) as found:  # fmt: skip
                self._codes[key] = found.activity(layer)
        whole = self._codes[key]
        return whole if shown == "name" else whole[part.rows]


def analyze(
    run: str | Path,
    *,
    train: str | Path | None = None,
    validation: str | Path | None = None,
    altered: Sequence[str | Path] = (),
    target: str | None = None,
    layer: str | None = None,
    baselines: bool = False,
    random: str | Path | None = None,
    mirror: bool = False,
    zooms: Sequence[float] = (),
    settings: Settings | None = None,
    seed: int = 0,
    report: Report | None = None,
    tell: Callable[[str], None] | None = None,
    **options: Any,
) -> Analysis:
    """Analyse the codes of all sets into ``RUN/analysis.h5``; see :func:`neurosim.analyze`."""
    for zoom in zooms:
        check_zoom(zoom)
    trained = open_trained(run)
    top = top_level(trained.network, layer)
    other = None if random is None else _alike(random, trained, top)
    parts = open_parts(trained, train, validation, altered, target, seed)
    study = _Study(
        trained, parts, top, settings or Settings(), baselines,
        {**options, "report": report}, tell or (lambda text: None),
    )  # fmt: skip
    tables = _selectivity(study)
    target = target or choose_target(parts, tables[f"{TRAIN}-face"].d_prime)
    row = parts.classes.index(target)
    neuron = int(np.nanargmax(tables[f"{TRAIN}-face"].d_prime[row]))
    responses, alike = _responses(study)
    study.tell("readout")
    readouts = {"top-face": _readout(study, target, mirror)}
    if zooms:
        readouts["top-looks"] = _looks(study, target, zooms)
    if baselines or other is not None:
        readouts |= _baselines(study, target, other)
    shape = trained.network.layers[top].shape
    found = Analysis(
        layer=top, image_input=study.image, name_input=study.name,
        ny=shape.ny, nx=shape.nx, nf=shape.nf,
        run_id=trained.run_id, checkpoint=trained.checkpoint.step, held_out=parts.held_out,
        classes=parts.classes, target=target, neuron=neuron, sets=parts.sets(target),
        selectivity=tables, activity=_activity(study, neuron),
        responses=responses, name_correlation=alike,
        readouts=readouts, distances=_distances(study), completion=_completion(study, row),
        notes=_notes(study),
    )  # fmt: skip
    write_analysis(run, found, {"neurosim_version": version("neurosim")})
    return found


def _suffix(setting: str, value: Any) -> str:
    """What a set that is coded in another way is called by."""
    if setting == "zoom":
        return "" if value == 1 else f"_zoom{value:g}"
    return f"_{setting}" if value else ""


def _alike(run: str | Path, trained: Trained, layer: str) -> Trained:
    """Another run of the same network, for comparison."""
    other = open_trained(run)
    if layer not in levels(other.network):
        raise RequestError(f'{other.folder}: has no level "{layer}" to compare {trained.folder} to')
    return other


def _selectivity(study: _Study) -> dict[str, Selectivity]:
    """Tables of every set of faces, thresholds chosen on train."""
    parts, count = study.parts, len(study.parts.classes)
    shown = [(name, "face") for name in parts.all]
    if study.name:
        shown.append((VALIDATION, "both"))
    found: dict[str, Selectivity] = {}
    threshold = None
    for name, what in shown:
        code = study.codes(parts.all[name], study.layer, what)
        found[f"{name}-{what}"] = selectivity(code, parts.label(name), count, threshold)
        threshold = found[f"{TRAIN}-face"].threshold
    return found


def _named(study: _Study) -> csr_array:
    """Code of the name of each class, in the order of the classes."""
    part = study.parts.all[TRAIN]
    codes = study.codes(part, study.layer, "name")
    order = list(dict.fromkeys(part.images.source.labels or []))
    return codes[[order.index(name) for name in study.parts.classes]]


def _responses(study: _Study) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Mean responses by modality, and how alike those to faces and to names are."""
    part, label = study.parts.all[VALIDATION], study.parts.label(VALIDATION)
    count = len(study.parts.classes)
    shown = ["face", "both"] if study.name else ["face"]
    found = {
        what: mean_responses(study.codes(part, study.layer, what), label, count) for what in shown
    }
    if not study.name:
        return found, np.full(count, np.nan, np.float32)
    found["name"] = _named(study).toarray()
    return found, correlation(found["face"], found["name"]).astype(np.float32)


def _activity(study: _Study, neuron: int) -> dict[str, np.ndarray]:
    """Activity of the target's neuron in every coded image."""
    shown = [(name, "face") for name in study.parts.all]
    shown += [(VALIDATION, "both")] if study.name else []
    found = {
        f"{name}-{what}": study.codes(study.parts.all[name], study.layer, what)[:, [neuron]]
        .toarray().ravel() for name, what in shown
    }  # fmt: skip
    if study.name:
        found[f"{TRAIN}-name"] = _named(study)[:, [neuron]].toarray().ravel()
    return found


def _scored(
    study: _Study, what: str, target: str, features: dict[str, np.ndarray], groups: int = 1,
    components: int | None = None, judged: np.ndarray | None = None,
) -> Readout:  # fmt: skip
    """A readout of features by set; those of train may come in several versions."""
    truth = {name: study.parts.target(name, target) for name in study.parts.all}
    others = {name: (x, truth[name]) for name, x in features.items() if name != TRAIN}
    tiled = np.tile(truth[TRAIN], groups)
    return readout(what, features[TRAIN], tiled, others, groups, components, study.copies, judged)


def _readout(study: _Study, target: str, mirror: bool) -> Readout:
    """The readout of the layer that is analysed."""
    parts = study.parts.all
    features = {name: study.codes(part, study.layer).toarray() for name, part in parts.items()}
    if mirror:
        more = study.codes(parts[TRAIN], study.layer, mirrored=True).toarray()
        features[TRAIN] = np.concatenate([features[TRAIN], more])
    return _scored(study, study.layer, target, features, 2 if mirror else 1)


def _looks(study: _Study, target: str, zooms: Sequence[float]) -> Readout:
    """The readout of the mean over looks at each image: enlarged by factors, and mirrored."""
    features: dict[str, np.ndarray] = {}
    looks = [(z, turned) for z in dict.fromkeys((1.0, *zooms)) for turned in (False, True)]
    codes: dict[str, list[np.ndarray]] = {}
    for name, part in study.parts.all.items():
        codes[name] = [
            study.codes(part, study.layer, zoom=zoom, mirrored=turned).toarray()
            for zoom, turned in looks
        ]
        features[name] = np.mean(codes[name], axis=0)
    judged = features[TRAIN]
    features[TRAIN] = np.concatenate(codes[TRAIN])
    what = f"{study.layer}, {len(looks)} looks"
    return _scored(study, what, target, features, len(looks), judged=judged)


def _baselines(study: _Study, target: str, other: Trained | None) -> dict[str, Readout]:
    """The same readout from simpler features, on the same split."""
    parts, found = study.parts.all, {}
    if study.baselines:
        study.tell("baselines: pixels")
        pixels = {name: _pixels(study, part) for name, part in parts.items()}
        found["pixels"] = _scored(study, "pixels", target, pixels)
        for size in (128, 512):
            study.tell(f"baselines: PCA {size}")
            what = f"PCA {size}"
            found[f"pca-{size}"] = _scored(study, what, target, pixels, components=size)
        study.tell("baselines: pooled")
        shape = study.network.layers[study.first].shape
        pools = {
            name: pooled(study.codes(part, study.first), (shape.ny, shape.nx, shape.nf))
            for name, part in parts.items()
        }
        found["pooled"] = _scored(study, f"{study.first} pooled", target, pools)
    changes: dict[str, Any] = {"untrained": True} if other is None else {"trained": other}
    random = {name: study.codes(p, study.layer, **changes).toarray() for name, p in parts.items()}
    found["random"] = _scored(study, f"random {study.layer}", target, random)
    return found


def _pixels(study: _Study, part: Part) -> np.ndarray:
    """Images as the network sees them, (image, pixel)."""
    experiment = coding_experiment(study.trained, part.images, study.settings)
    shown = seen(experiment, len(part.images.source), study.image)
    return shown.reshape(len(shown), -1)[part.rows]


def _distances(study: _Study) -> list[Distance]:
    """How far each alteration moves the codes."""
    found = []
    layers = [study.layer, study.first] if study.baselines else [study.layer]
    for name, part in study.parts.all.items():
        if not len(part.match):
            continue
        for layer in dict.fromkeys(layers):
            original = study.codes(study.parts.all[VALIDATION], layer)
            moved = abs(study.codes(part, layer) - original[part.match])
            found.append(distance(layer, name, moved, original))
    return found


def distance(layer: str, altered: str, moved: csr_array, original: csr_array) -> Distance:
    """Mean absolute difference over the mean standard deviation of the originals.

    Parameters
    ----------
    moved : csr_array
        Absolute differences (image, unit).
    original : csr_array
        Codes of the original images.
    """
    mean = np.asarray(original.mean(axis=0), np.float64)
    square = np.asarray((original.astype(np.float64) ** 2).mean(axis=0))
    spread = float(np.sqrt(np.maximum(square - mean**2, 0)).mean())
    images = np.asarray(moved.mean(axis=1), np.float64).ravel()
    images = images / spread if spread > 0 else np.full(len(images), np.nan)
    return Distance(layer, altered, VALIDATION, float(images.mean()), images.astype(np.float32))


def _completion(study: _Study, row: int) -> Completion | None:
    """What the top layer knows of the input that was not shown."""
    if not study.name:
        return None
    study.tell("completion")
    parts, classes = study.parts, study.parts.classes
    train, shown = parts.all[TRAIN], parts.all[VALIDATION]
    settings = replace(study.settings, shown="name")
    order = list(dict.fromkeys(train.images.source.labels or []))
    experiment = coding_experiment(study.trained, train.images, settings)
    pictures = seen(experiment, len(order), study.name)[[order.index(name) for name in classes]]
    # A name that is shown as a blank cannot be told from a face.
    known = np.flatnonzero(np.ptp(pictures, axis=(1, 2, 3)) > 0)
    decoder = Decoder(study.trained, study.options.get("threads"))
    for name in (study.image, study.name):
        ends = decoder.dead_ends(study.layer, name)
        if ends and not decoder.reaches(study.layer, name):
            study.notes.append(
                f"{study.layer} cannot be decoded to {name}: {' and '.join(ends)} between them "
                "pools, which no dictionary undoes"
            )
    if row not in known:
        study.notes.append(f"{classes[row]} is shown without a name, so none is read from faces")
    if row not in known or not decoder.reaches(study.layer, study.name):
        return None
    number = np.full(len(classes) + 1, -1)  # the last stands for no class
    number[known] = np.arange(len(known))
    pixels = _pixels(study, train).reshape(len(train.rows), *_size(study, study.image))
    label = parts.label(TRAIN)
    return complete(
        decoder, study.layer, study.image, study.name,
        by_face=study.codes(shown, study.layer).toarray(),
        by_train=study.codes(train, study.layer).toarray(),
        label=number[parts.label(VALIDATION)],
        target=parts.target(VALIDATION, classes[row]),
        target_train=parts.target(TRAIN, classes[row]),
        by_name=_named(study)[known].toarray(),
        names=[classes[index] for index in known],
        true_names=pictures[known],
        mean_faces=np.stack([pixels[label == index].mean(axis=0) for index in known]),
        first=int(number[row]),
    )  # fmt: skip


def _size(study: _Study, layer: str) -> tuple[int, int, int]:
    shape = study.network.layers[layer].shape
    return shape.ny, shape.nx, shape.nf


def _notes(study: _Study) -> list[str]:
    """What a reader should hear about."""
    notes = []
    parts = study.parts
    if parts.held_out:
        notes.append(
            f"no validation set was given: {100 * parts.held_out:.0f} % of the training images "
            "were held out from all fits, but the network has learned from them (without labels)"
        )
    code = study.codes(parts.all[VALIDATION], study.layer)
    silent = float(np.mean(np.diff(code.indptr) == 0))
    if silent > 0.01:
        notes.append(f"{study.layer} is silent for {100 * silent:.0f} % of the validation images")
    left = set(parts.all[TRAIN].labels) - set(parts.classes)
    if left:
        notes.append(f"{len(left)} classes have too few training images for numbers of their own")
    return notes + study.notes
