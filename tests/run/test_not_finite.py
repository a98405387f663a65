"""Files with NaN in them are refused before a run leaves anything."""

from pathlib import Path

import numpy as np
import pytest

import neurosim
from neurosim.stimuli.pvp import write_activity
from neurosim.stimuli.pvp_weights import write_weights

NET = """
HyPerCol "column" = { nx = 8; ny = 8; stopTime = 4; };
HyPerLCALayer "V1" = { nf = 2; VThresh = 0.1; timeConstantTau = 10; InitVType = "ZeroV"; };
HyPerLayer "Error" = { nf = 1; };
HyPerConn "V1ToError" = {
    channelCode = 0; nxp = 3; nyp = 3; plasticityFlag = false; normalizeMethod = "none";
    weightInitType = "UniformWeight"; weightInit = 1;
};
"""
MARK = np.float32(12345.5)


def spoil(path: Path) -> None:
    """NaN in the place of the mark."""
    content = path.read_bytes()
    assert MARK.tobytes() in content
    path.write_bytes(content.replace(MARK.tobytes(), np.float32(np.nan).tobytes()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    weights = np.ones((1, 2, 3, 3, 1), np.float32)
    weights[0, 1, 2, 0, 0] = MARK
    write_weights(tmp_path / "w.pvp", weights, (1, 1, 2))
    potentials = np.ones((1, 8, 8, 2), np.float32)
    potentials[0, 4, 4, 1] = MARK
    write_activity(tmp_path / "v.pvp", potentials)
    (tmp_path / "net.params").write_text(NET)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("w.pvp", {"V1ToError.initWeightsFile": "w.pvp"}),
        ("v.pvp", {"V1.InitVType": "InitVFromFile", "V1.Vfilename": "v.pvp"}),
    ],
)
def test_weights_and_potentials_that_are_not_finite(folder: Path, file: str, changes: dict) -> None:
    experiment = neurosim.load(folder / "net.params", changes)
    neurosim.run(experiment, folder / "fine").close()
    spoil(folder / file)
    with pytest.raises(neurosim.RequestError, match=rf"{file}.*not finite"):
        neurosim.run(experiment, folder / "out")
    assert not (folder / "out").exists()


def test_a_checkpoint_of_petavision_that_is_not_finite(folder: Path) -> None:
    theirs = folder / "Checkpoint4"
    theirs.mkdir()
    for name, source in (("V1_V", "v"), ("V1_A", "v"), ("V1ToError_W", "w")):
        (theirs / f"{name}.pvp").write_bytes((folder / f"{source}.pvp").read_bytes())
    changes = {
        "column.initializeFromCheckpointDir": "Checkpoint4",
        "Error.initializeFromCheckpointFlag": False,
    }
    experiment = neurosim.load(folder / "net.params", changes)
    neurosim.run(experiment, folder / "fine").close()
    spoil(theirs / "V1_V.pvp")
    with pytest.raises(neurosim.RequestError, match=r"V1_V\.pvp.*not finite"):
        neurosim.run(experiment, folder / "out")
    assert not (folder / "out").exists()
