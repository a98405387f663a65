"""Everything in the documentation that can be run is run; what it says of files is compared."""

# Long: the blocks of all pages share one place, and the short forms of their commands one table.

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import neurosim
from neurosim import cli

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
FORMAT = ROOT / "docs" / "file_format.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
PAGES = [README, *(ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md"))]
PAGES += sorted((ROOT / "docs").rglob("*.md"))

# Commands that are not run here, each with the reason.
NOT_RUN = {
    "python3 -m venv": "set-up: the first is tried from a clean clone, the second is what CI runs",
    "./check": "runs these tests",
    "neurosim data lfw": "fetches 200 MB; tests/data runs it on a small copy",
}
# What is replaced in a command so that it takes seconds: (in the command, by).
SHORTER = {
    # An hour's work: reading, resolving and opening the inputs is what a reader can get wrong.
    "run params/halle_berry_paper.params": "check params/halle_berry_paper.params",
    "Face.inputPath=FOLDER": "Face.inputPath=FOLDER --set P1.features=8",
    # Fewer pictures to draw for the mean of all.
    "check params/halle_berry.params": "check params/halle_berry.params --set "
    "Face.inputPath=synthetic-faces:validation",
    # A step shows that the sets, the command and its output fit together.
    "analyze output/halle_berry": "analyze output/halle_berry --steps 1 --batch 60 --threads 1",
    # A few people, displays and neurons show that the steps of the tutorial fit together.
    "data faces -o drawn": "data faces -o drawn --people 3 --images 8",
    "run params/halle_berry_study.params": "run params/halle_berry_study.params --threads 1 "
    "--set column.stopTime=80 --set column.nbatch=4 --set P1.features=64",
    "column.stopTime=128000": "column.stopTime=120",
    "analyze seed1": "analyze --batch 8 --threads 1 seed1",
    # New processes take longer to start than these runs.
    "--jobs 2": "--jobs 1 --set column.stopTime=20",
}
# The main study, in the same file, with fewer pictures.
SMALL_STUDY = {
    "column.stopTime": 200,
    "column.nbatch": 4,
    "Face.inputPath": "synthetic-faces:validation",
}
LANGUAGES = {"bash", "python", "params", "text", "markdown"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    start = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
            continue
        text = "\n".join(lines[start + 1 : number]) + "\n"
        yield Block(page, start + 2, lines[start].removeprefix("```"), text)
        start = None
    assert start is None, f"{page}: a block is not closed"


BLOCKS = [block for page in PAGES for block in blocks(page)]
README_BLOCKS = [block for block in BLOCKS if block.page == README]


def of(language: str, given: list[Block] = BLOCKS) -> list[Block]:
    return [block for block in given if block.language == language]


def commands(block: Block) -> list[str]:
    lines = (line.partition(" #")[0].strip() for line in block.text.splitlines())
    return [line for line in lines if line]


def pictures(folder: Path) -> None:
    """One folder a person."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for person in ("ann", "bob"):
        (folder / person).mkdir(parents=True)
        pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / person / "1.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader stands after the first two sections: params files, photographs, a study."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "params").symlink_to(ROOT / "params")
    pictures(folder / "FOLDER")
    study = neurosim.load(ROOT / "params" / "halle_berry.params", SMALL_STUDY)
    assert Path(study.network.model.column.outputPath) == Path("output/halle_berry")
    neurosim.run(study, folder / "output" / "halle_berry").close()
    return folder


@pytest.fixture(scope="module")
def out(place: Path) -> Path:
    """The results that pages call "out": those of the tour's first run."""
    settings = {"V1.VThresh": 0.03, "column.randomSeed": 7}
    file = ROOT / "params" / "lca_patch.params"
    neurosim.run(file, place / "out", settings, overwrite=True).close()
    return place / "out"


def test_every_block_says_what_it_is() -> None:
    assert BLOCKS
    assert [str(b) for b in BLOCKS if b.language not in LANGUAGES] == []


def run_shell(given: list[Block]) -> set[str]:
    """Run the commands of blocks here, shortened; returns what was left out or replaced."""
    used = set()
    ran = 0
    for block in of("bash", given):
        for command in commands(block):
            skipped = next((head for head in NOT_RUN if command.startswith(head)), None)
            if skipped:
                used.add(skipped)
                continue
            for old, new in SHORTER.items():
                if old in command:
                    used.add(old)
                    command = command.replace(old, new)
            program, *arguments = shlex.split(command)
            assert program == "neurosim", f"{block}: {command}"
            if arguments[0] == "run" and "--resume" not in arguments:
                arguments.append("--overwrite")
            assert cli.main(arguments) == 0, f"{block}: {command}"
            ran += 1
    assert ran >= 8
    return used


@pytest.fixture(scope="module")
def tutorial(place: Path) -> set[str]:
    """The tutorial's commands were run: what :func:`run_shell` returned."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        return run_shell([block for block in BLOCKS if block.page == TUTORIAL])


def test_shell_blocks_run(place: Path, tutorial: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    used = tutorial | run_shell([block for block in BLOCKS if block.page != TUTORIAL])
    assert used == {*NOT_RUN, *SHORTER}, "remove what no page says any more"


def test_the_setup_commands_are_there_and_ci_runs_the_second() -> None:
    start = "python3 -m venv .venv && . .venv/bin/activate && pip install "
    study = f"{start}. && neurosim run params/halle_berry.params"
    tests = f"{start}'.[test]' && ./check"
    lines = README.read_text(encoding="utf-8").splitlines()
    assert study in lines
    assert tests in lines
    assert tests in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_python_blocks_of_the_readme_run(
    place: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    names: dict[str, object] = {}
    for block in of("python", README_BLOCKS):
        exec(compile(block.text, str(block), "exec"), names)
    printed = capsys.readouterr().out
    assert (place / "dictionary.png").stat().st_size > 1000
    left = np.asarray(names["left"])
    assert left.shape == (2,)
    assert np.all(left > 0)
    assert np.all(left < 1.5)
    assert names["shown"].any()  # type: ignore[attr-defined]
    assert f"neuron {names['best']} prefers {names['target']}:" in printed
    names["run"].close()  # type: ignore[attr-defined]


def test_the_tutorial_ends_with_what_it_says(
    place: Path,
    tutorial: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    assert Path("seed1/report/index.html").stat().st_size > 100_000
    names: dict[str, Any] = {}
    for block in of("python", [block for block in BLOCKS if block.page == TUTORIAL]):
        exec(compile(block.text, str(block), "exec"), names)
    found, run = names["found"], names["run"]
    assert capsys.readouterr().out.startswith(f"{found.target} {found.neuron} ")
    assert found.target == "Mara_Quill"
    # The page's longer run, resumed; the analysis is the newest.
    assert found.checkpoint == run.checkpoints[-1].step == 120
    assert any("P1 cannot be decoded to Face" in note for note in found.notes)
    assert names["p1"].shape == (len(found.sets["validation"].names), found.nf)
    assert np.array_equal(list(names["answers"].values()), found.activity["validation-face"])
    assert names["table"].shape == names["by_face"].shape == names["by_name"].shape
    assert names["error"].time[-1] == 120
    assert names["atoms"].shape == (128, 8, 8, 3)
    for opened in (run, names["codes"]):
        opened.close()


def test_inputs_have_the_norm_that_the_readme_divides_by(place: Path) -> None:
    with neurosim.open_run(place / "output" / "halle_berry") as run:
        pixels = run.layers["Face"].activity[-1]
        scale = 8 * 8 * 3  # values in a patch of V1: SparseCoding's inputScale
        assert np.allclose((pixels**2).sum((1, 2, 3)) / scale, 64, rtol=1e-4)


def test_the_shown_params_file_is_right() -> None:
    shown = of("params", README_BLOCKS)
    assert len(shown) == 1
    experiment = neurosim.loads(shown[0].text)
    assert experiment.plan.learn
    assert {"V1", "VP1"} <= set(experiment.network.layers)
    shape = experiment.network.layers["V1"].shape
    assert f"{shape.nx} x {shape.ny} positions of {shape.nf} features" in shown[0].text
    assert experiment.steps == 50 * 400
    assert experiment.notes == ()


def test_the_shown_message_is_the_real_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params" / "lca_patch.params").read_text(encoding="utf-8")
    wrong = text.replace("timeConstantTau", "timeConstTau")
    Path("lca_patch.params").write_text(wrong, encoding="utf-8")
    assert cli.main(["check", "lca_patch.params"]) == 2
    message = capsys.readouterr().err
    assert message in [block.text for block in of("text", README_BLOCKS)]


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            linked = (page.parent / name) if name else page
            assert linked.exists(), f"{page}: {target}"
            if anchor:
                heads = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.M)
                slugs = [re.sub(r"[^\w\- ]", "", h).lower().replace(" ", "-") for h in heads]
                assert anchor in slugs, f"{page}: {target}"


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[\d{4}\]\(([^)]+)\)", index, re.M)
    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert listed


# ---- docs/file_format.md against the files of a run ---------------------------------------------

# A network that makes every dataset there can be.
EVERYTHING = """
HyPerCol "column" = { nx = 8; ny = 8; nbatch = 2; stopTime = 6; };
ImageLayer "Face" = {
    nf = 3; inputPath = "FOLDER"; displayPeriod = 3; subtractMean = true; autoResizeFlag = true;
    convergenceTolerance = 1e-9; convergenceProbe = "Energy";
};
HyPerLayer "FaceError" = { nf = 3; phase = 1; };
MomentumLCALayer "Code" = {
    nxScale = 0.5; nyScale = 0.5; nf = 4; phase = 2; sparseLayer = true; writePotential = true;
    InitVType = "ConstantV"; valueV = 0.1; VThresh = 0.1; AMin = 0; AShift = 0.1;
    timeConstantTau = 10; LCAMomentumRate = 0.1; adaptiveTimeScaleProbe = "Scale";
};
IdentConn "FaceToFaceError" = { channelCode = 0; };
MomentumConn "CodeToFaceError" = {
    channelCode = 1; nxp = 4; nyp = 4; delay = [1]; weightInitType = "UniformRandomWeight";
    normalizeMethod = "normalizeL2"; triggerLayerName = "Face"; triggerOffset = 1;
    dWMax = 0.1; momentumMethod = "viscosity"; immediateWeightUpdate = false;
};
TransposeConn "FaceErrorToCode" = { channelCode = 0; originalConnName = "CodeToFaceError"; };
ColumnEnergyProbe "Energy" = {};
L2NormProbe "ErrorL2" = {
    targetLayer = "FaceError"; energyProbe = "Energy"; coefficient = 0.5; exponent = 2;
};
StatsProbe "CodeStats" = { targetLayer = "Code"; };
AdaptiveTimeScaleProbe "Scale" = { targetName = "Energy"; triggerLayerName = "Face"; };
"""
SINGULAR = {
    "layers": "layer",
    "inputs": "input",
    "connections": "connection",
    "probes": "probe",
}


@pytest.fixture(scope="module")
def everything(place: Path) -> Path:
    folder = place / "everything"
    neurosim.run(neurosim.loads(EVERYTHING, place), folder).close()
    return folder


def general(name: str) -> str:
    """``/layers/V1/A@2`` as the page writes it: ``/layers/<layer>/A@<d>``."""
    parts = name.strip("/").split("/")
    if len(parts) > 1 and parts[0] in SINGULAR:
        parts[1] = f"<{SINGULAR[parts[0]]}>"
    return re.sub(r"@\d+$", "@<d>", "/" + "/".join(parts))


def contents(path: Path) -> tuple[set[str], set[tuple[str, str]]]:
    """Names of the datasets of a file, and (object, attribute) pairs, in general form."""
    names: set[str] = set()
    attributes: set[tuple[str, str]] = set()

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            names.add(general(name))
        attributes.update((general(name), key) for key in item.attrs)

    with h5py.File(path, "r", libver="latest") as file:
        attributes.update(("/", key) for key in file.attrs)
        file.visititems(visit)
    return names, attributes


def section(title: str) -> list[list[str]]:
    """Table rows of a section of the page, cell by cell."""
    text = FORMAT.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def told(title: str) -> tuple[set[str], set[tuple[str, str]]]:
    """What a section of the page says: names of datasets, and (object, attribute) pairs."""
    names: set[str] = set()
    attributes: set[tuple[str, str]] = set()
    table = ""
    for cells in section(title):
        if cells[0] in ("name", "object"):
            table = cells[0]
        elif table == "name":
            names.update(re.findall(r"`(/[^`]+)`", cells[0]))
        else:
            for key in re.findall(r"`([^`]+)`", cells[1]):
                attributes.add((cells[0].strip("`"), key))
    return names, attributes


def test_the_page_names_every_dataset_of_run_h5_and_no_other(everything: Path, out: Path) -> None:
    found, attributes = contents(everything / "run.h5")
    more, _ = contents(out / "run.h5")
    names, pairs = told("run.h5")
    assert found | more == names
    assert attributes == pairs


def test_the_page_names_every_value_of_a_checkpoint_and_no_other(everything: Path) -> None:
    (path,) = (everything / "checkpoints").glob("*.h5")
    found, attributes = contents(path)
    names, pairs = told("Checkpoints")
    assert found == names
    common = {key for item, key in pairs if item == "every dataset"}
    of_root = {key for item, key in pairs if item == "/"}
    assert {key for item, key in attributes if item == "/"} == of_root
    assert {item for item, _ in attributes} - {"/"} == found
    assert {key for item, key in attributes if item != "/"} == common


def test_python_blocks_of_the_format_run_and_find_what_open_run_finds(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(out.parent)
    names: dict[str, object] = {}
    for block in of("python", [b for b in BLOCKS if b.page == FORMAT]):
        exec(compile(block.text, str(block), "exec"), names)
    with neurosim.open_run(out) as run:
        layer = run.layers["V1"]
        assert names["kind"] == layer.kind
        assert np.any(layer.activity[-1])
        assert np.array_equal(names["code"], layer.activity[-1, 0])  # type: ignore[arg-type]


def test_no_python_block_is_left_out() -> None:
    assert {block.page for block in of("python")} == {README, FORMAT, TUTORIAL}
