"""Buffers of a plan while it is being made, and their names."""

from __future__ import annotations

from neurosim.network import LayerShape, Network
from neurosim.plan.operators import Buffer, DType, Role


class BufferTable:
    """Collects the buffers of one network; asking twice gives the same one."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.nbatch = network.nbatch
        self.buffers: dict[str, Buffer] = {}

    def add(
        self, name: str, shape: tuple[int, ...], role: Role = "scratch", dtype: DType = "real"
    ) -> str:
        """Declare a buffer and return its name."""
        self.buffers.setdefault(name, Buffer(name, shape, dtype, role))
        return name

    def layer(self, layer: str, what: str, role: Role = "scratch") -> str:
        """A buffer of the size of a layer, ``layer:what``."""
        shape: LayerShape = self.network.layers[layer].shape
        return self.add(f"{layer}:{what}", (self.nbatch, shape.ny, shape.nx, shape.nf), role)

    def activity(self, layer: str, delay: int = 0) -> str:
        """The published activity of a layer, ``delay`` steps ago."""
        if delay == 0:
            return self.layer(layer, "A", "state")
        for d in range(1, delay + 1):
            self.layer(layer, f"A@{d}", "state")
        return f"{layer}:A@{delay}"

    def delays(self, layer: str) -> int:
        """Longest delay at which anything reads a layer."""
        deepest = 0
        while f"{layer}:A@{deepest + 1}" in self.buffers:
            deepest += 1
        return deepest
