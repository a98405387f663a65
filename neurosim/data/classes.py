"""Which pictures are used, and the class of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from neurosim.data.settings import DataSettings
from neurosim.errors import RequestError, StimulusError

#: The class of all that is not the target.
OTHER = "other"


@dataclass(frozen=True)
class Chosen:
    """The pictures that are used.

    Attributes
    ----------
    index
        Of each picture in its source.
    labels
        What each is called there.
    classes
        What shares are counted by: the label, or the target and ``other``.
    folders
        Where each goes: the class, or the label where names are kept.
    """

    index: list[int]
    labels: list[str]
    classes: list[str]
    folders: list[str]


def choose(what: str, labels: Sequence[str] | None, settings: DataSettings) -> Chosen:
    """Choose pictures by how many their label has, and give each a class.

    Parameters
    ----------
    what
        What messages call the source.
    labels
        Of each picture of the source; blanks become underscores, as in folders.
    settings
        Its ``min_images``, ``target``, ``keep_names`` and ``hold_out``.

    Raises
    ------
    StimulusError
        There are no labels, or one that cannot be a folder's name.
    RequestError
        There is no such target, or too few pictures for what is asked.
    """
    if labels is None:
        raise StimulusError(
            f"{what}: nothing tells the classes of the images; give a folder with one folder per "
            "class in it, or a list with a label in its second column"
        )
    named = [" ".join(label.split()).replace(" ", "_") for label in labels]
    _check_names(what, set(named))
    many = Counter(named)
    target = None if settings.target is None else _find(what, settings.target, many)
    index = [i for i, label in enumerate(named) if many[label] >= settings.min_images]
    if not index or (target and many[target] < settings.min_images):
        of = f'"{target}"' if target else f'any class, such as "{named[0]}"'
        most = many[target] if target else max(many.values())
        raise RequestError(
            f"{what}: {most} images at most of {of}, fewer than min_images = "
            f"{settings.min_images}; give a smaller number"
        )
    kept = [named[i] for i in index]
    classes = kept
    if target is not None:
        classes = [target if label == target else OTHER for label in kept]
    _check_counts(what, Counter(classes), settings)
    names_kept = target is None or settings.keep_names
    return Chosen(index, kept, classes, kept if names_kept else classes)


def _check_names(what: str, labels: set[str]) -> None:
    wrong = sorted(
        label for label in labels if not label or label[0] == "." or set(label) & {"/", "\\", "\0"}
    )
    if wrong:
        raise StimulusError(
            f"{what}: a class becomes a folder, and {', '.join(map(repr, wrong[:5]))} cannot be "
            "one's name: no class may be empty, start with a dot or contain a slash"
        )


def _find(what: str, target: str, many: Counter[str]) -> str:
    name = "_".join(target.split())
    if name == OTHER:
        raise RequestError(
            f'target = "{target}": "{OTHER}" is what all that is no target is called'
        )
    if name not in many:
        close = get_close_matches(name, many, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {_few(sorted(many))}"
        raise RequestError(f'{what}: no images of a target "{target}"; {hint}')
    if len(many) == 1:
        raise RequestError(f"{what}: {name} is the only class; a target needs others beside it")
    return name


def _check_counts(what: str, many: Counter[str], settings: DataSettings) -> None:
    """Raise where a class has too few pictures to hold out those wanted."""
    small = sorted(label for label, count in many.items() if count <= settings.hold_out)
    if settings.hold_out and small:
        listed = _few([f"{label} ({many[label]})" for label in small])
        raise RequestError(
            f"{what}: to hold out {settings.hold_out} of each class and have some left to learn "
            f"from, each needs {settings.hold_out + 1} images; too few has {listed}. Hold out "
            "fewer, leave small classes out by min_images, or give a target"
        )


def _few(words: Sequence[str], most: int = 5) -> str:
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")
