"""Sparse coding networks of layers and connections, declared in params files.

``load`` reads a params file, ``run`` runs it, ``open_run`` opens the results.
"""

from neurosim.api import (
    DivergenceError,
    Experiment,
    NetworkError,
    NeurosimError,
    ParamsError,
    RequestError,
    Simulation,
    StimulusError,
    load,
    loads,
    open_run,
    run,
    sweep,
)

__all__ = [
    "DivergenceError",
    "Experiment",
    "NetworkError",
    "NeurosimError",
    "ParamsError",
    "RequestError",
    "Simulation",
    "StimulusError",
    "load",
    "loads",
    "open_run",
    "run",
    "sweep",
]
