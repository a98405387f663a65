"""A small network from training to its analysis, and what the command says."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

import neurosim
from neurosim.analysis.decode import Decoder
from neurosim.analysis.parts import HELD_OUT
from neurosim.analysis.results import Analysis
from neurosim.analysis.summary import main_figures, spread
from neurosim.coding.codes import open_codes
from neurosim.errors import RequestError
from tests.analysis.networks import Call, face_only, faces, params, pooled

TARGET = "Joren Varga"


@pytest.fixture(scope="module")
def run(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = tmp_path_factory.mktemp("analysed") / "run"
    shutil.copytree(trained, own, ignore=shutil.ignore_patterns("codes"))
    return own


@pytest.fixture(scope="module")
def found(run: Path, sets: Path) -> Analysis:
    return neurosim.analyze(
        run,
        sets / "validation",
        altered=[sets / "noisy"],
        target=TARGET,
        baselines=True,
        zooms=[1.25],
        threads=1,
    )


def test_the_file_holds_what_was_returned(run: Path, found: Analysis) -> None:
    kept = neurosim.open_analysis(run)
    assert list(kept.sets) == ["train", "validation", "noisy"]
    assert kept.altered == ["noisy"]
    assert (kept.layer, kept.image_input, kept.name_input) == ("P1", "Face", "Name")
    assert (kept.target, kept.neuron, kept.held_out) == (TARGET, found.neuron, 0)
    assert main_figures(kept) == main_figures(found)
    assert kept.sets["validation"].target.sum() == 8


def test_the_neuron_is_chosen_on_train_and_reported_on_validation(
    run: Path, found: Analysis
) -> None:
    row = found.target_index
    assert found.neuron == found.selectivity["train-face"].d_prime[row].argmax()
    with open_codes(run, "validation") as codes:
        activity = codes.dense("P1")[:, found.neuron]
        target = np.array([label == TARGET for label in codes.labels or []])
    assert np.array_equal(activity, found.activity["validation-face"])
    assert np.array_equal(target, found.sets["validation"].target)
    assert found.of_neuron("validation-face", "auc") == pytest.approx(
        roc_auc_score(target, activity), abs=1e-6
    )
    threshold = found.of_neuron("train-face", "threshold")
    said = balanced_accuracy_score(target, activity >= threshold)
    assert found.of_neuron("validation-face", "balanced") == pytest.approx(said, abs=1e-6)


def test_readouts_are_what_their_weights_say(run: Path, found: Analysis) -> None:
    top = found.readouts["top-face"]
    for name in ("validation", "noisy"):
        with open_codes(run, name) as codes:
            x = codes.dense("P1").astype(np.float64)
        decision = ((x - top.center) / top.scale) @ top.weights + top.bias
        score = top.scores[name]
        assert np.allclose(decision, score.decision, atol=1e-4)
        target = found.sets[name].target
        assert score.balanced_tuned == balanced_accuracy_score(
            target, score.decision >= np.float32(top.threshold)
        )
    baselines = {"pixels", "pca-128", "pca-512", "pooled", "random"}
    several = ("top", "pca-128", "pca-512", "pooled")
    looks = {f"{name}-{kind}" for name in several for kind in ("augmented", "looks")}
    assert set(found.readouts) == {"top-face", *looks, *baselines}
    assert {found.readouts[name].features[-7:] for name in looks} == {"4 looks"}
    assert len(found.readouts["pca-128-looks"].weights) == len(found.readouts["pixels"].weights)
    assert all(set(r.scores) == {"validation", "noisy"} for r in found.readouts.values())


def test_several_looks_decide_by_their_mean(run: Path, found: Analysis) -> None:
    looks = found.readouts["top-looks"]
    assert looks.features == "P1, 4 looks"
    codes = []
    for suffix in ("", "_mirrored", "_zoom1.25", "_zoom1.25_mirrored"):
        with open_codes(run, f"noisy{suffix}") as one:
            codes.append(one.dense("P1").astype(np.float64))
    assert all(np.abs(one - codes[0]).max() > 0.01 for one in codes[1:])
    decision = ((np.mean(codes, axis=0) - looks.center) / looks.scale) @ looks.weights + looks.bias
    assert np.allclose(decision, looks.scores["noisy"].decision, atol=1e-4)
    activity = np.mean(codes, axis=0)[:, found.neuron]
    said = activity >= found.of_neuron("train-looks", "threshold")
    share = balanced_accuracy_score(found.sets["noisy"].target, said)
    assert found.of_neuron("noisy-looks", "balanced") == pytest.approx(share, abs=1e-6)


def test_what_was_learned_from_several_looks_decides_on_one(run: Path, found: Analysis) -> None:
    one, mean = found.readouts["top-augmented"], found.readouts["top-looks"]
    assert one.features == "P1, learned from 4 looks"
    with open_codes(run, "noisy") as codes:
        x = codes.dense("P1").astype(np.float64)
    decision = ((x - one.center) / one.scale) @ one.weights + one.bias
    assert np.allclose(decision, one.scores["noisy"].decision, atol=1e-4)
    assert np.array_equal(one.center, mean.center)
    assert not np.array_equal(one.center, found.readouts["top-face"].center)


def test_zooms_that_show_nothing_are_refused(run: Path, sets: Path, call: Call) -> None:
    before = (run / "analysis.h5").read_bytes()
    with pytest.raises(RequestError, match=r"zoom = 3; it must be 0.5 to 2"):
        neurosim.analyze(run, validation=sets / "validation", zooms=[3.0], threads=1)
    status, _, said = call(run, "--zoom", "3")
    assert status == 2 and "'--zoom'" in said and "less than or equal to 2" in said
    assert (run / "analysis.h5").read_bytes() == before


def test_what_is_learned_is_found(found: Analysis) -> None:
    """Far from chance, on pictures that were not trained on: the study's chain is whole."""
    assert found.readouts["top-face"].scores["validation"].auc > 0.7
    assert found.completion is not None
    assert found.completion.balanced > 0.5  # of three names
    assert found.completion.accuracy == pytest.approx(found.completion.balanced)
    assert found.completion.correlation_face.min() > 0
    # A name is read off faces of its own person more than off those of others.
    assert found.completion.evidence_auc > 0.8
    assert found.completion.evidence_balanced > 0.7


def test_small_noise_moves_the_codes_little(found: Analysis) -> None:
    assert [(d.layer, d.altered) for d in found.distances] == [("P1", "noisy"), ("V1", "noisy")]
    for one in found.distances:
        assert 0 < one.distance < 0.3
        assert one.images.mean() == pytest.approx(one.distance, rel=1e-5)


def test_a_face_alone_is_completed_as_decoding_says(run: Path, found: Analysis) -> None:
    done = found.completion
    assert done is not None
    with open_codes(run, "validation") as codes:
        names = Decoder(run).decode(codes.dense("P1"), "P1", "Name").reshape(24, -1)
        labels = codes.labels or []
    true = {c: done.true_names[list(done.shown_classes).index(i)].ravel()
            for i, c in enumerate(done.names)}  # fmt: skip
    alike = [
        np.corrcoef(name, true[label])[0, 1] for name, label in zip(names, labels, strict=True)
    ]
    assert np.allclose(done.correlation, alike, atol=1e-4)
    assert done.names[done.shown_classes[0]] == TARGET
    assert done.face_pictures.shape == done.mean_faces.shape == (3, 16, 16, 3)


def test_an_analysis_again_codes_nothing(
    run: Path, sets: Path, found: Analysis, call: Call
) -> None:
    before = {p: p.stat().st_mtime_ns for p in (run / "codes").rglob("run.h5")}
    assert len(before) == 17  # 3 sets, 3 of them without training, 3 other ways
    status, out, err = call(
        run, "--validation", sets / "validation", "--altered", sets / "noisy", "--target", TARGET,
        "--baselines", "--zoom", 1.25, "--threads", 1,
    )  # fmt: skip
    assert status == 0
    assert {p: p.stat().st_mtime_ns for p in (run / "codes").rglob("run.h5")} == before
    assert "coding" not in err
    line = r"P1 neuron (\d+) answers to Joren Varga: d' ([\d.-]+), threshold alone ([\d.]+)"
    told = re.search(line, out)
    assert told is not None
    assert int(told[1]) == found.neuron
    assert float(told[3]) == pytest.approx(found.of_neuron("validation-face", "balanced"), abs=0.01)
    for heading in ("Linear readout", "Robustness", "Faces and names", "PCA 512", "V1 pooled"):
        assert heading in out


def test_the_page_names_all_that_the_file_holds_and_no_more(run: Path, found: Analysis) -> None:
    names, attributes = set(), set()

    def look(path: str, item: h5py.Group | h5py.Dataset) -> None:
        place = re.sub(r"^/(sets|readouts/[^/]+/scores)/[^/]+", r"/\1/<set>", f"/{path}")
        place = re.sub(r"^/(selectivity|activity)/[^/]+", r"/\1/<codes>", place)
        place = re.sub(r"^/responses/[^/]+", "/responses/<shown>", place)
        place = re.sub(r"^/readouts/[^/]+", "/readouts/<readout>", place)
        place = re.sub(r"^/distances/[^/]+", "/distances/<number>", place)
        attributes.update((place, key) for key in item.attrs)
        if isinstance(item, h5py.Dataset):
            names.add(place)

    with h5py.File(run / "analysis.h5") as file:
        attributes.update(("/", key) for key in file.attrs)
        file.visititems(look)
    page = (Path(__file__).parents[2] / "docs" / "file_format.md").read_text("utf-8")
    text = page.partition("\n## codes and analysis.h5\n")[2].partition("\n## ")[0]
    told_names, told = set(), set()
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        quoted = [re.findall("`([^`]+)`", cell) for cell in cells]
        if not line.startswith("| `/"):
            continue
        first = quoted[0][0]
        if len(quoted[0]) == 1 and quoted[1]:
            told |= {(first, key) for key in quoted[1]}
        else:
            told_names |= {first, *(f"{first.rpartition('/')[0]}/{n}" for n in quoted[0][1:])}
    assert told_names == names
    assert told == attributes


def test_without_a_validation_set_some_of_train_is_held_out_and_that_is_said(
    run: Path, call: Call
) -> None:
    status, out, _ = call(run, "--threads", 1, "-q")
    assert status == 0
    assert "no validation set was given: 25 % of the training images were held out" in " ".join(
        out.split()
    )
    kept = neurosim.open_analysis(run)
    assert kept.held_out == HELD_OUT
    train, other = kept.sets["train"], kept.sets["validation"]
    assert len(train.names) == 27
    assert len(other.names) == 9
    assert not set(train.names) & set(other.names)


def test_a_network_without_names_has_no_other_modality(
    tmp_path: Path, images: Path, sets: Path
) -> None:
    out = tmp_path / "alone"
    experiment = neurosim.loads(face_only(params(images)), overrides={"column.stopTime": 100})
    neurosim.run(experiment, out).close()
    found = neurosim.analyze(out, sets / "validation", threads=1)
    assert (found.name_input, found.completion) == ("", None)
    assert list(found.responses) == ["face"]
    assert np.isnan(found.name_correlation).all()
    assert found.target in found.classes  # the one that a neuron answers to best


def test_a_face_behind_a_pool_is_guessed(
    tmp_path: Path, images: Path, sets: Path, call: Call
) -> None:
    out = tmp_path / "run"
    neurosim.run(neurosim.loads(pooled(params(images, displays=12))), out, threads=1).close()
    status, said, _ = call(out, "--validation", sets / "validation", "--threads", 1, "-q")
    assert status == 0
    assert "P1 cannot be decoded to Face: Pool between them pools" in " ".join(said.split())
    assert "name reconstructed from the face" in said
    assert "face guessed from the name" in " ".join(said.split())
    found = neurosim.open_analysis(out)
    done, guess = found.completion, found.estimate
    assert done is not None
    assert guess is not None
    assert (guess.layer, guess.to) == ("P1", "Face")
    assert -0.1 < guess.explained < 1
    assert f"explain {100 * guess.explained:.0f} % of the variance" in " ".join(said.split())
    assert np.isfinite(done.correlation).any()
    assert done.face_pictures.shape == done.mean_faces.shape == (3, 16, 16, 3)
    by_name = found.responses["name"][[found.classes.index(name) for name in done.names]]
    order = done.shown_classes
    np.testing.assert_allclose(done.face_pictures, guess.decode(by_name[order]), atol=1e-5)
    figures = main_figures(found)
    assert "name from face: balanced accuracy" in figures
    assert "face from name: correlation" in figures

    decoder = Decoder(out, threads=1)
    assert decoder.dead_ends("P1", "Face") == decoder.dead_ends("P1", "V1") == ["Pool"]
    assert decoder.dead_ends("P1", "Name") == decoder.dead_ends("V1", "Face") == []
    assert decoder.atoms("P1", "Pool").shape == (32, 2, 2, 24)
    with pytest.raises(RequestError, match=r'"P1" to "Face", for "Pool" only pools what is below'):
        decoder.atoms("P1", "Face")


def test_a_level_that_no_name_reaches_is_analysed_by_face(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    own = tmp_path / "run"
    shutil.copytree(trained, own, ignore=shutil.ignore_patterns("codes"))
    found = neurosim.analyze(own, sets / "validation", target=TARGET, layer="V1", threads=1)
    assert (found.layer, found.name_input, found.completion) == ("V1", "", None)
    assert list(found.responses) == ["face"]
    assert found.readouts["top-face"].scores["validation"].auc > 0.7
    assert neurosim.open_analysis(own).responses.keys() == found.responses.keys()


def test_another_run_can_be_the_random_network(run: Path, trained: Path, sets: Path) -> None:
    """Given the same weights, it reads out what the network itself does."""
    found = neurosim.analyze(run, sets / "validation", target=TARGET, random=trained, threads=1)
    assert list(found.readouts) == ["top-face", "random"]
    top, random = found.readouts.values()
    assert np.array_equal(top.weights, random.weights)
    assert main_figures(found)["P1 + SVM: accuracy, validation"] == (
        random.scores["validation"].accuracy_tuned
    )


def test_several_runs_give_mean_and_spread(
    run: Path, trained: Path, sets: Path, call: Call
) -> None:
    given = ("--validation", sets / "validation", "--target", TARGET, "--threads", 1, "-q")
    status, out, _ = call(run, trained, *given)
    assert status == 0
    assert out.count("P1 neuron") == 2
    assert "2 runs" in out
    assert "s.d." in out


def test_spread_is_mean_and_deviation_over_runs(found: Analysis) -> None:
    mean, deviation, runs = spread([found, found])["neuron: d'"]
    assert (mean, deviation, runs) == (found.of_neuron("validation-face", "d_prime"), 0, 2)
    assert np.isnan(spread([found])["neuron: d'"][1])
    endless = replace(found.selectivity["validation-face"], d_prime=np.full((3, 32), np.inf))
    other = replace(found, selectivity={**found.selectivity, "validation-face": endless})
    assert np.isnan(spread([found, other])["neuron: d'"][:2]).all()
    assert spread([found, other])["neuron: ROC area"][1] == 0


def test_wrong_requests_are_one_message(
    run: Path, sets: Path, tmp_path: Path, images: Path, call: Call
) -> None:
    given = ("--validation", sets / "validation")
    few = tmp_path / "few"
    shutil.copytree(sets / "noisy" / TARGET, few / TARGET)
    renamed = tmp_path / "renamed"
    for path in (sets / "noisy").rglob("*.png"):
        (renamed / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, renamed / path.parent.name / f"x{path.name}")
    for arguments, message in (
        ((run, *given, "--target", "Joren Vargo"), 'did you mean "Joren Varga"?'),
        ((run, "--validation", few, "--target", TARGET), f'only images of "{TARGET}"'),
        ((run, *given, "--altered", renamed), "24 of 24 images have no original"),
        ((run, *given, "--altered", sets / "validation"), 'there is a set "validation" already'),
        ((run, "--validation", sets / "nothing"), "nothing: no such file"),
        ((run, *given, "--layer", "P2"), 'no level "P2"'),
        ((tmp_path, *given), "no run is here"),
        ((run, trained_without_checkpoint(run, tmp_path)), "has no checkpoint"),
        ((run, run, "--random", run), "one run at a time"),
    ):
        status, _, err = call(*arguments, "-q")
        assert status == 2, err
        assert message in err
        assert "Traceback" not in err


def trained_without_checkpoint(run: Path, folder: Path) -> Path:
    bare = folder / "bare"
    bare.mkdir()
    shutil.copy(run / "run.h5", bare)
    return bare


def test_images_that_moved_away_are_asked_for(tmp_path: Path) -> None:
    images = faces(tmp_path / "images", people=2, each=4)
    out = tmp_path / "run"
    experiment = neurosim.loads(face_only(params(images)), overrides={"column.stopTime": 20})
    neurosim.run(experiment, out).close()
    images.rename(tmp_path / "moved")
    with pytest.raises(RequestError, match="give the training images with --train"):
        neurosim.analyze(out)
