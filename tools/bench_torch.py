"""The same codes in PyTorch, in its residual form and in lca-pytorch's arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench_core import Contestant, optional
from bench_peers import Circuit, NumpyGram, NumpyNetwork, margins, places


class TorchNetwork:
    """The residual form with conv2d and conv_transpose2d."""

    def __init__(self, circuit: Circuit, device: str, tf32: bool = False) -> None:
        self.torch: Any = optional("torch")
        self.circuit, self.device, self.tf32 = circuit, device, tf32
        self.x = {n: self._put(x.transpose(0, 3, 1, 2)) for n, x in circuit.inputs.items()}
        self.shapes = {n: x.shape for n, x in self.x.items()}
        self.w: dict[str, Any] = {}
        self.pads: dict[str, tuple[int, ...]] = {}
        for level in circuit.levels:
            for f in level.fields:
                self.w[f.source] = self._put(f.kernels.transpose(0, 3, 1, 2))
                size, crop = tuple(self.shapes[f.source][2:]), circuit.crop
                self.pads[f.source] = tuple(before for before, _ in margins(f, size, crop))
                units = places(f, size, crop)
                self.shapes[level.name] = (circuit.images, len(f.kernels), *units)
        self.reset()

    def _put(self, values: np.ndarray) -> Any:
        return self.torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self.device)

    def reset(self) -> None:
        """Potentials at the thresholds, nothing active."""
        full = self.torch.full
        levels = self.circuit.levels
        self.u = {
            v.name: full(tuple(self.shapes[v.name]), v.threshold, device=self.device)
            for v in levels
        }
        self.a = {n: self.torch.zeros_like(u) for n, u in self.u.items()}

    def run(self, steps: int) -> None:
        """So many steps, and wait for the device."""
        backends = self.torch.backends
        backends.cuda.matmul.allow_tf32 = backends.cudnn.allow_tf32 = self.tf32
        backends.cudnn.benchmark = True
        with self.torch.no_grad():
            for _ in range(steps):
                self.step()
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def step(self) -> None:
        """Errors, drives, leak and threshold."""
        conv, back = self.torch.conv2d, self.torch.conv_transpose2d
        decay = self.circuit.decay
        options = {
            f.source: {"stride": f.stride, "padding": self.pads[f.source]}
            for level in self.circuit.levels
            for f in level.fields
        }
        errors = {}
        for level in self.circuit.levels:
            for f in level.fields:
                source = self.x[f.source] if f.source in self.x else self.u[f.source]
                made = back(self.a[level.name], self.w[f.source], **options[f.source])
                errors[f.source] = source - made
        for v in self.circuit.levels:
            g = sum(conv(errors[f.source], self.w[f.source], **options[f.source]) for f in v.fields)
            if v.name in errors:
                g = g - errors[v.name]
            u = self.u[v.name]
            u.mul_(decay).add_(g + self.a[v.name], alpha=1 - decay)
            self.a[v.name] = (u - v.threshold).relu_()

    def codes(self) -> np.ndarray:
        """Activity of the lowest level, (batch, y, x, feature)."""
        a = self.a[self.circuit.levels[0].name]
        return np.asarray(a.permute(0, 2, 3, 1).cpu().numpy())

    def all_codes(self) -> np.ndarray:
        """Activities of all levels, (batch, units)."""
        found = [a.permute(0, 2, 3, 1).flatten(1).cpu().numpy() for a in self.a.values()]
        return np.concatenate(found, axis=1)


class TorchGram(TorchNetwork):
    """lca-pytorch's arithmetic: activities convolved with the inner products of the kernels.

    On the plane that the patches cover; kernels of length 1 are assumed, as there.
    """

    def __init__(self, circuit: Circuit, device: str, tf32: bool = False) -> None:
        super().__init__(circuit, device, tf32)
        (level,) = circuit.levels
        (field,) = level.fields
        self.level, self.field = level, field
        w = self.w[field.source]
        shifts = [(k - 1) // s for k, s in zip(w.shape[2:], field.stride, strict=True)]
        pads = [n * s for n, s in zip(shifts, field.stride, strict=True)]
        self.gram = self.torch.conv2d(w, w, stride=field.stride, padding=tuple(pads))
        each = self.torch.arange(len(w), device=device)
        self.gram[each, each, shifts[0], shifts[1]] = 0
        self.reach = tuple(shifts)
        pad = self.pads[field.source]
        self.b = self.torch.conv2d(self.x[field.source], w, stride=field.stride, padding=pad)

    def step(self) -> None:
        """Leak, drive and threshold."""
        name, decay = self.level.name, self.circuit.decay
        u, a = self.u[name], self.a[name]
        lateral = self.torch.conv2d(a, self.gram, padding=self.reach)
        u.mul_(decay).add_(self.b - lateral, alpha=1 - decay)
        self.a[name] = (u - self.level.threshold).relu_()


class TorchDense:
    """As :class:`bench_peers.NumpyGram`, in PyTorch."""

    def __init__(self, circuit: Circuit, device: str, tf32: bool) -> None:
        self.torch: Any = optional("torch")
        self.device, self.tf32 = device, tf32
        made = NumpyGram(circuit)
        self.threshold, self.gain = float(made.threshold), float(made.gain)
        self.phi, self.x = (self.torch.from_numpy(v).to(device) for v in (made.phi, made.x))
        self.reset()

    def reset(self) -> None:
        """Potentials at the threshold."""
        shape = (len(self.x), len(self.phi))
        self.u = self.torch.full(shape, self.threshold, device=self.device)
        self.a = self.torch.zeros_like(self.u)
        self.fixed: Any = None

    def run(self, steps: int) -> None:
        """Both products that do not change, the first time, then the steps."""
        self.torch.backends.cuda.matmul.allow_tf32 = self.tf32
        if self.fixed is None:
            self.fixed = self.x @ self.phi.T, self.phi @ self.phi.T
        b, gram = self.fixed
        for _ in range(steps):
            self.u += self.gain * (b - self.u - self.a @ gram + self.a)
            self.a = (self.u - self.threshold).relu_()
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def codes(self) -> np.ndarray:
        """The activity, (image, 1, 1, feature)."""
        return np.asarray(self.a.cpu().numpy())[:, None, None, :]


def competitors(
    circuit: Circuit, threads: int, device: str, steps: tuple[int, int, int], gram: bool = True
) -> list[Contestant]:
    """The others over the same circuit; ``steps`` of numpy, PyTorch and lca-pytorch's form."""
    found: list[Contestant] = []

    def add(name: str, made: Any, count: int, like: str = "crop") -> None:
        found.append(
            Contestant(
                name, made.reset, made.run, made.codes, count, circuit.images, threads,
                like=like, all_codes=made.all_codes,
            )
        )  # fmt: skip

    if optional("torch") is not None:
        modes = [(False, "float32")] + ([(True, "TF32")] if device == "cuda" else [])
        for tf32, mode in modes:
            if gram:
                plane = circuit.on_plane()
                form = f"lca-pytorch's arithmetic (PyTorch, {mode})"
                add(form, TorchGram(plane, device, tf32), steps[2], "plane")
            form = f"PyTorch, residual form ({mode})"
            add(form, TorchNetwork(circuit, device, tf32), steps[1])
    add("numpy, residual form", NumpyNetwork(circuit), steps[0])
    return found
