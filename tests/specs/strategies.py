"""Hypothesis strategies for specs, drawn from the fields' own types, choices and ranges."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import assume
from hypothesis import strategies as st

from neurosim.specs import KINDS, HyPerCol, Model, OriginalGeometry, Spec, build, conditions, gather

NAMES = st.text("abcXYZ019_", min_size=1, max_size=8)
TEXTS = st.text(st.characters(exclude_characters='"', exclude_categories=("Cc", "Cs")), max_size=12)
FLOATS = st.floats(-1e30, 1e30) | st.floats(-10, 10) | st.integers(-3, 300).map(float)


def field_values(kind: type[Spec], name: str) -> st.SearchStrategy[Any]:
    """Return values that the field takes."""
    info = kind.model_fields[name]
    bounds = {
        mark: getattr(limit, mark)
        for limit in info.metadata
        for mark in ("gt", "ge", "lt", "le")
        if getattr(limit, mark, None) is not None
    }
    low = bounds.get("ge", bounds.get("gt"))
    high = bounds.get("le", bounds.get("lt"))
    annotation = info.annotation
    choices = get_args(annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return st.sampled_from(choices)
    floats = FLOATS.filter(
        lambda x: (low is None or x >= low) and (high is None or x <= high)
        and x not in (bounds.get("gt"), bounds.get("lt"))
    )  # fmt: skip
    integers = st.integers(-1000 if low is None else int(low), 2000 if high is None else int(high))
    table: dict[Any, st.SearchStrategy[Any]] = {
        float: floats,
        int: integers,
        bool: st.booleans(),
        str: NAMES if info.metadata else TEXTS,
        str | None: st.none() | NAMES,
        int | None: st.none() | integers,
        float | None: st.none() | floats,
        tuple[float, ...]: st.lists(FLOATS, min_size=1, max_size=3).map(tuple),
        tuple[int, ...]: st.lists(st.integers(0, 5), min_size=1, max_size=3).map(tuple),
        tuple[str, ...]: st.lists(NAMES, max_size=3).map(tuple),
    }
    return table[annotation]


@st.composite
def specs(draw: st.DrawFn, kind: type[Spec], name: str) -> Spec:
    """Draw a spec of a kind: every required key, any of the others."""
    values = {}
    for key in conditions(kind):
        info = kind.model_fields[key]
        if info.is_required() or draw(st.booleans()):
            values[key] = draw(field_values(kind, key))
    if "preLayerName" in conditions(kind):
        values |= {"preLayerName": "pre", "postLayerName": "post"}
    for _ in range(8):
        spec, problems = build(kind, name, values)
        if spec is not None:
            return spec
        for key, _message in problems:
            if key in values:
                values.pop(key)
            else:
                values[key] = draw(field_values(kind, key))
    assume(False)
    raise AssertionError


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Draw a model of a column and some objects of any kind."""
    column = draw(specs(HyPerCol, "column"))
    kinds = [kind for kind in KINDS.values() if kind is not HyPerCol]
    chosen = draw(st.lists(st.sampled_from(kinds), max_size=4))
    drawn = [draw(specs(kind, f"g{index}")) for index, kind in enumerate(chosen)]
    assume(all(s.originalLayerName != s.name for s in drawn if isinstance(s, OriginalGeometry)))
    return gather([column, *drawn])
