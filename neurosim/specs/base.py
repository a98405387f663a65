"""The base of every spec, and how a field says its unit, its range and when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from neurosim.specs.values import FLOAT_MAX, TYPE_WORDS, Text


class KeyProblem(ValueError):
    """A key of a spec is missing or contradicts another; `key` names it."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True)
class When:
    """A condition on another key of the same group under which a key is read.

    With `values`, the other key has one of them; with `given`, it is (not) None or
    empty; with `positive`, it is above zero.
    """

    key: str
    values: tuple[Any, ...] = ()
    given: bool | None = None
    positive: bool = False

    def holds(self, spec: BaseModel) -> bool:
        """Whether the condition holds for the values of `spec`."""
        value = getattr(spec, self.key)
        if self.positive:
            return bool(value > 0)
        if self.given is not None:
            return (value is not None and value != () and value != "") is self.given
        return value in self.values

    def __str__(self) -> str:
        if self.positive:
            return f"{self.key} > 0"
        if self.given is not None:
            return f"{self.key} is {'given' if self.given else 'not given'}"
        return f"{self.key} is {' or '.join(literal(v) for v in self.values)}"


def literal(value: Any) -> str:
    """Return `value` as it is written in a params file.

    >>> literal((1.0, 0.25)), literal(None), literal(True), literal("V1")
    ('[1, 0.25]', 'NULL', 'true', '"V1"')
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple | list):
        return "[" + ", ".join(literal(each) for each in value) + "]"
    if abs(value) >= FLOAT_MAX:
        return "infinity" if value > 0 else "-infinity"
    if value == int(value) and abs(value) < 1e15:
        return "-0.0" if str(value) == "-0.0" else str(int(value))
    return repr(float(value))


def key(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    when: When | tuple[When, ...] = (),
    needed: bool = False,
    **limits: Any,
) -> Any:
    """Return a field for a params key.

    Parameters
    ----------
    default
        PetaVision's default; ``...`` where the key must be given.
    doc
        One line.
    unit
        Physical or logical unit, empty for a pure number.
    when
        Conditions under which the key is read; elsewhere it keeps its default.
    needed
        The key must be given wherever it is read.
    **limits
        Range, as pydantic's `gt`, `ge`, `lt`, `le`.
    """
    conditions = when if isinstance(when, tuple) else (when,)
    extra: Any = {"unit": unit, "when": conditions, "needed": needed}
    return Field(default, description=doc, json_schema_extra=extra, **limits)


class Spec(BaseModel):
    """One group of a params file: frozen, checked, its fields named as the file's keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    category: ClassVar[str] = ""

    name: Text = Field(
        description="Name of the group, unique in the file.",
        pattern=r"^[0-9A-Za-z_]([0-9A-Za-z_. -]*[0-9A-Za-z_.-])?$",
    )

    @property
    def kind(self) -> str:
        """Keyword of the group, the name of the class."""
        return type(self).__name__

    def reads(self, name: str) -> bool:
        """Whether the key `name` has a meaning, given the values of the other keys."""
        return all(w.holds(self) and self.reads(w.key) for w in conditions(type(self))[name])

    def unread(self) -> tuple[str, ...]:
        """Return the keys that were given but have no meaning here; they hold their default."""
        given = self.model_fields_set
        return tuple(k for k in conditions(type(self)) if k in given and not self.reads(k))

    def effective(self) -> dict[str, Any]:
        """Return every key that is read, with its value, in the order of declaration."""
        return {k: getattr(self, k) for k in conditions(type(self)) if self.reads(k)}

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some keys changed, checked like a new one."""
        return type(self)(name=self.name, **{**self.effective(), **changes})

    def derived_defaults(self) -> dict[str, Any]:
        """Return the defaults that follow from other keys; subclasses extend it."""
        return {}

    def check(self) -> None:
        """Raise :class:`KeyProblem` where keys contradict each other; subclasses extend it."""

    @model_validator(mode="after")
    def _settle(self) -> Self:
        """Fill derived defaults and let go of what is not read, so that equal means equal."""
        given = self.model_fields_set
        values = self.__dict__
        values.update((k, v) for k, v in self.derived_defaults().items() if k not in given)
        unread = [k for k in conditions(type(self)) if not self.reads(k)]
        values.update((k, type(self).model_fields[k].default) for k in unread)
        for name in needed_keys(type(self)):
            if name not in given and name not in unread:
                raise KeyProblem(name, "missing")
        self.check()
        return self


def metadata(info: FieldInfo) -> dict[str, Any]:
    """Return unit, conditions and need of a field declared with :func:`key`."""
    extra = info.json_schema_extra
    return extra if isinstance(extra, dict) else {"unit": "", "when": (), "needed": False}


@cache
def conditions(kind: type[Spec]) -> dict[str, tuple[When, ...]]:
    """Return each params key of a class with the conditions under which it is read."""
    return {k: metadata(f)["when"] for k, f in kind.model_fields.items() if k != "name"}


@cache
def needed_keys(kind: type[Spec]) -> tuple[str, ...]:
    """Return the keys of a class that must be given wherever they are read."""
    return tuple(k for k, f in kind.model_fields.items() if k != "name" and metadata(f)["needed"])


def allowed(kind: type[Spec], name: str) -> str:
    """Return in words what a key takes: its type, its choices and its range.

    >>> from neurosim.specs import HyPerCol
    >>> allowed(HyPerCol, "nbatch")
    'an integer >= 1'
    """
    info = kind.model_fields[name]
    if name == "name":
        return "letters, digits, blanks, _, - and ., the first a letter, a digit or _"
    choices = get_args(info.annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return "one of " + ", ".join(f'"{choice}"' for choice in choices)
    words = TYPE_WORDS.get(info.annotation, str(info.annotation))
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    limits = [
        f"{sign} {literal(getattr(limit, mark))}"
        for limit in info.metadata
        for mark, sign in signs.items()
        if getattr(limit, mark, None) is not None
    ]
    return " ".join([words, " and ".join(limits)]).strip()


def build(
    kind: type[Spec], name: str, values: Mapping[str, Any]
) -> tuple[Spec | None, list[tuple[str, str]]]:
    """Return a spec made of `values`, or None with all its problems as (key, message)."""
    try:
        return kind(name=name, **values), []
    except ValidationError as error:
        without = _without_unread(kind, name, values, error)
        if without is not None:
            return without, []
        problems = []
        for item in error.errors(include_url=False):
            reason = item.get("ctx", {}).get("error")
            if isinstance(reason, KeyProblem):
                problems.append(_told(kind, reason.key, str(reason)))
            elif item["type"] == "missing":
                problems.append(_told(kind, str(item["loc"][0]), "missing"))
            else:
                key_name = str(item["loc"][0]) if item["loc"] else "name"
                given = values.get(key_name, name)
                what = allowed(kind, key_name)
                problems.append((key_name, f"{key_name} = {literal(given)}: must be {what}"))
        return None, list(dict.fromkeys(problems))


def _without_unread(
    kind: type[Spec], name: str, values: Mapping[str, Any], error: ValidationError
) -> Spec | None:
    """Return the spec if what is wrong are only keys that nothing reads, given the others."""
    wrong = {str(item["loc"][0]) if item["loc"] else "" for item in error.errors()}
    if not wrong or not all(key in values and conditions(kind)[key] for key in wrong):
        return None
    try:
        spec = kind(name=name, **{k: v for k, v in values.items() if k not in wrong})
    except ValidationError:
        return None
    return None if any(spec.reads(key) for key in wrong) else spec


def _told(kind: type[Spec], name: str, message: str) -> tuple[str, str]:
    """Return a problem of one key in words."""
    if message != "missing":
        return name, f"{name}: {message}"
    meaning = (kind.model_fields[name].description or "").rstrip(".")
    return name, f'missing key "{name}" ({meaning}): {allowed(kind, name)}'
