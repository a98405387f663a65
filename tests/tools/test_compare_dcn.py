"""Conv nets train, resume and are differentiated; a comparison holds every model on every set."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import neurosim
from attack.images import ImageSet, read_images
from tests.analysis.networks import faces, params

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install '.[dcn]'")

# Keras and numpy 2 disagree about a keyword.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TARGET = "Joren Varga"
TOOLS = Path(__file__).resolve().parents[2] / "tools"


def tool(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A tool in a process of its own, as users start it."""
    return subprocess.run(
        [sys.executable, str(TOOLS / name), *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=300,
        env=os.environ | {"COLUMNS": "200", "TF_NUM_INTRAOP_THREADS": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders train and validation of 16 x 16 drawn faces."""
    folder = tmp_path_factory.mktemp("faces")
    faces(folder / "train", people=3, each=8)
    faces(folder / "validation", people=3, each=4, split="validation")
    return folder


def training(data: Path, out: Path, *more: object) -> list[object]:
    return [
        "train", "vgg16", "--train", data / "train", "--validation", data / "validation",
        "--target", TARGET, "--weights", "random", "--size", 32, "--batch", 8, "-o", out, *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def nets(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net after its head and one epoch of the whole."""
    out = tmp_path_factory.mktemp("nets")
    done = tool("compare_dcn", *training(data, out, "--epochs", 1, "--rate", 1e-4))
    assert done.returncode == 0, done.stderr
    assert "VGG16" in done.stdout
    assert "random weights" in done.stdout
    return out


@pytest.fixture(scope="module")
def images(data: Path) -> ImageSet:
    return read_images(data / "validation", TARGET)


def test_the_gradient_of_a_net_is_that_of_finite_differences(nets: Path, images: ImageSet) -> None:
    from compare_dcn.convnet import ConvNet

    net = ConvNet.open(nets / "vgg16")
    pixels = images.pixels[:5]
    gradient = net.gradient(pixels).astype(float)
    assert gradient.shape == pixels.shape
    for row in range(5):
        way = gradient[row] / np.linalg.norm(gradient[row])
        moved = np.stack([pixels[row] + h * way for h in (0.5, -0.5)]).astype(np.float32)
        ahead, behind = net.scores(moved)
        assert ahead - behind == pytest.approx(np.linalg.norm(gradient[row]), rel=0.15)


def test_a_batch_more_or_less_changes_no_score(nets: Path, images: ImageSet) -> None:
    from compare_dcn.convnet import ConvNet

    net, other = (ConvNet.open(nets / "vgg16", batch) for batch in (16, 5))
    assert net.scores(images.pixels) == pytest.approx(other.scores(images.pixels), abs=1e-4)
    assert net.scores(images.pixels[:0]).shape == (0,)


def test_training_goes_on_where_it_stopped(data: Path, nets: Path, tmp_path: Path) -> None:
    from compare_dcn.nets import NETS, find_weights
    from compare_dcn.record import STATE, read_json, write_json
    from compare_dcn.train import Settings, train_net

    train, validation = (read_images(data / part, TARGET) for part in ("train", "validation"))
    settings = Settings(epochs=1, batch=8, rate=1e-4, size=32, patience=2)
    weights = find_weights(NETS["vgg16"], "random")
    whole = read_json(nets / "vgg16" / "net.json")
    folder = tmp_path / "net"
    shutil.copytree(nets / "vgg16", folder)
    said: list[str] = []

    def go_on() -> dict[str, object]:
        said.clear()
        return train_net(
            "vgg16", weights, train, validation, settings, folder,
            lambda what, done, total: said.append(what),
        )  # fmt: skip

    assert go_on() == whole  # nothing is left to do
    assert not said
    # As after a kill in the first epoch: the head is not fitted again.
    state = read_json(folder / STATE)
    cut = {"epoch": 0, "done": False, "history": state["history"][:1], "best_epoch": 0}
    write_json(folder / STATE, state | cut)
    assert len(go_on()["history"]) == 2  # type: ignore[arg-type]
    assert set(said) == {"images", "validation"}


def test_hidden_layers_are_read_as_coded_sets(data: Path, nets: Path, images: ImageSet) -> None:
    from compare_dcn.convnet import ConvNet

    done = tool("compare_dcn", "represent", nets / "vgg16", "--images", data / "validation")
    assert done.returncode == 0, done.stderr
    wanted = ConvNet.open(nets / "vgg16").representation(images.pixels)
    with neurosim.open_run(nets / "vgg16" / "codes" / "validation-face") as run:
        assert run.finished
        found = run.layers["hidden"].activity[:]
        assert found.reshape(len(images), -1) == pytest.approx(wanted, abs=1e-5)
        shown = run.inputs["Image"]
        assert list(shown.source) == list(images.names)
        assert [shown.label[f] for f in shown.frame.ravel()] == [
            name.partition("/")[0] for name in images.names
        ]
        assert "hidden" in run.summary()


@pytest.fixture(scope="module")
def comparison(data: Path, nets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net, the sparse code and its pixels, attacked at one budget, with the report."""
    folder = tmp_path_factory.mktemp("comparison")
    text = params(data / "train", displays=12).replace("VThresh", 'feedback = "activity"; VThresh')
    neurosim.run(neurosim.loads(text), folder / "dsc", threads=1).close()
    neurosim.analyze(folder / "dsc", data / "validation", target=TARGET, baselines=True, threads=1)
    done = tool(
        "compare_dcn", "compare", nets / "vgg16", folder / "dsc", f"{folder}/dsc:pixels",
        "--images", data / "validation", "--target", TARGET, "--source", "vgg16",
        "--epsilon", 8, "--iterations", 3, "-o", folder / "found",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = tool("compare_dcn", "report", folder / "found", "--results", folder / "results")
    assert done.returncode == 0, done.stderr
    return folder / "found"


def test_every_model_is_scored_on_every_set(comparison: Path) -> None:
    from compare_dcn.comparison import FIGURE_5, Comparison

    found = Comparison.open(comparison)
    models = ["vgg16", "dsc", "dsc-pixels"]
    assert list(found.results["models"]) == models
    own = {f"{model}-iterated-8" for model in models}
    assert set(found.sets) == own | set(FIGURE_5)
    for name in found.sets:
        for model in models:
            assert 0 <= found.accuracy(name, model)[1] <= 1
        assert np.abs(found.images(name).pixels - np.rint(found.images(name).pixels)).max() == 0
    for model in models:
        assert (
            found.accuracy(f"{model}-iterated-8", model)[0] <= found.accuracy("original", model)[0]
        )
    before, after = (found.images(name).pixels for name in ("original", "adversarial"))
    assert 0 < np.abs(after - before).max() <= 12


def test_an_altered_set_is_shown_to_a_network(comparison: Path, tmp_path: Path) -> None:
    path = comparison / "sets" / "adversarial"
    shown = neurosim.load(
        "params/lca_patch.params", {"Face.inputPath": str(path), "column.stopTime": 2}
    )
    with neurosim.run(shown, tmp_path / "run") as run:
        assert run.finished


def test_the_report_says_what_the_results_hold(comparison: Path) -> None:
    from compare_dcn.comparison import Comparison

    found = Comparison.open(comparison)
    with (comparison / "report" / "accuracies.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    for model, row in rows.items():
        for name in ("original", "adversarial", "noise", "low-pass-noise"):
            assert float(row[name]) == pytest.approx(found.accuracy(name, model)[1], abs=1e-3)
    results = (comparison.parent / "results" / "results.md").read_text("utf-8")
    for model, row in rows.items():
        assert " | ".join([model, row["what"], row["original"], row["adversarial"]]) in results
    assert not (comparison.parent / "results" / "samples.png").exists()
    with (comparison / "report" / "training.csv").open() as file:
        trained = {row["net"]: row for row in csv.DictReader(file)}
    record = Comparison.open(comparison).results["training"]["vgg16"]
    assert trained["vgg16"]["balanced"] == f"{record['balanced_accuracy']:.3f}"
    assert float(trained["vgg16"]["peak memory, GB"]) > 0.1
    page = (comparison / "report" / "index.html").read_text("utf-8")
    assert page.count("data:image/png") == len(list((comparison / "report").glob("*.png"))) == 5
    assert "random weights" in page
    for path in (comparison / "report").glob("*.png"):
        assert np.ptp(np.asarray(Image.open(path).convert("L"))) > 100


def test_what_is_wrong_is_told_in_one_line(data: Path, nets: Path, tmp_path: Path) -> None:
    from compare_dcn.comparison import Comparison
    from compare_dcn.convnet import ConvNet
    from compare_dcn.nets import NETS, find_weights

    for attempt, words in (
        (lambda: find_weights(NETS["vgg16"], str(tmp_path)), "holds no weights of VGG16; looked"),
        (lambda: find_weights(NETS["vgg16"], "nowhere"), "--weights nowhere: no such folder"),
        (lambda: ConvNet.open(tmp_path), "holds no trained net"),
        (lambda: Comparison.open(tmp_path), "holds no comparison"),
    ):
        with pytest.raises(neurosim.RequestError, match=words):
            attempt()
    done = tool("compare_dcn", *(["train", "vgg99", *training(data, tmp_path)[2:]]))
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = [text for text in done.stderr.splitlines() if "Error" in text]
    assert line.startswith("Error: no net vgg99; there are resnet50")


def test_weights_of_a_middle_layer_are_found_by_their_name(tmp_path: Path) -> None:
    from compare_dcn.nets import NETS, find_weights

    for name in ("resnet50_upto_conv4_block6_out.h5", "inceptionv3_upto_mixed5.weights.h5"):
        (tmp_path / name).touch()
    assert find_weights(NETS["resnet50"], str(tmp_path)).layer == "conv4_block6_out"
    assert find_weights(NETS["inceptionv3"], str(tmp_path)).layer == "mixed5"
    (tmp_path / NETS["resnet50"].file).touch()
    assert find_weights(NETS["resnet50"], str(tmp_path)).what == "ImageNet"
