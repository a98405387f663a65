"""What was declared: one frozen, checked class per kind of params group."""

from __future__ import annotations

from neurosim.specs import column, connections, layers, probes
from neurosim.specs.base import Spec, When, allowed, build, conditions, literal, metadata
from neurosim.specs.column import *  # noqa: F403
from neurosim.specs.compact import SparseCoding
from neurosim.specs.connection_keys import ConnectionSpec
from neurosim.specs.connections import *  # noqa: F403
from neurosim.specs.docs import markdown_reference
from neurosim.specs.layer_keys import InputKeys, LayerSpec, OriginalGeometry
from neurosim.specs.layers import *  # noqa: F403
from neurosim.specs.model import Model, Origin, gather
from neurosim.specs.probes import *  # noqa: F403
from neurosim.specs.probes import ProbeSpec
from neurosim.specs.registry import COMPACT, KINDS
from neurosim.specs.values import FLOAT_MAX

__all__ = [
    "COMPACT",
    "FLOAT_MAX",
    "KINDS",
    "ConnectionSpec",
    "InputKeys",
    "LayerSpec",
    "Model",
    "Origin",
    "OriginalGeometry",
    "ProbeSpec",
    "SparseCoding",
    "Spec",
    "When",
    "allowed",
    "build",
    "conditions",
    "gather",
    "literal",
    "markdown_reference",
    "metadata",
    *column.__all__,
    *layers.__all__,
    *connections.__all__,
    *probes.__all__,
]
