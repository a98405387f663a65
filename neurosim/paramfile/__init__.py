"""Params files: TEXT to specs, and specs back to TEXT."""

from __future__ import annotations

from neurosim.paramfile.expand import expand
from neurosim.paramfile.groups import Entry, Group, Parsed, Sweep, Value
from neurosim.paramfile.load import Loaded, load_model, load_text, parse_model
from neurosim.paramfile.parser import parse_file, parse_text
from neurosim.paramfile.sweep import apply_overrides, read_overrides, sweep_overrides
from neurosim.paramfile.writer import write_groups, write_model

__all__ = [
    "Entry",
    "Group",
    "Loaded",
    "Parsed",
    "Sweep",
    "Value",
    "apply_overrides",
    "expand",
    "load_model",
    "load_text",
    "parse_file",
    "parse_model",
    "parse_text",
    "read_overrides",
    "sweep_overrides",
    "write_groups",
    "write_model",
]
