"""What a run's probes and layers say of its course: the numbers behind the curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosim.network import Network
from neurosim.plan.probes import coefficient
from neurosim.record.reader import Run

Curve = tuple[np.ndarray, np.ndarray]
#: Recorded frames that tell how long an input is.
FRAMES = 8


@dataclass(frozen=True)
class Course:
    """When a run showed what.

    Attributes
    ----------
    starts : array (presentation,)
        Time of the first step of each presentation (ms).
    nbatch : int
        Images of a presentation.
    """

    starts: np.ndarray
    nbatch: int

    def ends(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Last sample of each presentation that has one.

        Parameters
        ----------
        times : array (sample,)
            Times of samples, ascending.

        Returns
        -------
        presentation, sample : int arrays (n,)
        """
        first = np.searchsorted(times, self.starts - 1e-9)
        last = np.append(first[1:], len(times)) - 1
        shown = np.flatnonzero(last >= first)
        return shown, last[shown]

    def shown(self, presentations: np.ndarray) -> np.ndarray:
        """Images that had been shown by the end of presentations."""
        return (presentations + 1) * self.nbatch


def course(run: Run, image_input: str) -> Course:
    """Presentations of an input; one without end where the run has no times of it."""
    starts = run.inputs[image_input].time
    nbatch = int(run.attrs["nbatch"])
    return Course(starts if len(starts) else np.zeros(1), nbatch)


def probe_curve(run: Run, probe: str, when: Course, factor: float = 1.0) -> Curve:
    """Batch mean of a probe at the end of each presentation: images shown, value."""
    recorded = run.probes[probe]
    at, sample = when.ends(recorded.time)
    return when.shown(at), factor * recorded.value[sample].mean(axis=1)


def energy_probe(run: Run, network: Network) -> str | None:
    """The energy that was recorded, where there is one only."""
    found = [
        name
        for name, spec in network.model.probes.items()
        if spec.kind == "ColumnEnergyProbe" and name in run.probes
    ]
    return found[0] if len(found) == 1 else None


def energy_curves(run: Run, network: Network, energy: str, when: Course) -> dict[str, Curve]:
    """The energy and each of its terms at the end of each presentation."""
    curves = {energy: probe_curve(run, energy, when)}
    for name, spec in network.model.probes.items():
        if getattr(spec, "energyProbe", None) == energy and name in run.probes:
            curves[name] = probe_curve(run, name, when, coefficient(network, spec))
    return curves


def input_norm(run: Run, network: Network, layer: str) -> float | None:
    """Mean squared norm of an input as its error sees it, where the run tells it.

    From the last recorded frames (several, for a batch may be without any name), else from the
    normalisation to mean 0 and standard deviation 1.
    """
    scales = [
        float(connection.spec.scale)
        for connection in network.connections.values()
        if connection.pre == layer != connection.post and connection.kind == "RescaleConn"
    ]
    if len(scales) != 1:
        return None
    squares = None
    if layer in run.layers and len(run.layers[layer]):
        recorded = run.layers[layer].activity
        frames = [recorded[-k].astype(np.float64) for k in range(1, 1 + min(FRAMES, len(recorded)))]
        squares = float(np.mean([(frame**2).sum(axis=(1, 2, 3)).mean() for frame in frames]))
    else:
        node = network.layers[layer]
        spec: Any = node.spec
        if getattr(spec, "normalizeLuminanceFlag", False) and getattr(
            spec, "normalizeStdDev", True
        ):
            squares = float(node.shape.size)
    return squares * scales[0] ** 2 if squares else None


def unexplained_curves(run: Run, network: Network, when: Course) -> dict[str, Curve]:
    """Share of the squared norm of each input that its level leaves unexplained."""
    curves = {}
    for connection in network.connections.values():
        # One from a layer to itself is an inhibition.
        if connection.kind != "RescaleConn" or connection.pre == connection.post:
            continue
        norm = input_norm(run, network, connection.pre)
        specs: Any = network.model.probes.items()
        for name, spec in specs:
            squared = spec.kind == "L2NormProbe" and getattr(spec, "exponent", 1) == 2
            if squared and spec.targetLayer == connection.post and name in run.probes and norm:
                curves[connection.pre] = probe_curve(run, name, when, 1 / norm)
    return curves


def activity_curves(run: Run, layers: list[str], when: Course) -> dict[str, Curve]:
    """Share of the neurons of each recorded layer that are active at the end of presentations."""
    curves = {}
    for name in layers:
        if name not in run.layers:
            continue
        layer = run.layers[name]
        at, frame = when.ends(layer.time)
        if len(at):
            active = layer.nonzero()[frame].mean(axis=1) / (layer.ny * layer.nx * layer.nf)
            curves[name] = (when.shown(at), active)
    return curves


def settling_curves(
    run: Run, energy: str, when: Course
) -> tuple[np.ndarray, list[np.ndarray], list[str]]:
    """Energy within the first, the middle and the last presentation.

    Returns
    -------
    time : array (steps,)
        Since the presentation began (ms).
    values : list of array (steps, batch)
    names : list of str
    """
    recorded = run.probes[energy]
    times = recorded.time
    first = np.searchsorted(times, when.starts - 1e-9)
    stop = np.append(first[1:], len(times))
    long = np.flatnonzero(stop - first > 1)
    if not len(long):
        return np.empty(0), [], []
    chosen = list(dict.fromkeys([int(long[0]), int(long[len(long) // 2]), int(long[-1])]))
    steps = min(int(stop[k] - first[k]) for k in chosen)
    values = recorded.value
    since = times[first[chosen[0]] : first[chosen[0]] + steps] - when.starts[chosen[0]]
    images = [f"images {k * when.nbatch + 1:,} to {(k + 1) * when.nbatch:,}" for k in chosen]
    return since, [values[first[k] : first[k] + steps] for k in chosen], images
