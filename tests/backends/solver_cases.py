"""Small networks of sparse solvers: one level, two with a joint energy, two with potentials."""

from __future__ import annotations

from typing import Any

from tests.backends.nets import code, group, join, linear, noise, weights

HALF = {"nxScale": 0.5, "nyScale": 0.5}
QUARTER = {"nxScale": 0.25, "nyScale": 0.25}
#: Weights that learn at every sixth step; what was known before is then no longer true.
LEARNS = {"plasticityFlag": True, "dWMax": 0.05, "weightUpdatePeriod": 6}


def solver(name: str, **keys: Any) -> str:
    """A solver that starts from zero, unless told where."""
    defaults = {"InitVType": "ZeroV", "VThresh": 0.3, "phase": 2, "nf": 4}
    return group("SparseSolverLayer", name, **defaults | keys)


def one_level(lower: str = "X", name: str = "V", **keys: Any) -> tuple[str, ...]:
    """Error, solver, reconstruction and energy."""
    learning = keys.pop("learning", {})
    return (
        noise(lower), linear(f"{lower}Error"), solver(name, **HALF | keys),
        linear(f"{lower}Recon", phase=3),
        join("IdentConn", f"{lower}To{lower}Error"),
        join("IdentConn", f"{lower}ReconTo{lower}Error", 1),
        weights(f"{name}To{lower}Recon", 4, **learning),
        join("TransposeConn", f"{lower}ErrorTo{name}", originalConnName=f"{name}To{lower}Recon"),
        group("ColumnEnergyProbe", f"{name}Energy"),
        group("L2NormProbe", f"{lower}L2", targetLayer=f"{lower}Error", exponent=2,
              coefficient=0.5, energyProbe=f"{name}Energy"),
        group("L1NormLCAProbe", f"{name}L1", targetLayer=name, energyProbe=f"{name}Energy"),
    )  # fmt: skip


def self_inhibition(strength: float, name: str = "V", energy: str = "VEnergy") -> tuple[str, ...]:
    """Each unit inhibits itself, and its activity costs by its square."""
    return (
        join("RescaleConn", f"{name}To{name}", 1, scale=strength),
        group("L2NormProbe", f"{name}Square", targetLayer=name, exponent=2,
              coefficient=strength / 2, energyProbe=energy),
    )  # fmt: skip


def two_levels(feedback: str) -> tuple[str, ...]:
    """A second solver codes the activity or the potential of the first, and pulls it."""
    potential = feedback == "potential"
    clone = (group("CloneVLayer", "CloneV", originalLayerName="V", phase=3),) if potential else ()
    return (
        *one_level(), *clone,
        linear("VError", nf=4, **HALF), linear("VRecon", nf=4, phase=3, **HALF),
        solver("W", VThresh=0.2, nf=5, **QUARTER),
        join("IdentConn", "CloneVToVError" if potential else "VToVError"),
        join("IdentConn", "VReconToVError", 1), weights("WToVRecon", 4),
        join("TransposeConn", "VErrorToW", originalConnName="WToVRecon"),
        join("IdentConn", "VErrorToV", 1),
        group("L2NormProbe", "VL2", targetLayer="VError", exponent=2, coefficient=0.5,
              energyProbe="VEnergy"),
        group("L1NormLCAProbe", "WL1", targetLayer="W", energyProbe="VEnergy"),
    )  # fmt: skip


SOLVER_CASES: dict[str, tuple[str, ...]] = {
    "solver": one_level(),
    "solver that starts from a code, while the dictionary learns": one_level(
        InitVType="UniformRandomV", minV=-0.2, maxV=0.5, learning=LEARNS
    ),
    "solver whose units inhibit themselves": (*one_level(), *self_inhibition(0.7)),
    "solver that is reset": (
        group("PvpLayer", "Clock", nf=3, inputPath="frames.pvp", displayPeriod=8),
        code("Start", **HALF),
        *one_level(
            triggerLayerName="Clock",
            triggerBehavior="resetStateOnTrigger",
            triggerResetLayerName="Start",
        ),
    ),
    "solvers of two levels with one energy": two_levels("activity"),
    "solvers of two levels with potentials": two_levels("potential"),
}
