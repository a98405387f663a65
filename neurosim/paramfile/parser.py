"""TEXT -> Groups: syntax, includes, overrides, disabled parts; every place is kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from lark import Lark, Token, Tree, UnexpectedInput

from neurosim.errors import ParamsError
from neurosim.paramfile.groups import Entry, Group, Parsed, Sweep, Value
from neurosim.paramfile.syntax import syntax_error
from neurosim.specs import FLOAT_MAX

MAX_BYTES = 16 * 2**20
"""A params file larger than this is taken for something else."""


@cache
def _grammar() -> Lark:
    """Build the parser once."""
    text = (Path(__file__).parent / "grammar.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", start=["start", "value"], maybe_placeholders=False)


def parse_file(path: str | Path) -> Parsed:
    """Parse a params file and the files it includes.

    Raises
    ------
    ParamsError
        The file is missing or no text, or not a params file; with file, line and column.
    """
    return parse_text(read_text(path), str(path))


def parse_text(text: str, filename: str = "<text>") -> Parsed:
    """Parse the text of a params file; `filename` is what messages say, and includes start at.

    Examples
    --------
    >>> parse_text('HyPerCol "column" = { nx = 64; ny = 64; };').groups[0].get("nx")
    64.0
    """
    reader = _Reader()
    reader.read(text, filename, ())
    return Parsed(tuple(reader.groups.values()), tuple(reader.sweeps), tuple(reader.notes))


def parse_value(text: str, origin: str) -> Value:
    """Parse one value, as after ``key =``; `origin` is what messages say."""
    (node,) = _parsed(text, origin, "value").children
    return _value(node)


def read_text(path: str | Path) -> str:
    """Return the text of a file; what is wrong with it is a :class:`ParamsError`."""
    source = Path(path)
    try:
        if source.is_dir():
            raise ParamsError(f"{path}:1: is a folder; give a params file")
        if source.exists() and not source.is_file():
            raise ParamsError(f"{path}:1: is no ordinary file; give a params file")
        if source.stat().st_size > MAX_BYTES:
            raise ParamsError(f"{path}:1: is too large for a params file ({MAX_BYTES} bytes)")
        data = source.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, ParamsError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise ParamsError(f"{path}:1: cannot be read: {reason}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise ParamsError(f"{path}:{line}: byte 0x{byte:02x} is not UTF-8 text") from None


def _parsed(text: str, file: str, start: str) -> Tree[Token]:
    """Return the syntax tree of a text."""
    grammar = _grammar()
    try:
        return grammar.parse(text, start=start)
    except UnexpectedInput as error:
        raise syntax_error(grammar, text, file, error, start) from None


def _value(node: Token | Tree[Token]) -> Value:
    """Return the value of a token or an array."""
    if isinstance(node, Tree):
        return tuple(_scalar(item) for item in node.children if isinstance(item, Token))
    return None if node.type == "NULL" else _scalar(node)


def _scalar(token: Token) -> float | bool | str:
    """Return a number, a flag or a text."""
    match token.type:
        case "NUMBER":
            return max(-FLOAT_MAX, min(FLOAT_MAX, float(token)))
        case "STRING":
            return str(token)[1:-1]
        case "INFINITY":
            return -FLOAT_MAX if token.startswith("-") else FLOAT_MAX
        case _:
            return token.type == "TRUE"


class _Reader:
    """Collects groups over one file and those it includes."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self.sweeps: list[Sweep] = []
        self.notes: list[str] = []
        self.disabled = False

    def read(self, text: str, file: str, outer: tuple[Path, ...]) -> None:
        """Add what one file says; `outer` are the files that are being included."""
        for node in _parsed(text, file, "start").children:
            if not isinstance(node, Tree):
                continue
            if node.data == "directive":
                self._directive(node, file)
            elif self.disabled:
                continue
            elif node.data == "include":
                self._include(node, file, outer)
            elif node.data == "sweep":
                self._sweep(node, file)
            else:
                self._group(node, file)

    def _directive(self, node: Tree[Token], file: str) -> None:
        name, value = _tokens(node)
        if name == "disable":
            self.disabled = bool(_value(value))
        elif name != "debugParsing":
            self.notes.append(f'{file}:{name.line}: "{name}" outside a group has no effect')

    def _include(self, node: Tree[Token], file: str, outer: tuple[Path, ...]) -> None:
        (quoted,) = _tokens(node)
        here = Path(file)
        target = here.parent / quoted[1:-1]
        chain = (*outer, here.absolute())
        try:
            seen = target.resolve() in {path.resolve() for path in chain}
            text = read_text(target)
        except (ParamsError, OSError, ValueError, RuntimeError) as error:
            raise ParamsError(f"{file}:{quoted.line}: cannot include {quoted}: {error}") from None
        if seen:
            raise ParamsError(f"{file}:{quoted.line}: {quoted} includes itself, directly or not")
        self.read(text, str(target), chain)

    def _sweep(self, node: Tree[Token], file: str) -> None:
        group, name, *values = node.children
        assert isinstance(group, Token) and isinstance(name, Token)
        swept = tuple(_value(value) for value in values)
        self.sweeps.append(Sweep(group[1:-1], str(name), swept, file, group.line or 0))

    def _group(self, node: Tree[Token], file: str) -> None:
        kind, quoted = node.children[:2]
        assert isinstance(kind, Token) and isinstance(quoted, Token)
        group = Group(str(kind), quoted[1:-1], {}, file, kind.line or 0)
        earlier = self.groups.get(group.name)
        if earlier is not None:
            raise ParamsError(
                f"{group.where()}: {group.title}: this name is already used by {earlier.kind} at "
                f"{earlier.where()}; rename one of them"
            )
        entries: dict[str, Entry] = {}
        copied: set[str] = set()
        for item in node.children[2:]:
            assert isinstance(item, Tree)
            if item.data == "include":
                copied |= self._copy(item, group, entries)
            else:
                self._entry(item, group, entries, copied)
        self.groups[group.name] = replace(group, entries=entries)

    def _copy(self, item: Tree[Token], group: Group, entries: dict[str, Entry]) -> set[str]:
        """Take over the entries of an earlier group of the same kind."""
        (quoted,) = _tokens(item)
        where = f"{group.file}:{quoted.line}: {group.title}"
        source = self.groups.get(quoted[1:-1])
        if source is None:
            raise ParamsError(
                f"{where}: #include {quoted}: no group of that name stands before this one"
                + _nearest(quoted[1:-1], self.groups)
            )
        if source.kind != group.kind:
            raise ParamsError(f"{where}: #include {quoted}: that is a {source.kind}")
        if entries:
            raise ParamsError(f"{where}: #include {quoted} must come before all keys")
        entries.update(source.entries)
        return set(source.entries)

    def _entry(
        self, item: Tree[Token], group: Group, entries: dict[str, Entry], copied: set[str]
    ) -> None:
        """Add a key, or override a copied one."""
        name, value = item.children
        assert isinstance(name, Token)
        key, line = str(name), name.line or 0
        where = f"{group.file}:{line}: {group.title}"
        if item.data == "override":
            if key not in copied:
                raise ParamsError(
                    f'{where}: "@{key}" overrides nothing: no #include copied that key'
                    + _nearest(key, copied)
                )
            copied.discard(key)
        elif key in entries:
            first = entries[key]
            if key not in copied and first.value == _value(value):
                self.notes.append(f'{where}: key "{key}" is given twice, first at {first.where}')
                return
            cure = f'; write "@{key}" to override it' if key in copied else ""
            raise ParamsError(f'{where}: key "{key}" is given twice, first at {first.where}{cure}')
        entries[key] = Entry(_value(value), group.file, line)


def _tokens(node: Tree[Token]) -> list[Token]:
    """Return the children of a node of tokens."""
    return [child for child in node.children if isinstance(child, Token)]


def _nearest(name: str, names: Iterable[str]) -> str:
    """Return the question after a near name, or nothing."""
    near = get_close_matches(name, list(names), 1)
    return f'; did you mean "{near[0]}"?' if near else ""
