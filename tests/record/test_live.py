"""A run can be followed while it is written, killed at any moment, and gone on with."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from neurosim.errors import RunFileError
from neurosim.record.files import partial_name
from neurosim.record.reader import open_run
from neurosim.record.writer import RunWriter
from tests.record import runs


def test_another_process_follows_a_growing_run(tmp_path: Path) -> None:
    process = runs.start(tmp_path)
    try:
        runs.wait_for(tmp_path / "run.h5", process)
        seen = [0]
        deadline = time.monotonic() + 60
        # HDF5 shares what two handles of one process know: the held one must not hold back
        with open_run(tmp_path) as held, open_run(tmp_path) as run:
            runs.check(held)
            assert not run.finished
            while len(set(seen)) < 6 and time.monotonic() < deadline:
                seen.append(runs.check(run.refresh()))
                before = len(run.layers["V1"])
                time.sleep(0.02)
                # what was looked at stays as it was until refresh is asked for
                assert len(run.layers["V1"].activity[:]) == before
        assert len(set(seen)) == 6
        assert seen == sorted(seen)
        # plain h5py can follow as well
        with h5py.File(tmp_path / "run.h5", "r", swmr=True) as file:
            assert len(file["layers/V1/time"]) >= seen[-1]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_run_opens_and_resumes_exactly(seed: int, tmp_path: Path) -> None:
    process = runs.start(tmp_path)
    try:
        runs.wait_for(tmp_path / runs.LENGTHS, process)
        time.sleep(random.Random(seed).uniform(0, 0.15))
    finally:
        process.kill()
        process.communicate()
    lengths = json.loads((tmp_path / runs.LENGTHS).read_text(encoding="utf-8"))
    kept = lengths["/layers/V1/time"]
    assert kept >= 10
    assert lengths == runs.lengths_at(kept)
    with open_run(tmp_path) as run:
        assert not run.finished
        assert runs.check(run) >= kept
    writer = RunWriter.resume(tmp_path, lengths)
    assert writer.lengths() == lengths
    with open_run(tmp_path) as run:
        assert runs.check(run) == len(run.layers["V1"]) == kept
    for t in range(kept, kept + 3):
        runs.append(writer, t)
    assert writer.lengths() == runs.lengths_at(kept + 3)
    writer.close()
    with open_run(tmp_path) as run:
        assert runs.check(run) == kept + 3
        assert run.finished
        assert run.params == runs.EFFECTIVE
    assert not partial_name(tmp_path / "run.h5").exists()


def test_resuming_a_closed_run_drops_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    writer = runs.create(tmp_path)
    for t in range(9):
        runs.append(writer, t)
        if t == 4:
            lengths = writer.lengths()
    writer.close(finished=False)
    with open_run(tmp_path) as run:
        assert not run.finished
        assert runs.check(run) == 9
    with RunWriter.resume(tmp_path, lengths, attrs={"resumed": "yes"}) as writer:
        runs.append(writer, 5)
    with open_run(tmp_path) as run:
        assert runs.check(run) == len(run.probes["Stats"]) == 6
        assert run.attrs["resumed"] == "yes"
        assert run.inputs["Face"].labels(1) == ["Bob", "Ann"]


def test_a_run_that_cannot_be_resumed_says_why_and_stays(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="no run to resume; start the run afresh"):
        RunWriter.resume(tmp_path, {})
    with runs.create(tmp_path) as writer:
        runs.append(writer, 0)
        lengths = writer.lengths()
    path = tmp_path / "run.h5"
    before = path.read_bytes()
    with pytest.raises(RunFileError, match="holds 1 rows, but the checkpoint counts on 2"):
        RunWriter.resume(tmp_path, {**lengths, "/layers/V1/time": 2})
    with pytest.raises(RunFileError, match="different runs"):
        RunWriter.resume(tmp_path, {**lengths, "/layers/P1/time": 1})
    csr_end = "/layers/V1/activity/data"
    with pytest.raises(RunFileError, match="does not fit together"):
        RunWriter.resume(tmp_path, {**lengths, csr_end: lengths[csr_end] - 1})
    assert path.read_bytes() == before
    path.write_bytes(before[:5000])
    with pytest.raises(RunFileError, match="start the run afresh"):
        RunWriter.resume(tmp_path, lengths)


def test_values_looked_at_before_the_times_are_not_cut_short(tmp_path: Path) -> None:
    process = runs.start(tmp_path)
    try:
        runs.wait_for(tmp_path / "run.h5", process)
        for _ in range(10):
            with open_run(tmp_path) as run:
                energy, face = run.probes["Energy"], run.inputs["Face"]
                values, frames = energy.value, face.frame
                assert len(values) == len(energy.time)
                assert len(frames) == len(face.time)
    finally:
        process.kill()
        process.communicate()


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    process = runs.start(tmp_path)
    try:
        runs.wait_for(tmp_path / runs.LENGTHS, process)
        with pytest.raises(RunFileError, match="another run is writing here"):
            RunWriter.resume(tmp_path, {})
    finally:
        process.kill()
        process.communicate()


def test_rows_whose_time_is_not_written_yet_are_not_there(tmp_path: Path) -> None:
    with runs.create(tmp_path) as writer:
        for t in range(3):
            runs.append(writer, t)
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["layers/V1/time"].resize((5,))
        file["layers/V1/activity/data"].resize((10_000,))
    with open_run(tmp_path) as run:
        assert runs.check(run) == 3


def test_timed_flushes_of_a_slow_layer_do_not_swell_the_file(tmp_path: Path) -> None:
    flushed, once = tmp_path / "flushed", tmp_path / "once"
    for folder, seconds in ((flushed, 0.0), (once, 1e9)):
        with runs.create(folder, flush_seconds=seconds) as writer:
            for t in range(400):
                writer.append_layer("V1", t, runs.activity(t), runs.potential(t))
    sizes = [(folder / "run.h5").stat().st_size for folder in (flushed, once)]
    assert sizes[0] < 2 * sizes[1]
    with open_run(flushed) as run:
        np.testing.assert_array_equal(run.layers["V1"].activity[399], runs.activity(399))


def test_a_full_disk_is_one_message_and_keeps_what_was_written(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    process = runs.start(tmp_path, "full")
    told, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    lines = told.splitlines()
    assert len(lines) == 3
    assert "run.h5: cannot be written: File too large; free some space" in lines[0]
    assert "an earlier write failed" in lines[1]
    assert "checkpoint_0000000001.h5: cannot be written: File too large" in lines[2]
    assert list((tmp_path / "checkpoints").iterdir()) == []
    with open_run(tmp_path) as run:
        assert runs.check(run) > 5
