"""The declared model: a column and its objects, and where each was declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import cast

from neurosim.errors import ParamsError
from neurosim.specs.base import Spec
from neurosim.specs.column import HyPerCol
from neurosim.specs.connection_keys import (
    ConnectionSpec,
    PatchKeys,
    WeightInitKeys,
)
from neurosim.specs.connections import FeedbackConn
from neurosim.specs.layer_keys import LayerSpec, OriginalGeometry
from neurosim.specs.probes import ProbeSpec


@dataclass(frozen=True)
class Origin:
    """Where a group was written: its file and line, and the place of each of its keys."""

    file: str
    line: int
    key_lines: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def where(self, key: str | None = None) -> str:
        """Return ``file:line`` of a key, or of the group where the key was not written."""
        file, line = self.key_lines.get(key or "", (self.file, self.line))
        return f"{file}:{line}" if line else file


@dataclass(frozen=True)
class Model:
    """What a params file declares, checked group by group.

    Parameters
    ----------
    column
        Size, time and checkpoints.
    objects
        Layers, connections and probes in the order of the file, which PetaVision's
        results depend on.
    origins
        Where each group was written, by name; takes no part in equality.
    """

    column: HyPerCol
    objects: tuple[Spec, ...] = ()
    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for spec in (self.column, *self.objects):
            if spec.name in seen:
                raise self.error(spec.name, "this name is used by two groups; rename one of them")
            seen.add(spec.name)

    @cached_property
    def layers(self) -> dict[str, LayerSpec]:
        """Layers by name, in order."""
        return {s.name: s for s in self.objects if isinstance(s, LayerSpec)}

    @cached_property
    def connections(self) -> dict[str, ConnectionSpec]:
        """Connections by name, in order."""
        return {s.name: s for s in self.objects if isinstance(s, ConnectionSpec)}

    @cached_property
    def probes(self) -> dict[str, ProbeSpec]:
        """Probes by name, in order."""
        return {s.name: s for s in self.objects if isinstance(s, ProbeSpec)}

    def __getitem__(self, name: str) -> Spec:
        """Return the group of that name."""
        return next(s for s in (self.column, *self.objects) if s.name == name)

    def where(self, name: str, key: str | None = None) -> str:
        """Return ``file:line`` of a group or of one of its keys; empty if it came from no file."""
        origin = self.origins.get(name)
        return origin.where(key) if origin else ""

    def error(self, name: str, message: str, key: str | None = None) -> ParamsError:
        """Return an error that says where: ``file:line: Kind "name": message``."""
        kind = next((s.kind for s in (self.column, *self.objects) if s.name == name), "group")
        where = self.where(name, key)
        what = f'{kind} "{name}": {message}'
        return ParamsError(f"{where}: {what}" if where else what)

    def replace(self, *specs: Spec) -> Model:
        """Return a model in which the groups of the same names are these."""
        new = {spec.name: spec for spec in specs}
        column = cast(HyPerCol, new.get(self.column.name, self.column))
        return replace(self, column=column, objects=tuple(new.get(s.name, s) for s in self.objects))

    def completed(self) -> Model:
        """Return the model with every default that follows from another group filled in.

        Output steps of 0 become the column's dt; clones take the size of their original;
        ends come from a name like PreToPost, a FeedbackConn's from its original; a patch
        has the features of its post layer. A reference to a group that does not exist is
        left as it is: the network names it.

        Raises
        ------
        ParamsError
            A clone says another size than its original; a connection does not say its ends.
        """
        model = self.replace(*(_sized(self, spec) for spec in self.layers.values()))
        model = model.replace(*(_ended(model, spec) for spec in model.connections.values()))
        return model.replace(*(_timed(model, spec) for spec in model.objects))


def _sized(model: Model, spec: LayerSpec) -> LayerSpec:
    """Give a clone the size of the layer at the end of its chain of originals."""
    if not isinstance(spec, OriginalGeometry):
        return spec
    original: LayerSpec | None = spec
    for _ in model.layers:
        if not isinstance(original, OriginalGeometry):
            break
        original = model.layers.get(original.originalLayerName)
    if original is None or isinstance(original, OriginalGeometry):
        return spec
    changes = {}
    for key in ("nxScale", "nyScale", "nf"):
        given, wanted = getattr(spec, key), getattr(original, key)
        if given not in (0, wanted):
            raise model.error(
                spec.name,
                f"{key} = {given:g}, but its original {original.name} has {wanted:g}; "
                "a layer of this kind is as large as its original",
                key,
            )
        changes[key] = wanted
    return spec.replace(**changes)


def _ended(model: Model, spec: ConnectionSpec) -> ConnectionSpec:
    """Give a connection its ends: a FeedbackConn from its original, others from their name."""
    if isinstance(spec, FeedbackConn):
        return _turned(model, spec)
    if spec.preLayerName:
        return spec
    splits = [
        (spec.name[:at], spec.name[at + 2 :])
        for at in range(len(spec.name))
        if spec.name.startswith("To", at)
    ]
    ends = [split for split in splits if split[0] in model.layers and split[1] in model.layers]
    if len(ends) != 1:
        raise model.error(
            spec.name,
            "preLayerName and postLayerName are missing, and the name is not made of two layers' "
            "names like PreToPost",
        )
    return spec.replace(preLayerName=ends[0][0], postLayerName=ends[0][1])


def _turned(model: Model, spec: FeedbackConn) -> ConnectionSpec:
    """Give a FeedbackConn the ends of its original, turned round once for each in the chain."""
    original: ConnectionSpec | None = spec
    turns = 0
    while isinstance(original, FeedbackConn) and turns <= len(model.connections):
        original = model.connections.get(original.originalConnName)
        turns += 1
    if original is None or isinstance(original, FeedbackConn):
        return spec
    original = _ended(model, original)
    ends = (original.preLayerName, original.postLayerName)
    pre, post = ends[::-1] if turns % 2 else ends
    return spec.replace(preLayerName=pre, postLayerName=post)


def _timed(model: Model, spec: Spec) -> Spec:
    """Fill in the output step, the features of the patch and the orientations."""
    changes: dict[str, float] = {}
    if isinstance(spec, LayerSpec) and spec.writeStep == 0:
        changes["writeStep"] = model.column.dt
    if isinstance(spec, PatchKeys) and spec.nfp < 0 and spec.postLayerName in model.layers:
        changes["nfp"] = model.layers[spec.postLayerName].nf
    if isinstance(spec, WeightInitKeys) and spec.reads("numOrientationsPost"):
        ends = {"numOrientationsPre": spec.preLayerName, "numOrientationsPost": spec.postLayerName}
        for key, end in ends.items():
            if getattr(spec, key) < 1 and end in model.layers:
                changes[key] = model.layers[end].nf
    return spec.replace(**changes) if changes else spec


def gather(specs: Iterable[Spec], origins: Mapping[str, Origin] | None = None) -> Model:
    """Return the completed model of a column and its objects, given in any order.

    Examples
    --------
    >>> from neurosim.specs import HyPerCol, HyPerLayer
    >>> gather([HyPerCol(name="column", nx=8, ny=8), HyPerLayer(name="Error")]).layers["Error"].nf
    1
    """
    column: HyPerCol | None = None
    objects = []
    for spec in specs:
        if isinstance(spec, HyPerCol) and column is None:
            column = spec
        else:
            objects.append(spec)
    if column is None:
        raise ParamsError("no HyPerCol: a model needs one, with nx and ny")
    return Model(column, tuple(objects), origins or {}).completed()
