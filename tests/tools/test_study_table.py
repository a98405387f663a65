"""The study's page says what the analyses hold."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import norm

import neurosim
import study_decisions as decisions
import study_table as table
from neurosim.analysis.results import Analysis, ImageSet, Readout, Score, write_analysis
from tests.analysis.test_results import some

TOOL = Path(__file__).resolve().parents[2] / "tools" / "study_table.py"


def study_table(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TOOL), *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def scored(balanced: float, rng: np.random.Generator, *decision: float) -> Score:
    numbers = rng.random(9).tolist()
    return replace(Score(*numbers, np.array(decision, np.float32)), balanced_tuned=balanced)


def shown(folder: str, names: list[str], reference: str = "") -> ImageSet:
    """One image of the target, whose file begins with b, and another."""
    each = np.array([int(Path(name).name.startswith("b")) for name in names])
    return ImageSet(folder, names, each, each > 0, reference)


@pytest.fixture
def runs(tmp_path: Path, rng: np.random.Generator) -> list[Path]:
    folders = []
    for seed, (plain, noisy) in enumerate([(0.9, 0.875), (0.8, 0.75)]):
        found = some(rng)
        # At the threshold of -0.5 the target is missed once it is altered.
        scores = {"validation": scored(plain, rng, -1, 1), "noisy": scored(noisy, rng, -0.6, -1)}
        readout = Readout("P1", 0.1, -0.5, 0.9, *rng.random((3, 3)), 0.25, scores)
        sets = found.sets | {
            "validation": shown("v", ["ann/a1.png", "bé/b1.png"]),
            # In another order, and one of them in another folder.
            "noisy": shown("n", ["b1.png", "ann/a1.png"], "validation"),
        }
        folder = tmp_path / f"seed{seed}"
        folder.mkdir()
        done = replace(found.completion, balanced=plain - 0.5)
        changed = replace(found, readouts={"top-face": readout}, sets=sets, completion=done)
        write_analysis(folder, changed, {})
        folders.append(folder)
    return folders


def test_drops_and_means_are_those_of_the_runs(runs: list[Path], tmp_path: Path) -> None:
    report = runs[0] / "report"
    report.mkdir()
    Image.new("RGB", (3000, 1500), "white").save(report / "radial.png")
    Image.new("RGB", (40, 40), "white").save(report / "average_faces.png")
    out = tmp_path / "page"
    done = study_table(*runs, "-o", out, "--figures")
    assert done.returncode == 0, done.stderr
    text = (out / "results.md").read_text()
    assert "| balanced accuracy | at least 0.95 | 0.900, 0.800 | 0.850 | 0.071 |" in text
    assert "| drop, noisy | at most 0.01 | 0.025, 0.050 | 0.038 | 0.018 |" in text
    own = [neurosim.open_analysis(run).of_neuron("validation-face", "auc") for run in runs]
    assert f"| best neuron, ROC area |  | {own[0]:.3f}, {own[1]:.3f} |" in text
    (row,) = (line for line in text.splitlines() if line.startswith("| P1 | 0.900 ("))
    lost, interval = row.split(" | ")[3].split(" (")
    low, high = (float(end) for end in interval.rstrip(")").split(" to "))
    # One image of each kind says little.
    assert lost == "0.500" and -0.6 < low < 0.1 and 0.5 < high < 1
    assert "nearest of 2 names is right, mean over people |  | 0.400, 0.300 | 0.350 |" in text
    # All decisions of a kind are the same, which is infinitely far apart.
    assert text.count("| P1 | 2 | nan") == 1
    assert str(tmp_path) not in text
    # Photographs are not copied.
    assert sorted(p.name for p in out.iterdir()) == ["radial.png", "results.md"]
    with Image.open(out / "radial.png") as picture:
        assert picture.size == (1000, 500)


def test_a_neuron_shares_a_name_with_the_one_that_answers_next(rng: np.random.Generator) -> None:
    """Alone, half as much as its neighbour, and where it does not answer at all."""
    found = some(rng)

    def shared(own: float, other: float) -> float:
        answer = np.zeros((len(found.classes), found.neuron + 2), np.float32)
        answer[found.target_index] = other
        answer[found.target_index, found.neuron] = own
        responses = found.responses | {"name": answer}
        return table.next_to_name(replace(found, responses=responses))

    assert [shared(0.5, 0.0), shared(0.5, 0.25), shared(0.25, 0.5)] == [0.0, 0.5, 2.0]
    assert np.isnan(shared(0.0, 0.5))


def test_what_is_taken_from_all_decisions_is_steadier_than_a_drop(rng: np.random.Generator) -> None:
    """Decisions 3 deviations apart, of which an alteration takes 0.3: d' and its interval."""
    target = np.arange(1100) < 60
    lost, drops, inside = [], [], []
    for once in range(30):
        plain = rng.normal(size=1100) + 3 * target
        altered = plain - 0.3 * target + rng.normal(scale=0.1, size=1100)
        both = np.stack([plain, altered])
        lost.append(decisions.taken(both, target))
        right = (both >= 1.5) == target
        drops.append(np.mean([(right[0] - 1.0 * right[1])[k].mean() for k in (target, ~target)]))
        if once < 4:
            low, high = decisions.spread_of_taken(both, target)
            inside.append(low <= 0.3 <= high)
    assert np.mean(lost) == pytest.approx(0.3, abs=0.02)
    assert sum(inside) >= 3
    assert np.std(lost) / np.mean(lost) < 0.5 * np.std(drops) / np.mean(drops)


def decided(found: Analysis, rng: np.random.Generator, apart: float, lost: float) -> Readout:
    """A readout with d' of 2 ``apart``, of which an alteration takes that of ``lost``."""
    target, threshold = found.sets["validation"].target, rng.normal()
    plain = rng.normal(size=len(target)) + apart * np.where(target, 1, -1)
    altered = plain - lost * np.where(target, 1, -1)
    scores = {
        name: replace(scored(0.9, rng), decision=np.float32(values + threshold))
        for name, values in (("validation", plain), ("noisy", altered[::-1]))
    }
    return Readout("P1", 0.1, threshold, 0.9, *rng.random((3, 3)), 0.25, scores)


def test_one_readout_is_ahead_of_another_by_what_it_tells_better(rng: np.random.Generator) -> None:
    """Balanced accuracy of normal decisions: the share below their distance from the threshold."""
    found, inside, both = some(rng), [], ("good", "bad")
    names = [f"{'b' if k % 4 == 0 else 'a'}{k}.png" for k in range(1200)]
    sets = {"validation": shown("v", names), "noisy": shown("n", names[::-1], "validation")}
    found = replace(found, sets=sets)
    plain, altered = norm.cdf(1.5) - norm.cdf(1.2), norm.cdf(1.4) - norm.cdf(1.02)
    expected = [plain, altered, altered - plain, 0.18 / 1.2 - 0.1 / 1.5]
    ways = [(decisions.ahead, "validation"), (decisions.ahead, "noisy")]
    ways += [(decisions.less_dropped, "noisy"), (decisions.less_taken, "noisy")]
    for _ in range(5):
        each = [decided(found, rng, *how) for how in ((1.5, 0.1), (1.2, 0.18))]
        run = replace(found, readouts=dict(zip(both, each, strict=True)))
        better = [measure([run], *both, name) for measure, name in ways]
        inside += [one[1] <= value <= one[2] for one, value in zip(better, expected, strict=True)]
    assert sum(inside) >= 17
    for one, (measure, name) in zip(better, ways, strict=True):
        assert one[1] < one[0] < one[2]
        assert measure([run, run], *both, name) == pytest.approx(one)
        worse = measure([run], *both[::-1], name)
        assert np.allclose(one, [-worse[k] for k in (0, 2, 1)], atol=0.003)


def test_a_neuron_decides_by_the_threshold_of_train(rng: np.random.Generator) -> None:
    """Its activity alone; images of altered sets stand in another order."""
    found, names = some(rng), ["a1.png", "b1.png", "b2.png"]
    train = found.selectivity["train-face"]
    limits = np.full_like(train.threshold, np.nan)
    limits[found.target_index, found.neuron] = 0.5
    found = replace(
        found,
        sets={"validation": shown("v", names), "noisy": shown("n", names[::-1], "validation")},
        selectivity={"train-face": replace(train, threshold=limits)},
        activity={
            "validation-face": np.array([0.4, 0.5, 0.3], np.float32),
            "noisy-face": np.array([0.2, 0.7, 0.6], np.float32),
        },
    )
    assert found.altered == ["noisy"]
    alone = decisions.with_neuron(found).readouts["neuron"]
    assert decisions.right(found, alone, "noisy").tolist() == [
        [False, True, True],
        [False, True, False],
    ]
    del found.activity["noisy-face"]
    assert decisions.with_neuron(found) is found


def test_a_run_without_analysis_is_told(tmp_path: Path) -> None:
    done = study_table(tmp_path, "-o", tmp_path / "page")
    assert done.returncode == 2
    assert "neurosim analyze" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "page").exists()


def test_runs_that_were_not_analysed_alike_are_told(
    runs: list[Path], tmp_path: Path, rng: np.random.Generator
) -> None:
    found = some(rng)
    plain = {name: images for name, images in found.sets.items() if name not in found.altered}
    write_analysis(runs[1], replace(found, sets=plain), {})
    done = study_table(*runs, "-o", tmp_path / "page")
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"{runs[1]}: analysed for {found.target}, altered none, thresholds by train, "
        f"but {runs[0]} for "
    )
    assert "--altered" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "page").exists()


def test_runs_of_other_images_are_told(runs: list[Path], tmp_path: Path) -> None:
    found = neurosim.open_analysis(runs[1])
    sets = found.sets | {"validation": shown("v", ["ann/a1.png", "bé/b2.png", "bé/b1.png"])}
    scores = found.readouts["top-face"].scores
    longer = replace(scores["validation"], decision=np.zeros(3, np.float32))
    readout = replace(found.readouts["top-face"], scores=scores | {"validation": longer})
    write_analysis(runs[1], replace(found, sets=sets, readouts={"top-face": readout}), {})
    done = study_table(*runs, "-o", tmp_path / "page")
    assert done.returncode == 2
    assert done.stderr == (
        f"{runs[1]}: validation has other images (3) than in {runs[0]} (2); analyse both on the "
        "same folders\n"
    )
    assert not (tmp_path / "page").exists()
