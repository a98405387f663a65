"""The main figures of an analysis by name, of one run or of several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurosim.analysis.results import VALIDATION, Analysis


def main_figures(found: Analysis) -> dict[str, float]:
    """The numbers that two networks are compared by.

    Returns
    -------
    dict
        Name of the figure and its value; what was not analysed is not among them.
    """
    face = f"{VALIDATION}-face"
    figures = {
        "neuron: d'": found.of_neuron(face, "d_prime"),
        "neuron: threshold alone": found.of_neuron(face, "balanced"),
        "neuron: ROC area": found.of_neuron(face, "auc"),
    }
    if (looks := f"{VALIDATION}-looks") in found.selectivity:
        figures["neuron, looks: threshold alone"] = found.of_neuron(looks, "balanced")
    for kind in found.readouts.values():
        for name, score in kind.scores.items():
            figures[f"{kind.features} + SVM: balanced accuracy, {name}"] = score.balanced_tuned
            if name == VALIDATION:
                figures[f"{kind.features} + SVM: accuracy, {name}"] = score.accuracy_tuned
                figures[f"{kind.features} + SVM: ROC area, {name}"] = score.auc
    for one in found.distances:
        figures[f"{one.layer}: distance, {one.altered}"] = one.distance
    if np.isfinite(found.name_correlation[found.target_index]):
        alike = found.name_correlation[found.target_index]
        figures["face and name: correlation of responses"] = float(alike)
    if found.completion is not None:
        figures["name from face: balanced accuracy"] = found.completion.balanced
        if found.completion.has_faces:
            own = found.completion.correlation_face[found.completion.names.index(found.target)]
            figures["face from name: correlation"] = float(own)
    return figures


def spread(analyses: Sequence[Analysis]) -> dict[str, tuple[float, float, int]]:
    """Mean, standard deviation (of a sample) and number of runs of each main figure.

    A figure counts where any run has it; the deviation of one run is NaN, and so are both of a
    figure that is infinite in some run, as d' is where activities never vary.
    """
    rows = [main_figures(found) for found in analyses]
    names = dict.fromkeys(name for row in rows for name in row)
    result = {}
    for name in names:
        values = np.array([row[name] for row in rows if name in row])
        mean = deviation = float("nan")
        if np.isfinite(values).all():
            mean = float(values.mean())
            deviation = float(values.std(ddof=1)) if len(values) > 1 else deviation
        result[name] = (mean, deviation, len(values))
    return result
