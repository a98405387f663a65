"""The grammar: what is accepted, where things stand, and what is said of everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurosim.errors import ParamsError
from neurosim.paramfile import parse_file, parse_text
from neurosim.specs import FLOAT_MAX


def value(text: str):
    return parse_text(f'K "g" = {{ k = {text}; }};').groups[0].get("k")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3.0),
        ("+3", 3.0),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("1.5E10", 1.5e10),
        ("10.5e3", 10500.0),
        ("12e3", 12000.0),
        ("1e-7", 1e-7),
        ("1e999", FLOAT_MAX),
        ("true", True),
        ("false", False),
        ("infinity", FLOAT_MAX),
        ("+infinity", FLOAT_MAX),
        ("-infinity", -FLOAT_MAX),
        ("NULL", None),
        ('""', ""),
        ('"a,b:c (d)=@*{};//"', "a,b:c (d)=@*{};//"),
        ('"~/übung/文"', "~/übung/文"),
        ("[1]", (1.0,)),
        ("[1, -2.5 ,infinity]", (1.0, -2.5, FLOAT_MAX)),
        ('["V1", "T1"]', ("V1", "T1")),
        ("1 // a comment; with } everything\n", 1.0),
        ("1 / a short comment\n", 1.0),
    ],
)
def test_values(text, expected):
    assert value(text) == expected
    assert type(value(text)) is type(expected)


def test_groups_and_keys_remember_their_lines():
    group = parse_text('\n\nK "g" = {\n  a = 1;\n\n  b = "x"; c = 2;\n};\n', "f.params").groups[0]
    assert (group.kind, group.name, group.line) == ("K", "g", 3)
    assert {key: entry.line for key, entry in group.entries.items()} == {"a": 4, "b": 6, "c": 6}
    assert group.where("b") == "f.params:6"
    assert group.where("absent") == "f.params:3"


def test_windows_line_ends_and_byte_order_mark(tmp_path):
    path = tmp_path / "w.params"
    path.write_bytes(b'\xef\xbb\xbfK "g" = {\r\n a = 1;\r\n};\r\n')
    assert parse_file(path).groups[0].entries["a"].line == 2


def test_include_of_a_group_copies_and_overrides():
    text = 'K "a" = { x = 1; y = 2; };\nK "b" = { #include "a"; @y = 3; z = 4; };'
    second = parse_text(text).groups[1]
    assert {key: entry.value for key, entry in second.entries.items()} == {"x": 1, "y": 3, "z": 4}
    assert second.entries["x"].line == 1
    assert second.entries["y"].line == 2


def test_disabled_groups_are_parsed_and_dropped():
    text = 'disable = true; K "a" = { x = 1; }; disable = false; K "b" = {};'
    assert [group.name for group in parse_text(text).groups] == ["b"]


def test_unknown_directive_is_a_note():
    assert parse_text("something = 3;", "f.params").notes == (
        'f.params:1: "something" outside a group has no effect',
    )


def test_keyword_that_starts_like_a_sweep():
    assert parse_text('ParameterSweepTestProbe "p" = {};').groups[0].kind == (
        "ParameterSweepTestProbe"
    )


def test_include_of_a_file(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.params").write_text('\nK "b" = { #include "a"; };\n')
    main = tmp_path / "main.params"
    main.write_text('K "a" = { x = 1; };\n#include "sub/more.params";\nK "c" = {};\n')
    groups = parse_file(main).groups
    assert [group.name for group in groups] == ["a", "b", "c"]
    assert groups[1].where() == f"{tmp_path / 'sub' / 'more.params'}:2"
    assert groups[1].where("x") == f"{main}:1"


def test_files_that_include_each_other(tmp_path):
    (tmp_path / "a.params").write_text('#include "b.params";')
    (tmp_path / "b.params").write_text('\n#include "a.params";')
    with pytest.raises(ParamsError, match=r'b\.params:2: "a\.params" includes itself'):
        parse_file(tmp_path / "a.params")


def test_missing_include_names_the_line_that_asks(tmp_path):
    (tmp_path / "a.params").write_text('\n#include "no.params";')
    with pytest.raises(ParamsError, match=r'a\.params:2: cannot include "no\.params".*No such'):
        parse_file(tmp_path / "a.params")


MISTAKES = {
    'K "a" = { x = 3; }\nK "b" = {};': (
        """f:1:19: missing ";" after '}' (every group ends with "};"); found 'K'"""
    ),
    'K "a" = {\n x = 3\n};': """f:2:7: missing ";" after '3'; found '}'""",
    'K "a" = { x = abc; };': (
        "f:1:15: found 'abc'; expected a number, a quoted text, true or false, an array; "
        "a text stands in double quotes"
    ),
    'K "a" = { x = "abc; };': (
        """f:1:15: found '"abc; };'; expected a number, a quoted text, true or false, an array; """
        'the quoted text has no closing " on its line'
    ),
    'K "a" = { x = 1;': (
        'f:1:17: found the end of the file; expected a key or "#include" or "@" or "}"; '
        'a group is closed by "};"'
    ),
    'K "a" { x = 1; };': """f:1:7: found '{'; expected "=\"""",
    "# a comment": (
        'f:1:1: found \'#\'; expected a group or "#include" or "ParameterSweep"; '
        "a comment starts with //"
    ),
    "K a = {};": (
        "f:1:3: found 'a'; expected \"=\" or a quoted text; "
        "the name of a group stands in double quotes"
    ),
    'K "a" = { x = 1; x = 2; };': 'f:1: K "a": key "x" is given twice, first at f:1',
    'K "a" = {};\nL "a" = {};': (
        'f:2: L "a": this name is already used by K at f:1; rename one of them'
    ),
    'K "a" = { #include "b"; };': (
        'f:1: K "a": #include "b": no group of that name stands before this one'
    ),
    'K "Input" = {};\nK "a" = { #include "Imput"; };': (
        'f:2: K "a": #include "Imput": no group of that name stands before this one; '
        'did you mean "Input"?'
    ),
    'K "a" = {};\nL "b" = { #include "a"; };': 'f:2: L "b": #include "a": that is a K',
    'K "a" = {};\nK "b" = { x = 1; #include "a"; };': (
        'f:2: K "b": #include "a" must come before all keys'
    ),
    'K "a" = { writeStep = 1; };\nK "b" = { #include "a"; writeStep = 2; };': (
        'f:2: K "b": key "writeStep" is given twice, first at f:1; '
        'write "@writeStep" to override it'
    ),
    'K "a" = { writeStep = 1; };\nK "b" = { #include "a"; @writestep = 2; };': (
        'f:2: K "b": "@writestep" overrides nothing: no #include copied that key; '
        'did you mean "writeStep"?'
    ),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes(text):
    with pytest.raises(ParamsError) as caught:
        parse_text(text, "f")
    assert str(caught.value) == MISTAKES[text]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00", "1: byte 0x89 is not UTF-8 text"),
        (b"\n\n// caf\xe9\n", "3: byte 0xe9 is not UTF-8 text"),
        (b"\x00\x01\x02", "1:1: found '\\x00\\x01\\x02'"),
        (b"[" * 100_000, "1:1: found '['"),
        (b"K" * 100_000, "or a quoted text"),
    ],
)
def test_files_that_are_no_params_files(tmp_path, content, said):
    path = tmp_path / "f.params"
    path.write_bytes(content)
    with pytest.raises(ParamsError) as caught:
        parse_file(path)
    assert str(caught.value).startswith(f"{path}:")
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["missing.params", ".", "/dev/zero", "a\0b"])
def test_paths_that_are_no_files(tmp_path, name):
    with pytest.raises(ParamsError, match=":1: "):
        parse_file(tmp_path / name)


def test_an_empty_file_has_no_groups(tmp_path):
    path = tmp_path / "empty.params"
    path.write_bytes(b"")
    assert parse_file(path).groups == ()


def test_good_file_has_every_construct():
    parsed = parse_file(Path(__file__).parent / "good.params")
    assert len(parsed.groups) == 14
    assert parsed.notes == ()
