"""Who codes whom: the levels of a (deep) sparse code, read from the graph.

A level is a layer with dynamics of its own that the error of another layer drives through a
dictionary. A file in the compact form has one level for each SparseCoding group; files that
write out errors, reconstructions and dictionaries have them all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from neurosim.errors import RequestError
from neurosim.network.graph import ONE_TO_ONE, ConnectionNode, Network, nearest
from neurosim.network.phases import STATEFUL

IMAGES, NAMES = "ImageLayer", "NameLayer"


@dataclass(frozen=True)
class Coding:
    """A layer that a level codes.

    Attributes
    ----------
    child : str
        The coded layer: an input, or another level.
    error : str
        The layer that holds what of ``child`` is left unexplained.
    scale : float
        Factor on ``child`` before it is coded; 1 for a level.
    potential : bool
        Whether it is the potential of ``child`` that is coded, and not its activity.
    dictionary : str
        Connection that owns the weights.
    recon : ConnectionNode or None
        The connection that delivers the reconstruction, to the layer ``recon.post``.
    """

    child: str
    error: str
    scale: float
    potential: bool
    dictionary: str
    recon: ConnectionNode | None


def levels(network: Network) -> dict[str, tuple[Coding, ...]]:
    """What each level codes, by the level's name, in file order."""
    found = {}
    for name, node in network.layers.items():
        if node.kind in STATEFUL:
            drives = [c for c in network.incoming(name) if c.owner]
            codings = [c for drive in drives if (c := _coding(network, name, drive)) is not None]
            if codings:
                found[name] = tuple(codings)
    return found


def _coding(network: Network, level: str, drive: ConnectionNode) -> Coding | None:
    """The coding behind a connection with weights into a level; None where it is none."""
    error = drive.pre
    answers = [
        c
        for c in network.connections.values()
        if c.pre == level and c.owner == drive.owner and c.delivers and c.name != drive.name
    ]
    recon = answers[0] if answers else None
    for joined in network.incoming(error):
        if joined.kind not in ONE_TO_ONE or (recon and joined.pre == recon.post):
            continue
        child = network.layers[joined.pre]
        clone = child.kind == "CloneVLayer"
        name = child.spec.originalLayerName if clone else child.name
        scale = float(joined.spec.scale) if joined.kind == "RescaleConn" else 1.0
        assert drive.owner is not None
        return Coding(name, error, scale, clone, drive.owner, recon)
    return None


def made_of(network: Network, child: str) -> set[str]:
    """The levels and inputs that a coded layer shows: itself, or what it pools or rescales."""
    coders = levels(network)
    found: set[str] = set()
    waiting, seen = [child], {child}
    while waiting:
        name = waiting.pop()
        sources = set() if name in coders else _sources(network, name)
        if not sources:
            found.add(name)
        waiting += sources - seen
        seen |= sources
    return found


def _sources(network: Network, layer: str) -> set[str]:
    """Layers that one receives from, or reads as its original."""
    original = getattr(network.layers[layer].spec, "originalLayerName", None)
    return {c.pre for c in network.incoming(layer)} | ({original} if original else set())


def top_level(network: Network, wanted: str | None = None) -> str:
    """The level that no other one codes, or the one that is asked for.

    Raises
    ------
    RequestError
        There is none, or more than one and none is asked for, or no level of that name.
    """
    found = levels(network)
    if not found:
        raise RequestError("this network has no sparse code: no level is driven by an error")
    if wanted is not None:
        if wanted not in found:
            raise RequestError(f'no level "{wanted}"{nearest(wanted, found)}')
        return wanted
    children = {coding.child for codings in found.values() for coding in codings}
    coded = {name for child in children for name in made_of(network, child)}
    tops = [name for name in found if name not in coded]
    if len(tops) > 1:
        raise RequestError(
            f"{len(tops)} levels stand at the top: {', '.join(tops)}; name one with --layer"
        )
    return tops[0]


def image_input(network: Network) -> str:
    """The one ImageLayer that a level codes, or that tells a NameLayer which name to show.

    Raises
    ------
    RequestError
        There is none, or more than one.
    """
    images = [name for name, node in network.layers.items() if node.kind == IMAGES]
    if len(images) != 1:
        listed = f": {', '.join(images)}" if images else ""
        raise RequestError(
            f"image sets are coded by networks with one ImageLayer; this one has {len(images)}"
            f"{listed}"
        )
    return images[0]


def name_inputs(network: Network) -> list[str]:
    """The NameLayers whose names follow an image's label."""
    return [
        name
        for name, node in network.layers.items()
        if node.kind == NAMES and node.spec.labelSource
    ]


def gone_without(network: Network, inputs: Iterable[str]) -> set[str]:
    """Layers that have nothing left to do when some inputs are missing.

    A level goes when all that it codes is gone; with a coded layer go its error and its
    reconstruction. An input that is still named by a NameLayer is shown, though not coded:
    it is not among them.
    """
    missing = set(inputs)
    found = levels(network)
    while True:
        idle = {
            name
            for name, codings in found.items()
            if name not in missing and all(coding.child in missing for coding in codings)
        }
        children = {coding.child for codings in found.values() for coding in codings}
        idle |= {c for c in children - missing if made_of(network, c) <= missing}
        if not idle:
            break
        missing |= idle
    for codings in found.values():
        for coding in codings:
            if coding.child in missing:
                missing |= {coding.error} | ({coding.recon.post} if coding.recon else set())
    sources = {
        network.layers[name].spec.labelSource
        for name in name_inputs(network)
        if name not in missing
    }
    return missing - sources
