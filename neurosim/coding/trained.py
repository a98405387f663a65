"""A trained network: the params of a run and its newest undamaged checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from neurosim.checkpointing import RUN_ID
from neurosim.errors import NeurosimError, RunFileError
from neurosim.experiment import Experiment, loads
from neurosim.network import Network
from neurosim.record import layout
from neurosim.record.checkpoint import newest_complete
from neurosim.record.reader import Checkpoint, open_run
from neurosim.record.start import run_path


@dataclass(frozen=True)
class Trained:
    """A run whose weights are to be used.

    Attributes
    ----------
    folder : Path
        Its output folder.
    experiment : Experiment
        The params that were run, every default filled in.
    checkpoint : Checkpoint
        The newest one that is undamaged.
    run_id : str
        Which run it is.
    """

    folder: Path
    experiment: Experiment
    checkpoint: Checkpoint
    run_id: str

    @property
    def network(self) -> Network:
        """The graph of the trained network."""
        return self.experiment.network


def open_trained(run: str | Path) -> Trained:
    """Open a run for its weights.

    Parameters
    ----------
    run : path
        Output folder of the run; it may still go on.

    Raises
    ------
    RunFileError
        No run is there, or it has left no undamaged checkpoint.
    """
    folder = run_path(run).parent
    with open_run(run) as opened:
        text, run_id = opened.params, str(opened.attrs.get(RUN_ID, ""))
    damaged: list[str] = []
    path = newest_complete(folder / layout.CHECKPOINT_FOLDER, damaged)
    if path is None:
        why = f" ({damaged[0]})" if damaged else ""
        raise RunFileError(
            f"{folder}: has no checkpoint to take weights from{why}; one is written at the end of "
            "a run, and on the way with checkpointWrite = true"
        )
    try:
        experiment = loads(text, folder)
    except NeurosimError as error:
        raise RunFileError(f"{folder}: its params cannot be used: {error}") from None
    return Trained(folder, experiment, Checkpoint(path), run_id)
