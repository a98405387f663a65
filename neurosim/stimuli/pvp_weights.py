"""PetaVision ``.pvp`` weight files: shared kernels and one patch per neuron.

Every frame has its own header of 104 bytes; then, per arbor and patch, uint16
width, uint16 height, uint32 offset of the part of the patch that lies inside
the postsynaptic layer, and ``nyp*nxp*nfp`` float32 values (or bytes ``b`` when
compressed: ``low + (high - low)*b/255``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import StimulusError
from neurosim.stimuli.pvp_header import (
    BYTE_DATA,
    FLOAT_DATA,
    NONSHARED_WEIGHTS,
    SHARED_WEIGHTS,
    WEIGHT_HEADER,
    WEIGHT_TYPES,
    PvpHeader,
    file_size,
    parse_header,
    pvp_error,
    read_bytes,
)


@dataclass(frozen=True)
class PvpWeights:
    """One frame of a weight file.

    Attributes
    ----------
    W
        float32 ``(arbors, patches, nyp, nxp, nfp)``; patch ``(y*nx + x)*nf + f``
        of the grid.
    time
        Time of the frame.
    grid
        ``(nx, ny, nf)`` of the patches: the unit cell of the presynaptic layer
        for shared weights, the layer itself with its margins otherwise.
    shared
        Kernels shared over the layer, or one patch per neuron.
    compressed
        Stored as bytes.
    windows
        int64 ``(arbors, patches, 3)``: width, height and offset of the part of
        each patch inside the postsynaptic layer.
    frames
        Number of frames in the file.
    size
        ``(nx, ny)`` of the presynaptic layer without margins.
    """

    W: NDArray[np.float32]
    time: float
    grid: tuple[int, int, int]
    shared: bool
    compressed: bool
    windows: NDArray[np.int64]
    frames: int
    size: tuple[int, int]


def _patch_dtype(header: PvpHeader) -> np.dtype:
    assert header.patch is not None
    value = "u1" if header.data_size == 1 else "<f4"
    fields = [("nx", "<u2"), ("ny", "<u2"), ("offset", "<u4"), ("w", value, header.patch)]
    return np.dtype(fields)


def read_weights(path: str | Path, frame: int = 0) -> PvpWeights:
    """Read one frame of a weight file.

    Parameters
    ----------
    path
        A file of type 3 or 5.
    frame
        Which frame; negative from the end. Default the first.

    Returns
    -------
    PvpWeights

    Raises
    ------
    StimulusError
        The file is missing, no weight file, truncated, or has no such frame.
    """
    path = Path(path)
    size = file_size(path)
    header = parse_header(path, read_bytes(path, 0, WEIGHT_HEADER), tuple(WEIGHT_TYPES))
    dtype = _patch_dtype(header)
    stride = WEIGHT_HEADER + header.bands * header.num_patches * dtype.itemsize
    if size < stride or size % stride:
        found = f"truncated or damaged: {size} bytes"
        raise pvp_error(path, found, f"whole frames of {stride} bytes, as its header says")
    frames = size // stride
    if not -frames <= frame < frames:
        raise pvp_error(path, f"no frame {frame}", f"0 to {frames - 1}")
    data = read_bytes(path, (frame % frames) * stride, stride)
    own = parse_header(path, data, tuple(WEIGHT_TYPES))
    layout = (header.patch, header.bands, header.num_patches, header.data_size)
    if (own.patch, own.bands, own.num_patches, own.data_size) != layout:
        raise pvp_error(path, f"frame {frame} has another layout", "that of the first frame")
    records = np.frombuffer(data, dtype, offset=WEIGHT_HEADER).reshape(own.bands, -1)
    windows = np.stack([records[key] for key in ("nx", "ny", "offset")], -1).astype(np.int64)
    weights = _expand(path, own, records["w"])
    if not np.isfinite(weights).all():
        raise pvp_error(path, f"weights in frame {frame} that are not finite", "finite numbers")
    grid = own.shape if own.filetype == SHARED_WEIGHTS else (*own.extended, own.shape[2])
    return PvpWeights(
        W=weights,
        time=own.time,
        grid=(grid[1], grid[0], grid[2]),
        shared=own.filetype == SHARED_WEIGHTS,
        compressed=own.data_size == 1,
        windows=windows,
        frames=frames,
        size=(own.shape[1], own.shape[0]),
    )


def _expand(path: Path, header: PvpHeader, stored: NDArray) -> NDArray[np.float32]:
    if header.data_size == 4:
        return stored.astype(np.float32)
    low, high = np.float32(header.extrema[0]), np.float32(header.extrema[1])
    if not (np.isfinite(low) and np.isfinite(high)):
        raise pvp_error(path, f"compressed weights between {low} and {high}", "finite limits")
    span = np.float32(high) - np.float32(low)
    return (low + span * (stored.astype(np.float32) / np.float32(255))).astype(np.float32)


def write_weights(
    path: str | Path,
    W: ArrayLike,
    grid: tuple[int, int, int],
    *,
    time: float = 0.0,
    shared: bool = True,
    compressed: bool = False,
    windows: ArrayLike | None = None,
    size: tuple[int, int] | None = None,
    append: bool = False,
) -> None:
    """Write or append one frame of a weight file.

    Parameters
    ----------
    path
        Overwritten unless ``append``.
    W
        ``(arbors, patches, nyp, nxp, nfp)``, stored as float32 or bytes.
    grid
        ``(nx, ny, nf)`` of the patches, margins included when not shared.
    time
        Time of the frame; default 0.
    shared
        File type 5 (default) or 3.
    compressed
        One byte per weight.
    windows
        As in :class:`PvpWeights`; default the whole patch.
    size
        ``(nx, ny)`` of the presynaptic layer without margins; default that of ``grid``.
    append
        Add a frame to the file.

    Raises
    ------
    StimulusError
        Shapes disagree, or a weight is not finite.
    """
    weights = np.asarray(W, np.float32)
    if weights.ndim != 5 or 0 in weights.shape or weights.shape[1] != int(np.prod(grid)):
        expected = f"(arbors, {int(np.prod(grid))} patches, nyp, nxp, nfp)"
        raise StimulusError(f"{path}: weights of shape {weights.shape}; expected {expected}")
    if not np.isfinite(weights).all():
        raise StimulusError(f"{path}: weights that are not finite cannot be written")
    header = _header(weights, grid, time, shared, compressed, size or grid[:2])
    records = np.zeros(weights.shape[:2], _patch_dtype(header))
    records["nx"], records["ny"] = weights.shape[3], weights.shape[2]
    if windows is not None:
        for column, key in enumerate(("nx", "ny", "offset")):
            records[key] = np.asarray(windows)[..., column]
    if compressed:
        low, span = header.extrema[0], header.extrema[1] - header.extrema[0]
        scaled = (weights - np.float32(low)) * np.float32(255.0 / span if span else 0.0)
        records["w"] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    else:
        records["w"] = weights
    with Path(path).open("ab" if append else "wb") as stream:
        stream.write(header.pack() + records.tobytes())


def _header(
    weights: NDArray[np.float32],
    grid: tuple[int, int, int],
    time: float,
    shared: bool,
    compressed: bool,
    size: tuple[int, int],
) -> PvpHeader:
    nyp, nxp, nfp = weights.shape[2:]
    return PvpHeader(
        filetype=SHARED_WEIGHTS if shared else NONSHARED_WEIGHTS,
        shape=(size[1], size[0], grid[2]),
        record_size=0,
        data_size=1 if compressed else 4,
        data_type=BYTE_DATA if compressed else FLOAT_DATA,
        extended=(grid[1], grid[0]),
        bands=weights.shape[0],
        time=float(time),
        patch=(nyp, nxp, nfp),
        extrema=(float(weights.min()), float(weights.max())),
        num_patches=weights.shape[1],
    )
