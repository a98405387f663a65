"""Stepping a bound plan through time."""

from .convergence import Convergence
from .simulator import Observer, Simulator, Stimulus

__all__ = ["Convergence", "Observer", "Simulator", "Stimulus"]
