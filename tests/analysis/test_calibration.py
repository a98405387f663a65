"""Pictures that the network has not learned from, by which readouts choose their threshold."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

import neurosim
from neurosim.coding.codes import open_codes
from tests.analysis.networks import Call, faces

TARGET = "Joren Varga"


def test_calibration_is_learned_from_and_chooses_the_threshold(
    learned: Path, sets: Path, tmp_path: Path
) -> None:
    """Pictures of their own: in every fit, in no score; neurons are chosen on train still."""
    own = Path(shutil.copytree(learned, tmp_path / "run"))
    kept = faces(tmp_path / "kept", each=16, split="validation")
    for shown in (sets / "validation").glob("*/*"):
        (kept / shown.relative_to(sets / "validation")).unlink()
    given = {"validation": sets / "validation", "target": TARGET, "zooms": [1.25], "threads": 1}
    plain = neurosim.analyze(own, **given)
    found = neurosim.analyze(own, calibration=kept, **given)
    assert list(found.sets) == ["train", "validation", "calibration"]
    assert (plain.judge, found.judge) == ("train", "calibration")
    assert found.neuron == plain.neuron and "calibration-face" in found.selectivity
    for key, readout in found.readouts.items():
        assert set(readout.scores) == {"validation"}
        assert not np.array_equal(readout.weights, plain.readouts[key].weights)
        assert readout.threshold != plain.readouts[key].threshold
    codes = []
    for name in ("train", "calibration"):
        with open_codes(own, name) as one:
            codes.append(one.dense("P1"))
    assert np.allclose(found.readouts["top-face"].center, np.concatenate(codes).mean(0), atol=1e-6)


def test_calibration_by_what_was_learned_or_is_judged_is_refused(
    learned: Path, images: Path, sets: Path, call: Call
) -> None:
    for folder, role in ((images, "what the network has learned from"),
                         (sets / "validation", "the validation images")):  # fmt: skip
        status, _, said = call(
            learned, "--validation", sets / "validation", "--calibration", folder, "-q"
        )
        assert status == 2 and f"{folder}: holds {role}; calibration needs" in " ".join(
            said.split()
        )
    status, _, said = call(learned, "--calibration", sets / "nowhere", "-q")
    assert status == 2 and "nowhere" in said and "Traceback" not in said
