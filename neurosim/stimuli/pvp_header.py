"""The 80 and 104 byte headers of PetaVision ``.pvp`` files."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from neurosim.errors import StimulusError

ACTIVITY_HEADER = 80
WEIGHT_HEADER = 104

BINARY_SPARSE = 2
NONSHARED_WEIGHTS = 3
DENSE = 4
SHARED_WEIGHTS = 5
SPARSE = 6

ACTIVITY_TYPES = {BINARY_SPARSE: "binary sparse", DENSE: "dense", SPARSE: "sparse"}
WEIGHT_TYPES = {NONSHARED_WEIGHTS: "non-shared weights", SHARED_WEIGHTS: "shared weights"}

BYTE_DATA = 1
INT_DATA = 2
FLOAT_DATA = 3
PAIR_DATA = 4

# A corrupt header easily claims petabytes: refuse what could not be a layer.
MAX_ELEMENTS = 2**28

_ACTIVITY = struct.Struct("<18id")
_WEIGHT_TAIL = struct.Struct("<3i2fi")


@dataclass(frozen=True)
class PvpHeader:
    """The fields of a header that carry information.

    Parameters
    ----------
    filetype
        2 binary sparse, 3 non-shared weights, 4 dense, 5 shared weights, 6 sparse.
    shape
        ``(ny, nx, nf)``: the layer of an activity file, the grid of kernels of a
        weight file (without margins).
    record_size, data_size, data_type
        As stored: elements of a dense frame (0 otherwise), bytes of one datum
        and its code (1 byte, 2 int, 3 float, 4 index-value pair).
    extended
        ``(ny, nx)`` with the margins of the presynaptic layer.
    bands
        Frames of an activity file, arbors of a weight file.
    time
        Time of the frame in a weight file; 0 in an activity file.
    patch
        ``(nyp, nxp, nfp)`` of a weight file, else ``None``.
    extrema
        Smallest and largest weight, the range of compressed weights.
    """

    filetype: int
    shape: tuple[int, int, int]
    record_size: int
    data_size: int
    data_type: int
    extended: tuple[int, int]
    bands: int
    time: float = 0.0
    patch: tuple[int, int, int] | None = None
    extrema: tuple[float, float] = (0.0, 0.0)
    num_patches: int = 0

    def pack(self) -> bytes:
        """Return the header's bytes (80 for activity, 104 for weights)."""
        ny, nx, nf = self.shape
        weights = self.patch is not None
        size = WEIGHT_HEADER if weights else ACTIVITY_HEADER
        count = self.bands if weights else 1
        fields = [size, size // 4, self.filetype, nx, ny, nf]
        fields += [count, self.record_size, self.data_size, self.data_type]
        fields += [1, 1, self.extended[1], self.extended[0], 0, 0, 1, self.bands]
        head = _ACTIVITY.pack(*fields, self.time)
        if self.patch is None:
            return head
        nyp, nxp, nfp = self.patch
        return head + _WEIGHT_TAIL.pack(nxp, nyp, nfp, *self.extrema, self.num_patches)


def pvp_error(path: Path, found: str, expected: str) -> StimulusError:
    """Return the error for a damaged file: what was found, what is expected."""
    return StimulusError(f"{path}: {found}; expected {expected}")


def read_bytes(path: Path, start: int, count: int) -> bytes:
    """Read at most ``count`` bytes from ``start``; any failure is a StimulusError."""
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            return stream.read(count)
    except OSError as error:
        raise StimulusError(f"{path}: cannot be read ({error.strerror or error})") from error


def file_size(path: Path) -> int:
    """Return the size of ``path`` in bytes, or raise a StimulusError that names it."""
    try:
        if path.is_dir():
            raise StimulusError(f"{path}: is a folder; expected a .pvp file")
        return path.stat().st_size
    except FileNotFoundError:
        raise StimulusError(f"{path}: no such file; expected a .pvp file") from None
    except (OSError, ValueError) as error:
        if isinstance(error, StimulusError):
            raise
        raise StimulusError(f"{path}: cannot be read ({error})") from error


def parse_header(path: Path, data: bytes, want: Sequence[int]) -> PvpHeader:
    """Parse and check a header.

    Parameters
    ----------
    path
        Named in errors.
    data
        The first bytes of the file or frame.
    want
        File types that are welcome.

    Raises
    ------
    StimulusError
        The bytes are no .pvp header of these types, or a field is impossible.
    """
    weights = NONSHARED_WEIGHTS in want
    size = WEIGHT_HEADER if weights else ACTIVITY_HEADER
    kinds = WEIGHT_TYPES if weights else ACTIVITY_TYPES
    allowed = ", ".join(f"{code} ({text})" for code, text in kinds.items())
    if len(data) < ACTIVITY_HEADER:
        raise pvp_error(path, f"{len(data)} bytes", f"a .pvp header of at least {size} bytes")
    fields = _ACTIVITY.unpack_from(data)
    found_size, _, filetype, nx, ny, nf = fields[:6]
    if found_size not in (ACTIVITY_HEADER, WEIGHT_HEADER):
        raise pvp_error(
            path,
            f"not a .pvp file, it starts with {data[:8]!r}",
            f"the header size {size} as a little-endian int32",
        )
    if filetype not in want:
        known = {**ACTIVITY_TYPES, **WEIGHT_TYPES}.get(filetype, "unknown")
        raise pvp_error(path, f"file type {filetype} ({known})", f"one of {allowed}")
    if found_size != size or len(data) < size:
        raise pvp_error(path, f"a header of {min(found_size, len(data))} bytes", f"{size} bytes")
    if min(nx, ny, nf) < 1 or nx * ny * nf > MAX_ELEMENTS:
        limit = f"positive sizes with a product of at most {MAX_ELEMENTS}"
        raise pvp_error(path, f"header sizes nx={nx}, ny={ny}, nf={nf}", limit)
    bands = fields[17]
    if bands < 0 or (weights and bands < 1):
        raise pvp_error(path, f"nbands={bands} in the header", "a count of frames or arbors")
    header = PvpHeader(
        filetype=filetype,
        shape=(ny, nx, nf),
        record_size=fields[7],
        data_size=fields[8],
        data_type=fields[9],
        extended=(fields[13], fields[12]),
        bands=bands,
        time=fields[18],
    )
    return _with_patch(path, header, data) if weights else header


def _with_patch(path: Path, header: PvpHeader, data: bytes) -> PvpHeader:
    nxp, nyp, nfp, low, high, num_patches = _WEIGHT_TAIL.unpack_from(data, ACTIVITY_HEADER)
    if min(nxp, nyp, nfp) < 1 or nxp * nyp * nfp > MAX_ELEMENTS or num_patches < 1:
        found = f"patch sizes nxp={nxp}, nyp={nyp}, nfp={nfp}, {num_patches} patches"
        raise pvp_error(path, found, "positive patch sizes")
    if (header.data_size, header.data_type) not in ((4, FLOAT_DATA), (1, BYTE_DATA)):
        found = f"weights of data size {header.data_size}, data type {header.data_type}"
        raise pvp_error(path, found, "float32 (4, 3) or compressed bytes (1, 1)")
    grid = header.shape
    if header.filetype == NONSHARED_WEIGHTS:
        grid = (*header.extended, header.shape[2])
    if num_patches != grid[0] * grid[1] * grid[2]:
        found = f"{num_patches} patches for a grid (ny, nx, nf) of {grid}"
        raise pvp_error(path, found, f"{grid[0] * grid[1] * grid[2]} patches")
    return replace(header, patch=(nyp, nxp, nfp), extrema=(low, high), num_patches=num_patches)
