"""Files that are whole or absent, and HDF5's failures as one readable line."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neurosim.errors import NeurosimError, RunFileError
from neurosim.record import layout

# What h5py raises for damage and for a failing disk; which one depends on the place.
_H5_FAILURES = (
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    MemoryError,
    OverflowError,
)

# The last of them comes some 30 ms after the first: longer than any write of metadata.
_READ_ATTEMPTS = 25


def reason(error: BaseException) -> str:
    """The one telling part of an h5py message, which runs over several lines."""
    text = " ".join(str(error).split())
    system = re.search(r"error message = '([^']*)'", text)
    if system:
        return system.group(1)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    inner = re.search(r"\(([^()]*)\)$", text)
    return inner.group(1) if inner else text or type(error).__name__


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn any failure to read ``what`` from ``path`` into a RunFileError."""
    try:
        yield
    except NeurosimError:
        raise
    except FileNotFoundError:
        raise RunFileError(f"{path}: no such file") from None
    except PermissionError:
        raise RunFileError(f"{path}: permission denied; it must be readable") from None
    except _H5_FAILURES as error:
        raise RunFileError(f"{path}: {what} cannot be read: {reason(error)}") from None


@contextmanager
def writing(path: Path, cure: str) -> Iterator[None]:
    """Turn any failure to write ``path`` into a RunFileError that ends with ``cure``."""
    try:
        yield
    except NeurosimError:
        raise
    except (OSError, RuntimeError) as error:
        raise RunFileError(f"{path}: cannot be written: {reason(error)}; {cure}") from None


def abandon(file: h5py.File) -> None:
    """Close ``file`` after a failed write, leaving on disk what is there now.

    HDF5 tries its pending writes again on every close and may crash the process
    when they fail again, so they are sent to the null device.
    """
    if not file:
        return
    with suppress(*_H5_FAILURES):
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, file.id.get_vfd_handle())
        os.close(null)
    try:
        file.close()
    except _H5_FAILURES:
        # The identifier is half dead: keep it, for freeing it would crash.
        h5py.h5i.inc_ref(file.id)


def open_growing(path: Path) -> h5py.File:
    """Open for reading a file that may be finished, being written, or left by a kill."""
    try:
        return h5py.File(path, "r", libver="latest")
    except FileNotFoundError:
        raise
    except OSError:
        # Marked as being written: HDF5 then wants to be told that the writer uses SWMR.
        access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
        access.set_libver_bounds(h5py.h5f.LIBVER_LATEST, h5py.h5f.LIBVER_LATEST)
        access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
        _limit_attempts(access)
        flags = h5py.h5f.ACC_RDONLY | h5py.h5f.ACC_SWMR_READ
        return h5py.File(h5py.h5f.open(os.fsencode(path), flags, fapl=access))


def _limit_attempts(access: h5py.h5p.PropFAID) -> None:
    """Keep an SWMR reader from waiting forever for damaged metadata to become whole.

    HDF5 tries a read 100 times and sleeps 1, 2, 4, ... ns between, which never ends;
    h5py has no call for the limit, so it is made through the library h5py loaded.
    """
    try:
        library = ctypes.PyDLL(h5py.h5p.__file__)
        set_attempts = library.H5Pset_metadata_read_attempts
    except (OSError, AttributeError):
        return
    with h5py._objects.phil:
        set_attempts(ctypes.c_int64(access.id), ctypes.c_uint(_READ_ATTEMPTS))


def sync_file(path: Path) -> None:
    """Wait until the content of ``path`` is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the names in ``folder`` are on the disk, where the system can."""
    with suppress(OSError):
        sync_file(folder)


def partial_name(path: Path) -> Path:
    """Where ``path`` is written until it is complete."""
    return path.with_name(path.name + layout.PARTIAL_SUFFIX)


def publish(partial: Path, path: Path) -> None:
    """Give the complete file ``partial`` its name, atomically and durably."""
    sync_file(partial)
    os.replace(partial, path)
    sync_folder(path.parent)


class FolderLock:
    """At most one writer a folder, even across processes; gone when the process is."""

    def __init__(self, folder: Path) -> None:
        self._release: weakref.finalize | None = None
        try:
            import fcntl
        except ImportError:  # no such locks on this system
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise RunFileError(
                f"{folder}: another run is writing here; wait for it, stop it, "
                "or choose another output folder"
            ) from None
        except OSError:  # a network file system without locks
            os.close(descriptor)
            return
        self._release = weakref.finalize(self, os.close, descriptor)

    def release(self) -> None:
        """Let others write; harmless when called twice."""
        if self._release is not None:
            self._release()


def encode_texts(texts: list[str]) -> np.ndarray:
    """Fixed-length UTF-8 bytes (file names that are no UTF-8 survive)."""
    encoded = [text.encode("utf-8", "surrogateescape") for text in texts]
    width = max([1, *map(len, encoded)])
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", width))


def decode_text(value: bytes | str) -> str:
    """The inverse of :func:`encode_texts`, for one text."""
    if isinstance(value, str):
        return value
    return bytes(value).decode("utf-8", "surrogateescape")


def write_text(file: h5py.File, path: str, text: str) -> None:
    """Store one text as a scalar, fixed-length UTF-8 dataset with its checksum."""
    encoded = encode_texts([text]).reshape(())
    dataset = file.create_dataset(path, data=encoded)
    set_attributes(dataset, {layout.SHA256: _text_digest(text)})


def read_text(file: h5py.File, path: str) -> str:
    """The inverse of :func:`write_text`; a wrong checksum is a ValueError."""
    text = decode_text(file[path][()])
    if _text_digest(text) != decode_text(file[path].attrs[layout.SHA256]):
        raise ValueError("checksum does not match")
    return text


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def set_attributes(item: h5py.File | h5py.Group, values: Mapping[str, Any]) -> None:
    """Set attributes; texts and lists of text get a fixed length.

    Texts of variable length, which h5py writes by itself, live in a heap that has no
    checksum and on which HDF5 can loop forever once it is damaged.
    """
    for key, value in values.items():
        if isinstance(value, str):
            value = encode_texts([value]).reshape(())
        elif isinstance(value, list) and all(isinstance(text, str) for text in value):
            value = encode_texts(value)
        item.attrs[key] = value


def plain_attributes(item: h5py.File | h5py.Group) -> dict[str, Any]:
    """All attributes as plain Python values; arrays of numbers stay arrays."""
    return {key: _plain(value) for key, value in item.attrs.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return decode_text(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "S":
        return [decode_text(text) for text in value.ravel()]
    return value.item() if isinstance(value, np.generic) else value


def check_format(file: h5py.File, path: Path, name: str, version: int) -> None:
    """Refuse a file of another format, or of a version this reader does not know."""
    found = file.attrs.get(layout.FORMAT)
    if found is not None:
        found = decode_text(found) if isinstance(found, (bytes, str)) else str(found)
    if found != name:
        given = "an HDF5 file of another program" if found is None else f'a "{found}" file'
        raise RunFileError(f'{path}: this is {given}, not a "{name}" file')
    given_version = int(file.attrs[layout.FORMAT_VERSION])
    if given_version > version:
        raise RunFileError(
            f"{path}: format version {given_version}, but this neurosim reads version "
            f"{version}; update neurosim"
        )
    if given_version < version:
        raise RunFileError(
            f"{path}: format version {given_version}, older than the version {version} "
            "this neurosim reads; open it with the neurosim that wrote it "
            "(attribute neurosim_version)"
        )
