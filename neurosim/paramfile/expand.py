"""Compact groups -> plain groups: SparseCoding becomes layers, connections and probes.

Around a layer L that codes X stand, with phases in brackets:

    X [0] --scale--> XError [1] --transposed dictionary--> L [2] --dictionary--> XRecon [3]
                        ^------------------- minus ------------------------------'

Where X is a sparse code, the error is taken from its potential (CloneX [3]) or its activity,
and pulls X through its inhibitory channel. The dictionary itself is the MomentumConn LToXError,
which learns and delivers nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from neurosim.errors import ParamsError
from neurosim.paramfile.geometry import Field, Fields, number
from neurosim.paramfile.groups import Entry, Group, Value
from neurosim.paramfile.oldkeys import KIND_RENAMES
from neurosim.paramfile.schema import Report, build_spec, check_kinds
from neurosim.specs import COMPACT, KINDS, InputKeys, NameLayer, SparseCoding

_SOURCES = {
    "nf": ("features",),
    "nxp": ("patchSizeX", "patchSize"),
    "nyp": ("patchSizeY", "patchSize"),
    "nxScale": ("strideX", "stride", "wholeField"),
    "nyScale": ("strideY", "stride", "wholeField"),
    "scale": ("inputScale",),
    "plasticityFlag": ("learn",),
}
_ENERGY_OF = {
    "soft": "L1NormLCAProbe",
    "hard": "L0NormLCAProbe",
    "firm": "FirmThresholdCostFnLCAProbe",
}


def expand(groups: Sequence[Group], report: Report) -> tuple[Group, ...]:
    """Return plain groups: every compact group replaced by those it stands for, in its place.

    Raises
    ------
    ParamsError
        A compact group is wrong; the message refers to its own lines.
    """
    if not any(group.kind in COMPACT for group in groups):
        return tuple(groups)
    check_kinds(groups, report)
    compact: dict[str, SparseCoding] = {}
    for group in groups:
        if group.kind in COMPACT:
            spec = build_spec(group, report)
            if isinstance(spec, SparseCoding):
                compact[group.name] = spec
    report.raise_errors()
    expander = _Expander({group.name: group for group in groups}, compact)
    for group in groups:
        if group.name in compact:
            expander.level(group, compact[group.name])
        else:
            expander.plain.append(group)
    return tuple(expander.plain)


@dataclass
class _Expander:
    """Makes the plain groups; what several levels share is made once."""

    written: dict[str, Group]
    compact: dict[str, SparseCoding]
    plain: list[Group] = field(default_factory=list)
    coded: dict[str, Group] = field(default_factory=dict)
    made: dict[str, Group] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.fields = Fields(self.written, self.compact)

    def level(self, group: Group, spec: SparseCoding) -> None:
        """Add the groups of one sparse code."""
        own = self.fields.of(group.name)
        self._energy(group, spec)
        for index, child in enumerate(spec.codes):
            self._residual(group, spec, index, self.fields.of(child))
        self._layer(group, spec, own)
        for index, child in enumerate(spec.codes):
            self._dictionary(group, spec, index, self.fields.of(child))
        if spec.energy is not None:
            self._add(
                group,
                _ENERGY_OF[spec.threshold],
                f"{spec.name}Cost",
                targetLayer=spec.name,
                energyProbe=spec.energy,
            )
        if spec.selfInhibition:
            self._self_inhibition(group, spec)

    def _self_inhibition(self, group: Group, spec: SparseCoding) -> None:
        """Let each neuron inhibit itself, at its price in the energy."""
        place = group.entries["selfInhibition"]
        own = replace(group, entries={"scale": place, "coefficient": place})
        self._wire(own, "RescaleConn", spec.name, spec.name, 1, scale=spec.selfInhibition)
        if spec.energy is not None:
            self._add(
                own,
                "L2NormProbe",
                f"{spec.name}SquareCost",
                targetLayer=spec.name,
                energyProbe=spec.energy,
                coefficient=spec.selfInhibition / 2,
                exponent=2.0,
            )

    def _layer(self, group: Group, spec: SparseCoding, own: Field) -> None:
        """Add the layer of the code."""
        keys = ("AMin", "AShift", "VWidth", "timeConstantTau", "sparseLayer")
        given = [k for k in ("AMax", "selfInteract", "LCAMomentumRate") if k in group.entries]
        optional = [k for k in ("adaptiveTimeScaleProbe", "writeStep") if k in group.entries]
        if spec.writeStep >= 0 and "initialWriteTime" in group.entries:
            optional.append("initialWriteTime")
        self._add(
            group,
            spec.layerKind,
            spec.name,
            nxScale=own.nx_scale,
            nyScale=own.ny_scale,
            nf=float(spec.features),
            phase=2.0,
            InitVType="ConstantV",
            valueV=spec.valueV,
            VThresh=spec.VThresh,
            **{k: getattr(spec, k) for k in (*keys, *given, *optional) if spec.reads(k)},
        )

    def _residual(self, group: Group, spec: SparseCoding, index: int, child: Field) -> None:
        """Add the error and the reconstruction of a coded layer, unless another level has."""
        name = child.name
        first = self.coded.get(name)
        if first is not None:
            self._agree(group, spec, first, child)
            return
        self.coded[name] = group
        size: dict[str, Value] = {
            "nxScale": child.nx_scale,
            "nyScale": child.ny_scale,
            "nf": float(child.nf),
            "InitVType": "ZeroV",
        }
        potential = child.is_code and spec.feedback == "potential"
        if potential:
            self._add(
                group, "CloneVLayer", f"Clone{name}", originalLayerName=name, phase=3.0,
                writeStep=-1.0,
            )  # fmt: skip
        layers = (("Error", 1.0, spec.errorWriteStep), ("Recon", 3.0, spec.reconWriteStep))
        for what, phase, every in layers:
            # Written at the same times as the code, so that frames belong together.
            first_time = {"initialWriteTime": spec.initialWriteTime} if every >= 0 else {}
            self._add(
                group,
                "HyPerLayer",
                f"{name}{what}",
                **size,
                phase=phase,
                writeStep=every,
                **first_time,
            )
        source = f"Clone{name}" if potential else name
        if child.is_code:
            self._wire(group, "IdentConn", source, f"{name}Error", 0)
        else:
            scales = spec.each("inputScale")
            width, height = self.fields.patches(spec)[index]
            scale = scales[index] if scales else (width * height * child.nf) ** -0.5
            self._wire(group, "RescaleConn", source, f"{name}Error", 0, scale=scale)
        self._wire(group, "IdentConn", f"{name}Recon", f"{name}Error", 1)
        if child.is_code and spec.feedback != "none":
            self._wire(group, "IdentConn", f"{name}Error", name, 1)
        if spec.energy is not None:
            self._add(
                group,
                "L2NormProbe",
                f"{name}ErrorL2",
                targetLayer=f"{name}Error",
                energyProbe=spec.energy,
                coefficient=0.5,
                exponent=2.0,
            )

    def _agree(self, group: Group, spec: SparseCoding, first: Group, child: Field) -> None:
        """Raise an error where two levels want the error of one layer in different ways."""
        other = self.compact[first.name]
        keys = ("feedback", "energy") if child.is_code else ("energy", "inputScale")
        for key in keys:
            if getattr(other, key) != getattr(spec, key):
                raise ParamsError(
                    f'{group.where(key)}: {group.title}: codes "{child.name}" as {first.title} at '
                    f"{first.where()} does, but with another {key}; they share its error, so "
                    "give both the same"
                )

    def _dictionary(self, group: Group, spec: SparseCoding, index: int, child: Field) -> None:
        """Add the weights from the code to one coded layer, and what they deliver."""
        error, name = f"{child.name}Error", f"{spec.name}To{child.name}Error"
        width, height = self.fields.patches(spec)[index]
        files = spec.initWeightsFile
        keys = ["weightInitType", "wMinInit", "wMaxInit", "sparseFraction"]
        start: dict[str, Value] = {k: getattr(spec, k) for k in keys if spec.reads(k)}
        norm: dict[str, Value] = {"normalizeMethod": spec.normalizeMethod}
        if child.name in spec.unnormalized:
            norm = {"normalizeMethod": "none"}
            start = {"weightInitType": "UniformWeight", "weightInit": 0.0}
        elif spec.normalizeTogether and child.name != spec.normalized[0]:
            first = f"{spec.name}To{spec.normalized[0]}Error"
            norm = {"normalizeMethod": "normalizeGroup", "normalizeGroupName": first}
        elif "strength" in group.entries:
            norm["strength"] = spec.strength
        self._add(
            group,
            "MomentumConn",
            name,
            preLayerName=spec.name,
            postLayerName=error,
            channelCode=-1.0,
            nxp=float(width),
            nyp=float(height),
            **start,
            **norm,
            **({"initWeightsFile": files[index]} if files else {}),
            **({"frameNumber": float(spec.frameNumber)} if spec.frameNumber else {}),
            **self._learning(group, spec),
        )
        self._wire(group, "TransposeConn", error, spec.name, 0, originalConnName=name)
        self._wire(group, "CloneConn", spec.name, f"{child.name}Recon", 0, originalConnName=name)

    def _learning(self, group: Group, spec: SparseCoding) -> dict[str, Value]:
        """Return the keys of the learning rule."""
        if not spec.learn:
            return {"plasticityFlag": False}
        column = next((g for g in self.written.values() if g.kind == "HyPerCol"), None)
        offset = spec.triggerOffset
        if "triggerOffset" not in group.entries and column is not None:
            offset = number(column, "dt", 1.0)
        keys: dict[str, Value] = {
            "plasticityFlag": True,
            "triggerLayerName": spec.triggerLayerName or self._bottom(group, spec.name),
            "triggerOffset": offset,
            "dWMax": spec.dWMax,
            "momentumMethod": spec.momentumMethod,
            "timeConstantTau": spec.momentumTimeConstant,
        }
        optional = ("dWMaxDecayInterval", "dWMaxDecayFactor", "momentumDecay", "normalizeDw")
        return {**keys, **{k: getattr(spec, k) for k in optional if k in group.entries}}

    def _bottom(self, group: Group, name: str) -> str:
        """Return the input layer under a layer, or the only one of the file."""
        while name in self.compact:
            name = self.compact[name].codes[0]
        seen: set[Value] = set()
        while name in self.written and name not in seen:
            seen.add(name)
            below = self.written[name]
            if _shows(below):
                return name
            name = str(below.get("originalLayerName") or below.get("labelSource") or "")
        shown = [other.name for other in self.written.values() if _shows(other)]
        if len(shown) == 1:
            return shown[0]
        raise ParamsError(
            f"{group.where()}: {group.title}: cannot tell which input layer's change ends a "
            "presentation; give triggerLayerName"
        )

    def _energy(self, group: Group, spec: SparseCoding) -> None:
        """Add the energy probe a level asks for, unless it is there."""
        if spec.energy is None:
            return
        present = self.written.get(spec.energy) or self.made.get(spec.energy)
        if present is None:
            self._add(group, "ColumnEnergyProbe", spec.energy)
        elif present.kind != "ColumnEnergyProbe":
            raise ParamsError(
                f"{group.where('energy')}: {group.title}: energy names {present.title} at "
                f"{present.where()}, which is no ColumnEnergyProbe"
            )

    def _wire(
        self, group: Group, kind: str, pre: str, post: str, channel: int, **keys: Value
    ) -> None:
        """Add a connection named after its ends."""
        self._add(
            group,
            kind,
            f"{pre}To{post}",
            preLayerName=pre,
            postLayerName=post,
            channelCode=float(channel),
            **keys,
        )

    def _add(self, group: Group, kind: str, name: str, **keys: Value) -> None:
        """Add a group, each key placed where the compact group says it, if it does."""
        taken = self.made.get(name) or (self.written.get(name) if name != group.name else None)
        if taken is not None:
            raise ParamsError(
                f'{group.where()}: {group.title}: makes a group "{name}", but that name is used '
                f"by {taken.title} at {taken.where()}; rename that one"
            )
        entries = {}
        for key, value in keys.items():
            for source in (*_SOURCES.get(key, ()), key):
                if source in group.entries:
                    written = group.entries[source]
                    entries[key] = Entry(value, written.file, written.line)
                    break
            else:
                entries[key] = Entry(value, group.file, group.line)
        self.made[name] = Group(kind, name, entries, group.file, group.line)
        self.plain.append(self.made[name])


def _shows(group: Group) -> bool:
    """Whether a group is an input layer with a display period of its own."""
    kind = KINDS.get(KIND_RENAMES.get(group.kind, group.kind))
    if kind is NameLayer:
        return not group.get("labelSource")
    return kind is not None and issubclass(kind, InputKeys)
