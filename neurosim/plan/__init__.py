"""Graph to plan: buffers, ordered operators and starting values."""

from .lower import lower
from .operators import Buffer, Operator, Plan, Schedule
from .state import initial_state

__all__ = ["Buffer", "Operator", "Plan", "Schedule", "initial_state", "lower"]
