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
        None, "Seed of every random number; drawn once per run if absent.", ge=0, le=4294967295
    )
    progressInterval: Number = key(1.0, "Time between progress reports.", unit="time")
    outputPath: Text = key("output", "Folder for the results.")
    errorOnNotANumber: Flag = key(False, "Stop as soon as an activity is not a number.")
    errorOnUnusedParam: Flag = key(False, "Treat a key that nothing reads as an error.")
    initializeFromCheckpointDir: Text = key(
        "", "Checkpoint whose activities and weights the run starts from."
    )
    checkpointWrite: Flag = key(False, "Write checkpoints while the run goes on.")
    checkpointWriteDir: Text = key(
        "", "Folder for checkpoints; empty: inside the results.", when=_WRITES
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
    checkpointIndexWidth: Integer = key(
        -1, "Digits of the step in a checkpoint's name; negative: as many as needed.", when=_WRITES
    )
    suppressNonplasticCheckpoints: Flag = key(
        False, "Leave weights that cannot change out of checkpoints.", when=_WRITES
    )
    deleteOlderCheckpoints: Flag = key(False, "Keep only the newest checkpoints.", when=_WRITES)
    numCheckpointsKept: Integer = key(
        1,
        "How many checkpoints are kept.",
        when=(_WRITES, When("deleteOlderCheckpoints", (True,))),
        ge=1,
    )
    lastCheckpointDir: Text = key(
        "",
        "Folder of the checkpoint at the end of the run; empty: inside the results.",
        when=When("checkpointWrite", (False,)),
    )
