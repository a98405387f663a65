"""The parts of a report that an analysed run has: its neurons, and what is read from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurosim.analysis.results import TRAIN, VALIDATION, Analysis, Readout
from neurosim.network.levels import IMAGES
from neurosim.plotting.material import GUESSED, Material
from neurosim.plotting.page import Plot, Section, Table
from neurosim.plotting.pictures import frames_of
from neurosim.plotting.readout import Interval, scores, svm_weights
from neurosim.plotting.reconstructions import picture_table
from neurosim.plotting.selectivity import (
    COLUMNS,
    Answers,
    average_faces,
    neuron_activity,
    radial,
    two_ways,
    weighted_means,
)
from neurosim.plotting.style import counted

#: Neurons around a circle, at most; neurons whose average face is shown.
AROUND, AVERAGED = 512, 3 * COLUMNS


def neuron_name(found: Analysis, unit: int | None = None) -> str:
    """A neuron for people: ``"P1 neuron 326"``."""
    unit = found.neuron if unit is None else unit
    place = "" if found.ny * found.nx == 1 else f" at y {unit // found.nf // found.nx}, x "
    place += "" if not place else str(unit // found.nf % found.nx)
    return f"{found.layer} neuron {unit % found.nf if place else unit}{place}"


def person(name: str) -> str:
    """A class as people write it.

    >>> person("halle_berry"), person("Mara Quill")
    ('Halle Berry', 'Mara Quill')
    """
    words = name.replace("_", " ")
    return words.title() if words.islower() else words


def tested(found: Analysis) -> list[str]:
    """The sets that scores are told of: validation, then its alterations."""
    return [VALIDATION, *found.altered]


def lead(found: Analysis) -> list[str]:
    """What was found, a sentence each."""
    codes = f"{VALIDATION}-face"
    told = []
    if codes in found.selectivity:
        d, auc, balanced = (found.of_neuron(codes, what) for what in ("d_prime", "auc", "balanced"))
        told.append(
            f"{neuron_name(found)} answers to {person(found.target)}: d′ {d:.2f}, area under ROC "
            f"{auc:.2f}; its threshold alone tells {person(found.target)} with a balanced accuracy "
            f"of {balanced:.2f} on validation images."
        )
    top = found.readouts.get("top-face")
    if top is not None and VALIDATION in top.scores:
        score = top.scores[VALIDATION]
        told.append(
            f"A linear classifier of {top.features} reaches {score.balanced_tuned:.3f} "
            f"({score.low_tuned:.3f} to {score.high_tuned:.3f})."
        )
        drops = [
            f"{score.balanced_tuned - one.balanced_tuned:+.3f} on {name}"
            for name, one in top.scores.items()
            if name in found.altered
        ]
        if drops:
            told.append(f"Altered images cost it {', '.join(drops)}.")
    return told + [f"Note: {note}." for note in found.notes]


def score_section(material: Material, found: Analysis) -> Section | None:
    """Classifiers: a table, a figure of scores, the weights."""
    sets = tested(found)
    rows = {
        readout.features: {
            name: Interval(one.balanced_tuned, one.low_tuned, one.high_tuned)
            for name, one in readout.scores.items()
        }
        for readout in found.readouts.values()
    }
    strong = [r.features for key, r in found.readouts.items() if key.startswith("top-")]
    alone = {}
    for name in sets:
        if f"{name}-face" in found.selectivity:
            value = found.of_neuron(f"{name}-face", "balanced")
            alone[name] = Interval(value, value, value)
    if alone:
        rows[f"{neuron_name(found)} alone"] = alone
    if not rows:
        return None
    counts = ", ".join(
        f"{name} {len(found.sets[name].names):,} images, {int(found.sets[name].target.sum())} of "
        "the target"
        for name in sets
    )
    calibrated = ""
    if found.judge != TRAIN:
        size, own = len(found.sets[found.judge].names), int(found.sets[found.judge].target.sum())
        calibrated = (
            f", the threshold by {size:,} of them that the network has not learned from, {own} of "
            "the target"
        )
    table = Table(
        "Balanced accuracy",
        f"Is it {person(found.target)}, or not? Mean of the shares of both kinds that are told "
        "right (0.5: chance), with 95 % intervals (over images, by Jeffreys' prior). Linear "
        "support vector machines; "
        f"threshold and cost were chosen on training images alone{calibrated}. {counts}.",
        ("reads", *sets),
        [(name, *(_cell(row[s]) if s in row else "" for s in sets)) for name, row in rows.items()],
    )
    figure = scores(rows, sets, strong=strong)
    caption = (
        f"The same numbers as in the table. Bold: read from {found.layer}, which was learned "
        "without labels. Bars: 95 % intervals; the single neuron has none."
    )
    parts: list[Plot | Table] = [
        table,
        Plot("scores", f"Classifiers of {person(found.target)}", caption, figure),
    ]
    top = found.readouts.get("top-face")
    if top is not None:
        parts.append(_weights(found, top))
    return Section("What can be read from the code", "", parts)


def _cell(score: Interval) -> str:
    if score.low == score.high:
        return f"{score.value:.3f}"
    return f"{score.value:.3f} ({score.low:.3f}–{score.high:.3f})"


def _weights(found: Analysis, top: Readout) -> Plot:
    """Figure 4 of the paper: the weights of the classifier of the top layer."""
    units = found.ny * found.nx * found.nf
    silent = int(np.count_nonzero(top.weights == 0))
    caption = (
        f"Weights of the linear classifier that reads {top.features} ({units:,} neurons, per "
        f"standard deviation of each). Positive: speaks for {person(found.target)}. The circle is "
        f"{neuron_name(found)}, the one that answers best by itself; the numbers are those of the "
        f"largest weights. Right: the same, sorted. {counted(silent, 'weight')} of 0."
    )
    return Plot(
        "svm_weights",
        f"Weights of the classifier of {person(found.target)}",
        caption,
        svm_weights(top.weights[:units], found.neuron),
    )


def neuron_section(material: Material, found: Analysis) -> Section | None:
    """Single neurons: around the circle, over all images, average faces."""
    parts: list[Plot] = []
    codes = f"{VALIDATION}-face"
    if codes in found.selectivity:
        parts.append(_radial(found, codes))
    answers = [
        Answers(_told(found, name), found.activity[f"{name}-face"], found.sets[name].target)
        for name in tested(found)
        if f"{name}-face" in found.activity
    ]
    if answers:
        threshold = found.of_neuron(codes, "threshold") if codes in found.selectivity else None
        caption = (
            f"Activity of {neuron_name(found)} (no unit) in every image, shown as a face alone; a "
            "dot is an image, in the order of their names. Dashed: the threshold with the best "
            f"balanced accuracy on the {len(found.sets[TRAIN].names):,} training images. Right: "
            "distribution of the answers of both kinds; silent: the share of images without one."
        )
        parts.append(
            Plot(
                "neuron",
                f"The neuron that answers to {person(found.target)}",
                caption,
                neuron_activity(answers, threshold, person(found.target)),
            )
        )
    averages = _averages(material, found)
    if averages is not None:
        parts.append(averages)
    both = _by_face_and_name(found)
    if both is not None:
        parts.append(both)
    return Section("Neurons that answer to a person", "", parts) if parts else None


def _told(found: Analysis, name: str) -> str:
    codes = f"{name}-face"
    if codes not in found.selectivity:
        return name
    d, balanced = found.of_neuron(codes, "d_prime"), found.of_neuron(codes, "balanced")
    threshold = found.of_neuron(codes, "threshold")
    return f"{name}: d′ {d:.2f}, balanced accuracy {balanced:.2f} at threshold {threshold:.2g}"


def _radial(found: Analysis, codes: str) -> Plot:
    """Figure 3 of the paper."""
    row, one = found.target_index, found.selectivity[codes]
    chosen_by = found.selectivity.get(f"{TRAIN}-face", one)
    awake = (one.mean_in[row] > 0) | (one.mean_out[row] > 0)
    silent = int(np.count_nonzero(~awake))
    order = np.argsort(-chosen_by.d_prime[row], kind="stable")
    order = order[awake[order]]
    cut = ""
    if len(order) > AROUND:
        # The ends of the order say most: those that prefer the target, and those that avoid it.
        order = np.concatenate([order[: AROUND // 2], order[-AROUND // 2 :]])
        cut = f" Of {int(awake.sum()):,} active neurons, the first and the last {AROUND // 2}."
    images = found.sets[codes.removesuffix("-face")].target
    titles = [
        f"{person(found.target)} ({int(images.sum()):,} images)",
        f"all others ({int((~images).sum()):,} images)",
    ]
    place = np.flatnonzero(order == found.neuron)
    caption = (
        f"Mean activity of the neurons of {found.layer} (distance from the middle, no unit) to "
        "validation images, shown as faces alone, with ± 1 standard deviation, cut at 0. The "
        f"neurons stand clockwise from the top by their d′ for {person(found.target)} on training "
        f"images: those that prefer {person(found.target)} come first. Never active: "
        f"{counted(silent, 'neuron')}.{cut}"
    )
    figure = radial(
        [one.mean_in[row][order], one.mean_out[row][order]],
        [one.std_in[row][order], one.std_out[row][order]],
        titles,
        int(place[0]) if len(place) else None,
        f"neuron {found.neuron}",
    )
    return Plot("radial", f"Mean activity of {found.layer} per class", caption, figure)


def averaged_units(found: Analysis, use: np.ndarray, count: int) -> np.ndarray:
    """Neurons whose average faces are shown: a row that prefers the target, then the busiest.

    Parameters
    ----------
    found : Analysis
    use : array (unit,)
        Summed activity.
    count : int
    """
    key = f"{TRAIN}-face" if f"{TRAIN}-face" in found.selectivity else f"{VALIDATION}-face"
    preferring = np.argsort(-found.selectivity[key].d_prime[found.target_index], kind="stable")
    first = [unit for unit in (found.neuron, *preferring) if use[unit] > 0]
    first = list(dict.fromkeys(map(int, first)))[:COLUMNS]
    rest = [int(unit) for unit in np.argsort(-use, kind="stable") if use[unit] > 0]
    return np.array(list(dict.fromkeys([*first, *rest]))[:count], np.int64)


def _averages(material: Material, found: Analysis) -> Plot | None:
    """Average face of each neuron, over the training images where they were coded."""
    title = f"Average face per neuron of {found.layer}"
    if material.network.layers[found.image_input].kind != IMAGES:
        return None
    command = f"neurosim analyze {material.folder}"
    name = next((n for n in (TRAIN, VALIDATION) if _is_coded(material, found, n)), None)
    codes = material.codes(name) if name else None
    if name is None or codes is None:
        material.lack(title, "the codes are not there", command)
        return None
    names = found.sets[name].names
    try:
        with codes:
            place = {image: row for row, image in enumerate(codes.names)}
            activity = codes.activity(found.layer)[[place[image] for image in names]]
        source, frames = frames_of(found.sets[name].path, names)
        pictures = material.viewer(found.image_input).pictures(source, frames)
    except (OSError, KeyError) as error:
        material.lack(title, f"images or codes cannot be read: {error}", command)
        return None
    use = np.asarray(activity.sum(axis=0)).ravel()
    units = averaged_units(found, use, AVERAGED)
    if not len(units):
        material.lack(title, f"no neuron of {found.layer} is ever active")
        return None
    kind = "training" if name == TRAIN else name
    averages = weighted_means(activity[:, units].toarray(), pictures)
    key = f"{VALIDATION}-face"
    d = found.selectivity[key].d_prime[found.target_index] if key in found.selectivity else None
    labels = [f"{unit}" if d is None else f"{unit}   d′ {d[unit]:.1f}" for unit in units]
    caption = (
        f"Each face is the mean of the {len(pictures):,} {kind} images, each weighted by the "
        "activity of the neuron whose number stands under it. Below it: what sets it apart from "
        "the mean of all images (grey: nothing; one scale for all). The first "
        f"{min(COLUMNS, len(units))} neurons are those with the largest d′ for "
        f"{person(found.target)} (training images; the d′ under the faces is that of validation "
        "images), the others the most active. Never active: "
        f"{counted(int(np.count_nonzero(use == 0)), 'neuron')} of {len(use):,}."
    )
    figure = average_faces(averages, pictures.mean(axis=0), labels)
    return Plot("average_faces", title, caption, figure, pictures=True)


def _is_coded(material: Material, found: Analysis, name: str) -> bool:
    """Whether the codes of the analysed layer are there for a set."""
    codes = material.codes(name)
    if codes is None:
        return False
    with codes:
        return found.layer in codes.layers


def _by_face_and_name(found: Analysis) -> Plot | None:
    """Mean response of each neuron to the target, by its face and by its name."""
    if not {"face", "name"} <= set(found.responses):
        return None
    row = found.target_index
    face, name = found.responses["face"][row], found.responses["name"][row]
    if not (np.isfinite(face).all() and np.isfinite(name).all()):
        return None
    r = found.name_correlation[row]
    caption = (
        f"Mean activity of each neuron of {found.layer} (no unit) to faces of "
        f"{person(found.target)} without the name (validation images), and to the name without a "
        f"face. Correlation over neurons: {r:.2f}. A neuron at the upper right answers to the "
        "person, however shown."
    )
    figure = two_ways(
        face,
        name,
        "mean activity, face alone",
        "activity, name alone",
        {found.neuron: f"neuron {found.neuron}"},
    )
    return Plot("face_and_name", f"{person(found.target)}, by face and by name", caption, figure)


def completion_section(material: Material, found: Analysis) -> Section | None:
    """What the network says of the modality that it was not shown."""
    done = found.completion
    if done is None or not len(done.shown_classes):
        if not found.name_input:
            material.lack(
                "Faces and names",
                "the network reads no names",
                "a NameLayer, a level that codes it, and both in codes of the top level",
            )
        return None
    classes = [done.names[index] for index in done.shown_classes]
    some: Sequence[str] = [person(name) for name in classes[:6]]
    rows = [_grey(done.true_names), _grey(done.name_pictures)]
    names = picture_table([row[:6] for row in rows], ["the name", "read from\nthe face"], some)
    caption = (
        f"Top: the name of each of {len(some)} persons; below: the mean name that {found.layer} "
        "reconstructs from validation faces that were shown without it. A face's name is guessed "
        f"right in {done.accuracy:.0%} of the images ({done.balanced:.0%} as a mean over "
        f"{len(done.names)} persons; guessing: {1 / len(done.names):.0%}). How much of the name "
        f"{person(found.target)} is read tells that person from all others with a balanced "
        f"accuracy of {done.evidence_balanced:.2f} (ROC area {done.evidence_auc:.2f})."
    )
    plots = [Plot("names_from_faces", "Names read from faces", caption, names, pictures=True)]
    if done.has_faces:
        right = float(np.mean(done.guessed_face == np.arange(len(done.names))))
        guess = f"{GUESSED.format(found.layer)} " if found.estimate else ""
        caption = (
            "Top: mean training face of each person, as the network sees faces; below: the face "
            f"that {found.layer} reconstructs from the name alone, with the contrast of the one "
            f"above. {guess}The person is the nearest in {right:.0%} of {len(done.names)} names."
        )
        faces = [_grey(done.mean_faces)[:6], _grey(done.face_pictures)[:6]]
        figure = picture_table(faces, ["mean face", "seen at\nthe name"], some)
        plots.append(Plot("faces_from_names", "Faces seen at a name", caption, figure, True))
    return Section(
        "Faces and names",
        "The network is shown one of the two; what is missing is left out, not blank.",
        plots,
    )


def _grey(pictures: np.ndarray) -> np.ndarray:
    """Signed pictures, each with its mean in grey and three standard deviations up to white."""
    axes = (1, 2, 3)
    spread = pictures.std(axis=axes, keepdims=True)
    apart = pictures - pictures.mean(axis=axes, keepdims=True)
    return 0.5 + apart / np.where(spread > 0, 6 * spread, 1)
