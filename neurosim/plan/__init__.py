"""Graph to plan: buffers, ordered operators and starting values."""

from neurosim.plan.fuse import fuse
from neurosim.plan.lower import lower
from neurosim.plan.operators import Buffer, Operator, Plan, Schedule
from neurosim.plan.state import initial_state
from neurosim.plan.tune import tune

__all__ = ["Buffer", "Operator", "Plan", "Schedule", "fuse", "initial_state", "lower", "tune"]
