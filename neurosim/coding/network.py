"""The network that codes: the trained one with learning off, without what is not shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from neurosim.errors import RequestError
from neurosim.network import Network, gone_without, image_input, levels, name_inputs
from neurosim.specs import LayerSpec, Model, SparseSolverLayer, Spec, build

Shown = Literal["face", "name", "both"]
SHOWN: tuple[Shown, ...] = ("face", "name", "both")

#: Keys of probes, clones and connections that name what they cannot be without.
_LEANS_ON = (
    "targetLayer", "numerator", "denominator", "targetName", "originalLayerName", "maskLayerName",
    "preLayerName", "postLayerName", "originalConnName", "inputLayerName",
    "labelSource",
)  # fmt: skip
#: Least and largest enlargement of images, as for the key `zoom`.
ZOOMS = (0.5, 2.0)
#: A change interval that no run reaches: one orientation for all displays.
_NEVER = 1_000_000_000


@dataclass(frozen=True)
class Settings:
    """How a set of images is coded.

    Attributes
    ----------
    shown : {"face", "name", "both"}
        What the network is given; the rest is missing, not blank.
    steps : int, optional
        Steps per image; as trained by default.
    nbatch : int, optional
        Images side by side; as trained by default.
    solver : bool
        Reach the code by SparseSolverLayer instead of the trained dynamics.
    tolerance : float
        End a presentation once the energy's relative change per step stays below this; 0: never.
    mirrored : bool
        Show each image from right to left.
    zoom : float
        Show each image enlarged around its middle by this factor, 0.5 to 2; 1: as it is.
    untrained : str
        A level whose dictionaries are random, drawn as at the start of a training.
    """

    shown: Shown = "face"
    steps: int | None = None
    nbatch: int | None = None
    solver: bool = False
    tolerance: float = 0.0
    mirrored: bool = False
    zoom: float = 1.0
    untrained: str = ""


def check_shown(network: Network, shown: str) -> None:
    """Raise where a network cannot be shown what is asked for."""
    if shown not in SHOWN:
        raise RequestError(f'shown = "{shown}"; it must be one of {", ".join(SHOWN)}')
    names = name_inputs(network)
    if shown != "face" and not names:
        raise RequestError(f'shown = "{shown}": this network has no NameLayer; show it "face"')
    image = image_input(network)
    coded = {c.child for codings in levels(network).values() for c in codings}
    if shown != "name" and image not in coded:
        raise RequestError(f'shown = "{shown}": no level codes "{image}"; show it "name"')


def check_zoom(zoom: float) -> None:
    """Raise where an enlargement is out of range."""
    if not ZOOMS[0] <= zoom <= ZOOMS[1]:
        raise RequestError(f"zoom = {zoom:g}; it must be {ZOOMS[0]:g} to {ZOOMS[1]:g}")


def display_steps(network: Network, settings: Settings) -> int:
    """Steps for which each image is shown."""
    column = network.model.column
    spec: Any = network.layers[image_input(network)].spec
    steps = round(spec.displayPeriod / column.dt) if settings.steps is None else settings.steps
    if steps < 1:
        what = "steps" if settings.steps is not None else f'displayPeriod of "{spec.name}"'
        raise RequestError(f"{what} = {steps}; an image is shown for at least 1 step: give --steps")
    return steps


def coding_model(
    network: Network, settings: Settings, layers: tuple[str, ...], checkpoint: str, path: str
) -> Model:
    """The model that codes the images of ``path``, all but for how many there are.

    Parameters
    ----------
    network : Network
        The trained one.
    layers : tuple of str
        Those whose activity is kept.
    checkpoint : str
        Where its weights are, as seen from the run's folder.
    path : str
        ``inputPath`` of the images.

    Raises
    ------
    RequestError
        What is asked for does not fit the network.
    """
    check_shown(network, settings.shown)
    check_zoom(settings.zoom)
    model = network.model
    image = image_input(network)
    missing = {"face": name_inputs(network), "name": [image], "both": []}[settings.shown]
    gone = _leaning(model, gone_without(network, missing))
    for layer in layers:
        if layer not in model.layers or layer in gone:
            raise RequestError(
                f'shown = "{settings.shown}": the network then has no layer "{layer}"; it has '
                + ", ".join(n for n in levels(network) if n not in gone)
            )
    period = display_steps(network, settings) * model.column.dt
    column = model.column.replace(
        nbatch=settings.nbatch or model.column.nbatch,
        initializeFromCheckpointDir=checkpoint,
        checkpointWrite=True,
        checkpointWriteTriggerMode="clock",
        checkpointWriteClockInterval=60,
        checkpointWriteClockUnit="second",
        deleteOlderCheckpoints=True,
        numCheckpointsKept=1,
    )
    sparse = levels(network)
    random = {coding.dictionary for coding in sparse.get(settings.untrained, ())}
    objects = tuple(
        _quiet(spec, period, settings, layers, set(sparse), random) for spec in model.objects
        if spec.name not in gone
    )  # fmt: skip
    quiet = Model(column, objects)
    return quiet.replace(_showing(quiet.layers[image], settings, period, path))


def _leaning(model: Model, gone: set[str]) -> set[str]:
    """With what is gone, all that leans on it."""
    gone = set(gone)
    while True:
        more = {
            spec.name
            for spec in model.objects
            if spec.name not in gone and any(getattr(spec, key, None) in gone for key in _LEANS_ON)
        }
        if not more:
            return gone
        gone |= more


def _quiet(
    spec: Spec, period: float, settings: Settings, layers: tuple[str, ...], sparse: set[str],
    random: set[str],
) -> Spec:  # fmt: skip
    """A group as it takes part in coding: it learns nothing and writes little."""
    changes: dict[str, Any] = {}
    if isinstance(spec, LayerSpec):
        # Its own keys tell where each presentation starts, not where training ended.
        changes = {"initializeFromCheckpointFlag": False, "writeStep": -1.0}
        if spec.name in layers:
            changes |= {"writeStep": period, "initialWriteTime": period}
            changes["sparseLayer"] = spec.name in sparse
        if "writePotential" in type(spec).model_fields:
            changes["writePotential"] = False
        if settings.solver and spec.name in sparse:
            spec = _solver(spec)
    elif hasattr(spec, "weightInitType"):
        changes["initializeFromCheckpointFlag"] = spec.name not in random
        if "plasticityFlag" in type(spec).model_fields:
            changes["plasticityFlag"] = False
        if not random:
            # Drawn, or read, only to be replaced; and as training left them, also where a
            # dictionary of what is not shown has part in their norm.
            changes |= {"weightInitType": "UniformWeight", "weightInit": 1.0}
            changes |= {
                "initWeightsFile": None,
                "normalizeMethod": "none",
                "normalizeGroupName": "",
            }
    elif "textOutputFlag" in type(spec).model_fields:
        changes["textOutputFlag"] = spec.kind == "ColumnEnergyProbe"
    return spec.replace(**changes) if changes else spec


def _solver(spec: LayerSpec) -> LayerSpec:
    """The same level as a SparseSolverLayer."""
    kept = {k: v for k, v in spec.effective().items() if k in SparseSolverLayer.model_fields}
    made, problems = build(SparseSolverLayer, spec.name, {**kept, "valueV": 0.0})
    if problems:
        raise RequestError(f'"{spec.name}" cannot be a SparseSolverLayer: {problems[0][1]}')
    assert isinstance(made, SparseSolverLayer)
    return made


def _showing(spec: LayerSpec, settings: Settings, period: float, path: str) -> LayerSpec:
    """The image layer that shows each image of a set once."""
    changes: dict[str, Any] = {
        "inputPath": path,
        "displayPeriod": period,
        "batchMethod": "byFile",
        "start_frame_index": (),
        "jitterChangeInterval": 0,
        "convergenceTolerance": settings.tolerance,
    }
    if settings.zoom != 1:
        changes["zoom"] = settings.zoom
    if settings.mirrored:
        changes |= {
            "jitterChangeInterval": _NEVER,
            "jitterChangeIntervalUnit": "displayPeriod",
            "xFlipEnabled": True,
            "xFlipToggle": True,
            "yFlipEnabled": False,
            "maxShiftX": 0,
            "maxShiftY": 0,
            "maxZoom": 1.0,
        }
    return spec.replace(**changes)


def without_whitening(spec: LayerSpec) -> LayerSpec:
    """An image layer that shows images as they are.

    They then come without the mean image taken off, for that is one of whitened images.
    """
    keys = ("whiteningExponent", "whiteningCutoff")
    if not any(getattr(spec, key, 0) for key in keys):
        return spec
    return spec.replace(**dict.fromkeys(keys, 0.0), subtractMean=False)
