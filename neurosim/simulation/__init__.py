"""Stepping a bound plan through time."""

from neurosim.simulation.convergence import Convergence
from neurosim.simulation.simulator import Observer, Simulator, Stimulus

__all__ = ["Convergence", "Observer", "Simulator", "Stimulus"]
