"""Every model on every altered set: what the figures and tables of the comparison are made of.

A comparison is a folder. ``sets/`` holds the images, original and altered, as any other program
can read them; ``results.json`` the scores of each model on each set. What is there is not computed
again, so that models, budgets and attacks can be added one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import neurosim
from attack.classifier import Classifier, balanced, right
from attack.gradient_sign import Budget
from attack.images import ImageSet, read_images, write_images
from attack.methods import Request, alter
from attack.models import open_model
from compare_dcn.record import NET, read_json, write_json

ORIGINAL = "original"
#: The attack of Springer et al. 2018: five steps of 4 grey levels, 12 at most; noise as large, on
#: the originals and on the attacked images; originals, attacked and noisy ones, low-pass filtered.
PAPER = Budget(epsilon=12, step=4, iterations=5)
ADVERSARIAL, NOISE, BOTH = "adversarial", "noise", "noise-adversarial"
FILTERED = {"low-pass": ORIGINAL, "low-pass-adversarial": ADVERSARIAL, "low-pass-noise": NOISE}
#: Sets of figure 5, in its order.
FIGURE_5 = (ORIGINAL, ADVERSARIAL, NOISE, BOTH, *FILTERED)
RESULTS = "results.json"

Tell = Callable[[str], None]


def white_box_set(model: str, method: str, epsilon: float) -> str:
    """Name of the set that attacks a model itself."""
    return f"{model}-{method}-{epsilon:g}"


@dataclass
class Comparison:
    """A comparison in a folder.

    Attributes
    ----------
    folder : Path
    target : str
        The class that models tell from all others.
    results : dict
        ``models`` (what each is), ``training`` (records of the conv nets), ``scores`` (by set
        and model, one for each image) and ``distances`` (by set and model; table 1 of the paper).
    """

    folder: Path
    target: str
    results: dict[str, Any]

    @classmethod
    def begin(cls, folder: Path, images: ImageSet, target: str, origin: str) -> Comparison:
        """Open a folder, or start one with the original images.

        Raises
        ------
        neurosim.RequestError
            The folder holds a comparison on other images.
        """
        if (folder / RESULTS).is_file():
            found = cls.open(folder)
            had = found.images(ORIGINAL)
            if had.names != images.names or not np.array_equal(had.pixels, images.pixels):
                raise neurosim.RequestError(
                    f"{folder}: holds a comparison on other images ({len(had)}); choose another "
                    "folder"
                )
            return found
        results = {"target": target, "images": origin, "models": {}, "scores": {}, "distances": {}}
        write_images(images, folder / "sets" / ORIGINAL, {"method": "none", "images_from": origin})
        write_json(folder / RESULTS, results)
        return cls(folder, target, results)

    @classmethod
    def open(cls, folder: Path) -> Comparison:
        """Open a comparison that is there.

        Raises
        ------
        neurosim.RequestError
            None is there.
        """
        if not (folder / RESULTS).is_file():
            raise neurosim.RequestError(
                f"{folder}: holds no comparison; make one by `python tools/compare_dcn compare`"
            )
        results = read_json(folder / RESULTS)
        return cls(folder, results["target"], results)

    @property
    def sets(self) -> list[str]:
        """Sets that are there, the original one first."""
        found = sorted(p.parent.name for p in self.folder.glob("sets/*/parameters.json"))
        return [ORIGINAL, *(name for name in found if name != ORIGINAL)]

    def images(self, name: str) -> ImageSet:
        """The images of a set."""
        return read_images(self.folder / "sets" / name, self.target)

    def parameters(self, name: str) -> dict[str, Any]:
        """How a set was made."""
        return read_json(self.folder / "sets" / name / "parameters.json")

    def has(self, name: str) -> bool:
        """Whether a set is there."""
        return (self.folder / "sets" / name / "parameters.json").is_file()

    def make(self, name: str, model: Classifier | None, request: Request, base: str) -> None:
        """Alter a set into another one, unless it is there."""
        if self.has(name):
            return
        altered, record = alter(model, self.images(base), request)  # type: ignore[arg-type]
        write_images(altered, self.folder / "sets" / name, {**record, "images_from": base})

    def controls(self) -> None:
        """Noise as large as the paper's attack, and low-pass versions; once that is there."""
        if not self.has(ADVERSARIAL):
            return
        reference = self.images(ADVERSARIAL)
        noise = Request("noise", PAPER, reference=reference, source=self.images(ORIGINAL))
        self.make(NOISE, None, noise, ORIGINAL)
        self.make(BOTH, None, noise, ADVERSARIAL)
        for name, base in FILTERED.items():
            self.make(name, None, Request("low-pass", PAPER), base)

    def score(self, model: Classifier, what: str, tell: Tell) -> None:
        """Score a model on every set on which it has not been scored."""
        self.results["models"][model.name] = what
        hidden: np.ndarray | None = None
        for name in self.sets:
            scores = self.results["scores"].setdefault(name, {})
            if model.name in scores:
                continue
            tell(f"{model.name}: {name}")
            images = self.images(name)
            scores[model.name] = [float(s) for s in model.scores(images.pixels)]
            if name in FIGURE_5 and name != ORIGINAL:
                if hidden is None:
                    hidden = model.representation(self.images(ORIGINAL).pixels)
                moved = distance(hidden, model.representation(images.pixels))
                self.results["distances"].setdefault(name, {})[model.name] = moved
            write_json(self.folder / RESULTS, self.results)

    def accuracy(self, name: str, model: str) -> tuple[float, float]:
        """Accuracy and balanced accuracy of a model on a set; NaN where it was not scored."""
        scores = self.results["scores"].get(name, {}).get(model)
        if scores is None:
            return float("nan"), float("nan")
        target = self.is_target
        return float(right(np.array(scores), target).mean()), balanced(np.array(scores), target)

    @cached_property
    def is_target(self) -> np.ndarray:
        """Which images show the target; the same in every set."""
        return self.images(ORIGINAL).target


def distance(original: np.ndarray, altered: np.ndarray) -> float:
    """Mean absolute change over units, over the mean of their standard deviations (table 1)."""
    spread = float(original.std(axis=0).mean())
    moved = float(np.abs(altered - original).mean())
    return moved / spread if spread > 0 else float("nan")


def compare(
    comparison: Comparison, models: Sequence[str], source: str | None, epsilons: Sequence[float],
    method: str, iterations: int, tell: Tell, batch: int | None = None,
) -> None:  # fmt: skip
    """Attack every model, at every budget, and score every model on every set.

    Parameters
    ----------
    comparison : Comparison
    models : sequence of str
        As :func:`attack.models.open_model` takes them.
    source : str or None
        The one among them, by its name, that the paper's attack is made on.
    epsilons : sequence of float
        Budgets of the white-box attacks, in grey levels.
    method, iterations : str, int
        Of the white-box attacks.
    tell : callable
        Told what is being done.
    batch : int, optional
        Images side by side.
    """
    names = []
    for text in models:
        model = open_model(text, batch)
        names.append(model.name)
        for epsilon in epsilons:
            name = white_box_set(model.name, method, epsilon)
            tell(f"{model.name}: attack, epsilon {epsilon:g}")
            request = Request(method, Budget(epsilon, iterations=iterations, restarts=1))
            comparison.make(name, model, request, ORIGINAL)
        if model.name == source:
            tell(f"{model.name}: the paper's attack")
            comparison.make(ADVERSARIAL, model, Request("iterated", PAPER), ORIGINAL)
            comparison.controls()
        del model  # before the next one is opened: several at once fill the memory
    if source is not None and source not in names:
        raise neurosim.RequestError(f"--source {source}: not among {', '.join(names)}")
    for text in models:
        model = open_model(text, batch)
        record = Path(text) / NET
        if record.is_file():
            comparison.results.setdefault("training", {})[model.name] = read_json(record)
        comparison.score(model, describe(text), tell)
    write_json(comparison.folder / RESULTS, comparison.results)


def describe(text: str) -> str:
    """What a model is, for tables."""
    record = Path(text) / NET
    if record.is_file():
        found = read_json(record)
        note = f", {found['note']}" if found["note"] else ""
        return f"{found['title']}{note}; {found['weights']}"
    part = text.rpartition(":")[2] if not Path(text).exists() else ""
    reader = "deep sparse coding, linear readout of its top level"
    readers = {"": reader, "augmented": f"{reader}, learned from several looks"}
    return readers.get(part, f"linear readout of {part}")
