"""Sparse coding networks of layers and connections, declared in params files.

``load`` reads a params file, ``run`` runs it, ``open_run`` opens the results.
"""

from neurosim.analysis.decode import Decoder
from neurosim.api import Simulation, analyze, encode, open_analysis, open_run, run, sweep
from neurosim.coding.coder import Coder
from neurosim.coding.network import Settings
from neurosim.data import prepare_data, prepare_faces, prepare_lfw
from neurosim.errors import (
    DivergenceError,
    NetworkError,
    NeurosimError,
    ParamsError,
    RequestError,
    StimulusError,
)
from neurosim.experiment import Experiment, load, loads
from neurosim.plotting import report

__all__ = [
    "Coder",
    "Decoder",
    "DivergenceError",
    "Experiment",
    "NetworkError",
    "NeurosimError",
    "ParamsError",
    "RequestError",
    "Settings",
    "Simulation",
    "StimulusError",
    "analyze",
    "encode",
    "load",
    "loads",
    "open_analysis",
    "open_run",
    "prepare_data",
    "prepare_faces",
    "prepare_lfw",
    "report",
    "run",
    "sweep",
]
