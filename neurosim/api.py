"""The public functions, by the names users call them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.errors import (
    DivergenceError,
    NetworkError,
    NeurosimError,
    ParamsError,
    RequestError,
    StimulusError,
)
from neurosim.experiment import Experiment, load, loads

if TYPE_CHECKING:
    from neurosim.record.reader import Run
    from neurosim.sweep import SweepRow


def run(
    params: str | Path | Experiment,
    output: str | Path | None = None,
    overrides: Any = (),
    **options: Any,
) -> Run:
    """Run a params file and open its results.

    Parameters
    ----------
    params : path or Experiment
    output : path, optional
        Output folder; the file's outputPath by default.
    overrides : mapping or iterable of str
        As in :func:`load`.
    **options
        backend, dtype, threads, resume, overwrite, progress; see
        :func:`neurosim.run.run_experiment`.

    Returns
    -------
    Run
        As :func:`open_run` gives it.
    """
    from neurosim.run import run_experiment

    experiment = params if isinstance(params, Experiment) else load(params)
    if overrides:
        experiment = experiment.override(overrides)
    return open_run(run_experiment(experiment, output, **options).output)


def open_run(path: str | Path) -> Run:
    """Open the results of a run, also while it goes on or after a crash.

    Parameters
    ----------
    path : path
        The output folder, or ``run.h5`` in it.
    """
    from neurosim.record.reader import open_run as open_results

    return open_results(path)


def sweep(
    params: str | Path | Experiment,
    points: Sequence[Mapping[str, Any]],
    output: str | Path | None = None,
    **options: Any,
) -> list[SweepRow]:
    """Run a params file at several settings; see :func:`neurosim.sweep.run_sweep`."""
    from neurosim.sweep import run_sweep

    experiment = params if isinstance(params, Experiment) else load(params)
    return run_sweep(experiment, points, output, **options)


class Simulation:
    """A network in memory, to step, look at and change; writes no file.

    Parameters
    ----------
    params : path or Experiment
    backend, dtype, threads
        As in :meth:`Experiment.simulator`.

    Examples
    --------
    >>> net = Simulation("params/lca_patch.params")     # doctest: +SKIP
    >>> net.run(100)
    >>> net.activity("V1").shape
    (1, 8, 8, 64)
    """

    def __init__(
        self,
        params: str | Path | Experiment,
        backend: str = "auto",
        dtype: str = "float32",
        threads: int | None = None,
    ) -> None:
        self.experiment = params if isinstance(params, Experiment) else load(params)
        self.probes: dict[str, list[np.ndarray]] = {}
        self._simulator = self.experiment.simulator(
            backend, dtype, threads, recorded=self._recorded
        )
        self.experiment.start(self._simulator)

    def _recorded(self, first: int, values: dict[str, np.ndarray]) -> None:
        if first > 0:
            for name, rows in values.items():
                self.probes.setdefault(name, []).extend(rows)

    @property
    def step(self) -> int:
        """Steps done."""
        return self._simulator.step

    def run(self, steps: int = 1) -> Simulation:
        """Do some steps."""
        self._simulator.run(self.step + steps)
        return self

    def activity(self, layer: str) -> np.ndarray:
        """Activity of a layer, ``(batch, y, x, feature)``; a copy."""
        return self._simulator.backend.read(self._buffers(layer)[1])

    def potential(self, layer: str) -> np.ndarray:
        """Membrane potential of a layer, ``(batch, y, x, feature)``; a copy."""
        return self._simulator.backend.read(self._buffers(layer)[0])

    def weights(self, connection: str) -> np.ndarray:
        """Weights, ``(arbor, kernel, y, x, feature)``; a copy."""
        return self._simulator.backend.read(self._weights(connection))

    def set_weights(self, connection: str, weights: np.ndarray) -> None:
        """Replace weights; they are normalised as at the start of a run."""
        self._simulator.overwrite([(self._weights(connection), np.asarray(weights))])

    def set_potential(self, layer: str, potential: np.ndarray) -> None:
        """Replace the membrane potential of a layer."""
        self._simulator.backend.write(self._buffers(layer)[0], np.asarray(potential))

    def energy(self, probe: str) -> np.ndarray:
        """Values of a probe at each step so far, ``(steps, batch)``."""
        if probe not in self.probes:
            raise RequestError(f'no values of a probe "{probe}"; there are {list(self.probes)}')
        return np.array(self.probes[probe])

    def _buffers(self, layer: str) -> tuple[str, str]:
        layers = self.experiment.plan.layers
        if layer not in layers:
            raise RequestError(f'no layer "{layer}"; there are {", ".join(layers)}')
        return layers[layer]

    def _weights(self, connection: str) -> str:
        name = f"{connection}:W"
        if name not in self.experiment.plan.buffers:
            raise RequestError(f'connection "{connection}" has no weights of its own')
        return name


__all__ = [
    "DivergenceError",
    "Experiment",
    "NetworkError",
    "NeurosimError",
    "ParamsError",
    "RequestError",
    "Simulation",
    "StimulusError",
    "load",
    "loads",
    "open_run",
    "run",
    "sweep",
]
