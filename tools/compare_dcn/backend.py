"""Keras and TensorFlow, imported without TensorFlow's remarks on how it was built."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import neurosim


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Keep standard error closed to code that writes there past Python."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


try:
    with _without_remarks():
        import keras
        import tensorflow as tf
except ImportError as error:
    raise neurosim.RequestError(
        f"conv nets need TensorFlow, which cannot be imported ({error}); pip install '.[dcn]'"
    ) from None

__all__ = ["keras", "tf"]
