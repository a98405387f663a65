"""Graph to plan: buffers, ordered operators and starting values."""

from neurosim.plan.lower import lower
from neurosim.plan.operators import Buffer, Operator, Plan, Schedule
from neurosim.plan.state import initial_state

__all__ = ["Buffer", "Operator", "Plan", "Schedule", "initial_state", "lower"]
