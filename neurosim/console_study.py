"""What the command line prints of an analysis: progress, tables, the neuron's line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from rich.table import Table
from rich.text import Text

from neurosim.analysis.results import TRAIN, VALIDATION, Analysis
from neurosim.analysis.summary import spread
from neurosim.console import Bar, light_table, output_console
from neurosim.run import Progress

#: Neurons that are listed for the target.
LISTED = 5


class Codings:
    """Progress of one coding after the other, each with a line of its own."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._name = ""
        self._bar: Bar | None = None

    def __enter__(self) -> Codings:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def report(self, name: str, now: Progress) -> None:
        """Show where the coding of a set stands."""
        if self._quiet:
            return
        if name != self._name:
            self.tell(f"coding {name}")
            self._name = name
            self._bar = Bar(False).__enter__()
        if self._bar is not None:
            self._bar.show(now)

    def tell(self, text: str) -> None:
        """Say what comes next."""
        self._end()
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
        self._bar, self._name = None, ""


def analysis_text(found: Analysis) -> str:
    """The one line that matters: the neuron for the target.

    Its numbers are those of the validation faces; neuron and threshold come from train.
    """
    face = f"{VALIDATION}-face"
    d_prime, balanced = (found.of_neuron(face, what) for what in ("d_prime", "balanced"))
    return (
        f"{found.layer} neuron {found.neuron} answers to {_title(found.target)}: "
        f"d' {d_prime:.1f}, threshold alone {balanced:.2f}"
    )


def analysis_tables(found: Analysis, path: Path) -> None:
    """All of an analysis that fits a screen."""
    console = output_console()
    if found.readouts:
        console.print(_readouts(found))
    console.print(_neurons(found))
    if found.distances:
        console.print(_distances(found))
    if found.completion is not None or found.name_input:
        console.print(_modalities(found))
    print(analysis_text(found))
    for note in found.notes:
        print(f"note: {note}")
    print(f"all of it: {path}, neurosim.open_analysis({str(path.parent)!r})")


def spread_table(analyses: Sequence[Analysis]) -> None:
    """Mean and spread of the main figures of several runs."""
    table = light_table(f"{len(analyses)} runs", left=("figure",), right=("mean", "s.d.", "runs"))
    for name, (mean, deviation, runs) in spread(analyses).items():
        table.add_row(Text(name), _number(mean), _number(deviation), str(runs))
    output_console().print(table)


def _title(target: str) -> str:
    """A class as people write it: ``halle_berry`` is Halle Berry."""
    words = target.replace("_", " ")
    return words.title() if words.islower() else words


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _readouts(found: Analysis) -> Table:
    """Accuracy of each readout in each set."""
    table = light_table(
        f"Linear readout of {_title(found.target)} (threshold chosen on {found.judge})",
        left=("features", "set"),
        right=("balanced", "95 %", "accuracy", "ROC area", "balanced at 0"),
    )
    for kind in found.readouts.values():
        for name, score in kind.scores.items():
            table.add_row(
                Text(kind.features),
                Text(name),
                f"{score.balanced_tuned:.3f}",
                f"{score.low_tuned:.3f} to {score.high_tuned:.3f}",
                f"{score.accuracy_tuned:.3f}",
                f"{score.auc:.3f}",
                f"{score.balanced:.3f}",
            )
    return table


def _neurons(found: Analysis) -> Table:
    """The neurons that answer best to the target, on train, and how they do elsewhere."""
    row = found.target_index
    train, other = (found.selectivity[f"{name}-face"] for name in (TRAIN, VALIDATION))
    looks = found.selectivity.get(f"{VALIDATION}-looks")
    several = [looks.balanced] if looks is not None else []
    table = light_table(
        f"{found.layer} neurons for {_title(found.target)} (chosen on train, then on validation)",
        left=("neuron",),
        right=(
            *("d' on train", "d'", "ROC area", "threshold alone"),
            *(["all looks"] if several else []),
            *("mean to it", "to others"),
        ),
    )
    order = np.argsort(-np.nan_to_num(train.d_prime[row], nan=-np.inf), kind="stable")[:LISTED]
    for unit in order:
        numbers = (train.d_prime, other.d_prime, other.auc, other.balanced, *several)
        cells = [_number(float(a[row, unit])) for a in (*numbers, other.mean_in, other.mean_out)]
        table.add_row(str(unit), *cells)
    return table


def _distances(found: Analysis) -> Table:
    """How far alterations move the codes, and what that costs the readout."""
    table = light_table(
        "Robustness (mean change of the code over its standard deviation)",
        left=("layer", "altered set"),
        right=("distance", "drop of balanced accuracy"),
    )
    scores = found.readouts["top-face"].scores if "top-face" in found.readouts else {}
    for one in found.distances:
        drop = float("nan")
        if one.layer == found.layer and one.altered in scores:
            drop = scores[VALIDATION].balanced_tuned - scores[one.altered].balanced_tuned
        table.add_row(Text(one.layer), Text(one.altered), _number(one.distance), _number(drop))
    return table


def _modalities(found: Analysis) -> Table:
    """What faces and names have to do with each other."""
    table = light_table("Faces and names", left=("what",), right=("value",))
    alike = float(found.name_correlation[found.target_index])
    table.add_row(
        f"correlation over neurons of the responses to {_title(found.target)} by face and by name",
        _number(alike),
    )
    done = found.completion
    if done is not None:
        table.add_row(
            f"name reconstructed from the face: nearest of {len(done.names)} names is right, "
            "mean over classes", _number(done.balanced),
        )  # fmt: skip
        heard = done.correlation[~np.isnan(done.correlation)]
        table.add_row(
            f"how much of the name {_title(found.target)} there is in it: ROC area",
            _number(done.evidence_auc),
        )
        table.add_row(
            "balanced accuracy of that alone, threshold chosen on train",
            _number(done.evidence_balanced),
        )
        table.add_row(
            "its correlation with the true name, mean",
            _number(float(heard.mean()) if len(heard) else float("nan")),
        )
    if done is not None and done.has_faces:
        row = done.names.index(found.target)
        how = "guessed" if found.estimate else "reconstructed"
        table.add_row(
            f"face {how} from the name {_title(found.target)}: correlation with the mean "
            "face", _number(float(done.correlation_face[row])),
        )  # fmt: skip
        right = float(np.mean(done.guessed_face == np.arange(len(done.names))))
        table.add_row("faces reconstructed from names: nearest mean face is right", _number(right))
    return table
