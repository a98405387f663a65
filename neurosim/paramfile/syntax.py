"""Syntax errors in words: where, what was found, what was expected, and the cure."""

from __future__ import annotations

from lark import Lark, Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from neurosim.errors import ParamsError

_WORDS = {
    "SEMICOLON": '";"',
    "EQUAL": '"="',
    "LBRACE": '"{"',
    "RBRACE": '"}"',
    "LSQB": '"["',
    "RSQB": '"]"',
    "COMMA": '","',
    "COLON": '":"',
    "AT": '"@"',
    "_SWEEP": '"ParameterSweep"',
    "STRING": "a quoted text",
    "NUMBER": "a number",
    "INFINITY": "infinity",
    "TRUE": "true",
    "FALSE": "false",
    "NULL": "NULL",
    "$END": "the end of the file",
}
_VALUE = {"NUMBER", "INFINITY", "TRUE", "FALSE", "STRING"}


def syntax_error(
    parser: Lark, text: str, file: str, error: UnexpectedInput, start: str
) -> ParamsError:
    """Return the error for a text that is no params file.

    Parameters
    ----------
    parser, text, start
        What was parsed, and from which rule.
    file
        Name for the message.
    error
        What the parser says.
    """
    last = _last_token(parser, text, start)
    expected = set(error.accepts or ()) if isinstance(error, UnexpectedToken) else set()
    if not expected and isinstance(error, UnexpectedToken):
        expected = set(error.expected)
    elif isinstance(error, UnexpectedCharacters):
        expected = set(error.allowed or ())
    line, column, found = _found(error, text)
    if expected == {"SEMICOLON"} and last is not None:
        line, column = last.end_line or line, last.end_column or column
        tail = ' (every group ends with "};")' if last == "}" else ""
        return ParamsError(
            f"{file}:{line}:{column}: missing \";\" after '{last}'{tail}; found {found}"
        )
    hint = _hint(found, text, error, expected, last)
    return ParamsError(f"{file}:{line}:{column}: found {found}; expected {_listed(expected)}{hint}")


def _last_token(parser: Lark, text: str, start: str) -> Token | None:
    """Return the last token before the error."""
    last = None
    try:
        for token in parser.parse_interactive(text, start=start).iter_parse():
            last = token
    except UnexpectedInput as error:
        if isinstance(error, UnexpectedToken) and last is error.token:
            last = None
    return last


def _found(error: UnexpectedInput, text: str) -> tuple[int, int, str]:
    """Return line, column and a picture of what stands there."""
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        lines = text.rstrip().split("\n")
        return len(lines), len(lines[-1]) + 1, "the end of the file"
    if isinstance(error, UnexpectedToken):
        shown = str(error.token)[:40]
        return error.line, error.column, shown if shown.startswith('"') else f"'{shown}'"
    at = error.pos_in_stream or 0
    word = text[at : at + 40].split("\n")[0]
    word = word if word.startswith('"') else (word.split() or [word])[0]
    return error.line, error.column, ascii(word.rstrip())


def _listed(expected: set[str]) -> str:
    """Return what was expected, in words."""
    if expected >= _VALUE:
        others = sorted(_WORDS.get(e, e) for e in expected - _VALUE - {"NULL", "LSQB"})
        array = ", an array" if "LSQB" in expected else ""
        return ", ".join(["a number, a quoted text, true or false" + array, *others])
    key = "a group" if "_SWEEP" in expected else "a key" if "RBRACE" in expected else "a name"
    words = sorted(_WORDS.get(e, '"#include"') for e in expected - {"NAME"})
    words = [key, *words] if "NAME" in expected else words
    return " or ".join(words) if words else "nothing more"


def _hint(
    found: str, text: str, error: UnexpectedInput, expected: set[str], last: Token | None
) -> str:
    """Return the likely cure, or nothing."""
    at = error.pos_in_stream or 0
    if isinstance(error, UnexpectedCharacters) and text[at] == '"':
        return '; the quoted text has no closing " on its line'
    if isinstance(error, UnexpectedCharacters) and text[at] == "#":
        return "; a comment starts with //"
    if found == "the end of the file":
        return '; a group is closed by "};"' if last is not None else ""
    word = found.startswith("'") and found[1:2].isalpha()
    if word and last is not None and last.type == "NAME" and "STRING" in expected:
        return "; the name of a group stands in double quotes"
    return "; a text stands in double quotes" if word and expected >= _VALUE else ""
