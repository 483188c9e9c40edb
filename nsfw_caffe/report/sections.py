"""A report in sections of words, tables, figures and thumbnails, which become text for a terminal, or an HTML page.

The page needs nothing but itself: no script, no network, every text escaped.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Protocol

from nsfw_caffe.report.figures import Plot, to_svg
from nsfw_caffe.results.names import visible

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""The Content-Security-Policy: what a browser refuses even if something slipped past the escaping."""

_WIDTH = 100
"""Characters of a line of text, at most; a table is as wide as it is."""

_BLURRED = "The thumbnails are blurred for good: the page does not hold the pictures."

_HEAT_MAPS = (
    "In the heat maps, a place is red where it speaks for the class that is scored, and blue where it speaks against "
    "it; white is in between, and dark what the network does not see. The colours mean the same in all of them."
)


class Part(Protocol):
    """A piece of a section."""

    def to_text(self) -> list[str]:
        """Write the piece as indented lines, in which no name steers the terminal."""

    def to_html(self) -> str:
        """Write the piece as HTML; every text in it is escaped."""


@dataclass(frozen=True)
class Paragraph:
    """A line of text."""

    text: str

    def to_text(self) -> list[str]:
        """See `Part`."""
        return textwrap.wrap(visible(self.text), _WIDTH, initial_indent="  ", subsequent_indent="  ")

    def to_html(self) -> str:
        """See `Part`."""
        return f"<p>{_escape(self.text)}</p>"


@dataclass(frozen=True)
class Facts:
    """Names with their values, the few that matter."""

    pairs: Sequence[tuple[str, str]]

    def to_text(self) -> list[str]:
        """See `Part`."""
        return _columns([False, False], self.pairs)

    def to_html(self) -> str:
        """See `Part`."""
        items = "".join(f"<div><dt>{_escape(name)}</dt><dd>{_escape(value)}</dd></div>" for name, value in self.pairs)
        return f'<dl class="facts">{items}</dl>'


@dataclass(frozen=True)
class Table:
    """Rows under a header; a column whose name starts with # holds numbers, and the # is not shown."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def to_text(self) -> list[str]:
        """See `Part`."""
        head = [name.removeprefix("#") for name in self.header]
        return _columns([name.startswith("#") for name in self.header], [head, *self.rows])

    def to_html(self) -> str:
        """See `Part`."""
        classes = [' class="number"' if name.startswith("#") else "" for name in self.header]
        head = "".join(
            f'<th scope="col"{kind}>{_escape(name.removeprefix("#"))}</th>'
            for kind, name in zip(classes, self.header, strict=True)
        )
        body = "\n".join(
            "<tr>" + "".join(f"<td{kind}>{_name(cell)}</td>" for kind, cell in zip(classes, row, strict=True)) + "</tr>"
            for row in self.rows
        )
        return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption, which is also for those who cannot see it; a text has `in_text` in its place."""

    plot: Plot
    in_text: Table | None = None

    def to_text(self) -> list[str]:
        """See `Part`."""
        return [] if self.in_text is None else self.in_text.to_text()

    def to_html(self) -> str:
        """See `Part`."""
        caption = _escape(self.plot.caption)
        drawing = f'<div role="img" aria-label="{caption}">{to_svg(self.plot)}</div>'
        return f"<figure>{drawing}<figcaption>{caption}</figcaption></figure>"


@dataclass(frozen=True)
class HeatMap:
    """A thumbnail in the colours of what each part has to do with the score, and that score; or why there is none."""

    uri: str | None
    text: str

    def to_html(self) -> str:
        """Write it as HTML, to stand below its thumbnail."""
        if self.uri is None:
            return '<div class="none">no heat map</div>'
        return f'<img src="{html.escape(self.uri)}" alt="heat map">'


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of a source: a JPEG as a data: URI, with its size in pixels, or why there is none."""

    source: str
    uri: str | None
    width: int
    height: int
    missing: str | None
    heat_map: HeatMap | None = None  # None where none is asked for

    def to_html(self, title: str) -> str:
        """Write it as HTML under a title, with its name below; every text is escaped."""
        if self.uri is None:
            shown = '<div class="none">no thumbnail</div>'
        else:
            shown = f'<img src="{html.escape(self.uri)}" width="{self.width}" height="{self.height}" alt="">'
        text = self.source if self.missing is None else f"{self.source} ({self.missing})"
        if self.heat_map is not None:
            shown += self.heat_map.to_html()
            text = f"{text} ({self.heat_map.text})"
        return f"{shown}<strong>{_escape(title)}</strong>{_name(text)}"


@dataclass(frozen=True)
class Gallery:
    """Thumbnails side by side, of the first rows of a table; `read` makes them, one a title, where a page is written.

    A text has the table; a page has those of its rows below the thumbnails that have none.
    """

    titles: Sequence[str]
    read: Callable[[], Sequence[Thumbnail]]
    clear: bool  # whether they are not blurred
    in_text: Table

    def to_text(self) -> list[str]:
        """See `Part`."""
        return self.in_text.to_text()

    def to_html(self) -> str:
        """See `Part`."""
        thumbnails = self.read()
        entries = "\n".join(
            f"<li>{thumbnail.to_html(title)}</li>" for title, thumbnail in zip(self.titles, thumbnails, strict=True)
        )
        pieces = [] if self.clear else [Paragraph(_BLURRED).to_html()]
        if any(thumbnail.heat_map is not None for thumbnail in thumbnails):
            pieces.append(Paragraph(_HEAT_MAPS).to_html())
        pieces.append(f'<ul class="gallery">{entries}</ul>')
        rest = self.in_text.rows[len(self.titles) :]
        if rest:
            pieces.append(Table(self.in_text.header, rest).to_html())
        return "\n".join(pieces)


@dataclass(frozen=True)
class Section:
    """A title and what stands under it; without any parts it is left out."""

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Report:
    """What a scan, an evaluation, a comparison or a training says."""

    title: str
    subtitle: str
    sections: Sequence[Section]

    @property
    def plots(self) -> tuple[Plot, ...]:
        """What is drawn, in the order of the page."""
        return tuple(part.plot for section in self.sections for part in section.parts if isinstance(part, Figure))

    def to_text(self) -> str:
        """Write the report as plain text, in lines that end with a newline."""
        blocks = [
            [section.title, *(line for part in section.parts for line in part.to_text())]
            for section in self.sections
            if section.parts
        ]
        return "\n".join("".join(f"{line}\n" for line in block) for block in blocks)

    def to_html(self) -> bytes:
        """Write the report as a whole page, in UTF-8; the same report gives the same bytes."""
        body = "\n".join(
            f"<section>\n<h2>{_escape(section.title)}</h2>\n"
            + "\n".join(part.to_html() for part in section.parts)
            + "\n</section>"
            for section in self.sections
            if section.parts
        )
        page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{_escape(self.title)}</title>
<style>
{(resources.files("nsfw_caffe.report") / "style.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<header>
<h1>{_escape(self.title)}</h1>
<p>{_name(self.subtitle)}</p>
</header>
<main>
{body}
</main>
</body>
</html>
"""
        # A path that is no UTF-8 has lone surrogates, which no encoding of text takes.
        return page.encode("utf-8", "backslashreplace")


def _columns(right: Sequence[bool], rows: Sequence[Sequence[str]]) -> list[str]:
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in shown
    ]


def _escape(text: str) -> str:
    """Make of a text what HTML shows as that text, in an element as in a quoted attribute."""
    return html.escape(visible(text))


def _name(text: str) -> str:
    # A name in Arabic or Hebrew does not turn round what stands beside it.
    return f"<bdi>{_escape(text)}</bdi>"
