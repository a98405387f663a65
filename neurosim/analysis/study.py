"""One analysis in the making: its run, its sets of images, and the codes and readouts so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.analysis.copies import copies
from neurosim.analysis.parts import Part, Parts
from neurosim.analysis.readout import Machines, readout
from neurosim.analysis.results import CALIBRATION, TRAIN, Readout
from neurosim.coding.encode import coding_experiment, encode, seen
from neurosim.coding.network import Settings
from neurosim.coding.trained import Trained
from neurosim.network import gone_without, image_input, levels, name_inputs

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass
class Study:
    """One analysis in the making: what is asked for, and the codes so far."""

    trained: Trained
    parts: Parts
    layer: str
    settings: Settings
    baselines: bool
    options: dict[str, Any]
    tell: Callable[[str], None]
    notes: list[str] = field(default_factory=list)
    _codes: dict[tuple[Any, ...], csr_array] = field(default_factory=dict)

    @property
    def network(self) -> Any:
        return self.trained.network

    @cached_property
    def copies(self) -> np.ndarray:
        """Which images that readouts learn from are copies of each other."""
        return copies([self.parts.all[name] for name in self.learned])

    @property
    def learned(self) -> list[str]:
        """The sets that readouts learn from."""
        return [name for name in (TRAIN, CALIBRATION) if name in self.parts.all]

    @property
    def image(self) -> str:
        """The input that shows images."""
        return image_input(self.network)

    @property
    def name(self) -> str:
        """The input that shows names; empty where there is none that the level answers to."""
        if self.layer in gone_without(self.network, [self.image]):
            return ""
        coded = {c.child for codings in levels(self.network).values() for c in codings}
        return next((name for name in name_inputs(self.network) if name in coded), "")

    @property
    def first(self) -> str:
        """The level above the image."""
        found = levels(self.network)
        return next(n for n, cs in found.items() if any(c.child == self.image for c in cs))

    def codes(self, part: Part, layer: str, shown: str = "face", **changes: Any) -> csr_array:
        """Codes of the images of a part, in its order; kept in memory for the next time."""
        trained: Trained = changes.get("trained", self.trained)
        key = (trained.folder, part.images.name + _suffixes(changes), shown, layer)
        if key not in self._codes:
            whole = replace(part, rows=np.arange(len(part.images.source)))
            self._codes[key] = self.coded(whole, layer, shown, **changes)
        found = self._codes[key]
        return found if shown == "name" else found[part.rows]

    def coded(self, part: Part, layer: str, shown: str = "face", **changes: Any) -> csr_array:
        """The same from the run's folder, coded first where they are not there."""
        images = replace(part.images, name=part.images.name + _suffixes(changes))
        trained: Trained = changes.pop("trained", self.trained)
        layers = {layer, self.layer}
        own = trained is self.trained and not changes.get("untrained")
        if self.baselines and shown == "face" and own:
            layers.add(self.first)
        settings = replace(self.settings, **changes)
        with encode(
            trained, images, shown=shown, layers=sorted(layers), settings=settings, **self.options
        ) as found:
            whole = found.activity(layer)
        return whole if shown == "name" else whole[part.rows]

    def pixels(self, part: Part, plain: bool = False, **changes: Any) -> np.ndarray:
        """Images of a part as the network sees them, or plain: float32 (image, pixel)."""
        settings = replace(self.settings, **changes)
        experiment = coding_experiment(self.trained, part.images, settings, plain=plain)
        shown = seen(experiment, len(part.images.source), self.image)
        return shown.reshape(len(shown), -1)[part.rows]

    def features(self, of: Callable[[Part], np.ndarray]) -> dict[str, np.ndarray]:
        """Features of every set; those of calibration stand behind those of train, under that."""
        found = {name: of(part) for name, part in self.parts.all.items()}
        found[TRAIN] = np.concatenate([found.pop(name) for name in self.learned])
        return found

    def read(
        self,
        what: str,
        target: str,
        features: dict[str, np.ndarray],
        components: int | None = None,
    ) -> Readout:
        """A readout of :meth:`features`, or of their principal components."""
        machines = self.machines(target, features[TRAIN], components=components)
        return self.chosen(what, target, machines, features)

    def machines(
        self, target: str, features: np.ndarray, groups: int = 1, components: int | None = None
    ) -> Machines:
        """Machines of what readouts learn from, in one version or in several."""
        learned = [self.parts.target(name, target) for name in self.learned]
        calibrating = None
        if CALIBRATION in self.learned:
            calibrating = np.repeat([False, True], [len(one) for one in learned])
        tiled = np.tile(np.concatenate(learned), groups)
        return Machines(features, tiled, groups, components, self.copies, calibrating=calibrating)

    def chosen(
        self, what: str, target: str, machines: Machines, features: dict[str, np.ndarray],
        judged: np.ndarray | None = None,
    ) -> Readout:  # fmt: skip
        """A readout that is chosen from machines, and told of the other sets."""
        others = {
            name: (x, self.parts.target(name, target))
            for name, x in features.items()
            if name != TRAIN
        }
        return readout(what, machines, others, judged)


def _suffixes(changes: dict[str, Any]) -> str:
    """What a set that is coded in another way is called by."""
    return "".join(_suffix(key, value) for key, value in changes.items() if key != "trained")


def _suffix(setting: str, value: Any) -> str:
    """What a set that is coded in another way is called by."""
    if setting == "zoom":
        return "" if value == 1 else f"_zoom{value:g}"
    return f"_{setting}" if value else ""
