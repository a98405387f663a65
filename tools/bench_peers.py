"""Other ways to compute the same codes in a few lines of numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench_core import Engine


@dataclass(frozen=True)
class Field:
    """A layer that a level codes: kernels (feature, y, x, channel) at a stride."""

    source: str
    kernels: np.ndarray
    stride: tuple[int, int]


@dataclass(frozen=True)
class Level:
    """A soft-threshold LCA level; its potential starts at its threshold."""

    name: str
    fields: tuple[Field, ...]
    threshold: float


@dataclass(frozen=True)
class Circuit:
    """Inputs as the errors see them, levels from below, the decay of a step."""

    inputs: dict[str, np.ndarray]
    levels: tuple[Level, ...]
    decay: float
    crop: bool = True

    @property
    def images(self) -> int:
        """Size of the batch."""
        return len(next(iter(self.inputs.values())))

    def on_plane(self) -> Circuit:
        """One level over its input on a plane as large as all patches, as lca-pytorch codes it."""
        (level,) = self.levels
        (field,) = level.fields
        x = self.inputs[field.source]
        (up, down), (left, right) = margins(field, x.shape[1:3])
        wide = np.pad(x, ((0, 0), (up, down), (left, right), (0, 0)))
        return replace(self, inputs={field.source: wide}, crop=False)


def margins(field: Field, size: tuple[int, ...], crop: bool = True) -> list[tuple[int, int]]:
    """How far the patches of an axis reach beyond a coded layer, at either end."""
    found = []
    for n, patch, stride in zip(size, field.kernels.shape[1:3], field.stride, strict=True):
        before = (patch - stride) // 2
        found.append((before, (n // stride - 1) * stride + patch - before - n))
    return found if crop else [(0, 0), (0, 0)]


def places(field: Field, size: tuple[int, ...], crop: bool) -> tuple[int, ...]:
    """Units of a code along both axes."""
    wide = [n + sum(m) for n, m in zip(size, margins(field, size, crop), strict=True)]
    ends = zip(wide, field.kernels.shape[1:3], field.stride, strict=True)
    return tuple((n - patch) // stride + 1 for n, patch, stride in ends)


def circuit_of(engine: Engine) -> Circuit:
    """The circuit of a network whose levels are SparseCoding groups with feedback "potential"."""
    network, read = engine.experiment.network, engine.simulator.backend.read
    connections = network.connections
    levels, inputs = [], {}
    for name, layer in network.layers.items():
        if not layer.kind.endswith("LCALayer"):
            continue
        fields = []
        for c in connections.values():
            g = c.geometry
            if c.pre == name and c.kind == "MomentumConn" and g is not None:
                source = c.post.removesuffix("Error")
                kernels = read(f"{c.name}:W")[0].reshape(layer.shape.nf, g.y.patch, g.x.patch, -1)
                fields.append(Field(source, kernels, (g.y.ratio, g.x.ratio)))
                given = connections.get(f"{source}To{source}Error")
                if given is not None and given.kind == "RescaleConn":
                    inputs[source] = read(f"{source}:A") * np.float32(given.spec.scale)
        levels.append(Level(name, tuple(fields), layer.spec.VThresh))
    tau = network.layers[levels[0].name].spec.timeConstantTau
    return Circuit(inputs, tuple(levels), float(np.exp(-1 / tau)))


class NumpyField:
    """Drive and reconstruction of one field: patches in rows, one matrix product each."""

    def __init__(self, field: Field, shape: tuple[int, ...], crop: bool, dtype: Any) -> None:
        self.stride = field.stride
        self.patch = field.kernels.shape[1:3]
        self.w = field.kernels.reshape(len(field.kernels), -1).astype(dtype)
        (up, down), (left, right) = margins(field, shape[1:3], crop)
        self.wide = np.zeros(
            (shape[0], shape[1] + up + down, shape[2] + left + right, shape[3]), dtype
        )
        self.inside = self.wide[:, up : up + shape[1], left : left + shape[2]]
        self.units = places(field, shape[1:3], crop)

    def drive(self, error: np.ndarray) -> np.ndarray:
        """Inner products of all patches with all kernels."""
        self.wide[...] = 0
        self.inside[...] = error
        windows = np.lib.stride_tricks.sliding_window_view(self.wide, self.patch, (1, 2))
        windows = windows[:, :: self.stride[0], :: self.stride[1]]  # image, y, x, c, j, i
        rows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, self.w.shape[1])
        return (rows @ self.w.T).reshape(len(error), *self.units, -1)

    def reconstruct(self, a: np.ndarray) -> np.ndarray:
        """Sum of all kernels, each with its activity."""
        (sy, sx), (ny, nx) = self.stride, self.units
        patches = (a.reshape(-1, len(self.w)) @ self.w).reshape(*a.shape[:3], *self.patch, -1)
        self.wide[...] = 0
        for j in range(self.patch[0]):
            for i in range(self.patch[1]):
                self.wide[:, j : j + sy * ny : sy, i : i + sx * nx : sx] += patches[:, :, :, j, i]
        return self.inside.copy()


class NumpyNetwork:
    """The levels in residual form; feedback from the potential."""

    def __init__(self, circuit: Circuit, dtype: Any = np.float32) -> None:
        self.circuit, self.dtype = circuit, dtype
        self.x = {n: x.astype(dtype) for n, x in circuit.inputs.items()}
        shapes = {n: x.shape for n, x in self.x.items()}
        self.fields: dict[str, NumpyField] = {}
        for level in circuit.levels:
            for f in level.fields:
                made = NumpyField(f, shapes[f.source], circuit.crop, dtype)
                self.fields[f.source] = made
                shapes[level.name] = (circuit.images, *made.units, len(f.kernels))
        self.shapes = shapes
        self.reset()

    def reset(self) -> None:
        """Potentials at the thresholds, nothing active."""
        levels = self.circuit.levels
        self.u = {v.name: np.full(self.shapes[v.name], v.threshold, self.dtype) for v in levels}
        self.a = {v.name: np.zeros(self.shapes[v.name], self.dtype) for v in levels}

    def run(self, steps: int) -> None:
        """So many steps of the leak, the drive and the threshold."""
        decay = self.dtype(self.circuit.decay)
        for _ in range(steps):
            errors = {
                f.source: self.x.get(f.source, self.u.get(f.source))
                - self.fields[f.source].reconstruct(self.a[level.name])
                for level in self.circuit.levels
                for f in level.fields
            }
            for v in self.circuit.levels:
                g = sum(self.fields[f.source].drive(errors[f.source]) for f in v.fields)
                if v.name in errors:
                    g = g - errors[v.name]
                u, a = self.u[v.name], self.a[v.name]
                u *= decay
                u += (1 - decay) * (g + a)
                np.maximum(u - self.dtype(v.threshold), 0, out=a)

    def codes(self) -> np.ndarray:
        """Activity of the lowest level."""
        return self.a[self.circuit.levels[0].name]

    def all_codes(self) -> np.ndarray:
        """Activities of all levels, (batch, units)."""
        return np.concatenate([a.reshape(len(a), -1) for a in self.a.values()], axis=1)


class NumpyGram:
    """A whole-field code by inner products of its atoms: u += (b - u - a G + a) / tau."""

    def __init__(self, circuit: Circuit) -> None:
        (level,) = circuit.levels
        self.phi = level.fields[0].kernels.reshape(len(level.fields[0].kernels), -1)
        self.x = circuit.inputs[level.fields[0].source].reshape(circuit.images, -1)
        self.threshold, self.gain = np.float32(level.threshold), np.float32(1 - circuit.decay)
        self.reset()

    def reset(self) -> None:
        """Potentials at the threshold."""
        self.u = np.full((len(self.x), len(self.phi)), self.threshold, np.float32)
        self.a = np.zeros_like(self.u)
        self.fixed: tuple[np.ndarray, np.ndarray] | None = None

    def run(self, steps: int) -> None:
        """Both products that do not change, the first time, then the steps."""
        if self.fixed is None:
            self.fixed = self.x @ self.phi.T, self.phi @ self.phi.T
        b, gram = self.fixed
        for _ in range(steps):
            self.u += self.gain * (b - self.u - self.a @ gram + self.a)
            self.a = np.maximum(self.u - self.threshold, 0)

    def codes(self) -> np.ndarray:
        """The activity, (image, 1, 1, feature)."""
        return self.a[:, None, None, :]


Look = Callable[[int, np.ndarray, np.ndarray], None]


def fista(circuit: Circuit, iterations: int, look: Look | None = None) -> np.ndarray:
    """Non-negative Lasso by FISTA with gradient restart (Beck & Teboulle; O'Donoghue & Candès).

    ``look(iteration, codes, energy)`` is told of every iterate, with the energies (batch,).
    """
    network = NumpyNetwork(circuit)
    (level,) = circuit.levels
    field, x = network.fields[level.fields[0].source], network.x[level.fields[0].source]
    step = np.float32(1 / (1.02 * largest_eigenvalue(circuit)))
    cost = np.float32(step * level.threshold)
    a = np.zeros(network.shapes[level.name], np.float32)
    made, y, made_y, t = np.zeros_like(x), a, np.zeros_like(x), 1.0
    for k in range(1, iterations + 1):
        new = np.maximum(y + step * field.drive(x - made_y) - cost, 0)
        made_new = field.reconstruct(new)
        if look is not None:
            look(k, new, energies(x - made_new, new, level.threshold))
        if float(np.vdot(y - new, new - a)) > 0:
            t = 1.0
        following = (1 + np.sqrt(1 + 4 * t * t)) / 2
        push = np.float32((t - 1) / following)
        y, made_y = new + push * (new - a), made_new + push * (made_new - made)
        a, made, t = new, made_new, following
    return a


def energies(residual: np.ndarray, a: np.ndarray, threshold: float) -> np.ndarray:
    """Lasso energy of each image."""
    n = len(a)
    squares = np.square(residual.reshape(n, -1), dtype=np.float64).sum(1)
    return 0.5 * squares + threshold * np.abs(a.reshape(n, -1), dtype=np.float64).sum(1)


def largest_eigenvalue(circuit: Circuit, iterations: int = 60) -> float:
    """Of the inner products of all units, by power iteration on the first image's size."""
    one = replace(circuit, inputs={n: x[:1] for n, x in circuit.inputs.items()})
    network = NumpyNetwork(one)
    (level,) = circuit.levels
    field = network.fields[level.fields[0].source]
    a = np.random.default_rng(0).normal(size=network.shapes[level.name]).astype(np.float32)
    norm = 1.0
    for _ in range(iterations):
        a = field.drive(field.reconstruct(a / np.float32(np.linalg.norm(a))))
        norm = float(np.linalg.norm(a))
    return norm
