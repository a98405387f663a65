"""The drawn faces: repeatable, many, different, and not too easy."""

from __future__ import annotations

import numpy as np
import pytest

from neurosim.errors import RequestError, StimulusError
from neurosim.stimuli.faces_people import name_limit, person_name
from neurosim.stimuli.images import open_source
from neurosim.stimuli.synthetic_faces import SyntheticFaces, draw_picture


def pixels(source: SyntheticFaces) -> np.ndarray:
    flat = np.stack([source.read(index).ravel() for index in range(len(source))])
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / flat.std(axis=1, keepdims=True)


def test_a_picture_depends_on_seed_and_number_only() -> None:
    few, many = SyntheticFaces(images_per_person=2), SyntheticFaces(images_per_person=5)
    for index in (70, 3, 0):
        np.testing.assert_array_equal(few.read(index), many.read(index))
    assert (few.read(0) != SyntheticFaces(seed=1).read(0)).mean() > 0.5
    first = few.read(0)
    assert first.shape == (64, 64, 3) and first.dtype == np.float32
    assert first.min() >= 0 and first.max() <= 1


def test_people_and_labels() -> None:
    source = SyntheticFaces()
    assert len(source.people) >= 40 and len(source) >= 40 * 30
    assert len(set(source.people)) == len(source.people)
    assert source.target == source.people[0] == source.labels[0]
    assert source.labels[: len(source.people)] == source.people
    assert source.labels.count(source.target) == len(source) // len(source.people)
    assert len(set(source.names)) == len(source)
    assert len({person_name(index) for index in range(name_limit())}) == name_limit()


def test_splits_share_people_but_no_picture() -> None:
    train = open_source("synthetic-faces")
    validation = open_source("synthetic-faces:validation")
    assert open_source("synthetic-faces:train", people=5).classes == sorted(train.labels[:5])
    assert validation.labels[:48] == train.labels[:48]
    assert not set(train.names) & set(validation.names)
    seen = {train.read(index).tobytes() for index in range(96)}
    assert len(seen) == 96
    assert not seen & {validation.read(index).tobytes() for index in range(96)}


def test_pictures_are_smooth_and_varied() -> None:
    stack = np.stack([draw_picture(person, 0).astype(float) for person in range(24)])
    assert stack.std(axis=0).mean() > 30  # of 255, between people
    same = np.stack([draw_picture(0, picture).astype(float) for picture in range(24)])
    assert same.std(axis=0).mean() > 30  # and between pictures of one
    assert all(len(np.unique(picture)) > 100 for picture in same)  # shaded, not flat
    assert draw_picture(0, 0, size=32).shape == (32, 32, 3)


def test_linear_readout_of_pixels_is_above_chance_and_below_095() -> None:
    from sklearn.decomposition import PCA
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.svm import LinearSVC

    train = SyntheticFaces(people=24, images_per_person=16)
    test = SyntheticFaces(people=24, images_per_person=10, split="validation")
    images = pixels(train)
    pca = PCA(64, svd_solver="randomized", random_state=0).fit(images)
    x, z = pca.transform(images), pca.transform(pixels(test))
    y, w = np.array(train.labels), np.array(test.labels)
    scores = []
    for person in train.people[::3]:
        svm = LinearSVC(C=3e-4, class_weight="balanced", random_state=0).fit(x, y == person)
        scores.append(balanced_accuracy_score(w == person, svm.predict(z)))
    assert scores[0] < 0.95
    assert 0.65 < np.mean(scores) < 0.92


def test_wrong_requests() -> None:
    with pytest.raises(StimulusError, match=r'"synthetic-faces:train" or "synthetic-faces:valid'):
        open_source("synthetic-faces:test")
    for options in ({"people": 1}, {"people": 10**6}, {"images_per_person": 0}, {"seed": -1}):
        with pytest.raises(RequestError):
            SyntheticFaces(**options)
