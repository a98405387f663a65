"""Sizes of the layers that compact groups code, and of the codes themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from neurosim.errors import ParamsError
from neurosim.paramfile.groups import Group
from neurosim.paramfile.oldkeys import KIND_RENAMES
from neurosim.specs import KINDS, LayerSpec, SparseCoding

_CODES = ("HyPerLCALayer", "MomentumLCALayer", "ISTALayer", "SparseSolverLayer")


@dataclass(frozen=True)
class Field:
    """Size of a layer relative to the column, and whether it is a sparse code."""

    name: str
    nx_scale: float
    ny_scale: float
    nf: int
    is_code: bool


def number(group: Group, key: str, default: float) -> float:
    """Return a number of a group; what is no number the schema will refuse."""
    value = group.get(key, default)
    return float(value) if isinstance(value, float | bool) else default


@dataclass
class Fields:
    """Sizes by layer name, worked out on demand from the bottom up."""

    written: Mapping[str, Group]
    compact: Mapping[str, SparseCoding]
    known: dict[str, Field] = field(default_factory=dict)
    pending: list[str] = field(default_factory=list)

    def of(self, name: str) -> Field:
        """Return the size of a layer."""
        if name not in self.known:
            spec = self.compact.get(name)
            self.known[name] = self._plain(name) if spec is None else self._code(spec)
        return self.known[name]

    def patches(self, spec: SparseCoding) -> list[tuple[int, int]]:
        """Return width and height of the patch in each coded layer."""
        if spec.wholeField:
            return [self._extent(self.of(child)) for child in spec.codes]
        widths = spec.each("patchSizeX") or spec.each("patchSize")
        heights = spec.each("patchSizeY") or spec.each("patchSize")
        return [(int(w), int(h)) for w, h in zip(widths, heights, strict=True)]

    def _column(self) -> Group | None:
        return next((g for g in self.written.values() if g.kind == "HyPerCol"), None)

    def _extent(self, child: Field) -> tuple[int, int]:
        """Return the size of a layer in neurons."""
        column = self._column()
        nx, ny = (number(column, k, 1.0) if column else 1.0 for k in ("nx", "ny"))
        return max(1, round(child.nx_scale * nx)), max(1, round(child.ny_scale * ny))

    def _plain(self, name: str) -> Field:
        """Return the size of a layer written out in the file."""
        group = self.written[name]
        original = group.get("originalLayerName")
        sized = any(key in group.entries for key in ("nxScale", "nyScale", "nf"))
        if isinstance(original, str) and original in self.written and not sized:
            if name in self.pending:
                raise ParamsError(f"{group.where()}: {group.title}: is its own original")
            self.pending.append(name)
            source = self.of(original)
            self.pending.pop()
            return Field(name, source.nx_scale, source.ny_scale, source.nf, False)
        return Field(
            name,
            number(group, "nxScale", 1.0),
            number(group, "nyScale", 1.0),
            max(1, round(number(group, "nf", 1.0))),
            group.kind in _CODES,
        )

    def _code(self, spec: SparseCoding) -> Field:
        """Return the size of a sparse code from the layers it codes and its strides."""
        group = self.written[spec.name]
        if spec.name in self.pending:
            loop = " codes ".join([*self.pending[self.pending.index(spec.name) :], spec.name])
            raise ParamsError(f"{group.where('codes')}: {group.title}: {loop}")
        for child in spec.codes:
            self._check_layer(group, child)
        self.pending.append(spec.name)
        children = [self.of(child) for child in spec.codes]
        self.pending.pop()
        if spec.wholeField:
            column = self._column()
            nx, ny = (number(column, k, 1.0) if column else 1.0 for k in ("nx", "ny"))
            return Field(spec.name, 1 / max(nx, 1), 1 / max(ny, 1), spec.features, True)
        across = self._positions(group, spec, children, 0)
        down = self._positions(group, spec, children, 1)
        return Field(spec.name, across, down, spec.features, True)

    def _check_layer(self, group: Group, child: str) -> None:
        """Raise an error unless a coded layer exists and is one."""
        other = self.written.get(child)
        kind = KINDS.get(KIND_RENAMES.get(other.kind, other.kind)) if other else None
        if other is not None and (kind is None or issubclass(kind, LayerSpec)):
            return
        near = get_close_matches(child, list(self.written), 1)
        guess = f'; did you mean "{near[0]}"?' if near and near[0] != child else ""
        what = f"is a {other.kind}, no layer" if other else "does not exist"
        raise ParamsError(
            f'{group.where("codes")}: {group.title}: codes "{child}", which {what}{guess}'
        )

    def _positions(
        self, group: Group, spec: SparseCoding, children: list[Field], axis: int
    ) -> float:
        """Return the scale that all coded layers and strides give along one axis."""
        letter = "XY"[axis]
        stride_key = f"stride{letter}" if spec.each(f"stride{letter}") else "stride"
        patch_key = f"patchSize{letter}" if spec.each(f"patchSize{letter}") else "patchSize"
        scales = []
        for child, stride, patch in zip(
            children, spec.each(stride_key), spec.each(patch_key), strict=True
        ):
            where = f"{group.where(stride_key)}: {group.title}"
            extent = self._extent(child)[axis]
            if int(stride) & (int(stride) - 1):
                raise ParamsError(f"{where}: {stride_key} {stride} is no power of two")
            if extent % stride:
                raise ParamsError(
                    f"{where}: {stride_key} {stride} does not divide the "
                    f'{("width", "height")[axis]} {extent} of "{child.name}"'
                )
            if (patch % stride) if stride > 1 else (patch % 2 == 0):
                need = f"a multiple of {stride_key} {stride}" if stride > 1 else "odd at stride 1"
                raise ParamsError(
                    f"{group.where(patch_key)}: {group.title}: {patch_key} {patch} over "
                    f'"{child.name}" must be {need}'
                )
            scales.append((child.nx_scale, child.ny_scale)[axis] / stride)
        if len(set(scales)) > 1:
            counts = [round(self._extent(c)[axis] / s) for c, s in zip(
                children, spec.each(stride_key), strict=True)]  # fmt: skip
            shown = ", ".join(f'{n} over "{c}"' for n, c in zip(counts, spec.codes, strict=True))
            raise ParamsError(
                f"{group.where(stride_key)}: {group.title}: the numbers of positions along "
                f"{letter.lower()} disagree ({shown}); choose {stride_key} so that they are equal"
            )
        return scales[0]
