"""Operators to callables, on the host or a device."""
