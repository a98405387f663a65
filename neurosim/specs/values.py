"""Value types of params keys: how a number, a flag or a text in a file becomes a field.

A params file knows numbers, texts, NULL and arrays; flags are the numbers 0 and 1,
counts are numbers that get rounded, and ``infinity`` is the largest float32.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Annotated, Any

from pydantic import BeforeValidator

FLOAT_MAX = 3.4028234663852886e38
"""``infinity`` in a params file: the largest float32."""

INT_MAX = 2147483647
_UNWRITABLE = re.compile('["\x00-\x1f\x7f\ud800-\udfff]')


def as_number(value: Any) -> float:
    """Return a number as a float held within the float32 range.

    >>> as_number(True), as_number(float("inf")) == FLOAT_MAX
    (1.0, True)
    """
    if not isinstance(value, Real):
        raise ValueError("a number")
    number = float(value)
    if math.isnan(number):
        raise ValueError("a number")
    return max(-FLOAT_MAX, min(FLOAT_MAX, number))


def as_integer(value: Any) -> int:
    """Return a number rounded to the nearest integer (ties to even), held within int32."""
    return max(-INT_MAX - 1, min(INT_MAX, round(as_number(value))))


def as_seed(value: Any) -> int | None:
    """Return a random seed, or None where none is given; of a larger one, its last 32 bits.

    >>> as_seed(2**32 + 5)
    5
    """
    if value is None:
        return None
    seed = round(as_number(value))
    return seed % 2**32 if seed > 0 else seed


def as_optional(value: Any) -> float | None:
    """Return a number, or None for NULL."""
    return None if value is None else as_number(value)


def as_flag(value: Any) -> bool:
    """Return true for every number but zero."""
    return as_number(value) != 0


def as_text(value: Any) -> str:
    """Return a text; NULL is the empty text."""
    if value is None:
        return ""
    if not isinstance(value, str) or _UNWRITABLE.search(value):
        raise ValueError("a text in double quotes")
    return value


def as_name(value: Any) -> str | None:
    """Return the name of another group; NULL and the empty text mean none."""
    return as_text(value) or None


def as_array(item: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a converter for arrays; a single value is an array of one, NULL an empty one."""

    def convert(value: Any) -> tuple[Any, ...]:
        if value is None:
            return ()
        many = isinstance(value, Iterable) and not isinstance(value, str)
        return tuple(item(each) for each in (value if many else (value,)))

    return convert


def folded(**spellings: str) -> BeforeValidator:
    """Return a validator that maps spellings, whatever their case, to one canonical text."""

    def convert(value: Any) -> Any:
        return spellings.get(value.lower(), value) if isinstance(value, str) else value

    return BeforeValidator(convert)


Number = Annotated[float, BeforeValidator(as_number)]
Integer = Annotated[int, BeforeValidator(as_integer)]
Seed = Annotated[int | None, BeforeValidator(as_seed)]
OptionalNumber = Annotated[float | None, BeforeValidator(as_optional)]
Flag = Annotated[bool, BeforeValidator(as_flag)]
Text = Annotated[str, BeforeValidator(as_text)]
Name = Annotated[str | None, BeforeValidator(as_name)]
NumberArray = Annotated[tuple[float, ...], BeforeValidator(as_array(as_number))]
IntegerArray = Annotated[tuple[int, ...], BeforeValidator(as_array(as_integer))]
TextArray = Annotated[tuple[str, ...], BeforeValidator(as_array(as_text))]

TYPE_WORDS: dict[Any, str] = {
    float: "a number",
    int: "an integer",
    bool: "true or false",
    str: "a text in double quotes",
    str | None: "a name in double quotes or NULL",
    int | None: "an integer",
    float | None: "a number",
    tuple[float, ...]: "an array of numbers",
    tuple[int, ...]: "an array of integers",
    tuple[str, ...]: "an array of texts",
}
"""What a field of each type takes, in words, for messages and the reference."""
