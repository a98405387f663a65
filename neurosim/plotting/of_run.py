"""The parts of a report that every run has: network, learning, reconstructions, dictionaries."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosim.network.levels import IMAGES, levels
from neurosim.plotting.curves import learning_curves, settling
from neurosim.plotting.dictionaries import columns_for, dictionary, most_used
from neurosim.plotting.history import (
    Course,
    Curve,
    activity_curves,
    energy_curves,
    energy_probe,
    settling_curves,
    unexplained_curves,
)
from neurosim.plotting.material import GUESSED, Material
from neurosim.plotting.network import boxes_of, network_graph
from neurosim.plotting.page import Plot, Section
from neurosim.plotting.reconstructions import likeness, picture_table, same_contrast

#: Images in the table of reconstructions; atoms of a dictionary, small ones and large ones.
SHOWN_IMAGES = 8
SHOWN_ATOMS, SHOWN_LARGE = 96, 32


def network_section(material: Material) -> Section:
    """The graph."""
    active = {}
    if material.trained is not None:
        for level in material.levels:
            state = material.state(level)
            active[level] = float(np.count_nonzero(state) / state.size)
    graph = network_graph(boxes_of(material.network, active))
    counted = ""
    if active:
        assert material.trained is not None
        counted = (
            f" Active: the share of neurons above threshold, mean of the {material.network.nbatch} "
            f"images of the checkpoint at step {material.trained.checkpoint.step:,}."
        )
    caption = (
        "Each box is a layer: positions in x × positions in y × features = neurons. A level "
        "codes the layer under it by few active neurons, each an atom of a learned dictionary."
        + counted
    )
    return Section("The network", "", [Plot("network", "Layers and their sizes", caption, graph)])


def learning_section(material: Material) -> Section | None:
    """Energy, errors and activity over the run, and energy within a presentation."""
    when, run, network = material.course, material.run, material.network
    if when is None:
        material.lack("Learning curves", "the run shows no images, so it has no presentations")
        return None
    plots: list[Plot] = []
    energy = energy_probe(run, network)
    many = len(when.starts) > 1
    images = f"{len(when.starts):,} presentations of {when.nbatch} images"
    if many:
        _learning_plots(material, when, energy, images, plots)
    else:
        material.lack(
            "Learning curves",
            "the run has a single presentation",
            "a longer stopTime, and displayPeriod below it",
        )
    if energy is None:
        material.lack(
            "Energy",
            "the run recorded no ColumnEnergyProbe, or several",
            'energy = "Energy"; in each SparseCoding group',
        )
    else:
        time, values, names = settling_curves(run, energy, when)
        if values:
            caption = (
                f"Energy (no unit) over simulated time within {'three' if many else 'one'} of the "
                f"presentations. Lines: mean of {when.nbatch} images; shaded: from the smallest to "
                "the largest."
            )
            figure = settling(time, values, names)
            plots.append(Plot("settling", "How the code of an image settles", caption, figure))
    return Section("Learning", "", plots) if plots else None


def _learning_plots(
    material: Material, when: Course, energy: str | None, images: str, plots: list[Plot]
) -> None:
    """Curves over the presentations."""
    run, network = material.run, material.network
    left = unexplained_curves(run, network, when)
    if left:
        caption = (
            "Squared error of each coded layer over its squared norm, at the end of each of the "
            f"{images} (batch mean). 100 %: nothing is explained. Log scale; bold lines are "
            "running means."
        )
        figure = learning_curves(
            {"Left unexplained by the level above": left}, "images shown", "squared error", True
        )
        plots.append(Plot("learning", "What is left unexplained", caption, figure))
    if energy is not None:
        total, terms = _grouped(material, energy_curves(run, network, energy, when), energy)
        caption = (
            f"The energy that the network descends, and its terms, at the end of each of the "
            f"{images} (batch mean, no unit). Errors: half the squared norm of what a level leaves "
            "unexplained; costs: threshold times the summed activity; costs of squares: half the "
            "inhibition of neurons by themselves times the summed squares. Log scale."
        )
        figure = learning_curves(
            {"Energy and errors": {**total, **terms[0]}, "Costs of activity": terms[1]}
            if terms[1]
            else {"Energy and its terms": {**total, **terms[0]}},
            "images shown",
            "energy",
        )
        plots.append(Plot("energy", "Energy and its terms", caption, figure))
    active = activity_curves(run, material.levels, when)
    if active:
        caption = (
            f"Share of the neurons of each level that are active, for {when.nbatch} images each, "
            "where the run recorded the level. Log scale."
        )
        figure = learning_curves({"Active neurons": active}, "images shown", "share active", True)
        plots.append(Plot("sparsity", "Sparsity", caption, figure))
    lacking = [name for name in material.levels if name not in active]
    if lacking:
        material.lack(
            f"Sparsity of {', '.join(lacking)}", "not recorded", "writeStep = ...; in their groups"
        )


def _grouped(
    material: Material, curves: dict[str, Curve], energy: str
) -> tuple[dict[str, Curve], tuple[dict[str, Curve], dict[str, Curve]]]:
    """The energy; its errors and its costs, by names for people."""
    errors, costs = {}, {}
    for name, curve in curves.items():
        if name == energy or not np.any(curve[1] > 0):
            continue
        spec: Any = material.network.model.probes[name]
        target = spec.targetLayer
        if target in material.levels:
            squares = "squares in " if spec.kind == "L2NormProbe" else ""
            costs[f"cost of {squares}{target}"] = curve
        else:
            errors[f"error of {target.removesuffix('Error')}"] = curve
    return {"energy": curves[energy]}, (errors, costs)


def reconstruction_section(material: Material) -> Section | None:
    """The last images of the run and what each level makes of them."""
    if material.trained is None:
        material.lack(
            "Reconstructions and dictionaries",
            "the run has written no checkpoint yet",
            "checkpointWrite = true; or wait for its end",
        )
        return None
    plots = []
    for layer in material.inputs:
        ways = {level: material.decode(level, layer) for level in material.levels}
        values = material.state(layer)[:SHOWN_IMAGES]
        decoded = {
            level: way(material.state(level)[:SHOWN_IMAGES])
            for level, way in ways.items()
            if way is not None
        }
        above = list(decoded)
        under = [[], *(likeness(values, d) for d in decoded.values())]
        scaled = [level for level in above[1:] if not material.estimate(level, layer)]
        for level in scaled:
            decoded[level] = same_contrast(decoded[level], values)
        show, how = _display(material, layer, values)
        rows = [show(values), *(show(d) for d in decoded.values())]
        names = [layer, *(f"from {level}" for level in above)]
        fitted = (
            f"What comes from {' and '.join(scaled)} is shown with the mean and the contrast of "
            "the input, for levels above the first reconstruct potentials, whose scale is free. "
            if scaled
            else ""
        )
        caption = (
            f"The last {len(values)} of the images that {layer} showed, and under each what the "
            "code of each level stands for, decoded through all dictionaries between; r: its "
            f"correlation with the input. {fitted}{_guesses(material, above, layer)}{how}"
        )
        plots.append(
            Plot(
                f"reconstructions_{layer}",
                f"{layer} and its reconstructions",
                caption,
                picture_table(rows, names, under=under),
                pictures=True,
            )
        )
    return Section("Inputs and reconstructions", "", plots) if plots else None


def _guesses(material: Material, above: list[str], layer: str) -> str:
    """Which of the levels are not decoded, for people."""
    guessed = [level for level in above if material.estimate(level, layer)]
    return f"{GUESSED.format(' and '.join(guessed))} " if guessed else ""


def _display(material: Material, layer: str, values: np.ndarray):  # type: ignore[no-untyped-def]
    """A function that turns values of an input into pictures, and what it does, in words."""
    if material.network.layers[layer].kind == IMAGES:
        pictures = material.last_pictures(layer)
        if pictures is not None:
            viewer = material.viewer(layer)
            originals = pictures[: len(values)]
            how = "Brightness, contrast and mean image of the original are put back."
            return (lambda some: viewer.restored(some, originals)), how
    largest = max(float(np.abs(values).max()), 1e-30)
    return (lambda some: 0.5 + 0.5 * some / largest), "As the network sees them; mid grey is 0."


def dictionary_section(material: Material) -> Section | None:
    """Every dictionary, decoded to every input it leads to."""
    if material.trained is None:
        return None
    plots = []
    for level in material.levels:
        counted = material.use(level)
        assert counted is not None
        use, images = counted
        shape = material.network.layers[level].shape
        pools = _pools(material, level)
        if pools and not any(material.estimate(level, layer) for layer in material.inputs):
            material.lack(
                f"Atoms and reconstructions of {level} below {', '.join(pools)}",
                "activity is pooled there, and no dictionary leads back through it",
                "neurosim analyze guesses them",
            )
        place = "" if shape.ny * shape.nx == 1 else f" and its {shape.nx} × {shape.ny} positions"
        for layer in material.inputs:
            guess = material.estimate(level, layer)
            if guess is None and not material.decoder.reaches(level, layer):
                continue
            shown, atoms = _atoms(material, level, layer, use)
            if not len(shown):
                material.lack(
                    f"Atoms of {level} in {layer}", f"no neuron of {level} is ever active"
                )
                continue
            labels = [str(unit) for unit in shown] if atoms.shape[2] > 40 else []
            figure = dictionary(atoms, use, labels, shown=shown, use_label="use of atoms")
            dead = int(np.count_nonzero(use == 0))
            caption = (
                f"The {len(shown)} most used of the {shape.nf} atoms of {level}, in that order"
                f"{', with their numbers' if labels else ''}; each decoded to {atoms.shape[2]} × "
                f"{atoms.shape[1]} pixels of {layer}. {_guesses(material, [level], layer)}Mid grey "
                "is 0; each atom is scaled to its largest magnitude. Curve: share of "
                f"{images:,} images{place} in which an atom is active, log scale; {dead} of them "
                "were never active."
            )
            plots.append(
                Plot(
                    f"dictionary_{level}_{layer}",
                    f"Dictionary of {level}, in {layer}",
                    caption,
                    figure,
                    pictures=True,
                )
            )
    return Section("Dictionaries", "", plots) if plots else None


def _pools(material: Material, level: str) -> list[str]:
    """Layers between a level and its inputs that are neither codes nor inputs."""
    found: list[str] = []
    for coding in levels(material.network)[level]:
        child = coding.child
        if child in material.levels:
            found += _pools(material, child)
        elif child not in material.inputs:
            found.append(child)
    return list(dict.fromkeys(found))


def _atoms(
    material: Material, level: str, layer: str, use: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and pictures of the most used atoms, cut to what they cover.

    Returns
    -------
    shown : int array (n,)
    atoms : array (n, y, x, feature)
    """
    shape = material.network.layers[level].shape
    shown = most_used(use, SHOWN_ATOMS)
    code = np.zeros((len(shown), shape.ny, shape.nx, shape.nf), np.float32)
    code[np.arange(len(shown)), shape.ny // 2, shape.nx // 2, shown] = 1
    if not len(shown):
        return shown, code
    guess = material.estimate(level, layer)
    if guess is not None:
        units = np.flatnonzero(code.reshape(len(code), -1)) % code[0].size
        return shown[:SHOWN_LARGE], guess.weights[units][:SHOWN_LARGE]
    atoms = material.decoder.decode(code, level, layer)
    covered = np.any(atoms != 0, axis=(0, 3))
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    if len(rows):
        atoms = atoms[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if columns_for(*atoms.shape[1:3]) < 12:
        shown, atoms = shown[:SHOWN_LARGE], atoms[:SHOWN_LARGE]
    return shown, atoms
