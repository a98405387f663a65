"""The network as a graph: inputs below, each level above what it codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from neurosim.network import ConnectionNode, Network, levels
from neurosim.plotting.style import COLORS, GREY, INK, new_figure, share, styled

BOX_WIDTH, BOX_HEIGHT = 2.75, 0.82
#: Room at the right of the boxes, for the texts of arrows and the legend.
ROOM = 2.5
ROW = 1.62


@dataclass(frozen=True)
class Box:
    """A layer as the graph shows it.

    Attributes
    ----------
    name : str
    size : tuple of int
        Positions in x, positions in y, features.
    note : str
        What else stands in the box: threshold, inhibition of each neuron by itself, share of
        active neurons.
    codes : mapping of str to str
        Layers below that it codes, each with what stands at its arrow.
    pulls : tuple of str
        Those of them that it pulls towards what it expects (feedback).
    learned : bool
        Whether it is a level; false for an input, and for what is only pooled from below.
    """

    name: str
    size: tuple[int, int, int]
    note: str = ""
    codes: Mapping[str, str] = field(default_factory=dict)
    pulls: tuple[str, ...] = ()
    learned: bool = True


def boxes_of(network: Network, active: Mapping[str, float] | None = None) -> list[Box]:
    """The inputs and levels of a network as boxes.

    Parameters
    ----------
    network : Network
    active : mapping of str to float, optional
        Share of the neurons of a level that are active, in 0..1.
    """
    codings = levels(network)
    lower = _lower(network, [c.child for found in codings.values() for c in found])
    boxes = []
    for name, node in network.layers.items():
        size = (node.shape.nx, node.shape.ny, node.shape.nf)
        if name not in codings:
            if name in lower:
                boxes.append(Box(name, size, node.kind, lower[name], learned=False))
            continue
        notes = [f"threshold {node.spec.VThresh:g}"]
        if inhibition := _inhibition(network, name):
            notes.append(f"inhibition {inhibition:g}")
        if active and name in active:
            notes.append(f"{share(active[name])} active")
        pulls = tuple(c.child for c in codings[name] if _pulls(network, c.error, c.child))
        codes = {c.child: _patch(network, c.child, c.dictionary) for c in codings[name]}
        boxes.append(Box(name, size, ", ".join(notes), codes, pulls))
    return boxes


def _lower(network: Network, children: list[str]) -> dict[str, dict[str, str]]:
    """Coded layers that are no levels, with all between them and levels, and what each is made of.

    An input is made of nothing.
    """
    found: dict[str, dict[str, str]] = {}
    waiting = [name for name in children if name not in levels(network)]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = {c.pre: _made(c) for c in network.incoming(name)}
        waiting += [below for below in found[name] if below not in levels(network)]
    return found


def _made(connection: ConnectionNode) -> str:
    """How a connection without learning makes a layer from another."""
    if connection.kind != "PoolingConn":
        return connection.kind
    how = {"sumpooling": "sums", "avgpooling": "means", "maxpooling": "maxima"}
    geometry = connection.geometry
    assert geometry is not None
    kind = how.get(str(connection.spec.pvpatchAccumulateType).lower(), "pooled")
    return f"{kind} of cells of\n{geometry.x.ratio} × {geometry.y.ratio} positions"


def _pulls(network: Network, error: str, child: str) -> bool:
    """Whether the error of a layer feeds back to it."""
    return any(connection.pre == error for connection in network.incoming(child))


def _inhibition(network: Network, name: str) -> float:
    """By how much each neuron of a layer inhibits itself."""
    own = (c for c in network.incoming(name) if c.pre == name and c.kind == "RescaleConn")
    return sum(float(c.spec.scale) for c in own if c.spec.channelCode == 1)


def _patch(network: Network, child: str, dictionary: str) -> str:
    """Atoms, patch and stride of a dictionary."""
    geometry = network.connections[dictionary].geometry
    assert geometry is not None
    features = network.layers[child].shape.nf
    atoms = f"{geometry.pre.nf} atoms"
    if (geometry.y.coarse, geometry.x.coarse) == (1, 1):
        return f"{atoms} over\nall of {child}"
    x, y = geometry.x, geometry.y
    stride = f"{x.ratio}" if x.ratio == y.ratio or y.coarse == 1 else f"{x.ratio} × {y.ratio}"
    return f"{atoms} of {x.patch} × {y.patch} × {features},\nstride {stride}"


def depths(boxes: Sequence[Box]) -> dict[str, int]:
    """How far each layer is above the inputs: one more than the highest that it codes."""
    known = {box.name: box for box in boxes}
    found: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in found:
            found[name] = 1 + max((depth(below) for below in known[name].codes), default=-1)
        return found[name]

    return {box.name: depth(box.name) for box in boxes}


def places(boxes: Sequence[Box]) -> dict[str, tuple[float, int]]:
    """Column and row of each layer; a level stands over the middle of what it codes."""
    rows = depths(boxes)
    columns: dict[str, float] = {}
    for row in range(max(rows.values()) + 1):
        here = [box for box in boxes if rows[box.name] == row]
        wished = {
            box.name: sum(columns[below] for below in box.codes) / len(box.codes)
            if box.codes
            else float(len(columns))
            for box in here
        }
        last = None
        for box in sorted(here, key=lambda box: wished[box.name]):
            place = wished[box.name] if last is None else max(wished[box.name], last + 1)
            columns[box.name] = last = place
    return {name: (columns[name], rows[name]) for name in columns}


@styled
def network_graph(boxes: Sequence[Box]) -> Figure:
    """The layers of a network with their sizes and what codes what.

    Parameters
    ----------
    boxes : sequence of Box
        Inputs and levels, in any order.

    Returns
    -------
    Figure
    """
    at = places(boxes)
    spread = BOX_WIDTH + 1.3
    points = {name: (spread * column, ROW * row) for name, (column, row) in at.items()}
    width = max(x for x, _ in points.values()) + BOX_WIDTH + ROOM
    height = max(y for _, y in points.values()) + BOX_HEIGHT + 0.5
    scale = min(1.0, 9.6 / width)
    figure = new_figure(scale * height, scale * width)
    ax = figure.subplots()
    for box in boxes:
        for below, text in box.codes.items():
            color = COLORS[0] if box.learned else GREY
            _arrows(ax, points[below], points[box.name], text, below in box.pulls, color)
    for box in boxes:
        _box(ax, box, points[box.name])
    _legend(ax, any(box.pulls for box in boxes))
    left = -BOX_WIDTH / 2 - 0.2
    ax.set(xlim=(left, left + width), ylim=(-BOX_HEIGHT / 2 - 0.15, height - BOX_HEIGHT / 2 - 0.3))
    ax.set_aspect("equal")
    ax.axis("off")
    return figure


def _box(ax: Axes, box: Box, at: tuple[float, float]) -> None:
    """One layer: its name, its size, its note."""
    x, y = at
    level = box.learned and bool(box.codes)
    color = COLORS[0] if level else GREY
    ax.add_patch(
        FancyBboxPatch(
            (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2), BOX_WIDTH, BOX_HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.1", facecolor="#eef4f9" if level else "white",
            edgecolor=color, linewidth=1.4, zorder=2,
        )
    )  # fmt: skip
    nx, ny, nf = box.size
    lines = [f"{nx} × {ny} × {nf} = {nx * ny * nf:,}", *([box.note] if box.note else [])]
    ax.text(x, y + 0.2, box.name, ha="center", va="center", weight="bold", fontsize=11.5, zorder=3)
    ax.text(
        x, y - 0.13, "\n".join(lines), ha="center", va="center", fontsize=8.5, color=INK,
        linespacing=1.35, zorder=3,
    )  # fmt: skip


def _legend(ax: Axes, pulls: bool) -> None:
    """What the two kinds of arrows mean."""
    lines = [Line2D([], [], color=COLORS[0], lw=1.6, label="is coded by")]
    if pulls:
        lines.append(
            Line2D([], [], color=COLORS[1], lw=1.3, ls=(0, (4, 2)), label="is pulled to what")
        )
        lines.append(Line2D([], [], ls="none", label="the level above expects"))
    ax.legend(handles=lines, loc="upper right", handlelength=2.4, borderaxespad=0.6)


def _arrows(
    ax: Axes,
    below: tuple[float, float],
    above: tuple[float, float],
    text: str,
    pulls: bool,
    color: str,
) -> None:
    """What goes up, and, dashed beside it, what comes down."""
    half = BOX_HEIGHT / 2 + 0.03
    start, end = (below[0], below[1] + half), (above[0], above[1] - half)
    shift = 0.14 if pulls else 0.0
    up = FancyArrowPatch(
        (start[0] + shift, start[1]), (end[0] + shift, end[1]),
        arrowstyle="-|>", mutation_scale=13, color=color, linewidth=1.6, shrinkA=0, shrinkB=0,
    )  # fmt: skip
    ax.add_patch(up)
    if pulls:
        down = FancyArrowPatch(
            (end[0] - shift, end[1]), (start[0] - shift, start[1]), arrowstyle="-|>",
            mutation_scale=13, color=COLORS[1], linewidth=1.3, linestyle=(0, (4, 2)),
            shrinkA=0, shrinkB=0,
        )  # fmt: skip
        ax.add_patch(down)
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    # At the outer side of a slanted arrow, where no other one runs.
    left = end[0] > start[0]
    aside = -shift - 0.16 if left else shift + 0.16
    ax.text(
        middle[0] + aside, middle[1] + (0.12 if end[0] != start[0] else 0), text,
        ha="right" if left else "left", va="center", fontsize=8.5, linespacing=1.3,
    )  # fmt: skip
