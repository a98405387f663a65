"""A folder that is whole or absent, and the two files that say what is in it."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from neurosim.data.split import SETS
from neurosim.errors import RequestError
from neurosim.record.files import FolderLock, sync_file, sync_folder, writing

FORMAT = "neurosim-data"
DESCRIPTION = "data.json"
MANIFEST = "manifest.csv"
COLUMNS = ("file", "set", "class", "label", "source", "group", "sha256")


def check_output(output: Path, overwrite: bool) -> None:
    """Raise where a folder may not be made or replaced, before anything is read.

    Raises
    ------
    RequestError
        Something is there that was not prepared here, or may not be overwritten.
    """
    _restore(output)
    try:
        there = os.path.lexists(output)
        empty = there and output.is_dir() and not any(output.iterdir())
        parent = next(p for p in output.absolute().parents if p.exists())
    except OSError as error:
        raise RequestError(f"{output}: {error.strerror}; choose another folder with -o") from None
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise RequestError(f"{parent}: cannot be written in; choose another folder with -o")
    if there and not empty and not is_prepared(output):
        raise RequestError(
            f"{output}: exists, and was not made by neurosim data; it is left as it is, choose "
            "another folder with -o"
        )
    if there and not empty and not overwrite:
        raise RequestError(
            f"{output}: holds prepared data already; replace it by --overwrite, or choose another "
            "folder with -o"
        )
    if there and not empty:
        _check_nothing_else(output)


def _check_nothing_else(output: Path) -> None:
    """Raise where more lies in a prepared folder than was written there."""
    known = {*SETS, MANIFEST, DESCRIPTION}
    more = sorted(path.name for path in output.iterdir() if path.name not in known)
    if more:
        raise RequestError(
            f"{output}: holds {', '.join(more[:5])} besides the prepared data, which --overwrite "
            "would remove; move it elsewhere, or choose another folder with -o"
        )


def check_apart(output: Path, source: Path) -> None:
    """Raise where a source and the output lie in each other: one would eat the other."""
    here, there = output.resolve(), source.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise RequestError(
            f"{output}: it and the images of {source} lie in each other; choose a folder elsewhere "
            "with -o"
        )


def is_prepared(output: Path) -> bool:
    """Whether ``neurosim data`` made this folder."""
    try:
        return json.loads((output / DESCRIPTION).read_text("utf-8"))["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _beside(output: Path, what: str) -> Path:
    path = output.absolute()
    return path.with_name(f".{path.name}.{what}")


def _restore(output: Path) -> None:
    """Bring back what a kill in the moment between two renames left aside."""
    old = _beside(output, "old")
    if is_prepared(old) and not os.path.lexists(output):
        with suppress(OSError):
            old.rename(output)


@contextmanager
def fresh_folder(output: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes ``output`` at the end.

    On an error it is removed, and what was at ``output`` stays; what a killed process
    left is removed by the next.
    """
    partial, old = _beside(output, "partial"), _beside(output, "old")
    with writing(output, "free the disk or choose another folder with -o; nothing was changed"):
        missing = [path for path in partial.parents if not path.exists()]
        partial.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(partial)
        try:
            for left in partial.iterdir():
                _remove(left)
            yield partial
            if output.exists():
                _remove(old)
                output.rename(old)
            partial.rename(output)
            sync_folder(partial.parent)
            _remove(old)
        except BaseException:
            _remove(partial)
            _restore(output)
            with suppress(OSError):
                for path in missing:
                    path.rmdir()
            raise
        finally:
            lock.release()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_manifest(folder: Path, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write one line per picture; ``rows`` are in the order of ``COLUMNS``."""
    path = folder / MANIFEST
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(COLUMNS)
        lines.writerows(rows)
    sync_file(path)


def write_description(folder: Path, content: Mapping[str, Any]) -> None:
    """Write how the folder was made and what is in it."""
    path = folder / DESCRIPTION
    text = json.dumps({"format": FORMAT, "format_version": 1, **content}, indent=2)
    path.write_text(f"{text}\n", encoding="utf-8")
    sync_file(path)
