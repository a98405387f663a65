from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import neurosim
from neurosim.checkpointing import warm_start
from neurosim.coding.codes import Codes, open_codes
from neurosim.coding.encode import InterruptedCoding, coding_experiment, open_images, seen
from neurosim.coding.network import Settings, coding_model
from neurosim.coding.trained import open_trained
from neurosim.errors import RequestError, RunFileError
from neurosim.network import levels, top_level
from neurosim.stimuli.fit import FitSpec, Jitter, jitter_at
from tests.analysis.networks import face_only, faces, params
from tests.tolerances import FLOAT32_REORDERED


def bits(codes: Codes, layer: str = "P1") -> np.ndarray:
    """Codes of a layer; the file is closed."""
    with codes:
        return codes.dense(layer)


def test_every_image_is_coded_once_in_the_order_of_the_set(trained: Path, images: Path) -> None:
    # 36 images fill four batches of eight and half a fifth one.
    with neurosim.encode(trained, images) as codes:
        assert len(codes) == 36
        assert codes.names == sorted(codes.names)
        assert codes.labels == [name.partition("/")[0] for name in codes.names]
        assert codes.activity("P1").shape == (36, 32)
        assert codes.layers == ["P1"]
        assert codes.energy is not None
        assert codes.energy.shape == (36,)
        assert np.any(codes.dense("P1"))


def test_a_code_depends_on_its_image_alone(trained: Path, images: Path, tmp_path: Path) -> None:
    before = bits(neurosim.encode(trained, images, layers=["V1", "P1"]))
    one = tmp_path / "one"
    source = sorted(images.rglob("*.png"))[29]
    (one / source.parent.name).mkdir(parents=True)
    shutil.copy(source, one / source.parent.name)
    assert np.array_equal(bits(neurosim.encode(trained, one))[0], before[29])


def test_the_energy_is_that_of_the_code(trained: Path, images: Path) -> None:
    """Half the squared errors, and the threshold times the activity, of each level."""
    layers = ["V1", "P1", "V1Error", "FaceError"]
    with neurosim.encode(trained, images, layers=layers) as codes:
        energy = codes.energy
        for name, threshold in (("V1", 0.1), ("P1", 0.05)):
            energy = energy - threshold * codes.dense(name).sum(axis=1)
        for name in ("V1Error", "FaceError"):
            energy = energy - 0.5 * (codes.dense(name).astype(float) ** 2).sum(axis=1)
        assert codes.energy is not None
        assert np.abs(energy).max() < FLOAT32_REORDERED * codes.energy.max() * 36


def test_what_is_not_shown_is_missing(trained: Path, images: Path, tmp_path: Path) -> None:
    """The code of a face alone is that of a network declared without names."""
    alone = neurosim.loads(face_only(params(images)))
    assert sorted(levels(alone.network)) == ["P1", "V1"]
    out = tmp_path / "alone"
    neurosim.run(alone.override({"column.stopTime": 20}), out).close()
    theirs, mine = (open_trained(run).checkpoint.path for run in (trained, out))
    mine.unlink()
    shutil.copy(theirs, mine)
    assert np.array_equal(
        bits(neurosim.encode(out, images)), bits(neurosim.encode(trained, images))
    )


def test_a_name_is_coded_once_for_each_class(trained: Path, images: Path) -> None:
    with neurosim.encode(trained, images, shown="name") as codes:
        assert len(codes) == 3
        assert codes.labels == sorted(path.name for path in images.iterdir())
        assert np.any(codes.dense("P1"), axis=1).all()
        assert "V1" not in codes.run.params


def test_both_differ_from_each_alone(trained: Path, images: Path) -> None:
    both = bits(neurosim.encode(trained, images, shown="both"))
    assert not np.array_equal(both, bits(neurosim.encode(trained, images)))


def test_the_mean_image_is_that_of_the_training(
    trained: Path, images: Path, tmp_path: Path
) -> None:
    person = tmp_path / "one" / "someone"
    shutil.copytree(next(p for p in images.iterdir()), person)
    net = open_trained(trained)
    experiment = coding_experiment(net, open_images(tmp_path / "one"), Settings())
    shown = seen(experiment, 12, "Face")
    raw = np.stack([np.asarray(Image.open(p), np.float64) / 255 for p in sorted(person.iterdir())])
    everyone = [np.asarray(Image.open(p), np.float64) / 255 for p in images.rglob("*.png")]
    left = raw - np.mean(everyone, axis=0)
    left -= left.mean(axis=(1, 2, 3), keepdims=True)
    left /= left.std(axis=(1, 2, 3), keepdims=True)
    assert np.allclose(shown, left, atol=FLOAT32_REORDERED)


def test_mirrored_images_are_seen_from_right_to_left(trained: Path, images: Path) -> None:
    net, opened = open_trained(trained), open_images(images)
    plain, mirrored = (
        seen(coding_experiment(net, opened, Settings(mirrored=m)), 36, "Face")
        for m in (False, True)
    )
    # The mean image is not mirrored: what is left of a pixel differs by that of its mirror image.
    assert not np.array_equal(plain, mirrored)
    experiment = coding_experiment(net, opened, Settings(mirrored=True))
    feed = experiment.feeds({"Face": np.zeros((16, 16, 3), np.float32)})["Face"]
    other = coding_experiment(net, opened, Settings()).feeds(
        {"Face": np.zeros((16, 16, 3), np.float32)}
    )["Face"]
    for display in (0, 3):
        assert np.allclose(
            feed.frames(display), other.frames(display)[:, :, ::-1], atol=FLOAT32_REORDERED
        )


def test_plain_images_are_seen_without_whitening(images: Path, tmp_path: Path) -> None:
    """As features that are compared with codes; the network itself sees them whitened."""
    text = params(images, displays=2).replace("autoResize", "whiteningExponent = 1; autoResize")
    neurosim.run(neurosim.loads(text), tmp_path / "run").close()
    run, opened = open_trained(tmp_path / "run"), open_images(images)
    shown, plain = (
        seen(coding_experiment(run, opened, Settings(), plain=p), 36, "Face") for p in (False, True)
    )
    raw = np.stack([opened.source.read(index) for index in range(36)]).astype(float)
    whitened = FitSpec(whiteningExponent=1).whitened(raw)
    for found, pictures in ((shown, whitened - whitened.mean(axis=0)), (plain, raw)):
        apart = pictures - pictures.mean(axis=(1, 2, 3), keepdims=True)
        expected = apart / apart.std(axis=(1, 2, 3), keepdims=True)
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("mirrored", [False, True])
def test_images_that_jitter_while_learning_are_still_when_coded(mirrored: bool) -> None:
    jitter = (
        "jitterChangeInterval = 1; maxShiftX = 3; maxShiftY = 3; maxZoom = 1.5; "
        "xFlipEnabled = true; yFlipEnabled = true;"
    )
    text = params("synthetic-faces:validation").replace("nf = 3;", f"nf = 3; {jitter}")
    settings = Settings(mirrored=mirrored)
    model = coding_model(neurosim.loads(text).network, settings, ("P1",), "", "synthetic-faces")
    image: Any = model.layers["Face"]
    fit = FitSpec(**{name: getattr(image, name) for name in FitSpec.__dataclass_fields__})
    shown = {jitter_at(fit, 3, display, element) for display in range(20) for element in range(3)}
    assert shown == {Jitter(flip_x=mirrored)}


@pytest.mark.parametrize("shown", ["face", "both"])
def test_the_solver_and_early_ends_reach_a_code_of_less_energy(
    trained: Path, images: Path, shown: str
) -> None:
    with neurosim.encode(trained, images, shown=shown) as codes:
        plain = codes.energy
    settings = Settings(solver=True, tolerance=1e-4, steps=100)
    with neurosim.encode(trained, images, shown=shown, settings=settings) as codes:
        assert codes.run.layers["P1"].shape[0] == 5
        assert plain is not None
        assert codes.energy is not None
        assert codes.energy.mean() < plain.mean() * 1.01


def test_what_is_coded_already_is_not_coded_again(
    trained: Path, images: Path, tmp_path: Path
) -> None:
    own = tmp_path / "images"
    shutil.copytree(images, own)

    def made(**options: Any) -> str:
        with neurosim.encode(trained, own, name="kept", **options) as codes:
            return str(codes.run.attrs["run_id"])

    first = made(layers=["V1", "P1"])
    assert made() == first
    assert made(layers=["V1"]) == first
    assert made(settings=Settings(steps=25)) != first
    second = made()
    assert second != first
    changed = next(own.rglob("*.png"))
    Image.fromarray(255 - np.asarray(Image.open(changed))).save(changed)
    third = made()
    assert third != second
    with neurosim.encode(trained, own, name="kept", layers=["V1"]) as codes:
        assert codes.layers == ["V1", "P1"]  # what was there is kept


def test_an_interrupted_coding_goes_on(trained: Path, tmp_path: Path) -> None:
    own = tmp_path / "run"
    shutil.copytree(trained, own, ignore=shutil.ignore_patterns("codes"))
    many = faces(tmp_path / "many", each=60)
    whole = bits(neurosim.encode(own, many, layers=["V1", "P1"]), "V1")
    shutil.rmtree(own / "codes")

    asked: list[tuple[str, int]] = []

    def stop(name: str, progress: Any) -> None:
        if not asked:
            asked.append((name, progress.step))
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedCoding, match="SIGINT"):
        neurosim.encode(own, many, layers=["V1", "P1"], report=stop)
    with pytest.raises(RunFileError, match="not coded to its end"):
        open_codes(own, "many")
    steps = []
    codes = neurosim.encode(
        own, many, layers=["V1", "P1"], report=lambda n, p: steps.append(p.step)
    )
    assert np.array_equal(bits(codes, "V1"), whole)
    assert not list((own / "codes" / "many-face" / "checkpoints").glob("*.h5"))


def test_an_untrained_level_is_drawn_as_before_training(trained: Path, images: Path) -> None:
    """And stands over levels as they were learned."""
    net = open_trained(trained)
    opened = open_images(images)
    experiment = coding_experiment(net, opened, Settings(untrained="P1"))
    drawn = neurosim.Simulation(experiment).weights("P1ToV1Error")
    assert (
        abs(np.mean(drawn == 0) - net.network.connections["P1ToV1Error"].spec.sparseFraction) < 0.02
    )
    np.testing.assert_allclose(np.sum(drawn[0] ** 2, axis=(1, 2, 3)), 1, rtol=1e-5)
    taken = warm_start(experiment)
    assert taken is not None
    assert "P1ToV1Error:W" not in taken.buffers
    learned = net.checkpoint.weights("V1ToFaceError")
    assert np.array_equal(taken.buffers["V1ToFaceError:W"][0], learned)
    trained_code = bits(neurosim.encode(trained, images))
    settings = Settings(untrained="P1")
    random = bits(neurosim.encode(trained, images, name="random", settings=settings))
    assert not np.array_equal(trained_code, random)


def test_wrong_requests_are_told(trained: Path, images: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="must be one of face, name, both"):
        neurosim.encode(trained, images, shown="faces")
    with pytest.raises(RequestError, match='no layer "V1"; it has T1, P1'):
        neurosim.encode(trained, images, shown="name", layers=["V1"])
    flat = tmp_path / "flat"
    flat.mkdir()
    shutil.copy(next(images.rglob("*.png")), flat)
    with pytest.raises(RequestError, match="carry no names"):
        neurosim.encode(trained, flat, shown="both")
    with pytest.raises(RequestError, match="plain name"):
        neurosim.encode(trained, images, name="a/b")
    with pytest.raises(RunFileError, match="no run is here"):
        neurosim.encode(tmp_path, images)
    with pytest.raises(RunFileError, match="no such coded set; there are"):
        open_codes(trained, "nothing")
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(trained / "run.h5", bare)
    with pytest.raises(RunFileError, match="has no checkpoint"):
        neurosim.encode(bare, images)


def test_the_top_level_is_found_from_the_graph(trained: Path) -> None:
    network = open_trained(trained).network
    assert top_level(network) == "P1"
    assert {n: [c.child for c in cs] for n, cs in levels(network).items()} == {
        "V1": ["Face"],
        "T1": ["Name"],
        "P1": ["V1", "T1"],
    }
    with pytest.raises(RequestError, match='no level "P2"; there are "V1", "T1", "P1"'):
        top_level(network, "P2")
