"""Trials of the study's whole network: `tools/study_network.py PARAMS --train DIR ... -o DIR`.

Each trial learns from the same pictures with other values of some keys, for fewer displays than the
study, and is measured on pictures that it has not learned from: what each level leaves of what it
codes, how many of its elements are in use, and how well P1 tells the target.

Writes DIR/network.md and DIR/network.json, and runs under RUNS. What DIR/network.json has is not
done again, and a run that was stopped goes on; give another DIR and other RUNS for other images.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

import neurosim
from study_trials import BATCH, neuron, read_out
from trial_looks import Shown, check_sets
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

#: Levels whose codes are measured, and what each of them codes.
LEVELS = {"V1": "Face", "P1": "VP1"}
#: What shows how much of it they leave.
MADE = [f"{below}{what}" for below in LEVELS.values() for what in ("Error", "Recon")]
#: The one look that is read out.
LOOK = (1.0, False)


@dataclass(frozen=True)
class Trial:
    """Other values of keys of the params file.

    Attributes
    ----------
    values : list of str
        As for ``--set``.
    first : float
        Times as high as they are then are thresholds for the first third of the displays.
    """

    values: Sequence[str] = ()
    first: float = 1.0

    def described(self, displays: int, everywhere: Sequence[str]) -> dict[str, Any]:
        """What a page was made of, as a file keeps it."""
        values = {"values": list(self.values), "first": self.first}
        return {**values, "displays": displays, "everywhere": list(everywhere)}


STUDY = "unchanged"
TRIALS = {
    STUDY: Trial(),
    "V1 at a third of the rate": Trial(["V1.dWMax=3.3"]),
    "V1 at three times the rate": Trial(["V1.dWMax=30"]),
    "V1 without momentum": Trial(["V1.momentumTimeConstant=0"]),
    "V1's momentum over 100 updates": Trial(["V1.momentumTimeConstant=100"]),
    "thresholds three times higher for the first third": Trial(first=3.0),
    "elements that start without zeros": Trial(
        [f"{level}.sparseFraction=0" for level in ("V1", "T1", "P1")]
    ),
    "batches of 8": Trial(["column.nbatch=8", "V1.dWMaxDecayInterval=199"]),
    "the average face left in": Trial(["Face.subtractMean=false"]),
    # Pixels have a standard deviation of 0.17 around the average face.
    "pictures with their own contrast": Trial(
        ["Face.normalizeLuminanceFlag=false", "V1.inputScale=0.425"]
    ),
    "pictures as they are": Trial(["Face.whiteningExponent=0", "Face.whiteningCutoff=0"]),
    "whitened pictures": Trial(["Face.whiteningExponent=1", "Face.whiteningCutoff=0.4"]),
    "half whitened pictures": Trial(["Face.whiteningExponent=0.5", "Face.whiteningCutoff=0.4"]),
    "one size, not mirrored": Trial(["Face.maxZoom=1", "Face.xFlipEnabled=false"]),
    "P1 does not pull T1": Trial(['P1.feedback="none"']),
    "P1 codes and pulls T1's potential": Trial(['P1.feedback="potential"']),
}
#: What is reported of a trial.
MEASURES = {
    "V1 left": "V1 leaves", "V1 active": "V1 active", "V1 idle": "V1 idle", "T1 idle": "T1 idle",
    "P1 left": "P1 leaves", "P1 active": "P1 active", "P1 idle": "P1 idle",
    "roc": "ROC area", "drop": "drop of it under attack", "neuron": "neuron",
}  # fmt: skip


def learned(given: argparse.Namespace, trial: Trial, seed: int, train: Path, folder: Path) -> None:
    """Learn a network in a folder, or go on with it."""
    values = [f"Face.inputPath={train.resolve()}", *given.set, *trial.values]
    network = neurosim.load(given.params, values).network
    period = network.layers["Face"].spec.displayPeriod
    displays = BATCH * given.displays // network.model.column.nbatch
    if trial.first == 1:
        _run(given, folder, values, seed, displays * period)
        return
    start, early = folder.with_name(f"{folder.name}_first"), displays // 3
    raised = [
        f"{level}.VThresh={trial.first * network.layers[level].spec.VThresh:g}"
        for level in ("V1", "T1", "P1")
    ]
    _run(given, start, [*values, *raised], seed, early * period)
    values.append(f"column.initializeFromCheckpointDir={start.resolve()}")
    # The seed is another, for the pictures of the first part would come again in their order.
    _run(given, folder, values, seed + 1000, (displays - early) * period)


def _run(
    given: argparse.Namespace, folder: Path, values: Sequence[str], seed: int, stop: float
) -> None:
    """Run the params file, or go on with it."""
    values = [*values, f"column.randomSeed={seed}", f"column.stopTime={stop}"]
    neurosim.run(given.params, folder, values, resume=True, threads=given.threads).close()


def measured(
    run: Path, sets: dict[str, Path], target: str, threads: int | None
) -> dict[str, float]:
    """What a network is worth; thresholds are chosen on train."""
    shown: dict[str, Shown] = {}
    told: dict[str, float] = {}
    for name, folder in sets.items():
        layers = [*LEVELS, *MADE] if name == "validation" else ["P1"]
        with neurosim.encode(run, folder, name=name, layers=layers, threads=threads) as codes:
            shown[name] = Shown(
                {LOOK: codes.activity("P1").toarray()}, np.array(codes.labels) == target
            )
            if name == "validation":
                for level, below in LEVELS.items():
                    told |= _level(codes, level, below)
    names = neurosim.encode(
        run, sets["train"], shown="name", name="train", layers=["T1"], threads=threads
    )
    with names as codes:
        told["T1 idle"] = _idle(codes, "T1")
    train, validation, altered = (shown[name] for name in SETS)
    decisions, _ = read_out(train, [validation, altered])
    pairs = zip((validation, altered), decisions, strict=True)
    clean, attacked = (float(roc_auc_score(x.target, decision)) for x, decision in pairs)
    alone = neuron(train.looks[LOOK], train.target, validation.looks[LOOK], validation.target)
    return {**told, "roc": clean, "drop": clean - attacked, "neuron": alone}


def _level(codes: Any, level: str, below: str) -> dict[str, float]:
    """Of one level: the share that it leaves of what it codes, and how it is used."""
    error, guess = codes.activity(f"{below}Error"), codes.activity(f"{below}Recon")
    coded = error + guess
    activity = codes.activity(level)
    return {
        f"{level} left": float(error.multiply(error).sum() / coded.multiply(coded).sum()),
        f"{level} active": float(activity.count_nonzero() / np.prod(activity.shape)),
        f"{level} idle": _idle(codes, level),
    }


def _idle(codes: Any, level: str) -> float:
    """The share of elements that nothing excites at any position."""
    units = codes.activity(level).reshape(-1, codes.shape(level)[-1])
    return float(np.mean(units.count_nonzero(axis=0) == 0))


def page(kept: dict[str, dict], command: str, displays: int) -> str:
    """The page: for each trial what it found, and the deviation where it was made several times."""
    told = (
        f"The whole network, after {displays} displays of {BATCH} pictures (batches of another\n"
        "size: as many pictures). Every row but the first changes one thing. On validation: the\n"
        "share of the energy of its input that a level leaves unexplained, the share of its units\n"
        "that are active, and the share of its elements that no picture excites (T1: no name of\n"
        "train); the area under the ROC curve of a linear readout of P1 from one look, and what\n"
        "the attack takes from it; the balanced accuracy of the best neuron alone. Mean ±\n"
        "deviation over seeds."
    )
    rows = rows_of(kept, TRIALS)
    return trial_page("Trials of the whole network", command, told, MEASURES, rows)


def check(given: argparse.Namespace, folders: dict[str, Path]) -> None:
    """Open every set of images; raises before hours of learning where something does not do."""
    network = neurosim.load(given.params, given.set).network
    wanted = dict.fromkeys(["Face", "T1", *LEVELS, *LEVELS.values(), *MADE])
    if lacking := [name for name in wanted if name not in network.layers]:
        raise neurosim.RequestError(
            f"{given.params}: has no layer {', '.join(lacking)}; trials are of the levels of "
            "halle_berry_study.params: give that file, or one with layers of these names"
        )
    sources = {}
    for name, folder in folders.items():
        shows = neurosim.load(given.params, [f"Face.inputPath={folder.resolve()}", *given.set])
        feed: Any = shows.feeds()["Face"]
        sources[name] = feed.source
    sets = {name: folders[name] for name in SETS}
    labels = {name: list(sources[name].labels or []) for name in sets}
    check_sets(sets, labels, {name: sources[name].names for name in sets}, given.target)
    if sources["learn"].labels is None:
        raise neurosim.RequestError(f"{folders['learn']}: no names; give a folder per person")


def trials(given: argparse.Namespace) -> None:
    """Each trial with each seed, where it is not kept yet; then the page."""
    if given.displays < 3 or given.seeds < 1:
        raise neurosim.RequestError(
            f"--displays {given.displays} --seeds {given.seeds}; at least 3 displays and 1 seed"
        )
    folders = {name: getattr(given, name) for name in SETS}
    folders["learn"] = given.learn or given.train
    file = given.output / "network.json"
    kept = read_trials(file)
    others = {made["trial"]["displays"] for made in kept.values()} - {given.displays}
    if others:
        raise neurosim.RequestError(
            f"{file}: has trials of {', '.join(map(str, sorted(others)))} displays, which do not "
            f"stand beside trials of {given.displays}; give that number or another -o"
        )
    checked = False
    for name in given.trial or TRIALS:
        trial = TRIALS[name]
        row = trial_row(kept, name, trial.described(given.displays, given.set))
        for seed in range(1, 1 + (given.seeds if name == STUDY else 1)):
            if f"seed {seed}" in row:
                continue
            if not checked:
                check(given, folders)
                checked = True
            row[f"seed {seed}"] = _made(given, name, seed, folders)
            print(f"{name}, seed {seed}: {row[f'seed {seed}']}", flush=True)
            given.output.mkdir(parents=True, exist_ok=True)
            write_trials(file, kept)
    replace_file(given.output / "network.md", page(kept, _command(given), given.displays))


def _made(
    given: argparse.Namespace, name: str, seed: int, folders: dict[str, Path]
) -> dict[str, float]:
    """One trial with one seed: learned, or gone on with, and measured."""
    trial = TRIALS[name]
    # By their length, for a run that is longer is one that has nothing left to do.
    runs = given.runs / f"{given.displays}_displays"
    run = runs / f"{name.replace(' ', '_').replace(chr(39), '')}_{seed}"
    learned(given, trial, seed, folders["learn"], run)
    return measured(run, {key: folders[key] for key in SETS}, given.target, given.threads)


def _command(given: argparse.Namespace) -> str:
    """The command, without where folders are on this machine."""
    words = ["python", "tools/study_network.py", place(given.params)]
    for name in ("learn", *SETS):
        folder = getattr(given, name)
        words += [f"--{name}", place(folder)] if folder else []
    words += [word for value in given.set for word in ("--set", value)]
    words += ["--target", given.target, "--displays", str(given.displays)]
    words += ["--seeds", str(given.seeds), "--runs", place(given.runs)]
    return shlex.join([*words, "-o", place(given.output)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the trials that are not there yet, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("params", type=Path, metavar="PARAMS")
    parser.add_argument("--learn", type=Path, metavar="IMAGES", help="to learn from (train)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="GROUP.KEY=VALUE", help="in every trial"
    )
    parser.add_argument("--displays", type=int, default=300, help="of 32 pictures (300)")
    parser.add_argument("--seeds", type=int, default=3, help="of the first trial (3)")
    parser.add_argument("--threads", type=int, help="cores to use (all)")
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR", help="of the runs")
    return make_trials(parser, arguments, TRIALS, trials)


if __name__ == "__main__":
    sys.exit(main())
