"""A readout of components, told in pixels, decides as before."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA

from neurosim.analysis.baselines import in_pixels
from neurosim.analysis.readout import Machines, readout


def test_a_readout_of_components_reads_pixels(rng: np.random.Generator) -> None:
    pixels, target = rng.normal(size=(120, 40)), np.arange(120) < 50
    pixels[:, :3] += target[:, None]
    # A component that never varies has no part in it.
    space = PCA(12, random_state=0).fit(pixels)
    components = space.transform(pixels)
    components[:, 5] = 0
    space.components_[5] = 0
    made = readout(
        "PCA", Machines(components[:80], target[:80]), {"validation": (components, target)}
    )
    told = in_pixels(made, space)
    decision = (pixels - told.center) / told.scale @ told.weights + told.bias
    np.testing.assert_allclose(decision, told.scores["validation"].decision, atol=1e-5)
