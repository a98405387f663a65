"""Trials of the study's top level alone: `tools/study_trials.py RUN... --train DIR ... -o DIR`.

P1 is learned anew, in variants and with several seeds, from what V1 of each run says of six looks
at each image, pooled: the code by an exact solver, the learning rule that of the params file. A
trial takes seconds where a run takes minutes, and differs from it: what P1 codes has stopped
changing and has settled, looks are the six that are read out, and the name is one number that
nothing pulls. One trial reads out what P1 is shown, to tell what its code loses and holds.

Writes DIR/trials.md and DIR/trials.json. What the latter has of a run of that name is not done
again; give another DIR for other runs.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import neurosim
from study_decisions import d_prime
from trial_looks import FOLDS, LOOKS, Shown, shown
from trial_pages import (
    SETS,
    make_trials,
    place,
    read_trials,
    replace_file,
    rows_of,
    trial_page,
    trial_row,
    write_trials,
)

BATCH = 32
COST = 1e-3
#: Iterations of the solver while P1 learns, and for the codes that are read out.
STEPS = {"learning": 60, "coding": 150}


@dataclass(frozen=True)
class Trial:
    """One way to learn P1; by default that of ``halle_berry_study.params``.

    Attributes
    ----------
    exponent, offset : float
        Of what pooled activity ``p`` becomes: ``(p + offset)^exponent - offset^exponent``.
    centered, scaled : bool
        Each unit less its mean, and over its deviation, on train.
    zoomed : bool
        Learn from all looks, not from those at the image's own size only.
    name : float
        Length of the code of a name, in lengths of the code of a face.
    elements, threshold, inhibition, rate, time_constant, displays
        Of P1 and its learning rule; inhibition is of each element by itself.
    coded : bool
        Read out P1's code, not what P1 is shown.
    """

    exponent: float = 0.5
    offset: float = 0.05
    centered: bool = False
    scaled: bool = False
    zoomed: bool = True
    name: float = 0.25
    elements: int = 512
    threshold: float = 0.4
    inhibition: float = 1.0
    rate: float = 0.4
    time_constant: float = 100.0
    displays: int = 2400
    coded: bool = True


#: What may be given of the first trial.
BASE = ("offset", "threshold", "inhibition", "elements")
#: What each trial changes of it.
TRIALS: dict[str, dict[str, Any]] = {
    "unchanged": {},
    "what P1 is shown": {"coded": False},
    "units centred": {"centered": True},
    "units scaled": {"scaled": True},
    "units standardised": {"centered": True, "scaled": True},
    "no root": {"exponent": 1.0},
    "softened root": {"offset": 0.05},
    "square root": {"offset": 0.0},
    "cube root": {"exponent": 1 / 3, "offset": 0.0},
    "learned at one size": {"zoomed": False},
    **{f"{count} elements": {"elements": count} for count in (64, 80, 96, 128, 256, 512, 1024)},
    **{
        f"threshold {high:g}": {"threshold": high}
        for high in (0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5)
    },
    **{f"inhibition of itself {own:g}": {"inhibition": own} for own in (0.0, 0.3, 2.0, 3.0, 10.0)},
    "momentum over 5 updates": {"time_constant": 5.0},
    "momentum over 50 updates": {"time_constant": 50.0},
    "a rate of 0.12": {"rate": 0.12},
    "a rate of 0.8": {"rate": 0.8},
    "a third as long": {"displays": 800},
    "no name": {"name": 0.0},
    "half the name": {"name": 0.125},
    "twice the name": {"name": 0.5},
}
#: What is reported of a trial.
MEASURES = {
    "roc": "ROC area, 6 looks", "roc_altered": "attacked", "balanced": "balanced accuracy",
    "drop": "drop", "apart": "d′", "taken": "share taken", "distance": "distance",
    "neuron": "neuron", "active": "active",
}  # fmt: skip


def prepared(sets: dict[str, Shown], trial: Trial) -> dict[str, Shown]:
    """The same as P1 gets to see it: as long, on average over train, as in the study."""
    offset, power = np.float32(trial.offset), np.float32(trial.exponent)
    raised = {
        name: x.map(lambda a: (a + offset) ** power - offset**power) for name, x in sets.items()
    }
    train = raised["train"].looks
    every = np.concatenate([train[look] for look in LOOKS])
    middle = every.mean(0) if trial.centered else np.zeros(every.shape[1], np.float32)
    spread = every.std(0) if trial.scaled else np.ones(every.shape[1], np.float32)
    spread[spread == 0] = np.inf
    wanted = _length(np.sqrt(sets["train"].looks[LOOKS[0]]))
    factor = np.float32(wanted / _length((train[LOOKS[0]] - middle) / spread)) / spread
    return {name: x.map(lambda a: (a - middle) * factor) for name, x in raised.items()}


def _length(inputs: np.ndarray) -> float:
    """Mean Euclidean norm of images."""
    return float(np.linalg.norm(inputs, axis=1).mean())


def code(inputs: np.ndarray, atoms: np.ndarray, trial: Trial, steps: int) -> np.ndarray:
    """Nonnegative sparse codes by accelerated proximal gradient; (image, element)."""
    own = np.float32(trial.inhibition) * np.eye(len(atoms), dtype=atoms.dtype)
    gram, drive = atoms @ atoms.T + own, inputs @ atoms.T
    step = 1 / np.linalg.eigvalsh(gram)[-1]
    found = ahead = np.zeros_like(drive)
    pace = 1.0
    for _ in range(steps):
        new = np.maximum(ahead - step * (ahead @ gram - drive + trial.threshold), 0)
        following = (1 + np.sqrt(1 + 4 * pace**2)) / 2
        ahead = new + np.float32((pace - 1) / following) * (new - found)
        found, pace = new, following
    return found


def learned(train: Shown, trial: Trial, seed: int) -> np.ndarray:
    """The part of P1's dictionary that codes faces, (element, unit)."""
    rng = np.random.default_rng(seed)
    looks = LOOKS if trial.zoomed else LOOKS[:2]
    stacked = np.stack([train.looks[look] for look in looks])
    images, units = stacked.shape[1:]
    names = (trial.name * _length(stacked[0]) * train.target[:, None]).astype(np.float32)
    drawn = rng.uniform(-1, 1, (trial.elements, units)) * (
        rng.random((trial.elements, units)) < 0.1
    )
    atoms = np.hstack([_unit(drawn), np.zeros((trial.elements, 1))]).astype(np.float32)
    change = np.zeros_like(atoms)
    kept = np.float32(np.exp(-1 / trial.time_constant))
    for chosen in _batches(rng, images, trial.displays):
        which = rng.integers(len(looks), size=BATCH)
        inputs = np.hstack([stacked[which, chosen], names[chosen]])
        codes = code(inputs, atoms, trial, STEPS["learning"])
        times = np.maximum(np.count_nonzero(codes, axis=0), 1)[:, None]
        new = trial.rate * codes.T @ (inputs - codes @ atoms) / times
        change = kept * change + (1 - kept) * new.astype(np.float32)
        atoms = atoms + change
        atoms[:, :units] = _unit(atoms[:, :units])
    return np.ascontiguousarray(atoms[:, :units])


def _unit(atoms: np.ndarray) -> np.ndarray:
    """Each atom over its norm; one without weights stays so."""
    return atoms / np.maximum(np.linalg.norm(atoms, axis=1, keepdims=True), 1e-12)


def _batches(rng: np.random.Generator, images: int, displays: int) -> Iterator[np.ndarray]:
    """Batches of images in random order, every image once before any comes again."""
    order = np.zeros(0, int)
    for _ in range(displays):
        while len(order) < BATCH:
            order = np.concatenate([order, rng.permutation(images)])
        yield order[:BATCH]
        order = order[BATCH:]


def read(sets: dict[str, Shown], atoms: np.ndarray, trial: Trial) -> dict[str, Shown]:
    """What is read out of each set: P1's code, or what it is shown."""
    if not trial.coded:
        return sets
    return {
        name: x.map(lambda a: code(a, atoms, trial, STEPS["coding"])) for name, x in sets.items()
    }


def measured(sets: dict[str, Shown], atoms: np.ndarray, trial: Trial) -> dict[str, float]:
    """What a dictionary is worth; everything is chosen on train."""
    train, validation, altered, *_ = read(sets, atoms, trial).values()
    if not validation.looks[LOOKS[0]].any():
        raise neurosim.RequestError(
            f"P1 is silent at a threshold of {trial.threshold:g}: give a lower --threshold"
        )
    decisions, threshold = read_out(train, [validation, altered])
    areas = [
        roc_auc_score(x.target, d) for x, d in zip((validation, altered), decisions, strict=True)
    ]
    shares = [
        _balanced(d, x.target, threshold)
        for x, d in zip((validation, altered), decisions, strict=True)
    ]
    apart = d_prime(np.array(decisions), validation.target)
    first = LOOKS[0]
    clean, moved = validation.looks[first], altered.looks[first]
    return {
        "roc": areas[0],
        "roc_altered": areas[1],
        "balanced": shares[0],
        "drop": shares[0] - shares[1],
        "apart": float(apart[0]),
        "taken": float(1 - apart[1] / apart[0]),
        "distance": float(np.abs(moved - clean).mean() / clean.std(0).mean()),
        "neuron": neuron(train.looks[first], train.target, clean, validation.target),
        "active": float(np.mean(clean > 0)),
    }


def read_out(train: Shown, others: Sequence[Shown]) -> tuple[list[np.ndarray], float]:
    """Decisions of a linear machine on each set, the mean over looks, and their threshold.

    The threshold misses as often as it mistakes, were cross-validated decisions normal.
    """
    looks = list(train.looks)
    stacked = np.stack([train.looks[look] for look in looks])
    outside = np.empty(stacked.shape[1])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    for inside, left in folds.split(train.target, train.target):
        machine = _machine(stacked[:, inside], train.target[inside])
        outside[left] = machine(stacked[:, left].mean(0))
    yes, no = outside[train.target], outside[~train.target]
    threshold = (yes.mean() * no.std() + no.mean() * yes.std()) / (yes.std() + no.std())
    machine = _machine(stacked, train.target)
    means = [np.mean([x.looks[look] for look in looks], axis=0) for x in others]
    return [machine(x) for x in means], float(threshold)


def _machine(looks: np.ndarray, target: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Decision function of a linear support vector machine that learned from every look."""
    scaler = StandardScaler()
    features = scaler.fit_transform(looks.reshape(-1, looks.shape[-1]))
    machine = LinearSVC(C=COST, class_weight="balanced", random_state=0)
    machine.fit(features, np.tile(target, len(looks)))
    return lambda x: machine.decision_function(scaler.transform(x))


def neuron(
    train: np.ndarray, target: np.ndarray, validation: np.ndarray, truth: np.ndarray
) -> float:
    """Balanced accuracy of the neuron that tells the target best on train, alone."""
    best = max(range(train.shape[1]), key=lambda k: float(roc_auc_score(target, train[:, k])))
    levels = np.unique(train[:, best])
    threshold = max(levels, key=lambda level: _balanced(train[:, best], target, level))
    return _balanced(validation[:, best], truth, threshold)


def _balanced(decision: np.ndarray, target: np.ndarray, threshold: float) -> float:
    right = (decision >= threshold) == target
    return float((right[target].mean() + right[~target].mean()) / 2)


def table(kept: dict[str, dict], command: str) -> str:
    """The page: for each trial the mean over runs and seeds, and the deviation."""
    told = (
        "P1 learned anew, from what the levels below it have learned in each run. Every row but\n"
        "the first changes one thing. Mean ± deviation over runs and seeds. Readouts have a C of\n"
        f"{COST:g}, and their thresholds come from folds that do not know of copies. d′ and the\n"
        "share of it that the alteration takes are of decisions by the mean of six looks."
    )
    return trial_page("Trials of P1 alone", command, told, MEASURES, rows_of(kept, TRIALS))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials that are not there yet, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--seeds", type=int, default=1, help="of P1, for each run (1)")
    for field in BASE:
        usual = getattr(Trial, field)
        told = f"of the first trial ({usual:g})"
        parser.add_argument(f"--{field}", type=type(usual), default=usual, help=told)
    return make_trials(parser, arguments, TRIALS, trials)


def changing(first: Trial) -> list[str]:
    """The trials that are not the first one under another name."""
    return [name for name, to in TRIALS.items() if not to or replace(first, **to) != first]


def check(trial: Trial) -> None:
    """Raise where a number does not do."""
    for field in BASE:
        value, least = getattr(trial, field), 1 if field == "elements" else 0
        if not least <= value < np.inf:
            raise neurosim.RequestError(f"--{field} {value:g}; it must be {least} or more")


def trials(given: argparse.Namespace) -> None:
    """Each trial of each run with each seed, where it is not kept yet; then the page."""
    folders = {name: getattr(given, name) for name in SETS}
    file = given.output / "trials.json"
    kept = read_trials(file)
    first = Trial(**{field: getattr(given, field) for field in BASE})
    check(first)
    given.output.mkdir(parents=True, exist_ok=True)
    for run in given.runs:
        sets: dict[str, Shown] = {}
        for name in given.trial or changing(first):
            trial = replace(first, **TRIALS[name])
            row = trial_row(kept, name, asdict(trial))
            keys = {seed: f"{run.name}, seed {seed}" for seed in range(given.seeds)}
            missing = [seed for seed in keys if keys[seed] not in row]
            if missing:
                sets = sets or shown(run, folders, given.target)
                ready = prepared(sets, trial)
            for seed in missing:
                atoms = learned(ready["train"], trial, seed) if trial.coded else np.zeros(0)
                row[keys[seed]] = measured(ready, atoms, trial)
                print(f"{name}: {keys[seed]}: {row[keys[seed]]}", flush=True)
                write_trials(file, kept)
    replace_file(given.output / "trials.md", table(kept, _command(given, folders)))


def _command(given: argparse.Namespace, folders: dict[str, Path]) -> str:
    """The command, without where folders are on this machine."""
    words = ["python", "tools/study_trials.py", *(run.name for run in given.runs)]
    for name, folder in folders.items():
        words += [f"--{name}", place(folder)]
    for field in BASE:
        if (value := getattr(given, field)) != getattr(Trial, field):
            words += [f"--{field}", f"{value:g}"]
    return shlex.join([*words, "--target", given.target, "-o", place(given.output)])


if __name__ == "__main__":
    sys.exit(main())
