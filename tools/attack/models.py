"""What can be attacked, by what it is called on the command line."""

from __future__ import annotations

from pathlib import Path

import neurosim
from attack.classifier import Differentiable

KINDS = (
    "a folder that `compare_dcn train` left, a run that `neurosim analyze` has been through, "
    "RUN:augmented (its readout that has learned from several looks), RUN:unrolled, or "
    "RUN:pixels, RUN:pca-128, RUN:pca-512 (its baselines)"
)


def open_model(text: str, batch: int | None = None) -> Differentiable:
    """Open a classifier.

    Parameters
    ----------
    text : str
        A folder of a conv net (it holds ``net.json``), a run of neurosim (``analysis.h5``), or a
        run and, after a colon, ``augmented``, ``unrolled``, ``pixels``, ``pca-128`` or ``pca-512``.
    batch : int, optional
        Images side by side.

    Raises
    ------
    neurosim.RequestError
        It is none of these.
    """
    folder, part = Path(text), ""
    if not folder.exists() and ":" in text:
        head, _, part = text.rpartition(":")
        folder = Path(head)
    if not folder.is_dir():
        raise neurosim.RequestError(f"{text}: no such folder; a model is {KINDS}")
    name = folder.resolve().name + (f"-{part}" if part else "")
    if (folder / "net.json").is_file() and not part:
        from compare_dcn.convnet import ConvNet  # and with it TensorFlow

        return ConvNet.open(folder, batch or 16)
    if not (folder / "analysis.h5").is_file():
        raise neurosim.RequestError(f"{text}: is no model; a model is {KINDS}")
    if part in ("", "augmented", "unrolled"):
        from attack.dsc import DeepSparseCoding, Way

        way: Way = "unrolled" if part == "unrolled" else "implicit"
        readout = "top-augmented" if part == "augmented" else "top-face"
        return DeepSparseCoding(folder, way, name, batch=batch, readout=readout)
    from attack.linear import READOUTS, PixelReadout

    if part not in READOUTS:
        raise neurosim.RequestError(f'{text}: no model "{part}" of a run; a model is {KINDS}')
    return PixelReadout(folder, part, name)
