from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

import neurosim
from neurosim.analysis.results import (
    FILE,
    Analysis,
    Completion,
    Distance,
    ImageSet,
    Readout,
    Score,
    Selectivity,
    write_analysis,
)
from neurosim.errors import RunFileError


def some(rng: np.random.Generator, *, names: bool = True) -> Analysis:
    """An analysis with a value of every kind."""
    table = Selectivity(*(rng.normal(size=(2, 3)).astype(np.float32) for _ in range(8)))
    score = Score(*rng.random(9).tolist(), rng.normal(size=4).astype(np.float32))
    readout = Readout("P1", 0.1, -0.5, 0.9, *rng.random((3, 3)), 0.25, {"validation": score})
    pictures = rng.random((4, 1, 2, 2, 1)).astype(np.float32)
    each = np.arange(2)
    return Analysis(
        *("P1", "Face", "Name" if names else "", 1, 1, 3, "abc", 40, 0.25, ["ann", "bé"], "bé", 2),
        sets={
            "train": ImageSet("faces", ["ann/1.png"], np.array([0]), np.array([False])),
            "noisy": ImageSet("n", ["bé/1.png"], np.array([1]), np.array([True]), "validation"),
        },
        selectivity={"validation-face": table, "train-face": table},
        activity={"train-face": rng.random(1).astype(np.float32)},
        responses={"face": table.mean_in},
        name_correlation=np.array([0.5, np.nan], np.float32),
        readouts={"top-face": readout},
        distances=[Distance("P1", "noisy", "validation", 0.01, rng.random(1))] if names else [],
        completion=Completion(
            ["ann", "bé"], each, each, 0.5, 0.5, each, 0.7, 0.1, 0.6, each, each, each, *pictures
        )
        if names
        else None,
        notes=["a note"] if names else [],
    )


def same(a: object, b: object) -> bool:
    """Whether two values are equal, arrays of the same type and NaN where NaN was."""
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(
            same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a)
        )
    if isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray)
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, dict):
        assert isinstance(b, dict)
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        assert isinstance(b, list)
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("names", [True, False])
def test_what_is_written_is_read_again(
    tmp_path: Path, rng: np.random.Generator, names: bool
) -> None:
    found = some(rng, names=names)
    path = write_analysis(tmp_path, found, {"neurosim_version": "1"})
    assert path == tmp_path / FILE
    assert same(neurosim.open_analysis(tmp_path), found)
    assert same(neurosim.open_analysis(path), found)
    assert [p.name for p in tmp_path.iterdir()] == [FILE]


def test_numbers_of_the_neuron_of_the_target_are_found(rng: np.random.Generator) -> None:
    found = some(rng)
    assert found.of_neuron("train-face", "auc") == found.selectivity["train-face"].auc[1, 2]
    assert found.altered == ["noisy"]


def test_a_missing_analysis_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="neurosim analyze"):
        neurosim.open_analysis(tmp_path)


def test_another_file_a_newer_one_and_a_torn_one_are_refused(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    path = write_analysis(tmp_path, some(rng), {})
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = 3
    with pytest.raises(RunFileError, match="format version 3"):
        neurosim.open_analysis(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RunFileError, match="cannot be read"):
        neurosim.open_analysis(path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, rng: np.random.Generator) -> None:
    found = some(rng)
    path = write_analysis(tmp_path, found, {})
    with pytest.raises(TypeError):
        write_analysis(tmp_path, dataclasses.replace(found, notes=[object()]), {})  # type: ignore[list-item]
    assert same(neurosim.open_analysis(path), found)
    assert [p.name for p in tmp_path.iterdir()] == [FILE]
