"""Two hundred malformed files: an error with a place, never a traceback, never a hang."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

from neurosim.errors import ParamsError
from neurosim.paramfile import load_text

GOOD = (Path(__file__).parent / "good.params").read_text(encoding="utf-8")
TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_][\w]*|[-+.\d][\w.]*|//[^\n]*|\S')
PLACE = re.compile(r"^f\.params:\d+", re.MULTILINE)
STRANGE = (
    *("", "\0", '"', "{", "};", "=", ";", "[", "]", "@", "#include", "//", "-1", "0", "1e400"),
    *("NULL", "true", "infinity", '"V1"', '"no"', "[]", "[1,2]", "é", "\r", "disable = true;"),
)


def mutated(rng: random.Random) -> str:
    """Return the good file with one to three things wrong."""
    text = GOOD
    for _ in range(rng.randint(1, 3)):
        text = rng.choice((by_character, by_token, by_line))(text, rng)
    return text


def by_character(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text))
    kept, rest = text[:at], text[at + 1 :]
    return rng.choice(
        (kept + rest, kept + text[at] * 2 + rest, kept + chr(rng.randrange(300)) + rest)
    )


def by_token(text: str, rng: random.Random) -> str:
    tokens = list(TOKEN.finditer(text))
    a, b = sorted(rng.sample(range(len(tokens)), 2))
    first, second = tokens[a], tokens[b]
    new = rng.choice(("", first[0] * 2, first[0] + " " + first[0], rng.choice(STRANGE)))
    swapped = text[: first.start()] + second[0] + text[first.end() : second.start()] + first[0]
    replaced = text[: first.start()] + new + text[first.end() :]
    return rng.choice((swapped + text[second.end() :], replaced))


def by_line(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    change = rng.randrange(4)
    if change == 0:
        del lines[a]
    elif change == 1:
        lines.insert(a, lines[b])
    elif change == 2:
        lines[a], lines[b] = lines[b], lines[a]
    else:
        lines = lines[:a]
    return "\n".join(lines)


def test_the_good_file_is_good():
    loaded = load_text(GOOD, "f.params")
    assert len(loaded.model.layers) > 10
    assert "SparseCoding" not in {group.kind for group in loaded.expanded_groups}


@pytest.mark.parametrize("seed", range(200))
def test_mutations_are_refused_with_a_place_or_accepted(seed):
    text = mutated(random.Random(seed))
    started = time.process_time()
    try:
        load_text(text, "f.params")
    except ParamsError as error:
        for line in str(error).split("\n"):
            assert PLACE.match(line), line
            assert len(line) < 500
    assert time.process_time() - started < 5  # a hang, not a measurement


def test_most_mutations_are_noticed():
    refused = 0
    for seed in range(200):
        try:
            load_text(mutated(random.Random(seed)), "f.params")
        except ParamsError:
            refused += 1
    assert 120 < refused < 200
