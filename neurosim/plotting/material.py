"""All that a report is made of: a run, its network and weights, and what analysis found in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.analysis.decode import Decoder
from neurosim.analysis.estimate import Estimate
from neurosim.analysis.results import (
    TRAIN,
    VALIDATION,
    Analysis,
    analysis_path,
    open_analysis,
)
from neurosim.checkpointing import RUN_ID
from neurosim.coding.codes import Codes, open_codes
from neurosim.coding.trained import Trained, open_trained
from neurosim.errors import NeurosimError, StimulusError
from neurosim.experiment import Experiment, loads
from neurosim.network import Network, levels
from neurosim.network.levels import made_of
from neurosim.plotting.history import Course, course
from neurosim.plotting.page import Missing
from neurosim.plotting.pictures import Viewer
from neurosim.record.layout import INPUTS
from neurosim.record.reader import Run, open_run
from neurosim.stimuli.images import open_source

#: What is said of pictures that no dictionary leads to.
GUESSED = (
    "From {} it is the best linear guess, fitted on training images, for a layer between pools."
)
#: Codes of which the use of atoms is counted, at most.
COUNTED = 2000


@dataclass
class Material:
    """What there is to report on; made by :func:`gather`.

    Attributes
    ----------
    folder : Path
        Output folder of the run.
    run : Run
    experiment : Experiment
        The params that were run.
    trained : Trained or None
        Its newest undamaged checkpoint; None where there is none.
    analysis : Analysis or None
        Of this very run.
    missing : list of Missing
        What cannot be shown; the parts of the report add to it.
    """

    folder: Path
    run: Run
    experiment: Experiment
    trained: Trained | None
    analysis: Analysis | None
    missing: list[Missing] = field(default_factory=list)

    @property
    def network(self) -> Network:
        """The graph of the network."""
        return self.experiment.network

    @cached_property
    def levels(self) -> list[str]:
        """Names of the levels, in file order."""
        return list(levels(self.network))

    @cached_property
    def inputs(self) -> list[str]:
        """Inputs that a level codes, or codes what is pooled from them."""
        coded = {c.child for codings in levels(self.network).values() for c in codings}
        shown = {name for child in coded for name in made_of(self.network, child)}
        return [n for n in self.network.layers if n in shown and n not in self.levels]

    @cached_property
    def shown(self) -> str | None:
        """The input whose presentations the run goes by."""
        found = [name for name in self.run.inputs if name in self.network.layers]
        return found[0] if found else None

    @cached_property
    def course(self) -> Course | None:
        """Its presentations."""
        return course(self.run, self.shown) if self.shown else None

    @cached_property
    def decoder(self) -> Decoder:
        """Codes to pixels, by the weights of the checkpoint."""
        assert self.trained is not None
        return Decoder(self.trained)

    def decode(self, level: str, layer: str) -> Callable[[np.ndarray], np.ndarray] | None:
        """A function from codes of a level to pictures of an input; None where there is no way.

        Through dictionaries or, where a layer between them pools, the analysis' linear guess.
        """
        if self.decoder.reaches(level, layer):
            scale = self.decoder.scale(layer)
            return lambda code: self.decoder.decode(code, level, layer) / scale
        guess = self.estimate(level, layer)
        return None if guess is None else guess.decode

    def estimate(self, level: str, layer: str) -> Estimate | None:
        """The analysis' guess of pictures from the code of a level, if it has one."""
        found = self.analysis.estimate if self.analysis and self.current else None
        return found if found and (found.layer, found.to) == (level, layer) else None

    def viewer(self, layer: str) -> Viewer:
        """Pictures of an image input."""
        mean = None
        if self.trained is not None:
            name = f"{INPUTS}/{layer}/mean"
            checkpoint = self.trained.checkpoint
            mean = checkpoint[name] if name in checkpoint.names else None
        return Viewer(self.network, layer, mean)

    def state(self, layer: str) -> np.ndarray:
        """Activity of a layer in the checkpoint, (image, y, x, feature)."""
        assert self.trained is not None
        return self.trained.checkpoint.layer(layer).A

    def last_pictures(self, layer: str) -> np.ndarray | None:
        """The pictures that an image input showed when the checkpoint was written.

        None where they are not to be had any more, or were shifted or mirrored at random.
        """
        spec: Any = self.network.layers[layer].spec
        if layer not in self.run.inputs or getattr(spec, "jitterChangeInterval", False):
            return None
        assert self.trained is not None
        shown = self.run.inputs[layer]
        at = np.searchsorted(shown.time, self.trained.checkpoint.time or np.inf, "right") - 1
        if at < 0:
            return None
        try:
            source = open_source(spec.inputPath, self.folder, validate=False)
            return self.viewer(layer).pictures(source, shown.frame[at].tolist())
        except (StimulusError, IndexError):
            return None

    def codes(self, name: str, shown: str = "face") -> Codes | None:
        """The codes that hold a set of the analysis; None where they are not there (any more)."""
        found = self.analysis
        if found is None or name not in found.sets:
            return None
        # Images that were held out are rows of the training set's codes.
        held = name == VALIDATION and found.held_out > 0
        try:
            codes = open_codes(self.folder, TRAIN if held else name, shown)
        except NeurosimError:
            return None
        if (codes.note["run_id"], codes.note["checkpoint"]) != (found.run_id, found.checkpoint):
            codes.close()
            return None
        return codes

    @property
    def current(self) -> bool:
        """Whether the analysis is of the checkpoint whose weights are shown."""
        found, trained = self.analysis, self.trained
        return bool(found and trained and found.checkpoint == trained.checkpoint.step)

    def use(self, layer: str) -> tuple[np.ndarray, int] | None:
        """How often each feature of a level is active, and in how many images that was counted.

        From the codes of the training images where the run was analysed, else from its last
        recorded codes, else from the checkpoint. The share is over images and positions.

        Returns
        -------
        share : array (feature,)
        images : int
        """
        shape = self.network.layers[layer].shape
        coded = self.codes(TRAIN) if self.current else None
        if coded is not None:
            with coded:
                if layer in coded.layers:
                    codes = coded.activity(layer)
                    counts = np.bincount(codes.indices % shape.nf, minlength=shape.nf)
                    return counts / (codes.shape[0] * shape.ny * shape.nx), codes.shape[0]
        recorded = self.run.layers.get(layer)
        if recorded is not None and len(recorded):
            few = max(1, min(COUNTED // recorded.nbatch, len(recorded) // 2))
            codes = recorded.csr(len(recorded) - few, len(recorded))
            counts = np.bincount(codes.indices % shape.nf, minlength=shape.nf)
            images = codes.shape[0]
        elif self.trained is not None:
            state = self.state(layer)
            counts, images = np.count_nonzero(state, axis=(0, 1, 2)), len(state)
        else:
            return None
        return counts / (images * shape.ny * shape.nx), images

    def lack(self, title: str, reason: str, cure: str = "") -> None:
        """Note something that cannot be shown."""
        self.missing.append(Missing(title, reason, cure))


def gather(path: str | Path) -> Material:
    """Open all that there is of a run.

    Raises
    ------
    RunFileError
        No run is there, or its files are damaged.
    """
    run = open_run(path)
    try:
        folder = run.path.parent
        trained = open_trained(folder) if run.checkpoints else None
        experiment = trained.experiment if trained else loads(run.params, folder)
        material = Material(folder, run, experiment, trained, None)
        _add_analysis(material)
        return material
    except BaseException:
        run.close()
        raise


def _add_analysis(material: Material) -> None:
    """The analysis of this very run, or why there is none."""
    command = f"neurosim analyze {material.folder}"
    titles = "Selective neurons, classifiers, robustness"
    if not analysis_path(material.folder).is_file():
        material.lack(titles, "the run has not been analysed", command)
        return
    found = open_analysis(material.folder)
    if found.run_id != str(material.run.attrs.get(RUN_ID, "")):
        material.lack(titles, "the analysis in the folder is that of another run", command)
        return
    material.analysis = found
    if not material.current:
        material.lack(
            "Numbers of the newest weights",
            f"the analysis is of the weights after step {found.checkpoint:,}, and there are newer",
            command,
        )


def spread(count: int, wanted: int) -> Sequence[int]:
    """At most ``wanted`` places out of ``count``, evenly spread.

    >>> list(spread(10, 3)), list(spread(2, 3))
    ([0, 4, 9], [0, 1])
    """
    if count <= wanted:
        return range(count)
    return np.linspace(0, count - 1, wanted).astype(int).tolist()
