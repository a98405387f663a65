"""The attacks and controls by name, with what each needs and what it leaves on record."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

import neurosim
from attack.classifier import Differentiable, balanced, right
from attack.controls import low_pass, noise_like
from attack.estimated import Queries, estimated
from attack.gradient_sign import Budget, iterated, projected, single_step
from attack.images import ImageSet
from attack.universal import apply, universal_perturbation


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes
    ----------
    method : str
        One of :data:`METHODS`.
    budget : Budget
    queries : Queries
        Of "estimated".
    reference : ImageSet, optional
        The attacked images whose perturbation "noise" imitates.
    source : ImageSet, optional
        The images that "universal" is made on, or that the reference of "noise" was made from;
        those that are altered by default.
    """

    method: str
    budget: Budget
    queries: Queries = field(default_factory=Queries)
    reference: ImageSet | None = None
    source: ImageSet | None = None


Found = tuple[ImageSet, dict[str, Any]]


def _plain(attack: Callable[[Differentiable, ImageSet, Budget], ImageSet]) -> Callable[..., Found]:
    def run(model: Differentiable, images: ImageSet, request: Request) -> Found:
        return attack(model, images, request.budget), {"budget": asdict(request.budget)}

    return run


def _universal(model: Differentiable, images: ImageSet, request: Request) -> Found:
    budget = request.budget
    made_on = request.source or images
    change = universal_perturbation(
        model, made_on, budget.epsilon, budget.iterations, seed=budget.seed
    )
    record = {"budget": asdict(budget), "made_on": len(made_on)}
    return apply(images, change), record


def _estimated(model: Differentiable, images: ImageSet, request: Request) -> Found:
    found, asked = estimated(model, images, request.budget, request.queries)
    record = {"budget": asdict(request.budget), "queries": asdict(request.queries)}
    return found, record | {"queries_per_image": asked}


def _noise(model: Differentiable | None, images: ImageSet, request: Request) -> Found:
    reference, origin = request.reference, request.source or images
    if reference is None or not reference.names == origin.names == images.names:
        raise neurosim.RequestError(
            "noise imitates an attack on the very images: give the attacked set, of the same file "
            "names, by --reference (and what it was made from by --source, if that is not --images)"
        )
    seed = request.budget.seed
    return noise_like(origin, reference, seed, images), {"seed": seed}


def _low_pass(model: Differentiable | None, images: ImageSet, request: Request) -> Found:
    return low_pass(images), {}


METHODS: dict[str, Callable[..., Found]] = {
    "single-step": _plain(single_step),
    "iterated": _plain(iterated),
    "projected": _plain(projected),
    "universal": _universal,
    "estimated": _estimated,
    "noise": _noise,
    "low-pass": _low_pass,
}
#: Those that look at no model.
CONTROLS = ("noise", "low-pass")


def alter(model: Differentiable | None, images: ImageSet, request: Request) -> Found:
    """Alter a set of images; returns it with its record.

    Parameters
    ----------
    model : Differentiable or None
        What is attacked; None for the controls.
    images : ImageSet
    request : Request

    Raises
    ------
    neurosim.RequestError
        No such method, or what it needs is missing.
    """
    if request.method not in METHODS:
        raise neurosim.RequestError(f'no method "{request.method}"; there are {", ".join(METHODS)}')
    if model is None and request.method not in CONTROLS:
        raise neurosim.RequestError(
            f'method "{request.method}" attacks a model: name one; {", ".join(CONTROLS)} need none'
        )
    began = time.perf_counter()
    altered, record = METHODS[request.method](model, images, request)
    change = altered.pixels - images.pixels
    found: dict[str, Any] = {"method": request.method, **record}
    found |= {
        "images": len(images), "seconds": time.perf_counter() - began,
        "largest_change": float(np.abs(change).max(initial=0)),
        "mean_change": float(np.abs(change).mean()) if change.size else 0.0,
    }  # fmt: skip
    if model is not None:
        found["source"] = model.name
        for when, pixels in (("before", images.pixels), ("after", altered.pixels)):
            scores = model.scores(pixels)
            found[f"accuracy_{when}"] = float(right(scores, images.target).mean())
            found[f"balanced_accuracy_{when}"] = balanced(scores, images.target)
    return altered, found
