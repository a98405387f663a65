"""Sparse-coding circuits that a fused plan makes fewer operators of."""

from __future__ import annotations

from tests.backends.nets import code, group, join, linear, noise, plastic, weights

CLOCK = group("PvpLayer", "Clock", nf=3, inputPath="frames.pvp", displayPeriod=4)
IN = noise("In")
HALF = {"nxScale": 0.5, "nyScale": 0.5}
QUARTER = {"nxScale": 0.25, "nyScale": 0.25}

CIRCUITS: dict[str, tuple[str, ...]] = {}

for source, inputs in {"fixed": (IN,), "shown": (CLOCK,)}.items():
    name = "In" if source == "fixed" else "Clock"
    for learned in (False, True):
        CIRCUITS[f"whole-field code of a {source} input{', learned' if learned else ''}"] = (
            *inputs, linear("Error"), linear("Recon", phase=3),
            code("V", nf=20, nxScale=0.125, nyScale=0.125),
            (plastic if learned else weights)("VToRecon", 8, wGaussStdev=0.1),
            join("IdentConn", f"{name}ToError"), join("IdentConn", "ReconToError", 1),
            join("TransposeConn", "ErrorToV", originalConnName="VToRecon"),
        )  # fmt: skip
for potential in (True, False):
    for late in (True, False):
        CIRCUITS[f"two levels, {'potential' if potential else 'activity'} fed back, "
              f"{'late' if late else 'early'} errors"] = (
            CLOCK, linear("Error", phase=3 if late else 1), linear("Recon", phase=3),
            code("V", nf=4, **HALF),
            group("CloneVLayer", "Shown", originalLayerName="V", phase=2) if potential
            else linear("Shown", nf=4, phase=1, **HALF),
            "" if potential else join("IdentConn", "VToShown"),
            linear("Left", nf=4, phase=1, **HALF), linear("Above", nf=4, phase=3, **HALF),
            code("W", nf=5, phase=2, **QUARTER),
            weights("VToRecon", 4, wGaussStdev=0.1), plastic("WToAbove", 4, wGaussStdev=0.1),
            join("IdentConn", "ClockToError"), join("IdentConn", "ReconToError", 1),
            join("IdentConn", "ShownToLeft"), join("IdentConn", "AboveToLeft", 1),
            join("TransposeConn", "ErrorToV", originalConnName="VToRecon"),
            join("IdentConn", "LeftToV", 1),
            join("TransposeConn", "LeftToW", originalConnName="WToAbove"),
        )  # fmt: skip
