"""The report as files: one HTML page that holds everything, and each figure as PNG and SVG."""

from __future__ import annotations

import os
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

from matplotlib.figure import Figure

from neurosim.errors import RunFileError
from neurosim.plotting.style import encode, fix_layout
from neurosim.record.files import sync_folder, writing

PAGE = "index.html"
#: Stands in every page of ours, so that nothing else is ever replaced.
MARK = '<meta name="generator" content="neurosim report">'
_CURE = "free some space, give the folder write permission, or choose another with --output"


@dataclass(frozen=True)
class Plot:
    """A figure of the report.

    Attributes
    ----------
    name : str
        Of its files, without ending.
    title, caption : str
        Plain text; the caption says what one sees, of how much, in which units.
    figure : Figure
    pictures : bool
        Made of pixels: stands in the page as WebP, not as SVG.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    pictures: bool = False


@dataclass(frozen=True)
class Table:
    """A table of the report; the first column names the rows.

    Attributes
    ----------
    title, caption : str
    head : sequence of str
    rows : sequence of sequence of str
    """

    title: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Missing:
    """What the report would show if its input existed, and how to get it.

    Attributes
    ----------
    title, reason : str
    cure : str
        A command, or a line of a params file.
    """

    title: str
    reason: str
    cure: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page: a heading, a paragraph, then figures and tables."""

    title: str
    text: str
    parts: Sequence[Plot | Table]


@dataclass(frozen=True)
class Page:
    """All of a report.

    Attributes
    ----------
    title : str
    source : str
        A line that says what it was made from: run, seed, command. Kept in each figure's file.
    lead : sequence of str
        What was found, a sentence each.
    facts : sequence of (str, str)
        What the run was: seed, versions, commands...
    sections : sequence of Section
    missing : sequence of Missing
    params : str
        The params text that repeats the run.
    """

    title: str
    source: str
    lead: Sequence[str]
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    missing: Sequence[Missing]
    params: str


def write_page(folder: Path, page: Page) -> Path:
    """Write a report; one that is there already is replaced when the new one is complete.

    Parameters
    ----------
    folder : Path
        Folder of the report; made with its parents.
    page : Page

    Returns
    -------
    Path
        The HTML page.

    Raises
    ------
    RunFileError
        It cannot be written, or the folder holds something that is no report. What
        was there stays.
    """
    check_replaceable(folder)
    with writing(folder, _CURE):
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _write_files(made, page)
            made.chmod(0o777 & ~_umask())
            _swap(made, folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        sync_folder(folder.parent)
    return folder / PAGE


def check_replaceable(folder: Path) -> None:
    """Raise where ``folder`` is there and is no report."""
    if not os.path.lexists(folder):
        return
    if folder.is_dir():
        if not any(folder.iterdir()):
            return
        page = folder / PAGE
        if page.is_file() and MARK in page.read_text(encoding="utf-8", errors="replace")[:2000]:
            return
    raise RunFileError(
        f"{folder}: is there already and holds no report, so it is not replaced; move it away, "
        "or choose another folder with --output"
    )


def _umask() -> int:
    """The mask of new files; temporary folders are made for their owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write_files(folder: Path, page: Page) -> None:
    """All figures, then the page."""
    embedded: dict[str, str] = {}
    for section in page.sections:
        for part in section.parts:
            if isinstance(part, Plot):
                fix_layout(part.figure)
                about = {"Title": part.title, "Description": part.caption, "Source": page.source}
                png, svg = (encode(part.figure, ending, about) for ending in ("png", "svg"))
                (folder / f"{part.name}.png").write_bytes(png)
                (folder / f"{part.name}.svg").write_bytes(svg)
                pictures = part.pictures
                kind, data = ("webp", encode(part.figure, "webp")) if pictures else ("svg+xml", svg)
                embedded[part.name] = f"data:image/{kind};base64,{b64encode(data).decode()}"
    (folder / PAGE).write_text(html(page, embedded), encoding="utf-8")


def _swap(made: Path, folder: Path) -> None:
    """Give a complete report its name; the one before goes only after that."""
    if not folder.exists():
        made.rename(folder)
        return
    before = made.with_name(f"{made.name}.before")
    folder.rename(before)
    try:
        made.rename(folder)
    except OSError:
        before.rename(folder)
        raise
    shutil.rmtree(before)


def html(page: Page, images: dict[str, str]) -> str:
    """The page as text.

    Parameters
    ----------
    page : Page
    images : dict of str to str
        The address of each figure's image, by name.
    """
    style = files("neurosim.plotting").joinpath("page.css").read_text(encoding="utf-8")
    contents = [(f"s{n}", section.title) for n, section in enumerate(page.sections)]
    if page.missing:
        contents.append(("missing", "What is not here"))
    contents.append(("how", "How it was made"))
    links = "".join(f'<li><a href="#{key}">{escape(title)}</a></li>' for key, title in contents)
    body = [
        f'<h1>{escape(page.title)}</h1><p class="source">{escape(page.source)}</p>',
        *(f'<p class="lead">{escape(line)}</p>' for line in page.lead),
        f'<nav aria-label="Contents"><ol>{links}</ol></nav>',
    ]
    number = 0
    for n, section in enumerate(page.sections):
        body.append(f'<section id="s{n}"><h2>{escape(section.title)}</h2>')
        body += [f"<p>{escape(section.text)}</p>"] if section.text else []
        for part in section.parts:
            if isinstance(part, Table):
                body.append(_table(part))
            else:
                number += 1
                body.append(_figure(part, number, images[part.name]))
        body.append("</section>")
    if page.missing:
        items = "".join(map(_missing, page.missing))
        body.append(f'<section id="missing"><h2>What is not here</h2><ul>{items}</ul></section>')
    facts = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in page.facts)
    body.append(
        f'<section id="how"><h2>How it was made</h2><dl>{facts}</dl><details><summary>The params, '
        f"with every default filled in</summary><pre>{escape(page.params)}</pre></details>"
        "</section>"
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{MARK}\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(page.title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def _figure(plot: Plot, number: int, image: str) -> str:
    width = round(100 * plot.figure.get_figwidth())
    return (
        f'<figure id="{escape(plot.name)}"><h3>{number}. {escape(plot.title)}</h3>'
        f'<img src="{image}" alt="{escape(plot.title)}" style="width: {width}px">'
        f"<figcaption>{escape(plot.caption)} "
        f'<span class="files">{escape(plot.name)}.png, .svg</span></figcaption></figure>'
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    rows = "".join(
        f"<tr><th>{escape(row[0])}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    return (
        f'<div class="table"><h3>{escape(table.title)}</h3><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table><p>{escape(table.caption)}</p></div>"
    )


def _missing(missing: Missing) -> str:
    cure = f"<br><code>{escape(missing.cure)}</code>" if missing.cure else ""
    return f"<li><strong>{escape(missing.title)}</strong>: {escape(missing.reason)}{cure}</li>"
