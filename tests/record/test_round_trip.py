"""What a run writes is what a reader gets, dense and sparse, by name and by slice."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurosim.errors import RunFileError
from neurosim.record.outputs import LayerOutput
from neurosim.record.reader import open_run
from neurosim.record.writer import RunWriter
from tests.record import runs


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "deep" / "out"
    with runs.create(folder) as writer:
        for t in range(7):
            runs.append(writer, t)
    return folder


finite = st.floats(-(2.0**100), 2.0**100, width=32)


@given(
    frames=hnp.arrays(
        np.float32,
        st.tuples(*[st.integers(1, 3)] * 5).map(lambda s: (s[0] + s[1], *s[1:])),
        elements=finite,
        fill=st.just(0.0),
    ),
    sparse=st.booleans(),
    flushes=st.sets(st.integers(0, 5)),
)
def test_any_frames_come_back(frames: np.ndarray, sparse: bool, flushes: set[int]) -> None:
    nbatch, ny, nx, nf = frames.shape[1:]
    layer = LayerOutput("L", "ANNLayer", ny, nx, nf, sparse=sparse)
    with TemporaryDirectory() as folder:
        writer = RunWriter.create(
            folder, attrs={}, source_text="", effective_text="", layers=[layer], inputs=[],
            probes=[], nbatch=nbatch,
        )  # fmt: skip
        for t, frame in enumerate(frames):
            scratch = frame.copy()
            writer.append_layer("L", t / 2, scratch)
            scratch[...] = np.nan  # a simulator writes its next step into the same buffer
            if t in flushes:
                writer.flush()
        writer.close()
        with open_run(folder) as run:
            found = run.layers["L"]
            np.testing.assert_array_equal(found.activity[:], frames)
            np.testing.assert_array_equal(found.time, np.arange(len(frames)) / 2)
            np.testing.assert_array_equal(
                found.csr().toarray(), frames.reshape(len(frames) * nbatch, -1)
            )
            counts = np.count_nonzero(frames, axis=(2, 3, 4))
            np.testing.assert_array_equal(found.nonzero(), counts)


def test_everything_of_a_run(out: Path) -> None:
    with open_run(out) as run:
        assert runs.check(run) == 7
        assert run.params == runs.EFFECTIVE
        assert run.source == "// given"
        assert run.finished
        assert run.attrs["backend"] == "reference"
        assert list(run.layers) == ["V1", "Error"]
        face = run.inputs["Face"]
        assert face.names(2) == ["c.png", "a.png"]
        assert face.labels(1) == ["Bob", "Ann"]
        assert face.classes == ["Ann", "Bob"]
        assert run.probes["Stats"].columns == ["min", "max", "mean"]
    with open_run(out / "run.h5") as run:
        assert len(run.layers["V1"]) == 7


@pytest.mark.parametrize("name", ["V1", "Error"])
@pytest.mark.parametrize(
    "key",
    [
        3, -1, slice(2, 5), slice(None, None, -2), slice(5, 5), [4, 0, 4], (3, 1), (slice(1, 3), 0),
        (Ellipsis, 5), (slice(None), slice(None), 1, 2, 3), Ellipsis, (2, ..., slice(0, 3)),
        np.array([True, False] * 3 + [True]),
    ],
    ids=str,
)  # fmt: skip
def test_frames_are_indexed_like_an_array(out: Path, name: str, key: object) -> None:
    with open_run(out) as run:
        frames = run.layers[name].activity
        whole = np.asarray(frames)
        np.testing.assert_array_equal(frames[key], whole[key])
        assert frames.shape == whole.shape == (7, *runs.SHAPE)
        with pytest.raises(IndexError):
            frames[7]


def test_sparse_slices(out: Path) -> None:
    with open_run(out) as run:
        v1 = run.layers["V1"]
        rows = v1.sparse(-1)
        assert rows.nnz == np.count_nonzero(runs.activity(6))
        np.testing.assert_array_equal(rows.toarray(), runs.activity(6).reshape(runs.NBATCH, -1))
        assert v1.csr(2, 5).shape == (3 * runs.NBATCH, 3 * 4 * 16)
        assert v1.csr(5, 2).shape == (0, 3 * 4 * 16)


def test_labelled_arrays(out: Path) -> None:
    with open_run(out) as run:
        layer = run.layers["V1"].to_xarray()
        assert layer.dims == ("time", "batch", "y", "x", "feature")
        np.testing.assert_array_equal(layer.sel(time=4.0), runs.activity(4))
        assert layer.attrs == {"kind": "HyPerLCALayer", "units": "1"}
        voltage = run.layers["V1"].to_xarray(potential=True)
        np.testing.assert_array_equal(voltage.isel(time=0), runs.potential(0))
        stats = run.probes["Stats"].to_xarray()
        np.testing.assert_array_equal(stats.sel(time=3.0, column="max"), runs.samples(3)[0, :, 1])
        assert run.probes["Energy"].to_xarray().dims == ("time", "batch")


def test_the_layout_is_the_documented_one(out: Path) -> None:
    with h5py.File(out / "run.h5") as file:
        assert file.attrs["format"] == b"neurosim-run"
        assert file.attrs["format_version"] == 1
        assert bool(file.attrs["finished"])
        v1 = file["layers/V1/activity"]
        np.testing.assert_array_equal(v1.attrs["shape"], (7, *runs.SHAPE))
        assert (v1["data"].dtype, v1["indices"].dtype, v1["indptr"].dtype) == ("f4", "i4", "i8")
        assert len(v1["indptr"]) == 7 * runs.NBATCH + 1
        assert file["layers/Error/activity"].shape == (7, *runs.SHAPE)
        assert file["inputs/Face/source"][1] == b"b.png"
        label = file["inputs/Face/label"]
        assert label.attrs["classes"][label[1]] == b"Bob"
        assert file["probes/Energy/value"].shape == (7, runs.NBATCH)
        assert file["params/effective"][()].decode() == runs.EFFECTIVE


def test_the_summary_tells_what_is_there(out: Path) -> None:
    with open_run(out) as run:
        text = run.summary()
        assert "finished" in text
        active = sum(np.count_nonzero(runs.activity(t)) for t in range(7))
        assert f"{100 * active / (7 * np.prod(runs.SHAPE)):.3g} % active" in text
        assert "probe Stats (StatsProbe): 7 samples, last: min 7.5" in text
        assert "2 layers" in repr(run)


def test_an_unknown_name_is_told_with_the_nearest(out: Path) -> None:
    with open_run(out) as run:
        with pytest.raises(RunFileError, match=r'no layer "Eror"; did you mean "Error"\?') as e:
            run.layers["Eror"]
        assert isinstance(e.value, KeyError)
        assert run.layers.get("Eror") is None
        with pytest.raises(RunFileError, match="probes here: Energy, Stats"):
            run.probes["x"]
        with pytest.raises(RunFileError, match="potential was not recorded"):
            _ = run.layers["Error"].potential
        with pytest.raises(RunFileError, match="there are 0"):
            run.weights("V1ToError")


def test_a_wrong_request_writes_nothing(out: Path, tmp_path: Path) -> None:
    before = (out / "run.h5").read_bytes()
    with pytest.raises(RunFileError, match="there is a run already"):
        runs.create(out)
    assert (out / "run.h5").read_bytes() == before
    with runs.create(tmp_path) as writer:
        with pytest.raises(RunFileError, match="another run is writing here"):
            runs.create(tmp_path, overwrite=True)
        with pytest.raises(ValueError, match="not"):
            writer.append_layer("V1", 0, np.zeros((1, 3, 4, 16)), np.zeros((1, 3, 4, 16)))
        with pytest.raises(ValueError, match="potential"):
            writer.append_layer("V1", 0, np.zeros(runs.SHAPE))
        with pytest.raises(ValueError, match="shape"):
            writer.append_probes("Stats", np.array([0.0]), np.zeros((1, runs.NBATCH)))
        runs.append(writer, 0)
    with open_run(tmp_path) as run:
        assert runs.check(run) == 1
    with runs.create(tmp_path, overwrite=True):
        pass
    with open_run(tmp_path) as run:
        assert len(run.layers["V1"]) == 0
        assert run.layers["V1"].activity[:].shape == (0, *runs.SHAPE)


def test_memory_stays_bounded_and_big_frames_are_written_at_once(tmp_path: Path) -> None:
    layers = [LayerOutput("D", "ANNLayer", 64, 64, 64), LayerOutput("S", "X", 64, 64, 64, True)]
    writer = RunWriter.create(
        tmp_path, attrs={}, source_text="", effective_text="", layers=layers, inputs=[],
        probes=[], nbatch=3, flush_seconds=1e9,
    )  # fmt: skip
    frame = np.ones((3, 64, 64, 64), np.float32)
    for t in range(2):
        writer.append_layer("D", t, frame)
        writer.append_layer("S", t, frame)
    with open_run(tmp_path) as run:  # nothing was flushed by hand
        assert len(run.layers["D"]) == len(run.layers["S"]) == 2
        assert run.layers["S"].sparse(1).sum() == frame.sum()
    writer.close()
