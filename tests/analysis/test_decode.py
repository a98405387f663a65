from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import neurosim
from neurosim.analysis.decode import BLOCK, Decoder
from neurosim.errors import RequestError
from tests.tolerances import FLOAT32_REORDERED


@pytest.fixture(scope="module")
def decoder(trained: Path) -> Decoder:
    return Decoder(trained, threads=1)


def test_decoding_is_what_the_reconstruction_layers_have(
    trained: Path, images: Path, decoder: Decoder
) -> None:
    layers = ["V1", "T1", "P1", "V1Recon", "T1Recon", "NameRecon", "FaceRecon"]
    with neurosim.encode(trained, images, shown="both", layers=layers) as codes:
        assert len(codes) > BLOCK  # a second, smaller block
        for level, below in (("P1", "V1"), ("P1", "T1"), ("V1", "Face"), ("T1", "Name")):
            theirs = codes.dense(f"{below}Recon")
            mine = decoder.decode(codes.dense(level), level, below)
            assert mine[0].shape == codes.shape(f"{below}Recon")
            assert np.abs(theirs).max() > 0.01
            assert np.abs(mine.reshape(theirs.shape) - theirs).max() < FLOAT32_REORDERED


def test_ways_through_several_dictionaries_are_followed(decoder: Decoder) -> None:
    code = np.zeros((1, 1, 1, 32), np.float32)
    code[..., 5] = 2
    middle = decoder.decode(code, "P1", "V1")
    assert np.array_equal(decoder.decode(code, "P1", "Face"), decoder.decode(middle, "V1", "Face"))


def test_atoms_are_the_dictionary_in_its_place(decoder: Decoder) -> None:
    atoms = decoder.atoms("V1", "Face")
    weights = decoder.trained.checkpoint.weights("V1ToFaceError")
    assert atoms.shape == (24, 16, 16, 3)
    # Stride 4, patch 8: the patch of position 2 begins at 4 * 2 - 2.
    assert np.array_equal(atoms[:, 6:14, 6:14], weights)
    assert not np.any(np.delete(atoms, np.s_[6:14], axis=1))


def test_the_scale_of_an_input_is_that_of_its_connection(decoder: Decoder) -> None:
    assert decoder.scale("Face") == pytest.approx((8 * 8 * 3) ** -0.5)
    assert decoder.scale("V1") == 1


def test_wrong_requests_are_told(decoder: Decoder) -> None:
    with pytest.raises(RequestError, match=r'from "V1" to "Name"; from it lead ways to Face'):
        decoder.decode(np.zeros((1, 384)), "V1", "Name")
    with pytest.raises(RequestError, match='no level "P2"'):
        decoder.atoms("P2", "Face")
    with pytest.raises(RequestError, match="are not those of"):
        decoder.decode(np.zeros((1, 7)), "P1", "Face")
