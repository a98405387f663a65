"""RescaleLayer ``unitmeanstd``: each unit by its mean and deviation over what it has shown.

The statistics are learned as weights are: a step uses those of earlier updates of the layer, and
at its end the batch is added to them. For the ``n``-th batch, with mean ``m_b`` and variance
``v_b`` over its images, ``w = max(1 / n, 1 / statisticsTimeConstant)`` and ``d = m_b - mean``::

    variance = (1 - w) (variance + w d^2) + w v_b
    mean     = mean + w d

which for a batch of weight ``w`` is the mixture's own mean and variance; so until ``n`` reaches
the time constant they are those of all images that were seen.
"""

from __future__ import annotations

from typing import Any

from neurosim.plan.buffers import BufferTable
from neurosim.plan.operators import Operator, Schedule
from neurosim.plan.schedules import layer_schedule

METHOD = "unitmeanstd"
#: Rows of a buffer of moments.
MEAN, VARIANCE, BATCHES = range(3)
MOMENTS = 3


def moments_buffer(table: BufferTable, layer: str) -> str:
    """Mean, variance and number of batches of each unit, ``(3, y, x, feature)``."""
    shape = table.network.layers[layer].shape
    size = (MOMENTS, shape.ny, shape.nx, shape.nf)
    return table.add(f"{layer}:moments", size, "weights", "float64")


def lower_standardize(table: BufferTable, spec: Any, when: Schedule) -> Operator:
    """The layer's update."""
    reads = (table.activity(spec.originalLayerName), moments_buffer(table, spec.name))
    scalars = {"target_mean": spec.targetMean, "target_std": spec.targetStd}
    activity = table.activity(spec.name)
    return Operator("standardize", spec.name, reads, (activity,), (), (), scalars, when)


def lower_statistics(table: BufferTable) -> list[Operator]:
    """What adds the batch to the statistics, after each update of such a layer."""
    operators = []
    for name, node in table.network.layers.items():
        spec: Any = node.spec
        if getattr(spec, "rescaleMethod", None) != METHOD or not spec.plasticityFlag:
            continue
        when = layer_schedule(table.network, name)
        if when is not None:
            reads = (table.activity(spec.originalLayerName),)
            scalars = {"time_constant": spec.statisticsTimeConstant}
            updates = (moments_buffer(table, name),)
            operators.append(Operator("moments", name, reads, (), (), updates, scalars, when))
    return operators
