"""One HTML page that needs nothing but itself: no script, no network, every text escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nsfw_caffe.report.style import STYLE
from nsfw_caffe.results.names import visible

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""The Content-Security-Policy: what a browser refuses even if something slipped past the escaping."""


class Part(Protocol):
    """A piece of a section."""

    def to_html(self) -> str:
        """Write the piece as HTML; every text in it is escaped."""
        ...


@dataclass(frozen=True)
class Paragraph:
    """A line of text."""

    text: str

    def to_html(self) -> str:
        """See `Part`."""
        return f"<p>{escape(self.text)}</p>"


@dataclass(frozen=True)
class Facts:
    """Names with their values, the few that matter.

    Attributes
    ----------
    pairs : sequence of (str, str)
        What, and how much.
    """

    pairs: Sequence[tuple[str, str]]

    def to_html(self) -> str:
        """See `Part`."""
        items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in self.pairs)
        return f'<dl class="facts">{items}</dl>'


@dataclass(frozen=True)
class Table:
    """Rows under a header.

    Attributes
    ----------
    header : sequence of str
        The names of the columns; one that starts with # holds numbers, and the # is not shown.
    rows : sequence of sequence of str
        As many cells each as the header has.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def to_html(self) -> str:
        """See `Part`."""
        classes = [' class="number"' if name.startswith("#") else "" for name in self.header]
        head = "".join(
            f'<th scope="col"{kind}>{escape(name.removeprefix("#"))}</th>'
            for kind, name in zip(classes, self.header, strict=True)
        )
        lines = [
            "<tr>" + "".join(f"<td{kind}>{_name(cell)}</td>" for kind, cell in zip(classes, row, strict=True)) + "</tr>"
            for row in self.rows
        ]
        body = "\n".join(lines)
        return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


@dataclass(frozen=True)
class Figure:
    """A drawing.

    Attributes
    ----------
    svg : str
        An <svg> element, which goes into the page as it is: drawn by this library, never read from a file.
    caption : str
        What it shows; also for those who cannot see it.
    """

    svg: str
    caption: str

    def to_html(self) -> str:
        """See `Part`."""
        caption = escape(self.caption)
        drawing = f'<div role="img" aria-label="{caption}">{self.svg}</div>'
        return f"<figure>{drawing}<figcaption>{caption}</figcaption></figure>"


@dataclass(frozen=True)
class Picture:
    """A thumbnail of a gallery.

    Attributes
    ----------
    uri : str or None
        A data: URI; None where there is nothing to show.
    width, height : int
        In pixels.
    title, text : str
        What stands under it: the title, and the text below; without a picture, `text` says why.
    """

    uri: str | None
    width: int
    height: int
    title: str
    text: str


@dataclass(frozen=True)
class Gallery:
    """Thumbnails side by side."""

    pictures: Sequence[Picture]

    def to_html(self) -> str:
        """See `Part`."""
        return (
            '<ul class="gallery">' + "\n".join(f"<li>{_picture(picture)}</li>" for picture in self.pictures) + "</ul>"
        )


@dataclass(frozen=True)
class Section:
    """A title and what stands under it."""

    title: str
    parts: Sequence[Part]


def to_page(title: str, subtitle: str, sections: Sequence[Section]) -> bytes:
    """Write a whole page.

    Parameters
    ----------
    title, subtitle : str
        What the page is of.
    sections : sequence of Section
        What it shows, in order.

    Returns
    -------
    bytes
        HTML in UTF-8. The same arguments give the same bytes.
    """
    body = "\n".join(
        f"<section>\n<h2>{escape(section.title)}</h2>\n"
        + "\n".join(part.to_html() for part in section.parts)
        + "\n</section>"
        for section in sections
    )
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p>{_name(subtitle)}</p>
</header>
<main>
{body}
</main>
</body>
</html>
"""
    # A path that is no UTF-8 has lone surrogates, which no encoding of text takes.
    return page.encode("utf-8", "backslashreplace")


def escape(text: str) -> str:
    """Make of a text what HTML shows as that text, in an element as in a quoted attribute."""
    return html.escape(visible(text))


def _name(text: str) -> str:
    # A name in Arabic or Hebrew does not turn round what stands beside it.
    return f"<bdi>{escape(text)}</bdi>"


def _picture(picture: Picture) -> str:
    if picture.uri is None:
        shown = '<div class="none">no thumbnail</div>'
    else:
        shown = f'<img src="{html.escape(picture.uri)}" width="{picture.width}" height="{picture.height}" alt="">'
    return f"{shown}<strong>{escape(picture.title)}</strong>{_name(picture.text)}"
