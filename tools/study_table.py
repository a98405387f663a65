"""Writes what runs of the study reach beside its targets: `tools/study_table.py RUN... -o DIR`.

Reads the ``analysis.h5`` that ``neurosim analyze`` left in each run (runs that differ by their
seed) and writes DIR/results.md, with mean and spread; ``--figures`` copies figures of the first
run's report beside it, reduced.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import neurosim
from study_decisions import (
    VALIDATION,
    ahead,
    d_prime,
    drop,
    less_dropped,
    less_taken,
    pairs,
    spread_of_taken,
    taken,
    with_neuron,
)

#: Heads the table of what alterations take from all decisions, not from those that turn.
APART = (
    "## How far apart decisions are\n\nOf linear SVMs, and of the neuron, whose decision is its "
    "activity. d′: the mean decision on the target less that on others, over the root of the mean "
    "of both variances. For each altered set: what it takes from that, mean over runs ± deviation, "
    "and, in the first run, its 95 % interval over images. An image that does not cross the "
    "threshold counts here too, so less is left to chance."
)
#: Heads the table of differences.
BESIDE = (
    "## Beside simpler codes\n\nBalanced accuracy of the top layer less that of simpler features "
    "that learned from and decide on as many looks, and that of its neuron alone, at the threshold "
    "chosen on train, less theirs from one look; mean over the runs that have both, and 95 % "
    "intervals over images, each beside itself."
)
#: What the same table says of alterations.
LESS = (
    " Drop, of d′: by how much less it loses, in balanced accuracy and as a share of "
    "[d′](#how-far-apart-decisions-are)."
)
#: Readouts of simpler features.
SIMPLER = ("pixels", "pca-128", "pca-512", "pooled", "random")
#: Decisions of the top layer, and what readouts of simpler features have behind their names that
#: learned from and decide on as many looks.
WAYS = {"top-face": "", "top-augmented": "-augmented", "top-looks": "-looks", "neuron": ""}
#: Width, in pixels, of a figure that is copied.
WIDTH = 1000
#: Figures of a report that are copied, where it has them: those that show no photographs.
FIGURES = (
    *("network", "learning", "sparsity", "dictionary_V1_Face", "dictionary_VP1_Face"),
    *("radial", "svm_weights", "neuron", "face_and_name", "names_from_faces"),
    *("distances", "scores"),
)


def silent(found: Any) -> float:
    """Share of the top layer's units that no training face excites."""
    seen = found.selectivity["train-face"]
    return float(np.mean((seen.mean_in.max(0) <= 0) & (seen.mean_out.max(0) <= 0)))


def name_rank(found: Any) -> float:
    """How many units answer to the target's name at least as much as its neuron does."""
    if "name" not in found.responses:
        return float("nan")
    answer = found.responses["name"][found.target_index]
    return float(np.count_nonzero(answer >= answer[found.neuron]))


def next_to_name(found: Any) -> float:
    """The largest answer of other units to the target's name, as a share of its neuron's.

    NaN where its neuron does not answer, or where names were not shown.
    """
    if "name" not in found.responses:
        return float("nan")
    answer = found.responses["name"][found.target_index]
    others = np.delete(answer, found.neuron).max(initial=0.0)
    own = answer[found.neuron]
    return float(others / own) if own > 0 else float("nan")


def targets(analyses: Sequence[Any]) -> list[tuple[str, str, list[float]]]:
    """What is wanted: its name, its bound, and the value of each run."""
    top = [found.readouts["top-face"].scores for found in analyses]
    rows = [
        ("balanced accuracy", "at least 0.95", [s[VALIDATION].balanced_tuned for s in top]),
        (
            "best neuron, threshold alone",
            "at least 0.85",
            [found.of_neuron(f"{VALIDATION}-face", "balanced") for found in analyses],
        ),
    ]
    for what, field in (("ROC area", "auc"), ("d′", "d_prime")):
        own = [found.of_neuron(f"{VALIDATION}-face", field) for found in analyses]
        rows.append((f"best neuron, {what}", "", own))
    for name in analyses[0].altered:
        drop = [s[VALIDATION].balanced_tuned - s[name].balanced_tuned for s in top]
        moved = [one.distance for found in analyses for one in found.distances
                 if one.altered == name and one.layer == found.layer]  # fmt: skip
        rows.append((f"drop, {name}", "at most 0.01", drop))
        rows.append((f"distance, {name}", "at most 0.05", moved))
        if all(f"{name}-face" in found.selectivity for found in analyses):
            alone = [found.of_neuron(f"{name}-face", "balanced") for found in analyses]
            rows.append((f"best neuron, {name}", "", alone))
    rows += looks(analyses)
    rows.append(("ROC area of the readout", "", [s[VALIDATION].auc for s in top]))
    rows.append(("accuracy", "", [s[VALIDATION].accuracy_tuned for s in top]))
    index = analyses[0].target_index
    alike = [float(found.name_correlation[index]) for found in analyses]
    rows.append(("correlation of responses by face and by name", "", alike))
    ranks = [name_rank(found) for found in analyses]
    rows.append(("the best neuron's rank in the answer to the name alone", "1", ranks))
    following = [next_to_name(found) for found in analyses]
    rows.append(("the next neuron's answer to that, of its own", "", following))
    recalled = [found.completion for found in analyses]
    if all(recalled):
        evidence = [done.evidence_balanced for done in recalled]
        rows.append(("the name recalled from the face: balanced accuracy", "", evidence))
        areas = [done.evidence_auc for done in recalled]
        rows.append(("the name recalled from the face: ROC area", "", areas))
        known = len(recalled[0].names)
        if known > 1:
            right = [done.balanced for done in recalled]
            what = f"the name recalled from the face: nearest of {known} names is right"
            rows.append((f"{what}, mean over people", "", right))
    if all(done and done.has_faces for done in recalled):
        own = [
            float(done.correlation_face[done.names.index(found.target)])
            for found, done in zip(analyses, recalled, strict=True)
        ]
        rows.append(("the face recalled from the name: correlation with the mean face", "", own))
    guesses = [found.estimate for found in analyses]
    if all(guesses):
        told = [guess.explained for guess in guesses]
        rows.append(
            (f"variance of faces that {analyses[0].layer} tells, guessed linearly", "", told)
        )
    rows.append(("neurons that no face excites", "at most 0.05", [silent(a) for a in analyses]))
    return rows


def calibrated(found: Any) -> str:
    """What thresholds were chosen by, where that is a set of its own."""
    if found.judge == "train":
        return ""
    return (
        f"; readouts learn from {found.judge} too, which the network has not learned from, and "
        "choose their thresholds by it"
    )


def looks(analyses: Sequence[Any]) -> list[tuple[str, str, list[float]]]:
    """The same of readouts that learn from several looks, where every run has them."""
    rows = [*held(analyses, "top-augmented"), *(several := held(analyses, "top-looks"))]
    for name in (VALIDATION, *analyses[0].altered) if several else ():
        if all(f"{name}-looks" in analysis.selectivity for analysis in analyses):
            alone = [analysis.of_neuron(f"{name}-looks", "balanced") for analysis in analyses]
            bound = "at least 0.85" if name == VALIDATION else ""
            what = analyses[0].readouts["top-looks"].features.partition(", ")[2]
            rows.append((f"{what}: best neuron, {name}", bound, alone))
    return rows


def held(analyses: Sequence[Any], key: str) -> list[tuple[str, str, list[float]]]:
    """What one readout reaches and loses, where every run has it."""
    found = [analysis.readouts.get(key) for analysis in analyses]
    if not all(found):
        return []
    what = found[0].features.partition(", ")[2]
    scores = [readout.scores for readout in found]
    best = [s[VALIDATION].balanced_tuned for s in scores]
    rows = [(f"{what}: balanced accuracy", "at least 0.95", best)]
    for name in analyses[0].altered:
        drop = [s[VALIDATION].balanced_tuned - s[name].balanced_tuned for s in scores]
        rows.append((f"{what}: drop, {name}", "at most 0.01", drop))
    return [*rows, (f"{what}: ROC area", "", [s[VALIDATION].auc for s in scores])]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, numbers to the right of names."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def apart(analyses: Sequence[Any]) -> str:
    """Every readout of the first run: d′ in all runs that have it, and what is taken from it."""
    first = analyses[0]
    rows = []
    for key, readout in first.readouts.items():
        runs = [(found, found.readouts[key]) for found in analyses if key in found.readouts]
        cells, changes = [], []
        for name in first.altered:
            each = [pairs(found, one, name) for found, one in runs]
            plain = [float(d_prime(decisions, target)[0]) for decisions, target in each]
            low, high = spread_of_taken(*each[0])
            changes += [_told([taken(*pair) for pair in each]), f"{low:z.3f} to {high:z.3f}"]
            cells = [readout.features, str(len(runs)), _told(plain)]
        rows.append([*cells, *changes])
    shown = [cell for name in first.altered for cell in (name, "first run")]
    return table(["decisions from", "runs", VALIDATION, *shown], rows)


def beside(analyses: Sequence[Any]) -> str:
    """The top layer's readouts less those of simpler features, with a heading; empty without."""
    first = analyses[0]
    rows = []
    for own, way in WAYS.items():
        for other in (f"{simpler}{way}" for simpler in SIMPLER):
            runs = [found for found in analyses if {own, other} <= found.readouts.keys()]
            if not runs:
                continue
            what = f"{first.readouts[own].features}, less {runs[0].readouts[other].features}"
            cells = [what, str(len(runs)), _interval(ahead(runs, own, other, VALIDATION))]
            for name in first.altered:
                measures = (ahead, less_dropped, less_taken)
                cells += [_interval(measure(runs, own, other, name)) for measure in measures]
            rows.append(cells)
    sets = [cell for name in first.altered for cell in (name, "drop", "of d′")]
    head = BESIDE + (LESS if first.altered else "")
    return f"\n{head}\n\n{table(['', 'runs', VALIDATION, *sets], rows)}" if rows else ""


def _interval(found: Sequence[float]) -> str:
    """A difference and its interval."""
    told, low, high = found
    return f"{told:+.3f} ({low:+.3f} to {high:+.3f})"


def scores(analyses: Sequence[Any]) -> str:
    """Every readout: balanced accuracy of each set, drops, their intervals, and the ROC area."""
    found = analyses[0]
    sets = [VALIDATION, *found.altered]
    rows = []
    for kind in found.readouts.values():
        cells = [kind.features]
        for name in sets:
            score = kind.scores[name]
            interval = f"{score.low_tuned:.3f} to {score.high_tuned:.3f}"
            cells.append(f"{score.balanced_tuned:.3f} ({interval})")
            if name != VALIDATION:
                lost, low, high = drop(found, kind, name)
                cells.append(f"{lost:z.3f} ({low:z.3f} to {high:z.3f})")
        cells += [f"{kind.scores[VALIDATION].balanced:.3f}", f"{kind.scores[VALIDATION].auc:.3f}"]
        rows.append(cells)
    shown = [cell for name in sets for cell in ([name] if name == VALIDATION else [name, "drop"])]
    return table(["linear SVM on", *shown, "untuned", "ROC area"], rows)


def every(analyses: Sequence[Any]) -> str:
    """Readouts of the first run: mean over the runs that have them, and its deviation."""
    altered = analyses[0].altered
    rows = []
    for key in analyses[0].readouts:
        runs = [found.readouts[key] for found in analyses if key in found.readouts]
        plain = [r.scores[VALIDATION].balanced_tuned for r in runs]
        cells = [runs[0].features, str(len(runs)), _told(plain)]
        for name in altered:
            held = [r.scores[name].balanced_tuned for r in runs]
            drop = [one - other for one, other in zip(plain, held, strict=True)]
            cells += [_told(held), _told(drop)]
        rows.append([*cells, _told([r.scores[VALIDATION].auc for r in runs])])
    sets = [cell for name in altered for cell in (name, "drop")]
    return table(["linear SVM on", "runs", VALIDATION, *sets, "ROC area"], rows)


def _told(values: list[float]) -> str:
    """Mean and deviation in one cell."""
    return " ± ".join(filter(None, _mean(values)))


def _mean(values: list[float]) -> tuple[str, str]:
    """Mean, and standard deviation (of a sample) where there are several."""
    deviation = f"{np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):z.3f}", deviation


def page(runs: Sequence[Path], analyses: Sequence[Any], command: str) -> str:
    """The text of results.md."""
    first = analyses[0]
    deciding = [with_neuron(found) for found in analyses]
    count = "One run" if len(runs) == 1 else f"{len(runs)} runs that differ by their seed"
    wanted = [
        [name, bound, ", ".join(f"{v:z.3f}" for v in values), *_mean(values)]
        for name, bound, values in targets(analyses)
    ]
    sets = [
        [name, str(int(images.target.sum())), str(int((~images.target).sum()))]
        for name, images in first.sets.items()
    ]
    notes = "".join(f"- {note}\n" for note in dict.fromkeys(n for a in analyses for n in a.notes))
    return (
        f"# Results of the study\n\nWritten by `{command}`; do not edit.\n\n"
        f"{count}; target {first.target}; layer {first.layer}, "
        f"{first.ny} x {first.nx} x {first.nf}. Everything that is chosen is chosen on train"
        f"{calibrated(first)}.\n\n"
        f"{table(['images', first.target, 'others'], sets)}\n## Targets\n\n"
        f"{table(['', 'target', 'measured, by run', 'mean', 'deviation'], wanted)}\n"
        "## Linear readouts, first run\n\nBalanced accuracy at the threshold chosen on "
        f"{first.judge}, and "
        "what alterations take from it (95 % intervals over images); untuned: at the machine's "
        "own.\n\n"
        f"{scores(analyses)}"
        + (
            f"\n## Linear readouts, all runs\n\nMean over runs ± deviation.\n\n{every(analyses)}"
            if len(runs) > 1
            else ""
        )
        + beside(deciding)
        + (f"\n{APART}\n\n{apart(deciding)}" if first.altered else "")
        + (f"\n## Notes\n\n{notes}" if notes else "")
    )


def copy_figures(report: Path, output: Path) -> list[str]:
    """Copy the figures of a report, no wider than ``WIDTH``; their names."""
    copied = []
    for name in FIGURES:
        source = report / f"{name}.png"
        if source.is_file():
            with Image.open(source) as picture:
                small = picture.convert("RGB")
            small.thumbnail((WIDTH, 4 * WIDTH), Image.Resampling.LANCZOS)
            colours = small.quantize(256, dither=Image.Dither.NONE)
            colours.save(output / source.name, optimize=True)
            copied.append(source.name)
    return copied


def check_same(runs: Sequence[Path], analyses: Sequence[Any]) -> None:
    """Raise where runs were not analysed alike: one target, the same sets of the same images."""
    first = analyses[0]
    for run, found in zip(runs, analyses, strict=True):
        if len({(a.target, *a.altered, a.judge) for a in (found, first)}) > 1:
            told = [
                f"{a.target}, altered {', '.join(a.altered) or 'none'}, thresholds by {a.judge}"
                for a in (found, first)
            ]
            raise neurosim.RequestError(
                f"{run}: analysed for {told[0]}, but {runs[0]} for {told[1]}; "
                "analyse both with the same --target, --altered and --calibration"
            )
        for name in (VALIDATION, *first.altered):
            if found.sets[name].names != first.sets[name].names:
                raise neurosim.RequestError(
                    f"{run}: {name} has other images ({len(found.sets[name].names)}) than in "
                    f"{runs[0]} ({len(first.sets[name].names)}); analyse both on the same folders"
                )


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the runs, write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--figures", action="store_true", help="copy figures of the first report")
    given = parser.parse_args(arguments)
    try:
        analyses = [neurosim.open_analysis(run) for run in given.runs]
        check_same(given.runs, analyses)
    except neurosim.NeurosimError as error:
        print(error, file=sys.stderr)
        return 2
    given.output.mkdir(parents=True, exist_ok=True)
    names = [run.name for run in given.runs]
    place = given.output.name if given.output.is_absolute() else str(given.output)
    told = shlex.join(["python", "tools/study_table.py", *names, "-o", place])
    told += " --figures" if given.figures else ""
    (given.output / "results.md").write_text(page(given.runs, analyses, told), encoding="utf-8")
    if given.figures:
        copy_figures(given.runs[0] / "report", given.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
