"""Groups of a prepared folder: taken from its manifest, for as long as that is true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import neurosim
from neurosim.analysis.copies import copies
from neurosim.analysis.parts import Part
from neurosim.coding.encode import open_images
from neurosim.data.prepared import prepared_groups
from tests.data.pictures import people, picture, save


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Two people, each with a picture and a poor copy of it among others, in two sets."""
    source = people(tmp_path / "source", {"ann": 12, "bob": 12})
    for number, name in enumerate(("ann", "bob")):
        save(picture(12 * number), source / name / "copy.jpg", quality=40)
    neurosim.prepare_data(source, tmp_path / "out", size=32, validation=0.3)
    return tmp_path / "out"


def pictures(out: Path) -> list[Path]:
    return sorted(out.glob("*/*/*.png"))


def joined(groups: np.ndarray, files: list[Path]) -> set[frozenset[str]]:
    """Names of the pictures of each group that has several."""
    found = [
        frozenset(f"{f.parent.name}/{f.stem}" for f, g in zip(files, groups, strict=True) if g == n)
        for n in np.unique(groups)
    ]
    return {names for names in found if len(names) > 1}


def parts(*folders: Path) -> list[Part]:
    opened = [open_images(folder, folder.name) for folder in folders]
    return [
        Part(i.name, i, np.arange(len(i.source)), i.source.labels or [], np.zeros(0, np.int64))
        for i in opened
    ]


def test_readouts_fold_by_the_groups_that_sets_were_shared_out_by(
    out: Path, tmp_path: Path
) -> None:
    together = copies(parts(out / "train", out / "validation"))
    files = sorted((out / "train").glob("*/*")) + sorted((out / "validation").glob("*/*"))
    assert len(joined(together, files)) == 2
    neurosim.prepare_data(
        tmp_path / "source", tmp_path / "apart", size=32, validation=0.3, near_duplicates=1
    )
    apart = copies(parts(tmp_path / "apart" / "train", tmp_path / "apart" / "validation"))
    assert len(np.unique(apart)) == len(apart) == len(together)


def test_sets_that_were_not_prepared_together_are_compared(out: Path, tmp_path: Path) -> None:
    (out / "data.json").unlink()
    files = pictures(out)
    assert prepared_groups(files) is None
    both = copies(parts(out / "train", out / "validation"))
    files = sorted((out / "train").glob("*/*")) + sorted((out / "validation").glob("*/*"))
    assert len(joined(both, files)) == 2


def test_the_manifest_is_taken_at_its_word_only_for_what_it_tells(out: Path) -> None:
    files = pictures(out)
    groups = prepared_groups(files)
    assert groups is not None and len(joined(groups, files)) == 2
    assert prepared_groups([]) is None
    save(picture(99, 32), files[0].with_name("added.png"))
    assert prepared_groups(pictures(out)) is None
    files[0].with_name("added.png").unlink()
    was = files[0].read_bytes()
    save(picture(99, 32), files[0])
    assert prepared_groups(files) is None
    files[0].write_bytes(was)
    assert np.array_equal(prepared_groups(files), groups)
    for damaged in ("file,group\n", "file,group,sha256\n" + "x" * 200_000 + ",1,0\n"):
        (out / "manifest.csv").write_text(damaged)
        assert prepared_groups(files) is None
