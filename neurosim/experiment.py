"""A params file ready to run: load, override, look, step, run."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.backends import choose_backend
from neurosim.backends.profile import Profile
from neurosim.errors import ParamsError, RequestError
from neurosim.network import Network, build_network
from neurosim.paramfile import Loaded, load_model, load_text, read_overrides, write_model
from neurosim.plan import Plan, Schedule, fuse, initial_state, lower, tune
from neurosim.plan.schedules import layer_schedule
from neurosim.plan.state import DEFAULT_SEED
from neurosim.simulation import Convergence, Simulator, Stimulus
from neurosim.simulation.divergence import ENERGY_GROWTH
from neurosim.specs import Model
from neurosim.stimuli.feeds import Feed, open_feeds

Overrides = Mapping[str, Any] | Iterable[str]

#: Largest patch, number of arbors, delay and display in steps: more is surely a mistake, and would
#: take for ever to prepare or overflow.
LIMITS = {"nxp": 4096, "nyp": 4096, "numAxonalArbors": 1024, "delay": 10_000, "displayPeriod": 1e12}

#: Layers that read another one directly, with the key that names it.
LIVE_READERS = {
    "CloneVLayer": "originalLayerName",
    "SigmoidLayer": "originalLayerName",
    "RescaleLayer": "originalLayerName",
    "MaskLayer": "maskLayerName",
}


@dataclass(frozen=True)
class Experiment:
    """A params file, read and checked; made by :func:`load`.

    Attributes
    ----------
    loaded : Loaded
        Model, groups, source text and notes of the file.
    folder : Path
        Where relative file names of the params start.
    path : Path or None
        The file; None for a text.
    overrides : dict
        Values that replace those of the file.
    """

    loaded: Loaded
    folder: Path
    path: Path | None
    overrides: Mapping[str, Any]
    lenient: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        # What follows from the params is built anew in another process.
        return Experiment, (self.loaded, self.folder, self.path, self.overrides, self.lenient)

    def override(self, changes: Overrides) -> Experiment:
        """The same file with other values; this experiment stays as it is.

        Parameters
        ----------
        changes : mapping or iterable of str
            ``{"V1.VThresh": 0.02}`` or ``["V1.VThresh=0.02"]``.

        Returns
        -------
        Experiment

        Raises
        ------
        RequestError
            No such group or key.
        ParamsError
            A value is of the wrong type or out of its range.

        Examples
        --------
        >>> import neurosim
        >>> thin = neurosim.load("params/lca_patch.params").override({"V1.VThresh": 0.02})
        >>> thin.network.layers["V1"].spec.VThresh
        0.02
        """
        changed = {**self.overrides, **read_overrides(changes)}
        if self.path is not None:
            loaded = load_model(self.path, changed, self.lenient)
        else:
            loaded = load_text(self.loaded.source_text, "<text>", changed, self.lenient)
        return Experiment(loaded, self.folder, self.path, changed, self.lenient)

    @cached_property
    def network(self) -> Network:
        """The checked graph of layers and connections."""
        model = self.loaded.model
        if model.column.randomSeed is None:
            model = model.replace(model.column.replace(randomSeed=DEFAULT_SEED))
        _check_limits(model)
        return build_network(model)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should hear about, once per run."""
        return (*self.loaded.notes, *_order_notes(self.network))

    @cached_property
    def plan(self) -> Plan:
        """Buffers and operators, as the params file has them."""
        return lower(self.network)

    @cached_property
    def fused_plan(self) -> Plan:
        """The plan that runs unless it is asked not to: the same values from fewer operators."""
        return fuse(self.plan)

    @property
    def effective_text(self) -> str:
        """The params with every default filled in; loading it gives the same run."""
        return write_model(self.network.model)

    @property
    def dt(self) -> float:
        """Simulated time of one step."""
        return self.network.model.column.dt

    def displays(self) -> list[Schedule]:
        """When each input layer shows something new."""
        kinds = ("ImageLayer", "PvpLayer")
        names = [n for n, node in self.network.layers.items() if node.kind in kinds]
        return [when for n in names if (when := layer_schedule(self.network, n)) is not None]

    @property
    def steps(self) -> int:
        """Steps from the start to ``stopTime``."""
        column = self.network.model.column
        return round(column.stopTime / column.dt)

    def feeds(self, means: Mapping[str, np.ndarray] | None = None) -> dict[str, Feed]:
        """Open and check every input.

        Parameters
        ----------
        means : mapping, optional
            Mean images by input layer, from an earlier run.

        Raises
        ------
        StimulusError
            Names all inputs that are missing or damaged.
        RequestError
            The network does not fit into this machine.
        """
        _check_memory(self.plan)
        nbatch = self.network.nbatch
        shapes = {
            n: (nbatch, s.shape.ny, s.shape.nx, s.shape.nf) for n, s in self.network.layers.items()
        }
        return open_feeds(self.network.model, shapes, self.folder, means)

    def check(self) -> None:
        """Find whatever can be wrong before a run: plan, inputs, starting values, files."""
        _convergence(self.network)
        self.feeds()
        for _ in initial_state(self.network, self.plan, self.folder):
            pass

    def simulator(
        self,
        backend: str = "auto",
        dtype: str = "float32",
        threads: int | None = None,
        feeds: Mapping[str, Feed] | None = None,
        recorded: Any = None,
        fused: bool = True,
        profile: Profile | None = None,
        plan: Plan | None = None,
    ) -> Simulator:
        """A simulator with its buffers allocated but not yet started.

        Parameters
        ----------
        backend : {"auto", "cpu", "cuda", "reference"}
        dtype : {"float32", "float64"}
            Precision; the reference always runs in float64.
        threads : int, optional
            Cores to use; all by default.
        fused : bool
            Run the fused plan; false runs each operator as the file has it.
        profile : Profile, optional
            Times the operators; see :mod:`neurosim.backends.profile`.
        plan : Plan, optional
            Run this plan of the network instead.
        """
        network = self.network
        opened = self.feeds() if feeds is None else feeds
        stimuli = []
        for name, feed in opened.items():
            when = layer_schedule(network, name)
            assert when is not None
            stimuli.append(Stimulus(f"{name}:frame", f"{name}:A", when, feed.frames))
        chosen = choose_backend(backend, dtype, threads)
        if plan is None:
            plan = self.fused_plan if fused else self.plan
            plan = tune(plan) if fused and chosen.on_host else plan
        if profile is not None:
            profile.attach(plan, chosen)
        return Simulator(
            plan,
            chosen,
            stimuli,
            recorded=recorded,
            convergence=_convergence(network),
            energies=_watched_energies(network),
        )

    def start(self, simulator: Simulator) -> Simulator:
        """Write the starting potentials, activities and weights."""
        simulator.start(initial_state(self.network, self.plan, self.folder))
        return simulator


def _check_limits(model: Model) -> None:
    """Raise for numbers beyond what any network can mean."""
    for spec in model.objects:
        for key, limit in LIMITS.items():
            given: Any = getattr(spec, key, 0)
            value = max(given, default=0) if isinstance(given, tuple) else given
            steps = key in ("delay", "displayPeriod")
            if (value / model.column.dt if steps else value) > limit:
                unit = " steps" if steps else ""
                cure = "; 0 shows an input for ever" if key == "displayPeriod" else ""
                message = f"{key} = {value:g}: the limit is {limit:g}{unit}{cure}"
                raise model.error(spec.name, message, key)


def _check_memory(plan: Plan) -> None:
    """Raise for a network that cannot fit; a system that overcommits would kill the run later."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return
    # Python's integers, for the numbers of a mistyped file overflow others.
    needed = 4 * sum(math.prod(buffer.shape) for buffer in plan.buffers.values())
    if needed > total:
        raise RequestError(
            f"this network needs {needed / 2**30:,.0f} GiB of memory, and the machine has "
            f"{total / 2**30:,.0f} GiB; lower nbatch, nf, nx or ny"
        )


def _watched_energies(network: Network) -> dict[str, float]:
    """Energies, and the growth that means divergence: none, where nothing but solvers steps."""
    steps = any(hasattr(node.spec, "timeConstantTau") for node in network.layers.values())
    growth = ENERGY_GROWTH if steps else math.inf
    probes = network.model.probes.items()
    return {name: growth for name, p in probes if p.kind == "ColumnEnergyProbe"}


def _convergence(network: Network) -> Convergence | None:
    """The early end of presentations that an input layer asks for."""
    model = network.model
    asking = [s for s in model.layers.values() if getattr(s, "convergenceTolerance", 0.0) > 0]
    if not asking:
        return None
    spec: Any = asking[0]
    energies = [n for n, p in model.probes.items() if p.kind == "ColumnEnergyProbe"]
    probe = spec.convergenceProbe or (energies[0] if len(energies) == 1 else None)
    if probe is None:
        raise model.error(
            spec.name,
            f"convergenceTolerance needs an energy to watch, and there are {len(energies)} "
            "ColumnEnergyProbes; name one as convergenceProbe",
            "convergenceTolerance",
        )
    when = layer_schedule(network, spec.name)
    assert when is not None
    return Convergence(probe, spec.convergenceTolerance, spec.convergenceWindow, when)


def _order_notes(network: Network) -> list[str]:
    """Tell of layers whose values depend on the order of the groups in the file."""
    found = []
    for name, node in network.layers.items():
        read: str = getattr(node.spec, LIVE_READERS.get(node.kind, ""), "")
        if read in network.layers and network.layers[read].phase == node.phase:
            where = network.model.where(name)
            found.append(f"{name} (reads {read}{f'; {where}' if where else ''})")
    if not found:
        return []
    return [
        "the order of groups in the file decides whether a layer that reads another directly sees "
        "its value of this step or of the last, for they have the same phase (a higher phase makes "
        f"it this step's): {', '.join(found)}"
    ]


def load(path: str | Path, overrides: Overrides = (), *, lenient: bool = False) -> Experiment:
    """Read and check a params file.

    Parameters
    ----------
    path : path
        The file.
    overrides : mapping or iterable of str
        New values, as ``{"V1.VThresh": 0.02}`` or ``["V1.VThresh=0.02"]``.
    lenient : bool
        Tell of keys that no version knows in a note instead of refusing them.

    Returns
    -------
    Experiment

    Raises
    ------
    ParamsError, NetworkError
        With file and line.

    Examples
    --------
    >>> import neurosim
    >>> experiment = neurosim.load("params/lca_patch.params", {"V1.VThresh": 0.02})
    >>> sorted(experiment.network.layers)[-1]
    'V1'
    """
    path = Path(path)
    _check_path(path)
    changes = read_overrides(overrides)
    loaded = load_model(path, changes, lenient)
    experiment = Experiment(loaded, path.resolve().parent, path, changes, lenient)
    _ = experiment.network
    return experiment


def loads(text: str, folder: str | Path = ".", overrides: Overrides = ()) -> Experiment:
    """Read and check the text of a params file; relative file names start at ``folder``."""
    changes = read_overrides(overrides)
    experiment = Experiment(
        load_text(text, "<text>", changes), Path(folder).resolve(), None, changes
    )
    _ = experiment.network
    return experiment


def _check_path(path: Path) -> None:
    """Raise when a params file is not there, with the nearest name that is."""
    if os.path.isdir(path):
        raise ParamsError(f"{path}: is a folder; give a params file")
    if os.path.exists(path):
        return
    beside = {other.stem: other for other in path.parent.glob("*.params")}
    near = get_close_matches(path.stem, beside, 1)
    hint = f"; did you mean {beside[near[0]]}?" if near else ""
    raise ParamsError(f"{path}: no such file{hint}")
