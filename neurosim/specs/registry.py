"""Every kind by its keyword."""

from __future__ import annotations

from neurosim.specs import column, compact, connections, layers, probes
from neurosim.specs.base import Spec

KINDS: dict[str, type[Spec]] = {
    name: getattr(module, name)
    for module in (column, layers, connections, probes)
    for name in module.__all__
}
"""The class of each keyword a group can start with."""

COMPACT: dict[str, type[Spec]] = {name: getattr(compact, name) for name in compact.__all__}
"""The class of each keyword that stands for several plain groups."""
