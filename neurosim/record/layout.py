"""Every name and attribute of the two HDF5 formats, stated once.

``run.h5`` grows while a run goes on; a checkpoint is written whole and never
changed. ``T`` is the number of frames, ``B`` the batch size, ``P`` the number of
probe samples. The time dataset of a group is written last, so its length, up to
the first NaN, is the truth about how many frames of that group exist.
"""

from __future__ import annotations

from typing import Final

# Superblock 3 and versioned object headers: needed by SWMR, checksummed, and still
# readable by every HDF5 since 1.10.
LIBVER: Final = ("v110", "v110")

RUN_FORMAT: Final = "neurosim-run"
RUN_VERSION: Final = 1
RUN_FILE: Final = "run.h5"

CHECKPOINT_FORMAT: Final = "neurosim-checkpoint"
CHECKPOINT_VERSION: Final = 1
CHECKPOINT_FOLDER: Final = "checkpoints"
CHECKPOINT_PREFIX: Final = "checkpoint_"
CHECKPOINT_DIGITS: Final = 10

# Added to a file's name until it is complete and flushed to disk.
PARTIAL_SUFFIX: Final = ".partial"

# Root attributes of run.h5; the caller adds neurosim_version, backend, dtype, ...
FORMAT: Final = "format"
FORMAT_VERSION: Final = "format_version"
PARAMS_SHA256: Final = "params_sha256"
CREATED: Final = "created"
FINISHED: Final = "finished"
NBATCH: Final = "nbatch"

# /params
SOURCE_TEXT: Final = "/params/source"
EFFECTIVE_TEXT: Final = "/params/effective"

# /layers/<name>: attributes kind, ny, nx, nf, units, sparse
LAYERS: Final = "/layers"
KIND: Final = "kind"
NY: Final = "ny"
NX: Final = "nx"
NF: Final = "nf"
UNITS: Final = "units"
SPARSE: Final = "sparse"
TIME: Final = "time"
ACTIVITY: Final = "activity"
POTENTIAL: Final = "potential"

# a sparse activity is a group: CSR, rows in order (t, b)
CSR_DATA: Final = "data"
CSR_INDICES: Final = "indices"
CSR_INDPTR: Final = "indptr"
CSR_SHAPE: Final = "shape"

# /inputs/<name>
INPUTS: Final = "/inputs"
FRAME: Final = "frame"
SOURCE: Final = "source"
LABEL: Final = "label"
CLASSES: Final = "classes"

# /probes/<name>
PROBES: Final = "/probes"
VALUE: Final = "value"
COLUMNS: Final = "columns"

# checkpoint: root attributes, and one checksum on each dataset
STEP: Final = "step"
CHECKPOINT_TIME: Final = "time"
COMPLETE: Final = "complete"
SHA256: Final = "sha256"
ENCODING: Final = "encoding"  # "array", "text", "texts" or "json"
CONNECTIONS: Final = "/connections"
WEIGHTS: Final = "W"

# 64 KiB of float32: rewriting the last chunk of a sparse layer costs little, and a
# long read still moves whole megabytes.
CSR_CHUNK: Final = 16_384
ROW_CHUNK: Final = 512
DENSE_CHUNK_BYTES: Final = 16 << 20
GZIP_LEVEL: Final = 4


def checkpoint_name(step: int) -> str:
    """File name of the checkpoint taken at ``step``."""
    return f"{CHECKPOINT_PREFIX}{step:0{CHECKPOINT_DIGITS}d}.h5"


def checkpoint_step(name: str) -> int | None:
    """Step of a checkpoint's file name, or None where it is no such name."""
    if not (name.startswith(CHECKPOINT_PREFIX) and name.endswith(".h5")):
        return None
    digits = name[len(CHECKPOINT_PREFIX) : -len(".h5")]
    return int(digits) if digits.isascii() and digits.isdigit() else None
