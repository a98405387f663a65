"""The part of a report on altered images: what they change in codes and reconstructions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neurosim.analysis.results import Analysis
from neurosim.coding.codes import Codes
from neurosim.errors import NeurosimError
from neurosim.plotting.material import GUESSED, Material, spread
from neurosim.plotting.of_analysis import neuron_name, person
from neurosim.plotting.page import Plot, Section
from neurosim.plotting.pictures import frames_of
from neurosim.plotting.reconstructions import likeness, picture_table, same_contrast
from neurosim.plotting.robustness import Coded, compared_codes, distances

#: Images of each kind whose reconstructions are shown; how much differences are enlarged.
EACH, TIMES = 3, 8
TITLE = "Altered images"


def alteration_section(material: Material, found: Analysis) -> Section | None:
    """Distances of all layers, and a few images in detail."""
    if not found.altered:
        material.lack(
            TITLE, "no altered versions of the validation images were analysed",
            f"neurosim analyze {material.folder} --validation FOLDER --altered FOLDER",
        )  # fmt: skip
        return None
    parts = []
    if found.distances:
        rows: dict[str, dict[str, float]] = {}
        for one in found.distances:
            rows.setdefault(one.layer, {})[one.altered] = one.distance
        caption = (
            "Mean absolute change of the activity between an image and its altered version, over "
            "all images and neurons, divided by the mean standard deviation of the neurons over "
            "the original images. 0: the code is the same."
        )
        figure = distances(
            rows, [name for name in found.altered if any(name in r for r in rows.values())]
        )
        parts.append(Plot("distances", "How far alterations move the codes", caption, figure))
    parts += _in_detail(material, found)
    return Section(TITLE, "", parts) if parts else None


def _in_detail(material: Material, found: Analysis) -> list[Plot]:
    """Figures 7 and 8 of the paper, for one set of originals and its alterations."""
    original = found.sets[found.altered[0]].reference
    altered = [name for name in found.altered if found.sets[name].reference == original]
    opened = {name: material.codes(name) for name in (original, *altered)}
    kept: dict[str, Codes] = {name: codes for name, codes in opened.items() if codes is not None}
    try:
        if original not in kept or len(kept) < 2:
            material.lack(
                "Reconstructions of altered images", "the codes are not there",
                f"neurosim analyze {material.folder}",
            )  # fmt: skip
            return []
        versions = Versions(material, found, original, kept)
        return [versions.two_codes(), *versions.reconstructions()]
    except (OSError, KeyError, NeurosimError) as error:
        material.lack("Altered images in detail", f"images or codes cannot be read: {error}")
        return []
    finally:
        for codes in kept.values():
            codes.close()


class Versions:
    """A few images, original and altered, with their codes.

    Parameters
    ----------
    material : Material
    found : Analysis
    original : str
        Name of the set of originals.
    codes : dict of str to Codes
        By set, the originals first.
    """

    def __init__(
        self, material: Material, found: Analysis, original: str, codes: dict[str, Codes]
    ) -> None:
        self.material, self.found, self.original, self.codes = material, found, original, codes
        self.viewer = material.viewer(found.image_input)
        self.names = {name: _by_original(found, name, original) for name in codes}
        shared = set.intersection(*(set(one) for one in self.names.values()))
        images = found.sets[original]
        self.target = [
            n for n, t in zip(images.names, images.target, strict=True) if t and n in shared
        ]
        self.others = [
            n for n, t in zip(images.names, images.target, strict=True) if not t and n in shared
        ]

    def rows_of(self, name: str, images: list[str]) -> list[int]:
        """Where images are among the codes of a set."""
        place = {image: row for row, image in enumerate(self.codes[name].names)}
        return [place[self.names[name][image]] for image in images]

    def pictures(self, name: str, images: list[str]) -> np.ndarray:
        """Pictures of images in a set."""
        named = [self.names[name][image] for image in images]
        source, frames = frames_of(self.found.sets[name].path, named)
        return self.viewer.pictures(source, frames)

    def typical(self) -> list[tuple[str, str]]:
        """An image of the target and another one, with how they were chosen."""
        answers = self.found.activity[f"{self.original}-face"]
        names = list(self.found.sets[self.original].names)
        chosen = []
        for images in (self.target, self.others):
            if images:
                values = np.array([answers[names.index(image)] for image in images])
                middle = np.argsort(values, kind="stable")[len(values) // 2]
                chosen.append((images[int(middle)], "median"))
        return chosen

    def two_codes(self) -> Plot:
        """Figure 8: the top layer's activity for two images, before and after."""
        found = self.found
        coded = []
        for image, _ in self.typical():
            pictures, codes = {}, {}
            for name, one in self.codes.items():
                (row,) = self.rows_of(name, [image])
                short = _short(name, self.original)
                pictures[short] = self.pictures(name, [image])[0]
                codes[short] = one.activity(found.layer)[[row]].toarray()[0]
            coded.append(Coded(image, pictures, codes))
        caption = (
            f"Activity of {found.layer} (no unit) for two validation images, one of "
            f"{person(found.target)} and one of someone else, before (bars) and after they were "
            f"altered (marks); of each kind the image to which {neuron_name(found)} answers with "
            "its median. Shown are the 40 neurons that are most active in any version, by their "
            "activity in the original."
        )
        figure = compared_codes(coded, marked=found.neuron)
        return Plot("two_images", "Two images under alteration", caption, figure)

    def reconstructions(self) -> list[Plot]:
        """Figure 7: what levels make of originals and of altered images."""
        material, found = self.material, self.found
        if not material.current:
            return []
        images = [self.target[i] for i in spread(len(self.target), EACH)]
        images += [self.others[i] for i in spread(len(self.others), EACH)]
        shared = set.intersection(*(set(one.layers) for one in self.codes.values()))
        ways = {n: material.decode(n, found.image_input) for n in material.levels if n in shared}
        guessed = found.estimate.layer if found.estimate else ""
        first, viewer = self.pictures(self.original, images), self.viewer
        rows: list[np.ndarray] = []
        names: list[str] = []
        under: list[list[str]] = []
        for name in self.codes:
            pictures = self.pictures(name, images)
            short = _short(name, self.original)
            rows.append(pictures)
            names.append(short)
            under.append([])
            if name != self.original:
                rows.append(0.5 + TIMES * (pictures - first))
                names.append(f"difference × {TIMES}")
                under.append([])
            for level, way in ways.items():
                if way is None:
                    continue
                decoded = way(
                    self.codes[name].activity(level)[self.rows_of(name, images)].toarray()
                )
                made = same_contrast(decoded, viewer.apart(pictures))
                rows.append(viewer.together(made, pictures))
                names.append(f"from {level}")
                under.append(likeness(decoded, viewer.apart(first)))
        caption = (
            f"{len(images)} validation images, {min(EACH, len(self.target))} of "
            f"{person(found.target)}, as they are and altered; under each what the codes of levels "
            "stand for, with the mean and the contrast of the picture above. r: correlation of "
            "the reconstruction with the original picture as the network sees it. "
            f"{GUESSED.format(guessed) + ' ' if ways.get(guessed) else ''}Differences to the "
            f"original are enlarged {TIMES} times around grey."
        )
        figure = picture_table(rows, names, under=under)
        return [Plot("altered", "Reconstructions under alteration", caption, figure, pictures=True)]


def _by_original(found: Analysis, name: str, original: str) -> dict[str, str]:
    """Name of each image in a set, by the name of its original: the same, or the same file."""
    own = found.sets[name].names
    exact, by_file = set(own), {Path(image).name: image for image in own}
    named = {
        image: image if image in exact else by_file.get(Path(image).name, "")
        for image in found.sets[original].names
    }
    return {image: other for image, other in named.items() if other}


def _short(name: str, original: str) -> str:
    """``"adversarial"`` for ``"validation_adversarial"``."""
    return "original" if name == original else name.removeprefix(f"{original}_")
