"""Every mistake in a network is one error with file, line and cure, before anything runs."""

from __future__ import annotations

import pytest

from neurosim import NetworkError, ParamsError, RequestError, loads
from tests.backends.nets import code, column, group, join, linear, noise, plastic, weights

BASE = column(8, 8, 2) + noise("In") + linear("Out") + code("V", nf=4)
HALF = {"nxScale": 0.5, "nyScale": 0.5}
L2 = group("L2NormProbe", "L2", targetLayer="Out")
STATS = group("StatsProbe", "Stats", targetLayer="Out")
LOOP = "".join([
    column(4, 4),
    *(group("HyPerLayer", name, nf=2, InitVType="ZeroV") for name in "ABC"),
    join("IdentConn", "AToB"), join("IdentConn", "BToC"), join("IdentConn", "CToA"),
])  # fmt: skip

#: What is added to BASE (or the whole text when it starts with a column), the name and key at
#: fault, and how the message starts after file, line, kind and name.
MISTAKES = {
    "unknown pre layer": (
        join("IdentConn", "C", preLayerName="Inn", postLayerName="Out"), "C", "preLayerName",
        'preLayerName "Inn" is not declared; did you mean "In"?'),
    "unknown post layer": (
        join("IdentConn", "C", preLayerName="In", postLayerName="Nowhere"), "C", "postLayerName",
        'postLayerName "Nowhere" is not declared; there are "In", "Out", "V"'),
    "an end that is a connection": (
        join("IdentConn", "InToOut") + join("IdentConn", "C", preLayerName="In",
                                            postLayerName="InToOut"), "C", "postLayerName",
        'postLayerName "InToOut" is a connection'),
    "unknown original connection": (
        weights("InToOut") + join("TransposeConn", "C", preLayerName="Out", postLayerName="In",
                                  originalConnName="InToOt"), "C", "originalConnName",
        'originalConnName "InToOt" is not a connection of this file; did you mean "InToOut"?'),
    "original connection is a layer": (
        join("TransposeConn", "C", preLayerName="Out", postLayerName="In",
             originalConnName="V"), "C", "originalConnName",
        'originalConnName "V" is a layer, not a connection'),
    "original connections in a circle": (
        join("CloneConn", "C", preLayerName="In", postLayerName="Out", originalConnName="D")
        + join("CloneConn", "D", preLayerName="In", postLayerName="Out", originalConnName="C"),
        "C", "originalConnName", "originalConnName leads back to itself: C -> D -> C"),
    "transpose of a connection without weights": (
        join("IdentConn", "InToOut") + join("TransposeConn", "C", preLayerName="Out",
                                            postLayerName="In", originalConnName="InToOut"),
        "C", "originalConnName",
        'originalConnName "InToOut" is a IdentConn, which has no weights to share'),
    "copy of a transpose": (
        weights("InToOut") + join("TransposeConn", "T", preLayerName="V", postLayerName="Out",
                                  originalConnName="InToV")
        + weights("InToV")
        + join("CopyConn", "C", preLayerName="In", postLayerName="V", originalConnName="T",
               normalizeMethod="none"), "C", "originalConnName",
        'cannot copy the weights of "T"'),
    "transpose between layers of other features": (
        weights("InToV") + join("TransposeConn", "OutToV", originalConnName="InToV"), "OutToV",
        "originalConnName",
        "needs weights of (1, 1, 4, 3, 3, 3) (kernels by y, x and feature; patch y, x and "
        'feature), but "InToV" has (1, 1, 3, 3, 3, 4)'),
    "clone between layers of another ratio": (
        weights("InToOut") + linear("Small", **HALF)
        + join("CloneConn", "InToSmall", originalConnName="InToOut"), "InToSmall",
        "originalConnName", "needs weights of (2, 2, 3, 3, 3, 3)"),
    "unit to unit between different sizes": (
        join("IdentConn", "InToV"), "InToV", "preLayerName",
        'joins unit to unit, but "In" is 8 x 8 x 3 and "V" is 8 x 8 x 4 (x, y, features)'),
    "even patch at equal density": (
        weights("InToOut", 4, 3), "InToOut", "nxp",
        "nxp = 4, but the layers have the same density along x; nxp must be odd (3 or 5)"),
    "patch that is no multiple of the ratio": (
        noise("Low", **HALF) + weights("LowToOut", 5), "LowToOut", "nxp",
        "nyp = 5, but the post layer is 2 times denser along y; nyp must be a multiple of 2 "
        "(such as 4)"),
    "ratio of three": (
        column(12, 12) + noise("In") + linear("Out", nxScale=1 / 3, nyScale=1 / 3)
        + weights("InToOut"), "InToOut", "nxp",
        "the layers have 12 (pre) and 4 (post) units along y; their ratio must be a power of two"),
    "sizes without a ratio": (
        column(12, 12) + noise("In") + linear("Out", nxScale=2 / 3, nyScale=2 / 3)
        + weights("InToOut"), "InToOut", "nxp",
        "the layers have 12 (pre) and 8 (post) units along y"),
    "denser along one axis, coarser along the other": (
        linear("Odd", nxScale=2, nyScale=0.5) + weights("InToOdd", 2), "InToOdd", "nxp",
        "the pre layer (8 x 8 x 3) is denser than the post layer (16 x 4 x 3) along one axis"),
    "wrong number of features in a patch": (
        weights("InToV", nfp=3), "InToV", "nfp",
        'nfp = 3, but "V" has 4 features; give nfp = 4 or leave it out'),
    "a layer of no whole number of units": (
        linear("Odd", nxScale=0.3), "Odd", "nxScale",
        "nxScale = 0.3 of a column with nx = 8 gives 2.4 units; it must be a whole number"),
    "a layer smaller than one unit": (
        linear("Tiny", nyScale=1e-9), "Tiny", "nyScale", "nyScale = 1e-09 of a column"),
    "unknown trigger": (
        linear("Late", triggerLayerName="Inn"), "Late", "triggerLayerName",
        'triggerLayerName "Inn" is not a layer of this file; did you mean "In"?'),
    "unknown reset layer": (
        code("W", triggerLayerName="In", triggerBehavior="resetStateOnTrigger",
             triggerResetLayerName="Nul"), "W", "triggerResetLayerName",
        'triggerResetLayerName "Nul" is not a layer of this file'),
    "reset from a layer of another size": (
        code("W", triggerLayerName="Out", triggerBehavior="resetStateOnTrigger",
             triggerResetLayerName="Out"), "W", "triggerResetLayerName",
        'triggerResetLayerName "Out" is 8 x 8 x 3 but the layer is 8 x 8 x 4'),
    "triggers in a circle": (
        linear("A", triggerLayerName="B") + linear("B", triggerLayerName="A"), "A", None,
        "triggers lead back to themselves: A -> B -> A"),
    "unknown layer to clone": (
        group("CloneVLayer", "Clone", originalLayerName="W"), "Clone", "originalLayerName",
        'originalLayerName "W" is not a layer of this file'),
    "a clone of a clone in a circle": (
        group("CloneVLayer", "A", originalLayerName="B")
        + group("CloneVLayer", "B", originalLayerName="A"), "A", "originalLayerName",
        "originalLayerName leads back to itself: A -> B -> A"),
    "mask of another size": (
        linear("Mask", **HALF) + group("MaskLayer", "Seen", nf=3, maskMethod="layer",
                                       maskLayerName="Mask"), "Seen", "maskLayerName",
        'maskLayerName "Mask" is 4 x 4 x 3 but "Seen" is 8 x 8 x 3 (x, y, features); the mask '
        "must have the same x and y and 1 or 3 features"),
    "mask of a probe with other features": (
        group("L2NormProbe", "P", targetLayer="Out", maskLayerName="V"), "P", "maskLayerName",
        'maskLayerName "V" is 8 x 8 x 4 but "Out" is 8 x 8 x 3'),
    "probe of nothing": (
        group("L1NormProbe", "P", targetLayer="VV"), "P", "targetLayer",
        'targetLayer "VV" is not a layer of this file; did you mean "V"?'),
    "threshold of a layer without one": (
        group("L1NormLCAProbe", "P", targetLayer="Out"), "P", "targetLayer",
        'takes its threshold from targetLayer "Out", a HyPerLayer that has no VThresh; use the '
        "probe without LCA in its name"),
    "threshold of a layer with vertices": (
        code("W", verticesV=[0, 1], verticesA=[0, 1])
        + group("FirmThresholdCostFnLCAProbe", "P", targetLayer="W"), "P", "targetLayer",
        'takes its threshold from targetLayer "W", a HyPerLCALayer that is given by vertices'),
    "energy that is not a sum": (
        L2 + group("L1NormProbe", "P", targetLayer="Out", energyProbe="L2"), "P", "energyProbe",
        'energyProbe "L2" is a L2NormProbe; it must be a ColumnEnergyProbe'),
    "energy without terms": (
        group("ColumnEnergyProbe", "E"), "E", None,
        "no probe belongs to this energy; give at least one probe energyProbe = "),
    "energies in a circle": (
        group("ColumnEnergyProbe", "E", energyProbe="F")
        + group("ColumnEnergyProbe", "F", energyProbe="E"), "E", "energyProbe",
        "energyProbe leads back to itself: E -> F -> E"),
    "quotient of a table": (
        L2 + STATS + group("QuotientProbe", "Q", numerator="Stats", denominator="L2"), "Q",
        "numerator", 'numerator "Stats" is a StatsProbe, which has no single value'),
    "quotient of a check": (
        L2 + group("RequireAllZeroActivityProbe", "Z", targetLayer="Out")
        + group("QuotientProbe", "Q", numerator="L2", denominator="Z"), "Q", "denominator",
        'denominator "Z" is a RequireAllZeroActivityProbe, which has no single value'),
    "quotients in a circle": (
        L2 + group("QuotientProbe", "Q", numerator="R", denominator="L2")
        + group("QuotientProbe", "R", numerator="Q", denominator="L2"), "Q", None,
        "probes read each other in a loop: Q -> R -> Q"),
    "time scale of a table": (
        STATS + group("AdaptiveTimeScaleProbe", "S", targetName="Stats"), "S", "targetName",
        'targetName "Stats" is a StatsProbe, which has no single value'),
    "time scale that is none": (
        L2 + code("W", adaptiveTimeScaleProbe="L2"), "W", "adaptiveTimeScaleProbe",
        'adaptiveTimeScaleProbe "L2" is a L2NormProbe; it must be one of AdaptiveTimeScaleProbe'),
    "time scale from a layer": (
        code("W", adaptiveTimeScaleProbe="Out"), "W", "adaptiveTimeScaleProbe",
        'adaptiveTimeScaleProbe "Out" is a layer, not a probe'),
    "group without a head": (
        plastic("InToOut", normalizeMethod="normalizeGroup", normalizeGroupName="InToV"),
        "InToOut", "normalizeGroupName", 'normalizeGroupName "InToV" is not a connection'),
    "group of other kernels": (
        plastic("InToOut", normalizeMethod="normalizeL2")
        + plastic("VToOut", normalizeMethod="normalizeGroup", normalizeGroupName="InToOut"),
        "VToOut", "normalizeGroupName",
        "has 1 arbors of 4 kernels, but the head of its normalizeGroup"),
    "delays for other arbors than the original's": (
        weights("InToOut", numAxonalArbors=3)
        + join("CloneConn", "C", preLayerName="In", postLayerName="Out",
               originalConnName="InToOut", delay=[0, 1]), "C", "delay",
        "delay has 2 values for numAxonalArbors = 3; give one, or one per arbor"),
    "pooling into other features": (
        join("PoolingConn", "InToV", pvpatchAccumulateType="maxpooling"), "InToV", None,
        'pools "In" (8 x 8 x 3) into "V" (8 x 8 x 4)'),
    "pooling into a denser layer": (
        noise("Low", **HALF)
        + join("PoolingConn", "LowToOut", pvpatchAccumulateType="maxpooling", nxp=2, nyp=2),
        "LowToOut", None, 'pools "Low" (4 x 4 x 3) into "Out" (8 x 8 x 3)'),
    "stochastic release": (
        weights("InToOut", pvpatchAccumulateType="stochastic"), "InToOut",
        "pvpatchAccumulateType", 'pvpatchAccumulateType = "stochastic" is not supported'),
    "a loop of stateless layers": (
        LOOP, "A", None, "stateless layers read each other in a loop: A -> B -> C -> A; give the "
        "layers a phase, one of the connections a delay, or make one of them a layer with state"),
}  # fmt: skip


def line_of(text: str, name: str, key: str | None) -> int:
    """Line of a group, or of one of its keys where it is given."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if f' "{name}" = {{' in line)
    for i in range(first + 1, len(lines)):
        if lines[i] == "};":
            break
        if key and lines[i].strip().startswith(f"{key} ="):
            return i + 1
    return first + 1


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake(mistake: str) -> None:
    added, name, key, message = MISTAKES[mistake]
    text = added if added.startswith("HyPerCol") else BASE + added
    kind = next(line.split()[0] for line in text.splitlines() if f' "{name}" = {{' in line)
    with pytest.raises((ParamsError, NetworkError)) as caught:
        _ = loads(text).plan
    where = f"<text>:{line_of(text, name, key)}: "
    assert str(caught.value).startswith(f'{where}{kind} "{name}": {message}')
    assert isinstance(caught.value, RequestError) and "\n" not in str(caught.value)


def test_no_layer() -> None:
    with pytest.raises(NetworkError, match=r"^<text>:1: no layer is declared"):
        loads(column(4, 4))


@pytest.mark.parametrize(
    "cure",
    [
        lambda text: text.replace('"A" = {', '"A" = {\n phase = 1;'),
        lambda text: text.replace('"CToA" = {', '"CToA" = {\n delay = [1];'),
        lambda text: text.replace('HyPerLayer "A"', 'LeakyIntegrator "A"'),
    ],
    ids=["phase", "delay", "state"],
)
def test_each_cure_for_a_loop_works(cure: object) -> None:
    assert loads(cure(LOOP)).plan.step  # type: ignore[operator]


def test_derived_phases_follow_what_is_read() -> None:
    """A layer comes after those it reads; layers with state are read at their last value."""
    text = "".join([
        column(4, 4),
        group("HyPerLayer", "Error", nf=2), group("HyPerLayer", "Recon", nf=2),
        group("HyPerLCALayer", "V", nf=2, VThresh=0.1, AMin=0),
        group("ConstantLayer", "In", nf=2), group("CloneVLayer", "Clone", originalLayerName="V"),
        group("RescaleLayer", "After", originalLayerName="Error", rescaleMethod="meanstd"),
        join("IdentConn", "InToError"), join("IdentConn", "ReconToError", 1),
        join("IdentConn", "VToRecon"), join("IdentConn", "ErrorToV"),
    ])  # fmt: skip
    layers = loads(text).network.layers
    phases = {name: node.phase for name, node in layers.items()}
    assert phases == {"Recon": 0, "In": 0, "Clone": 0, "Error": 1, "V": 2, "After": 2}
    # A file that gives any phase is taken at its word.
    layers = loads(text.replace('"In" = {', '"In" = {\n phase = 0;')).network.layers
    assert {node.phase for node in layers.values()} == {0}
