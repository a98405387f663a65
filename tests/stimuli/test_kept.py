"""Mean images kept between runs."""

import numpy as np
import pytest

from neurosim.stimuli.fit import FitSpec, mean_frame
from neurosim.stimuli.images import open_source
from neurosim.stimuli.kept import cache_folder
from neurosim.stimuli.synthetic_faces import SyntheticFaces


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder()


def test_a_mean_of_drawn_faces_is_kept_and_found_again(cache, monkeypatch):
    faces = SyntheticFaces(people=3, images_per_person=2, size=16)
    first = mean_frame(faces, FitSpec(), 16, 16, 3)
    assert len(list(cache.glob("mean_*.npy"))) == 1
    monkeypatch.setattr(SyntheticFaces, "read", lambda self, index: pytest.fail("drawn again"))
    again = mean_frame(SyntheticFaces(people=3, images_per_person=2, size=16), FitSpec(), 16, 16, 3)
    np.testing.assert_array_equal(first, again)


def test_other_faces_and_other_fits_have_other_means(cache):
    faces = [SyntheticFaces(people=3, images_per_person=n, size=16) for n in (1, 2)]
    for source, nf in ((faces[0], 3), (faces[1], 3), (faces[1], 1)):
        mean_frame(source, FitSpec(), 16, 16, nf)
    mean_frame(faces[1], FitSpec(offsetX=2), 16, 16, 3)
    assert len(list(cache.glob("mean_*.npy"))) == 4


def test_a_damaged_file_is_made_anew(cache):
    faces = SyntheticFaces(people=3, images_per_person=2, size=16)
    first = mean_frame(faces, FitSpec(), 16, 16, 3)
    (file,) = cache.glob("mean_*.npy")
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(mean_frame(faces, FitSpec(), 16, 16, 3), first)


def test_pictures_of_the_user_are_averaged_each_time(cache, tmp_path):
    from PIL import Image

    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    source = open_source(str(tmp_path / "a.png"))
    assert mean_frame(source, FitSpec(), 8, 8, 3)[0, 0].tolist() == [1, 0, 0]
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "a.png")
    source = open_source(str(tmp_path / "a.png"))
    assert mean_frame(source, FitSpec(), 8, 8, 3)[0, 0].tolist() == [0, 0, 1]
    assert not cache.exists()
