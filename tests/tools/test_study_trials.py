"""Trials of P1 alone: the code, the learning, what is measured, and the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import neurosim
import study_trials
from study_trials import Trial
from tests.analysis.networks import faces, noisy, params
from trial_looks import LOOKS, Shown

SMALL = Trial(elements=8, displays=400, threshold=0.05, inhibition=0.0, time_constant=20.0)


@pytest.mark.parametrize("own", [0.0, 0.7])
def test_a_code_is_a_nonnegative_elastic_net(rng: np.random.Generator, own: float) -> None:
    atoms = study_trials._unit(rng.normal(size=(20, 30)))
    inputs = rng.normal(size=(5, 30))
    found = study_trials.code(inputs, atoms, Trial(threshold=0.3, inhibition=own), 2000)
    drive = (inputs - found @ atoms) @ atoms.T - own * found
    assert 0.1 < np.mean(found > 0) < 0.9
    np.testing.assert_allclose(drive[found > 0], 0.3, atol=1e-6)
    assert np.all(drive[found == 0] <= 0.3 + 1e-6)


def people(rng: np.random.Generator, images: int, share: float = 0.2) -> Shown:
    """Images of three parts each; those of the target have a part of their own."""
    parts = np.random.default_rng(3).random((7, 40)) ** 4
    target = rng.random(images) < share
    weights = np.array([rng.permutation([1.0, 1, 1, 0, 0, 0]) for _ in range(images)])
    weights = np.hstack([weights, target[:, None]]) * rng.uniform(0.8, 1.2, (images, 7))
    shown = (weights @ parts).astype(np.float32)
    return Shown(
        {look: shown + 0.01 * rng.random(shown.shape).astype(np.float32) for look in LOOKS}, target
    )


def test_one_element_learns_what_the_name_goes_with(rng: np.random.Generator) -> None:
    sets = {"train": people(rng, 400), "validation": people(rng, 300), "altered": people(rng, 300)}
    ready = study_trials.prepared(sets, SMALL)
    atoms = study_trials.learned(ready["train"], SMALL, seed=0)
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, rtol=1e-5)
    found = study_trials.measured(ready, atoms, SMALL)
    assert found["roc"] > 0.95
    assert found["neuron"] > 0.85
    again = study_trials.learned(ready["train"], SMALL, seed=0)
    assert np.array_equal(atoms, again)


def test_what_p1_is_shown_is_read_out_as_it_is(rng: np.random.Generator) -> None:
    shown = people(rng, 200)
    # The target moves half the way to the others, without less spread: half of d′ is taken.
    target = shown.target
    way = shown.map(lambda x: (x[target].mean(0) - x[~target].mean(0)) * target[:, None])
    halved = Shown({look: shown.looks[look] - 0.5 * way.looks[look] for look in LOOKS}, target)
    sets = {"train": people(rng, 200), "validation": shown, "altered": halved}
    trial = Trial(coded=False)
    found = study_trials.measured(sets, np.zeros(0), trial)
    first = LOOKS[0]
    moved = np.abs(halved.looks[first] - shown.looks[first]).mean()
    assert found["distance"] == pytest.approx(moved / shown.looks[first].std(0).mean())
    assert found["active"] == np.mean(shown.looks[first] > 0)
    assert found["apart"] > 3
    assert found["taken"] == pytest.approx(0.5, abs=1e-4)
    same = study_trials.measured(sets | {"altered": shown}, np.zeros(0), trial)
    assert same["taken"] == same["drop"] == same["distance"] == 0


def test_what_was_kept_without_a_measure_is_told_without_it() -> None:
    row = {key: 0.5 for key in study_trials.MEASURES if key != "taken"}
    kept = {"unchanged": {"trial": {}, "found": {"run, seed 0": row}}}
    (line,) = (x for x in study_trials.table(kept, "").splitlines() if "unchanged" in x)
    cells = [cell.strip() for cell in line.split("|")][3:-1]
    assert [cell == "–" for cell in cells] == [key == "taken" for key in study_trials.MEASURES]
    assert set(cells) == {"0.500", "–"}


def test_units_are_standardised_by_train(rng: np.random.Generator) -> None:
    sets = {"train": people(rng, 50), "validation": people(rng, 40)}
    trial = Trial(centered=True, scaled=True)
    ready = study_trials.prepared(sets, trial)
    every = np.concatenate([ready["train"].looks[look] for look in LOOKS])
    np.testing.assert_allclose(every.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(every.std(0), every.std(0)[0], rtol=1e-4)
    # As long as the square root of what it pools.
    length = np.linalg.norm(np.sqrt(sets["train"].looks[LOOKS[0]]), axis=1).mean()
    assert np.linalg.norm(ready["train"].looks[LOOKS[0]], axis=1).mean() == pytest.approx(length)


@pytest.mark.parametrize(("offset", "power"), [(0.0, 0.5), (300.0, 1.0)])
def test_a_root_far_below_its_offset_is_a_line(
    rng: np.random.Generator, offset: float, power: float
) -> None:
    shown = {"train": people(rng, 50)}
    ready = study_trials.prepared(shown, Trial(offset=offset))["train"].looks[LOOKS[0]]
    ratio = ready / shown["train"].looks[LOOKS[0]] ** power
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=0.02)


def test_what_the_first_trial_is_already_is_not_done_again() -> None:
    names = study_trials.changing(Trial(elements=96, offset=0.05))
    assert {"unchanged", "square root", "256 elements"} <= set(names)
    assert not {"softened root", "96 elements"} & set(names)


def test_every_image_is_shown_before_any_comes_again() -> None:
    drawn = list(study_trials._batches(np.random.default_rng(0), 48, 6))
    counts = np.bincount(np.concatenate(drawn), minlength=48)
    assert np.all(counts == 4)


def test_the_page_has_each_trial_and_nothing_is_done_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = faces(tmp_path / "train")
    validation = faces(tmp_path / "validation", each=8, split="validation")
    noisy(validation, tmp_path / "altered")
    neurosim.run(neurosim.loads(params(train)), tmp_path / "run").close()
    small = {"displays": 400, "time_constant": 20.0}
    monkeypatch.setattr(study_trials, "TRIALS", {"small": small, "other": {"displays": 2}})
    target = sorted(p.name for p in train.iterdir())[0]
    arguments = [
        str(tmp_path / "run"), "--train", str(train), "--validation", str(validation), "--altered",
        str(tmp_path / "altered"), "--target", target, "-o", str(tmp_path), "--seeds", "2",
        "--threshold", "0.05", "--inhibition", "0", "--elements", "8",
    ]  # fmt: skip
    assert study_trials.main([*arguments, "--trial", "small"]) == 0
    assert capsys.readouterr().out.count("small: run, seed") == 2
    assert study_trials.main(arguments) == 0
    assert "small" not in capsys.readouterr().out
    kept = json.loads((tmp_path / "trials.json").read_text())
    mean = np.mean([row["neuron"] for row in kept["small"]["found"].values()])
    page = (tmp_path / "trials.md").read_text()
    (row,) = (line for line in page.splitlines() if line.startswith("| small |"))
    assert f" {mean:.3f} ±" in row
    assert "| other |" in page
    assert "--threshold 0.05 --inhibition 0 --elements 8" in page
    assert {trial["trial"]["threshold"] for trial in kept.values()} == {0.05}
    assert str(tmp_path) not in page

    # What was kept stays where something is wrong, and one line says what.
    before = (tmp_path / "trials.json").read_bytes()
    for given, said in (
        (["--target", "Nobody", "--seeds", "3"], "0 of 36 images show"),
        (["--altered", str(train), "--seeds", "3"], "its images are not those of"),
        (["--train", str(tmp_path / "none"), "--seeds", "3"], "none"),
        (["--offset", "-1"], "--offset -1; it must be 0 or more"),
        (["--threshold", "nan"], "--threshold nan; it must be 0 or more"),
        (["--elements", "0"], "--elements 0; it must be 1 or more"),
        (["--threshold", "1000"], "P1 is silent at a threshold of 1000: give a lower --threshold"),
    ):
        assert study_trials.main([*arguments, *given]) == 2
        told = capsys.readouterr().err
        assert said in told
        assert "Traceback" not in told
    assert (tmp_path / "trials.json").read_bytes() == before
    for text in ("{", "[]", '{"small": {"found": {}}}', '{"small": 3}'):
        (tmp_path / "trials.json").write_text(text)
        assert study_trials.main(arguments) == 2
        assert "is damaged" in capsys.readouterr().err
