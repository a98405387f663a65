"""Readouts of several looks at each image, and of simpler features, on the same split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from neurosim.analysis.features import pooled
from neurosim.analysis.parts import Part
from neurosim.analysis.results import TRAIN, Readout
from neurosim.analysis.study import Study
from neurosim.coding.trained import Trained

#: Numbers of principal components of the pixels that are read out.
COMPONENTS = (128, 512)
#: Features of the images of a part, under changed settings of the coding.
Features = Callable[..., np.ndarray]


def several_looks(
    study: Study, target: str, zooms: Sequence[float], baselines: bool
) -> dict[str, Readout]:
    """Readouts that learn from several looks at each image: enlarged by factors, and mirrored.

    Of each kind of features there are two, one that is told of one look at the other images
    (``-augmented``) and one that is told of the mean over looks (``-looks``).
    """
    found = _looks(study, study.layer, "top", target, zooms, partial(_top, study))
    if not baselines:
        return found
    # Found on one look at the training images, so that memory does not grow with looks.
    pixels = study.pixels(study.parts.all[TRAIN], plain=True)
    for size in COMPONENTS:
        study.tell(f"baselines: PCA {size}, looks")
        kept = min(size, *pixels.shape)
        space = PCA(kept, svd_solver="randomized", random_state=0).fit(pixels)
        read = partial(_components, study, space)
        made = _looks(study, f"PCA {size}", f"pca-{size}", target, zooms, read)
        found |= {key: in_pixels(one, space) for key, one in made.items()}
    study.tell("baselines: pooled, looks")
    what = f"{study.first} pooled"
    return found | _looks(study, what, "pooled", target, zooms, partial(_pool, study))


def looks_of(zooms: Sequence[float]) -> list[dict[str, Any]]:
    """Settings of each look: as it is and enlarged by each factor, each also mirrored."""
    each = [(zoom, turned) for zoom in dict.fromkeys((1.0, *zooms)) for turned in (False, True)]
    return [{"zoom": zoom, "mirrored": turned} for zoom, turned in each]


def _top(study: Study, part: Part, **how: Any) -> np.ndarray:
    """The activity of the layer that is analysed."""
    return study.codes(part, study.layer, **how).toarray()


def _components(study: Study, space: PCA, part: Part, **how: Any) -> np.ndarray:
    """Principal components of the pixels."""
    return space.transform(study.pixels(part, plain=True, **how)).astype(np.float32)


def _looks(
    study: Study, what: str, key: str, target: str, zooms: Sequence[float], seen: Features
) -> dict[str, Readout]:
    """Both learn from every look by itself; one decides by the first look, one by their mean."""
    looks = looks_of(zooms)
    each = study.features(lambda part: np.stack([seen(part, **look) for look in looks], axis=1))
    every = np.concatenate(list(each[TRAIN].swapaxes(0, 1)))
    machines = study.machines(target, every, len(looks))
    first = {name: found[:, 0] for name, found in each.items()}
    mean = {name: found.mean(axis=1) for name, found in each.items()}
    count = len(looks)
    return {
        f"{key}-augmented": study.chosen(
            f"{what}, learned from {count} looks", target, machines, first, first[TRAIN]
        ),
        f"{key}-looks": study.chosen(f"{what}, {count} looks", target, machines, mean, mean[TRAIN]),
    }


def in_pixels(readout: Readout, space: PCA) -> Readout:
    """A readout of components as one of the pixels that they are made of."""
    weights = readout.weights / readout.scale
    pixels = weights @ space.components_
    return replace(
        readout,
        weights=pixels.astype(np.float32),
        center=space.mean_.astype(np.float32),
        scale=np.ones(len(pixels), np.float32),
        bias=readout.bias - float(readout.center @ weights),
    )


def _pool(study: Study, part: Part, **how: Any) -> np.ndarray:
    """The first level's largest activity in cells of positions."""
    shape = study.network.layers[study.first].shape
    return pooled(study.coded(part, study.first, **how), (shape.ny, shape.nx, shape.nf))


def simpler(
    study: Study, target: str, baselines: bool, other: Trained | None
) -> dict[str, Readout]:
    """The same readout from simpler features, and from a dictionary that learned nothing."""
    found = {}
    if baselines:
        study.tell("baselines: pixels")
        pixels = study.features(lambda part: study.pixels(part, plain=True))
        found["pixels"] = study.read("pixels", target, pixels)
        for size in COMPONENTS:
            study.tell(f"baselines: PCA {size}")
            found[f"pca-{size}"] = study.read(f"PCA {size}", target, pixels, components=size)
        study.tell("baselines: pooled")
        pools = study.features(partial(_pool, study))
        found["pooled"] = study.read(f"{study.first} pooled", target, pools)
    changes: dict[str, Any] = {"untrained": study.layer} if other is None else {"trained": other}
    random = study.features(partial(_top, study, **changes))
    found["random"] = study.read(f"random {study.layer}", target, random)
    return found
