"""What a trained net leaves beside its weights, and how it is written: whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import neurosim

#: In the folder of a net: the best weights, what they are, where training stands.
WEIGHTS, NET, STATE, LATEST, FEATURES = (
    "model.weights.h5", "net.json", "state.json", "latest.weights.h5", "features.npz",
)  # fmt: skip


def read_json(path: Path) -> dict[str, Any]:
    """Read one of the records."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise neurosim.RequestError(
            f"{path}: cannot be read ({error}); remove its folder and train the net again"
        ) from None


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a record under another name first."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(values, indent=2) + "\n", "utf-8")
    os.replace(partial, path)


def save_weights(model: Any, path: Path) -> None:
    """Save weights under another name first."""
    partial = path.with_name(f".partial.{path.name}")  # Keras insists on the ending
    model.save_weights(str(partial))
    os.replace(partial, path)
