"""Pictures whose copies are kept elsewhere are left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neurosim import prepare_data
from neurosim.errors import RequestError
from tests.data.pictures import people, picture, save


def test_mirrored_copies_of_a_validation_set_are_left_out(tmp_path: Path) -> None:
    source = people(tmp_path / "source", {"ann": 6, "bob": 6})
    given = tmp_path / "given"
    save(picture(2)[:, ::-1], given / "ann" / "mirrored.png")  # ann_0003
    save(picture(8), given / "cyd" / "same.jpg", quality=80)  # bob_0003, in another class
    save(picture(50), given / "ann" / "new.png")
    done = prepare_data(source, tmp_path / "out", validation=0, apart_from=(str(given),))
    left = {path.name for path in (tmp_path / "out" / "train").rglob("*.png")}
    assert done.left_out == 2
    assert len(left) == 10
    assert not left & {"ann_0003.png", "bob_0003.png"}
    assert json.loads((tmp_path / "out" / "data.json").read_text())["left_out"] == 2


def test_a_folder_is_not_prepared_apart_from_itself(tmp_path: Path) -> None:
    source = people(tmp_path / "source", {"ann": 3, "bob": 3})
    with pytest.raises(RequestError, match="each of its 6 images is a copy"):
        prepare_data(source, tmp_path / "out", apart_from=(str(source),))
    assert not (tmp_path / "out").exists()
