"""The column: time, size of the retina, batch, seed and checkpoints."""

from __future__ import annotations

from typing import ClassVar, Literal

from neurosim.specs.base import Spec, When, key
from neurosim.specs.values import Flag, Integer, Number, Seed, Text

__all__ = ["HyPerCol"]

_WRITES = When("checkpointWrite", (True,))


class HyPerCol(Spec):
    """The one group every params file has: its size and its time apply to all others."""

    category: ClassVar[str] = "column"

    nx: Integer = key(..., "Width of a layer with nxScale 1.", unit="pixel", ge=1)
    ny: Integer = key(..., "Height of a layer with nyScale 1.", unit="pixel", ge=1)
    nbatch: Integer = key(1, "Inputs simulated side by side.", ge=1)
    dt: Number = key(1.0, "Time step.", unit="time", gt=0)
    stopTime: Number = key(0.0, "Simulated time at which the run ends.", unit="time", ge=0)
    randomSeed: Seed = key(
        None, "Seed of every random number; 1234567890 if absent.", ge=0, le=4294967295
    )
    progressInterval: Number = key(
        1.0, "Least time between lines of progress where the output is no terminal.", unit="time"
    )
    outputPath: Text = key("output", "Folder for the results.")
    errorOnUnusedParam: Flag = key(False, "Treat a key that nothing reads as an error.")
    initializeFromCheckpointDir: Text = key(
        "",
        "Checkpoint whose potentials, activities and weights the run starts from: the results of "
        "a run, one of its checkpoint files, or a PetaVision checkpoint folder.",
    )
    checkpointWrite: Flag = key(
        False,
        "Write checkpoints while the run goes on; one at its end is always written. They are in "
        "the folder checkpoints of the results.",
    )
    checkpointWriteTriggerMode: Literal["step", "time", "clock"] = key(
        "step", "What the checkpoint interval counts.", when=_WRITES
    )
    checkpointWriteStepInterval: Integer = key(
        1,
        "Steps between checkpoints.",
        unit="step",
        when=(_WRITES, When("checkpointWriteTriggerMode", ("step",))),
        ge=1,
    )
    checkpointWriteTimeInterval: Number = key(
        1.0,
        "Simulated time between checkpoints.",
        unit="time",
        when=(_WRITES, When("checkpointWriteTriggerMode", ("time",))),
        gt=0,
    )
    checkpointWriteClockInterval: Number = key(
        1.0,
        "Wall-clock time between checkpoints.",
        unit="checkpointWriteClockUnit",
        when=(_WRITES, When("checkpointWriteTriggerMode", ("clock",))),
        gt=0,
    )
    checkpointWriteClockUnit: Literal["second", "minute", "hour", "day"] = key(
        "second",
        "Unit of checkpointWriteClockInterval.",
        when=(_WRITES, When("checkpointWriteTriggerMode", ("clock",))),
    )
    deleteOlderCheckpoints: Flag = key(False, "Keep only the newest checkpoints.", when=_WRITES)
    numCheckpointsKept: Integer = key(
        1,
        "How many checkpoints are kept.",
        when=(_WRITES, When("deleteOlderCheckpoints", (True,))),
        ge=1,
    )
