"""Trials of the whole network: what is learned, what is measured, and the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import neurosim
import study_network
from study_network import STUDY, Trial
from tests.analysis.networks import faces, noisy, params, pooled


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    train = faces(tmp_path / "train")
    validation = faces(tmp_path / "validation", each=8, split="validation")
    noisy(validation, tmp_path / "altered")
    text = pooled(params(train)).replace("Pool", "VP1").replace("VP1ingConn", "PoolingConn")
    (tmp_path / "small.params").write_text(text)
    trials = {
        STUDY: Trial(),
        "a higher threshold first": Trial(first=3.0),
    }
    monkeypatch.setattr(study_network, "TRIALS", trials)
    target = sorted(p.name for p in train.iterdir())[0]
    return [
        str(tmp_path / "small.params"), "--train", str(train), "--validation", str(validation),
        "--altered", str(tmp_path / "altered"), "--target", target, "--displays", "3",
        "--seeds", "2", "--runs", str(tmp_path / "runs"), "-o", str(tmp_path / "page"),
        "--set", "V1.timeConstantTau=12",
    ]  # fmt: skip


def test_trials_are_learned_measured_and_told(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study_network.main(arguments) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    kept = json.loads((tmp_path / "page" / "network.json").read_text())
    assert list(kept[STUDY]["found"]) == ["seed 1", "seed 2"]
    for trial in kept.values():
        for row in trial["found"].values():
            assert set(row) == set(study_network.MEASURES)
            assert all(-0.5 <= value <= 1 for value in row.values()), row
    # What P1 leaves is what its reconstruction lacks of the layer that pools; the error has seen
    # the code of the step before.
    run, images = tmp_path / "runs" / "3_displays" / "unchanged_1", tmp_path / "validation"
    with neurosim.encode(run, images, name="again", layers=["VP1", "VP1Recon"]) as codes:
        coded, guess = codes.activity("VP1").toarray(), codes.activity("VP1Recon").toarray()
    left = np.sum((coded - guess) ** 2) / np.sum(coded**2)
    assert kept[STUDY]["found"]["seed 1"]["P1 left"] == pytest.approx(left, rel=0.02)

    # The first third, 4 of 12 displays of 8 pictures, has its own threshold; the rest goes on.
    start, rest = (run.parent / f"a_higher_threshold_first_1{p}" for p in ("_first", ""))
    for folder, steps, threshold in ((start, 80, 0.3), (rest, 160, 0.1)):
        with neurosim.open_run(folder) as done:
            network = neurosim.loads(done.params, tmp_path).network
        assert network.model.column.stopTime == steps
        assert network.layers["V1"].spec.VThresh == threshold
        assert network.layers["V1"].spec.timeConstantTau == 12
    assert network.model.column.initializeFromCheckpointDir == str(start.resolve())

    page = (tmp_path / "page" / "network.md").read_text()
    mean = np.mean([row["roc"] for row in kept[STUDY]["found"].values()])
    (row,) = (line for line in page.splitlines() if line.startswith(f"| {STUDY} | 2 |"))
    assert f" {mean:.3f} ±" in row
    assert str(tmp_path) not in page
    assert study_network.main(arguments) == 0
    assert not capsys.readouterr().out


def test_wrong_requests_are_told_in_one_line_before_anything_is_learned(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = [*arguments, "--seeds", "1", "--trial", STUDY]
    plain = tmp_path / "plain.params"
    plain.write_text(params(tmp_path / "train"))
    damaged = faces(tmp_path / "damaged", each=8, split="validation")
    next(damaged.glob("*/*")).write_bytes(b"no picture")
    for given, said in (
        (["--train", str(tmp_path / "none")], "none"),
        (["--learn", str(tmp_path / "none")], "none"),
        (["--altered", str(tmp_path / "train")], "its images are not those of"),
        (["--altered", str(damaged)], "damaged"),
        (["--target", "Nobody"], "0 of 36 images show"),
        (["--displays", "2"], "at least 3 displays"),
        (["--seeds", "0"], "1 seed"),
    ):
        assert study_network.main([*one, *given]) == 2
        told = capsys.readouterr().err
        assert said in told
        assert "Traceback" not in told
    assert study_network.main([str(plain), *one[1:]]) == 2
    assert "no layer VP1" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()
    assert not (tmp_path / "runs").exists()

    # Trials of another length do not stand on one page, and what was kept stays.
    assert study_network.main(one) == 0
    before = (tmp_path / "page" / "network.json").read_bytes()
    capsys.readouterr()
    assert study_network.main([*one, "--displays", "4"]) == 2
    assert "has trials of 3 displays" in capsys.readouterr().err
    assert (tmp_path / "page" / "network.json").read_bytes() == before

    # With another page they are runs of their own, of that length.
    assert study_network.main([*one, "--displays", "4", "-o", str(tmp_path / "longer")]) == 0
    with neurosim.open_run(tmp_path / "runs" / "4_displays" / "unchanged_1") as done:
        assert neurosim.loads(done.params, tmp_path).network.model.column.stopTime == 20 * 16
