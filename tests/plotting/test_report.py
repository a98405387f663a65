"""A report of a real run: complete, self-contained, replaced as a whole."""

from __future__ import annotations

import base64
import doctest
import io
import os
import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import neurosim
from neurosim import plotting
from neurosim.cli import main
from neurosim.errors import RunFileError
from neurosim.plotting import page as page_module
from neurosim.plotting.assemble import make_page
from neurosim.plotting.material import gather
from neurosim.plotting.network import boxes_of
from neurosim.plotting.of_analysis import averaged_units
from neurosim.plotting.page import Page, Plot, Table, write_page
from neurosim.plotting.pictures import Viewer
from neurosim.stimuli.fit import FitSpec
from tests.analysis.networks import faces, noisy, params, pooled
from tests.physics.test_held import TEXT as POOLED
from tests.plotting.conftest import TARGET

ROOT = Path(__file__).resolve().parents[2]
OF_RUN = {
    "network", "learning", "energy", "settling", "sparsity",
    "reconstructions_Face", "reconstructions_Name", "dictionary_V1_Face", "dictionary_T1_Name",
    "dictionary_P1_Face", "dictionary_P1_Name",
}  # fmt: skip
OF_ANALYSIS = {
    "scores", "svm_weights", "radial", "neuron", "average_faces", "face_and_name",
    "names_from_faces", "faces_from_names", "distances", "two_images", "altered",
}  # fmt: skip
VOID = {"meta", "img", "br"}


class Structure(HTMLParser):
    """Checks that tags are closed in order; keeps addresses, anchors and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.anchors: set[str] = set()
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for key, value in attrs:
            if key in ("src", "href"):
                self.addresses.append(value or "")
            if key == "id":
                assert value not in self.anchors
                self.anchors.add(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def plots(page: Page) -> dict[str, Plot]:
    return {p.name: p for s in page.sections for p in s.parts if isinstance(p, Plot)}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def made(run: Path) -> Page:
    material = gather(run)
    with material.run:
        return make_page(material)


@pytest.fixture(scope="module")
def page(analysed: Path) -> Page:
    return made(analysed)


@pytest.fixture(scope="module")
def written(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("written") / "report", page)


def test_an_analysed_run_has_every_figure(page: Page, written: Path) -> None:
    assert set(plots(page)) == OF_RUN | OF_ANALYSIS
    assert page.missing == []
    names = {f"{name}.{ending}" for name in plots(page) for ending in ("png", "svg")}
    assert set(os.listdir(written.parent)) == {"index.html", *names}
    for path in written.parent.glob("*.png"):
        with Image.open(path) as picture:
            picture.load()
    for path in written.parent.glob("*.svg"):
        assert ET.parse(path).getroot().tag.endswith("svg")


def test_the_page_needs_no_other_file(written: Path, page: Page) -> None:
    found = Structure(written.read_text(encoding="utf-8"))
    inside = [address for address in found.addresses if address.startswith("data:")]
    assert len(inside) == len(plots(page))
    assert {a[1:] for a in found.addresses if a.startswith("#")} <= found.anchors
    assert all(address.startswith(("#", "data:")) for address in found.addresses)
    assert "@import" not in written.read_text(encoding="utf-8")
    kinds = set()
    for address in inside:
        kind, _, data = address.partition(";base64,")
        kinds.add(kind)
        content = base64.b64decode(data, validate=True)
        if kind == "data:image/svg+xml":
            ET.fromstring(content)
        else:
            Image.open(io.BytesIO(content)).load()
    assert kinds == {"data:image/svg+xml", "data:image/webp"}


def test_the_page_says_what_made_it(written: Path, analysed: Path, page: Page) -> None:
    words = " ".join(Structure(written.read_text(encoding="utf-8")).words)
    assert f"neurosim report {analysed}" in words
    assert "seed 7" in words
    assert "36 images, 3 classes" in words
    with neurosim.open_run(analysed) as run:
        assert run.params in words
        assert str(run.attrs["params_sha256"]) in words
    for plot in plots(page).values():
        assert plot.title in words
        assert plot.caption in words
        assert re.search(r"\d|none|image|person", plot.caption)


def test_the_numbers_are_those_of_the_analysis(page: Page, analysed: Path) -> None:
    found = neurosim.open_analysis(analysed)
    score = found.readouts["top-face"].scores["validation"]
    (table,) = (p for s in page.sections for p in s.parts if isinstance(p, Table))
    assert table.head == ("reads", "validation", "noisy")
    assert table.rows[0][:2] == (
        "P1",
        f"{score.balanced_tuned:.3f} ({score.low_tuned:.3f}–{score.high_tuned:.3f})",
    )
    alone = found.of_neuron("validation-face", "balanced")
    assert table.rows[-1][:2] == (f"P1 neuron {found.neuron} alone", f"{alone:.3f}")
    assert f"d′ {found.of_neuron('validation-face', 'd_prime'):.2f}" in " ".join(page.lead)

    row = found.target_index
    drawn = plots(page)
    dots = drawn["neuron"].figure.axes
    target = found.sets["validation"].target
    activity = found.activity["validation-face"]
    np.testing.assert_array_equal(dots[0].lines[0].get_ydata(), activity[target])
    np.testing.assert_array_equal(dots[1].lines[0].get_ydata(), activity[~target])
    assert dots[0].lines[-1].get_ydata()[0] == found.of_neuron("train-face", "threshold")  # type: ignore[index]

    one = found.selectivity["validation-face"]
    order = np.argsort(-found.selectivity["train-face"].d_prime[row], kind="stable")
    order = order[(one.mean_in[row] + one.mean_out[row])[order] > 0]
    circle = drawn["radial"].figure.axes[0].lines[0].get_ydata()
    np.testing.assert_array_equal(circle[:-1], one.mean_in[row][order])  # type: ignore[index]
    assert "8 images" in drawn["radial"].figure.axes[0].get_title("center")
    assert len(drawn["average_faces"].figure.axes[0].texts) == min(
        24, np.count_nonzero(found.selectivity["train-face"].mean_in.max(axis=0) > 0)
    )


def test_average_faces_begin_with_the_neurons_of_the_target(analysed: Path) -> None:
    found = neurosim.open_analysis(analysed)
    use = np.ones(found.nf)
    use[found.neuron + 1 :] = 2
    units = averaged_units(found, use, 24)
    assert units[0] == found.neuron
    assert len(set(units)) == len(units) == 24
    order = np.argsort(-found.selectivity["train-face"].d_prime[found.target_index], kind="stable")
    assert set(units[:8]) == set(order[:8])


def test_the_dictionary_is_that_of_the_checkpoint(page: Page, bimodal: Path) -> None:
    with neurosim.open_run(bimodal) as run:
        weights = run.weights("V1ToFaceError")
    figure = plots(page)["dictionary_V1_Face"].figure
    tile = np.asarray(figure.axes[0].images[0].get_array())[:8, :8]
    pictures = 0.5 + 0.5 * weights / np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    assert np.abs(pictures - tile).max(axis=(1, 2, 3)).min() < 1e-6


def test_a_run_that_was_not_analysed_says_how_to(bimodal: Path) -> None:
    page = made(bimodal)
    assert set(plots(page)) == OF_RUN
    (missing,) = page.missing
    assert missing.cure == f"neurosim analyze {bimodal}"


def test_codes_that_are_gone_are_told(analysed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(analysed, run, ignore=shutil.ignore_patterns("codes", "report"))
    page = made(run)
    assert set(plots(page)) == (OF_RUN | OF_ANALYSIS) - {"average_faces", "two_images", "altered"}
    assert {m.cure for m in page.missing} == {f"neurosim analyze {run}"}


def test_the_analysis_of_another_run_is_not_shown(analysed: Path, tmp_path: Path) -> None:
    text = 'HyPerCol "c" = { nx = 16; ny = 16; stopTime = 4; };\n'
    text += 'ImageLayer "I" = { nf = 3; inputPath = "synthetic-faces"; autoResizeFlag = true; };\n'
    text += 'SparseCoding "V1" = { codes = "I"; patchSize = 8; stride = 4; features = 4; '
    text += "VThresh = 0.1; learn = false; };"
    neurosim.run(neurosim.loads(text), tmp_path / "run", threads=1).close()
    shutil.copy(analysed / "analysis.h5", tmp_path / "run")
    page = made(tmp_path / "run")
    reasons = [m.reason for m in page.missing]
    assert "the analysis in the folder is that of another run" in reasons
    assert any("no ColumnEnergyProbe" in reason for reason in reasons)
    assert "network" in plots(page)


@pytest.fixture(scope="module")
def patch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run of the smallest params file that comes with the program."""
    folder = tmp_path_factory.mktemp("patch")
    short = {"column.stopTime": 40}
    params = ROOT / "params" / "lca_patch.params"
    neurosim.run(params, folder / "output" / "first", short, threads=1).close()
    return folder


def test_one_level_without_learning_is_reported_too(
    patch: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "report"
    assert main(["report", str(patch / "output" / "first"), "--output", str(output)]) == 0
    assert capsys.readouterr().out.strip() == str(output / "index.html")
    assert {path.stem for path in output.glob("*.svg")} == {
        "network", "settling", "reconstructions_Face", "dictionary_V1_Face",
    }  # fmt: skip
    text = (output / "index.html").read_text(encoding="utf-8")
    assert "the run has a single presentation" in text


def test_a_level_over_pooled_activity_is_reported(tmp_path: Path) -> None:
    run = tmp_path / "run"
    neurosim.run(neurosim.loads(POOLED), run, {"column.stopTime": 120}, threads=1).close()
    material = gather(run)
    with material.run:
        assert (material.levels, material.inputs) == (["V1", "P1"], ["Face"])
        page = make_page(material)
        boxes = {box.name: box for box in boxes_of(material.network)}
    assert list(boxes["Pool"].codes) == ["V1"]
    assert "sums of cells" in boxes["Pool"].codes["V1"]
    assert not boxes["Pool"].learned
    assert {"network", "reconstructions_Face", "dictionary_V1_Face"} <= set(plots(page))
    assert any("reconstructions of P1 below Pool" in missing.title for missing in page.missing)


def test_the_graph_tells_which_neurons_inhibit_themselves() -> None:
    params = neurosim.load(ROOT / "params" / "halle_berry_study.params")
    notes = {box.name: box.note for box in boxes_of(params.network, {"P1": 0.25})}
    assert notes["P1"] == "threshold 0.4, inhibition 1, 25 % active"
    assert notes["V1"] == "threshold 0.05"


def test_what_a_pool_hides_is_guessed(tmp_path: Path) -> None:
    """Once the run is analysed, and while its weights are those of the analysis."""
    train = faces(tmp_path / "train")
    text = pooled(params(train, displays=12)).replace("writeStep = -1", "writeStep = 20")
    neurosim.run(neurosim.loads(text), tmp_path / "run", threads=1).close()
    validation = faces(tmp_path / "validation", each=8, split="validation")
    altered = noisy(validation, tmp_path / "noisy")
    neurosim.analyze(tmp_path / "run", validation, altered=[altered], target=TARGET, threads=1)
    page = made(tmp_path / "run")
    shown = plots(page)
    for name in ("dictionary_P1_Face", "reconstructions_Face", "altered", "faces_from_names"):
        assert "From P1 it is the best linear guess" in shown[name].caption, name
    assert "guess" not in shown["dictionary_V1_Face"].caption
    assert not any("below Pool" in missing.title for missing in page.missing)
    material = gather(tmp_path / "run")
    with material.run:
        guess, decode = material.estimate("P1", "Face"), material.decode("P1", "Face")
        assert guess is not None
        assert decode is not None
        code = np.eye(len(guess.weights), dtype=np.float32)[:3]
        assert np.array_equal(decode(code), guess.weights[:3])
        assert material.decode("P1", "Nothing") is None


def test_the_example_of_the_docstring(patch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(patch)
    assert doctest.testmod(plotting) == (0, 3)


def test_a_report_is_replaced_as_a_whole_or_not_at_all(
    tmp_path: Path, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Page("a", "b", [], [], [s for s in page.sections if s.title == "The network"], [], "")
    folder = tmp_path / "report"
    write_page(folder, small)
    before = files(folder)
    (folder / "old.png").write_bytes(b"")

    def fails(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(page_module, "encode", fails)
        with pytest.raises(RunFileError, match="No space left on device; free some space"):
            write_page(folder, small)
    assert {"old.png", *before} == set(files(folder))
    write_page(folder, small)
    assert files(folder) == before
    assert os.listdir(tmp_path) == ["report"]


def test_what_is_no_report_is_never_replaced(
    tmp_path: Path, bimodal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "index.html").write_text("mine")
    assert main(["report", str(bimodal), "-o", str(notes)]) == 2
    assert "holds no report, so it is not replaced" in capsys.readouterr().err
    assert files(notes) == {"index.html": b"mine"}


def test_a_missing_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path / "none")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path / 'none'}: no run is here; ")


def test_texts_are_escaped(tmp_path: Path) -> None:
    name = '<script>alert("&")</script>'
    table = Table(name, name, (name,), [(name,)])
    page = Page(name, name, [name], [(name, name)], [page_module.Section(name, name, [table])],
                [page_module.Missing(name, name, name)], name)  # fmt: skip
    text = write_page(tmp_path / "report", page).read_text(encoding="utf-8")
    assert "<script" not in text
    # Every place that such a text stands in; the title of a section stands in its link, too.
    assert Structure(text).words.count(name) == 16


@pytest.mark.parametrize("whitening", [0.0, 1.0])
def test_a_normalised_picture_is_restored(whitening: float, rng: np.random.Generator) -> None:
    network = neurosim.loads(
        'HyPerCol "c" = { nx = 8; ny = 8; }; ImageLayer "I" = { nf = 3; inputPath = "x.png"; '
        f"subtractMean = true; normalizeLuminanceFlag = true; whiteningExponent = {whitening}; }};"
    ).network
    mean, pictures = rng.random((8, 8, 3)), rng.random((2, 8, 8, 3))
    apart = FitSpec(whiteningExponent=whitening).whitened(pictures) - mean
    axes = (1, 2, 3)
    seen = (apart - apart.mean(axes, keepdims=True)) / apart.std(axes, keepdims=True)
    np.testing.assert_allclose(Viewer(network, "I", mean).restored(seen, pictures), pictures)


def test_the_target_is_the_one_that_was_asked_for(page: Page) -> None:
    assert any(TARGET in line for line in page.lead)
