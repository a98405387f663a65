"""Everything that is found out about a trained network, in one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.analysis.baselines import looks_of, several_looks, simpler
from neurosim.analysis.completion import complete
from neurosim.analysis.decode import Decoder
from neurosim.analysis.estimate import LARGEST, Estimate, fit_estimate
from neurosim.analysis.parts import choose_target, open_parts
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
from neurosim.analysis.study import Study
from neurosim.coding.encode import Report, coding_experiment, seen
from neurosim.coding.network import Settings, check_zoom
from neurosim.coding.trained import Trained, open_trained
from neurosim.errors import RequestError
from neurosim.network import levels, top_level

if TYPE_CHECKING:
    from scipy.sparse import csr_array


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
    zooms: Sequence[float] = (),
    settings: Settings | None = None,
    seed: int = 0,
    calibration: str | Path | None = None,
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
    parts = open_parts(trained, train, validation, altered, target, seed, calibration)
    study = Study(
        trained, parts, top, settings or Settings(), baselines,
        {**options, "report": report}, tell or (lambda text: None),
    )  # fmt: skip
    tables = _selectivity(study)
    target = target or choose_target(parts, tables[f"{TRAIN}-face"].d_prime)
    row = parts.classes.index(target)
    neuron = int(np.nanargmax(tables[f"{TRAIN}-face"].d_prime[row]))
    responses, alike = _responses(study)
    study.tell("readout")
    readouts = {"top-face": _readout(study, target)}
    if zooms:
        readouts |= several_looks(study, target, zooms, baselines)
        tables |= _of_looks(study, zooms)
    if baselines or other is not None:
        readouts |= simpler(study, target, baselines, other)
    shape = trained.network.layers[top].shape
    estimate = _estimate(study)
    found = Analysis(
        layer=top, image_input=study.image, name_input=study.name,
        ny=shape.ny, nx=shape.nx, nf=shape.nf,
        run_id=trained.run_id, checkpoint=trained.checkpoint.step, held_out=parts.held_out,
        classes=parts.classes, target=target, neuron=neuron, sets=parts.sets(target),
        selectivity=tables, activity=_activity(study, neuron),
        responses=responses, name_correlation=alike,
        readouts=readouts, distances=_distances(study), estimate=estimate,
        completion=_completion(study, row, estimate), notes=_notes(study),
    )  # fmt: skip
    write_analysis(run, found, {"neurosim_version": version("neurosim")})
    return found


def _alike(run: str | Path, trained: Trained, layer: str) -> Trained:
    """Another run of the same network, for comparison."""
    other = open_trained(run)
    if layer not in levels(other.network):
        raise RequestError(f'{other.folder}: has no level "{layer}" to compare {trained.folder} to')
    return other


def _selectivity(study: Study) -> dict[str, Selectivity]:
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


def _of_looks(study: Study, zooms: Sequence[float]) -> dict[str, Selectivity]:
    """Tables of the mean code over looks, thresholds chosen on train."""
    looks = looks_of(zooms)
    found: dict[str, Selectivity] = {}
    threshold = None
    for name, part in study.parts.all.items():
        code = sum(study.codes(part, study.layer, **look) for look in looks) * (1 / len(looks))
        count = len(study.parts.classes)
        found[f"{name}-looks"] = selectivity(code, study.parts.label(name), count, threshold)
        threshold = found[f"{TRAIN}-looks"].threshold
    return found


def _named(study: Study) -> csr_array:
    """Code of the name of each class, in the order of the classes."""
    part = study.parts.all[TRAIN]
    codes = study.codes(part, study.layer, "name")
    order = list(dict.fromkeys(part.images.source.labels or []))
    return codes[[order.index(name) for name in study.parts.classes]]


def _responses(study: Study) -> tuple[dict[str, np.ndarray], np.ndarray]:
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


def _activity(study: Study, neuron: int) -> dict[str, np.ndarray]:
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


def _readout(study: Study, target: str) -> Readout:
    """The readout of the layer that is analysed."""
    features = study.features(lambda part: study.codes(part, study.layer).toarray())
    return study.read(study.layer, target, features)


def _distances(study: Study) -> list[Distance]:
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


def _blocked(study: Study, decoder: Decoder, to: str) -> str:
    """What no dictionary leads through from the layer to an input, in words; empty if one does."""
    ends = decoder.dead_ends(study.layer, to)
    if decoder.reaches(study.layer, to) or not ends:
        return ""
    return (
        f"{study.layer} cannot be decoded to {to}: {' and '.join(ends)} between them pools, which "
        "no dictionary undoes"
    )


def _estimate(study: Study) -> Estimate | None:
    """A guess of pictures from the top layer's code, where no dictionary leads down to them."""
    between = _blocked(study, Decoder(study.trained), study.image)
    if not between:
        return None
    if np.prod(_size(study, study.layer)) > LARGEST:
        study.notes.append(between)
        return None
    study.tell("pictures from codes")
    train, validation = (
        (
            study.codes(part, study.layer).toarray(),
            study.pixels(part).reshape(-1, *_size(study, study.image)),
        )
        for part in (study.parts.all[TRAIN], study.parts.all[VALIDATION])
    )
    found = fit_estimate(study.layer, study.image, *train)
    explained = found.share(*validation)
    study.notes.append(
        f"{between}; its pictures are linear guesses, fitted on train, which explain "
        f"{100 * explained:.0f} % of the variance of validation pictures"
    )
    return replace(found, explained=explained)


def _completion(study: Study, row: int, estimate: Estimate | None) -> Completion | None:
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
    if between := _blocked(study, decoder, study.name):
        study.notes.append(between)
    if row not in known:
        study.notes.append(f"{classes[row]} is shown without a name, so none is read from faces")
    if row not in known or not decoder.reaches(study.layer, study.name):
        return None
    number = np.full(len(classes) + 1, -1)  # the last stands for no class
    number[known] = np.arange(len(known))
    pixels = study.pixels(train).reshape(len(train.rows), *_size(study, study.image))
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
        estimate=estimate,
    )  # fmt: skip


def _size(study: Study, layer: str) -> tuple[int, int, int]:
    shape = study.network.layers[layer].shape
    return shape.ny, shape.nx, shape.nf


def _notes(study: Study) -> list[str]:
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
