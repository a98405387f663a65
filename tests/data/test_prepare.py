"""Prepared folders: what is in them, what is told, and that they are whole or absent."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import neurosim
from neurosim.data.settings import DataSettings
from neurosim.errors import RequestError, StimulusError
from neurosim.stimuli.images import open_source
from tests.data.pictures import contents, people, picture, save


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """ann 12, bob 9, cat 2, dan 1; bob_0001 is ann_0001 mirrored, ann_0003 a worse ann_0002."""
    folder = people(tmp_path / "source", {"ann": 12, "bob": 9, "cat": 2, "dan": 1})
    save(picture(0)[:, ::-1], folder / "bob" / "bob_0001.png")
    save(picture(1), folder / "ann" / "ann_0003.jpg", quality=40)
    (folder / "ann" / "ann_0003.png").unlink()
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def manifest(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def sets(out: Path) -> dict[str, str]:
    return {row["source"]: row["set"] for row in manifest(out)}


def test_the_folders_the_manifest_and_the_description_agree(source: Path, out: Path) -> None:
    done = neurosim.prepare_data(source, out, size=32, validation=0.3, seed=5)
    rows = manifest(out)
    assert [row["file"] for row in rows] == sorted(p for p in contents(out) if p.endswith(".png"))
    assert sorted(row["source"] for row in rows) == sorted(contents(source))
    for row in rows:
        file = out / row["file"]
        assert sha256(file.read_bytes()).hexdigest() == row["sha256"]
        assert row["file"] == f"{row['set']}/{row['class']}/{Path(row['source']).stem}.png"
        assert row["label"] == row["class"] == Path(row["source"]).parent.name
        with Image.open(file) as image:
            assert image.size == (32, 32) and image.mode == "RGB"
    told = json.loads((out / "data.json").read_text())
    found = Counter((row["set"], row["class"]) for row in rows)
    assert {(s, c): n for s, of in told["counts"].items() for c, n in of.items()} == found
    assert told["counts"] == done.counts
    assert told["settings"]["seed"] == 5 and told["format"] == "neurosim-data"
    assert told["near_duplicates"] == {"groups": 2, "images": 4, "largest": 2}
    assert (done.duplicate_groups, done.duplicate_images, done.largest_group) == (2, 4, 2)
    # What is left to learn from is read by a run as it stands.
    assert open_source(str(out / "train")).classes == ["ann", "bob", "cat", "dan"]


def test_copies_are_in_one_group_and_one_set_whatever_the_seed(source: Path, out: Path) -> None:
    places = set()
    for seed in range(12):
        neurosim.prepare_data(source, out, size=32, validation=0.5, seed=seed, overwrite=True)
        rows = {row["source"]: row for row in manifest(out)}
        for one, two in (
            ("ann/ann_0001.png", "bob/bob_0001.png"),
            ("ann/ann_0002.png", "ann/ann_0003.jpg"),
        ):
            assert rows[one]["group"] == rows[two]["group"]
            assert rows[one]["set"] == rows[two]["set"]
            places.add((one, rows[one]["set"]))
        assert len({row["group"] for row in rows.values()}) == 22
    assert len(places) == 4  # both pairs were on both sides


def test_the_same_settings_give_the_same_bytes(source: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        neurosim.prepare_data(source, tmp_path / name, size=32, hold_out=1, min_images=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_target_makes_two_classes_with_the_same_sets_as_kept_names(
    source: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"target": "ann", "hold_out": 3, "validation": 0.25, "size": 32}
    two = neurosim.prepare_data(source, tmp_path / "two", **options)
    names = neurosim.prepare_data(source, tmp_path / "names", keep_names=True, **options)
    assert two.counts == {
        "train": {"ann": 7, "other": 7},
        "validation": {"ann": 2, "other": 2},
        "holdout": {"ann": 3, "other": 3},
    }
    assert sets(tmp_path / "two") == sets(tmp_path / "names")
    assert set(names.counts["train"]) <= {"ann", "bob", "cat", "dan"} and len(names.counts) == 3
    rows = {row["source"]: row for row in manifest(tmp_path / "two")}
    one = rows["dan/dan_0001.png"]
    assert (one["class"], one["label"]) == ("other", "dan")
    rows = {row["source"]: row for row in manifest(tmp_path / "names")}
    assert rows["dan/dan_0001.png"]["class"] == "other"
    assert rows["dan/dan_0001.png"]["file"].endswith("/dan/dan_0001.png")


def test_others_of_one_file_name_do_not_replace_each_other(tmp_path: Path, out: Path) -> None:
    for number, name in enumerate(("ann", "bob", "cat")):
        save(picture(number, 32), tmp_path / "s" / name / "1.png")
        save(picture(number + 10, 32), tmp_path / "s" / name / "1.bmp")
    neurosim.prepare_data(tmp_path / "s", out, target="ann", validation=0)
    files = [row["file"] for row in manifest(out)]
    assert files == [
        *(f"train/ann/{name}.png" for name in ("1", "1_2")),
        *(f"train/other/{name}.png" for name in ("bob_1", "bob_1_2", "cat_1", "cat_1_2")),
    ]


def test_small_classes_can_be_left_out(source: Path, out: Path) -> None:
    done = neurosim.prepare_data(source, out, min_images=9, validation=0, size=32)
    assert done.counts == {"train": {"ann": 12, "bob": 9}}


@pytest.mark.parametrize(
    ("crop", "rows", "columns"),
    [
        ("square", (0, 40), (20, 60)),
        ("none", (0, 40), (0, 80)),
        ("0.5,0,1,1", (0, 40), (40, 80)),
        ("0.25,0.5,0.75,1", (20, 40), (30, 50)),
    ],
)
def test_what_a_crop_keeps(
    crop: str, rows: tuple[int, int], columns: tuple[int, int], tmp_path: Path, out: Path
) -> None:
    pixels = picture(1, 80)[:40]
    save(pixels, tmp_path / "s" / "a" / "1.png")
    neurosim.prepare_data(tmp_path / "s", out, crop=crop, size=20, validation=0)
    kept = Image.fromarray(np.ascontiguousarray(pixels[slice(*rows), slice(*columns)]))
    expected = np.asarray(kept.resize((20, 20), Image.Resampling.LANCZOS))
    with Image.open(out / "train" / "a" / "1.png") as image:
        np.testing.assert_array_equal(np.asarray(image), expected)


def test_every_kind_of_pixel_becomes_eight_bits_of_three_colours(tmp_path: Path, out: Path) -> None:
    pixels = picture(2, 16)
    grey = pixels[:, :, 0]
    folder = tmp_path / "s" / "a"
    save(pixels, folder / "colour.png")
    save(np.dstack([pixels, grey]), folder / "clear.png")
    save(grey, folder / "grey.png")
    save(grey.astype(np.uint16) * 257, folder / "deep.png")
    save(grey.astype(np.float32) / 255, folder / "float.tif")
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: shown right, the picture is turned clockwise
    save(np.rot90(pixels), folder / "turned.png", exif=exif)
    neurosim.prepare_data(tmp_path / "s", out, size=16, validation=0)
    for name in ("colour", "clear", "turned", "grey", "deep", "float"):
        with Image.open(out / "train" / "a" / f"{name}.png") as image:
            wanted = pixels if name in ("colour", "clear", "turned") else np.dstack([grey] * 3)
            np.testing.assert_array_equal(np.asarray(image), wanted, err_msg=name)


def test_a_list_with_labels(source: Path, tmp_path: Path, out: Path) -> None:
    lines = [f"{path}\tPerson One" for path in sorted((source / "ann").iterdir())[3:6]]
    lines += [f"{path}\ttwo" for path in sorted((source / "bob").iterdir())[3:5]]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    done = neurosim.prepare_data(tmp_path / "list.txt", out, size=32, validation=0)
    assert done.counts == {"train": {"Person_One": 3, "two": 2}}


def test_the_drawn_faces(tmp_path: Path, out: Path) -> None:
    done = neurosim.prepare_faces(out, people=3, images_per_person=10, size=32, validation=0.2)
    assert {s: sum(of.values()) for s, of in done.counts.items()} == {"train": 24, "validation": 6}
    assert all(count == 8 for count in done.counts["train"].values())
    person = next(iter(done.counts["train"]))
    assert " " not in person
    target = neurosim.prepare_faces(
        tmp_path / "two", 3, 4, size=16, target=person.replace("_", " "), validation=0
    )
    assert target.counts == {"train": {person: 4, "other": 8}}


def broken(folder: Path) -> None:
    (folder / "ann" / "empty.png").write_bytes(b"")
    (folder / "bob" / "text.jpg").write_text("not a picture at all")
    half = (folder / "bob" / "bob_0002.png").read_bytes()
    (folder / "bob" / "bob_0002.png").write_bytes(half[: len(half) // 2])
    save(np.full((8, 8), 3.5, np.float32), folder / "cat" / "bright.tif")


def test_every_broken_image_is_named_and_nothing_is_left(source: Path, tmp_path: Path) -> None:
    broken(source)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(StimulusError) as told:
        neurosim.prepare_data(source, tmp_path / "new" / "out")
    lines = str(told.value).splitlines()
    assert "4 of 27 images cannot be used; mend or remove them" in lines[0]
    for line, (name, reason) in zip(
        lines[1:],
        [
            ("ann/empty.png", "empty"),
            ("bob/bob_0002.png", "truncated"),
            ("bob/text.jpg", "no image"),
            ("cat/bright.tif", "within 0 to 1"),
        ],
        strict=True,
    ):
        assert name in line and reason in line
    assert set(tmp_path.rglob("*")) == before


def test_a_failure_leaves_what_was_there(source: Path, out: Path, tmp_path: Path) -> None:
    neurosim.prepare_data(source, out, size=32)
    before = contents(out)
    broken(source)
    with pytest.raises(StimulusError):
        neurosim.prepare_data(source, out, size=32, overwrite=True)
    assert contents(out) == before
    assert {path.name for path in tmp_path.iterdir()} == {"source", "out"}


def test_an_interruption_leaves_what_was_there(source: Path, out: Path, tmp_path: Path) -> None:
    neurosim.prepare_data(source, out, size=32)
    before = contents(out)

    def stop(stage: str, done: int, of: int) -> None:
        if stage == "comparing":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        neurosim.prepare_data(source, out, size=32, seed=9, overwrite=True, progress=stop)
    assert contents(out) == before
    assert {path.name for path in tmp_path.iterdir()} == {"source", "out"}


KILLED = """
import sys, time, neurosim
def stop(stage, done, of):
    if stage == "comparing":
        print("now", flush=True)
        time.sleep(60)
neurosim.prepare_data(sys.argv[1], sys.argv[2], size=32, overwrite=True, progress=stop)
"""


def test_a_kill_leaves_what_was_there_and_the_next_call_clears_up(
    source: Path, out: Path, tmp_path: Path
) -> None:
    neurosim.prepare_data(source, out, size=32)
    before = contents(out)
    command = [sys.executable, "-c", KILLED, str(source), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "now\n"
        with pytest.raises(RequestError, match="another"):
            neurosim.prepare_data(source, out, size=32, seed=9, overwrite=True)
        process.send_signal(signal.SIGKILL)
    assert contents(out) == before
    assert (tmp_path / ".out.partial").is_dir()
    neurosim.prepare_data(source, out, size=32, seed=9, overwrite=True)
    assert contents(out) != before
    assert {path.name for path in tmp_path.iterdir()} == {"source", "out"}


def test_a_kill_between_the_last_renames_loses_nothing(source: Path, out: Path) -> None:
    neurosim.prepare_data(source, out, size=32)
    before = contents(out)
    out.rename(out.with_name(".out.old"))  # as it is for a moment
    with pytest.raises(RequestError, match="--overwrite"):
        neurosim.prepare_data(source, out, size=32)
    assert contents(out) == before


def test_what_was_not_prepared_here_is_never_replaced(source: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    save(picture(1), precious / "photo.png")
    with pytest.raises(RequestError, match="not made by neurosim data"):
        neurosim.prepare_data(source, precious, overwrite=True)
    out = tmp_path / "out"
    neurosim.prepare_data(source, out, size=32)
    (out / "run").mkdir()
    with pytest.raises(RequestError, match="holds run besides the prepared data"):
        neurosim.prepare_data(source, out, size=32, overwrite=True)
    assert (out / "run").is_dir() and (precious / "photo.png").is_file()


@pytest.mark.parametrize("inside", ["source/out", "source", "."])
def test_source_and_output_lie_apart(inside: str, source: Path, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    with pytest.raises(RequestError, match=r"-o"):
        neurosim.prepare_data(source, tmp_path / inside)
    assert set(tmp_path.rglob("*")) == before


def test_a_folder_of_prepared_data_is_no_place_inside_its_own_source(
    source: Path, out: Path
) -> None:
    neurosim.prepare_data(source, out, size=32)
    with pytest.raises(RequestError, match="lie in each other"):
        neurosim.prepare_data(out / "train", out, overwrite=True)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "size": ({"size": 4}, "size = 4; it must be 8 to 1024"),
    "share": ({"validation": 1.0}, "validation = 1.0; it must be a share"),
    "hold out": ({"hold_out": -1}, "hold_out = -1"),
    "too many held out": (
        {"hold_out": 2},
        r"each needs 3 images; too few has dan \(1\)",
    ),
    "min images": ({"min_images": 0}, "min_images = 0"),
    "no class left": ({"min_images": 50}, "13 images at most of any class"),
    "small target": ({"min_images": 5, "target": "cat"}, '3 images at most of "cat"'),
    "threshold": ({"near_duplicates": 0.2}, "near_duplicates = 0.2; it must be above 0.5"),
    "seed": ({"seed": -1}, "seed = -1"),
    "crop": ({"crop": "round"}, 'crop = "round"; it must be "square", "none"'),
    "crop turned": ({"crop": "0.9,0,0.1,1"}, "left below right"),
    "crop of five": ({"crop": "0,0,1,1,1"}, "left,top,right,bottom"),
    "unknown target": ({"target": "anne"}, 'no images of a target "anne"; did you mean ann?'),
    "target far off": ({"target": "zzzz"}, "there are ann, bob, cat, dan"),
    "target other": ({"target": "other"}, "what all that is no target is called"),
    "names without a target": ({"keep_names": True}, "keep_names is for a target"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_told_before_anything_is_read(
    case: str, source: Path, out: Path
) -> None:
    broken(source)
    settings, message = WRONG[case]
    with pytest.raises(RequestError, match=message):
        neurosim.prepare_data(source, out, **settings)
    assert not out.exists()


def test_images_without_classes_are_refused(tmp_path: Path, out: Path) -> None:
    save(picture(1, 16), tmp_path / "flat" / "1.png")
    with pytest.raises(StimulusError, match="one folder per class"):
        neurosim.prepare_data(tmp_path / "flat", out)
    with pytest.raises(StimulusError, match="only image files"):
        neurosim.prepare_data("synthetic-faces", out)
    (tmp_path / "list.txt").write_text(f"{tmp_path / 'flat' / '1.png'}\ta/b")
    with pytest.raises(StimulusError, match="cannot be one's name"):
        neurosim.prepare_data(tmp_path / "list.txt", out)


def test_a_folder_that_cannot_be_written_in(source: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        place = Path("/proc/neurosim")  # nobody may make a folder there
    else:
        place = tmp_path / "closed" / "out"
        place.parent.mkdir(mode=0o500)
    with pytest.raises(RequestError, match="choose another folder"):
        neurosim.prepare_data(source, place)


def test_the_page_tells_every_setting_and_its_default() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "data.md"
    rows = re.findall(r"^\| `--([a-z-]+)` \| (\S+) \|", page.read_text(encoding="utf-8"), re.M)
    words = {"None": "none", "False": "no", "()": "none"}
    defaults = {
        key: words.get(str(value), str(value)) for key, value in asdict(DataSettings()).items()
    }
    assert {key.replace("-", "_"): value.strip("`") for key, value in rows} == defaults
