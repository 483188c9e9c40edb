"""The sections of a page for the terminal: its words and tables, without what is drawn."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from nsfw_caffe.report.page import Facts, Paragraph, Part, Section, Table
from nsfw_caffe.results.names import visible

_WIDTH = 100
"""Characters of a line of text, at most; a table is as wide as it is."""


def as_text(sections: Sequence[Section]) -> str:
    """Write sections as plain text, in lines that end with a newline.

    Parameters
    ----------
    sections : sequence of Section
        What to write; figures and galleries are passed over.
    """
    return "\n".join(f"{section.title}\n{_parts(section.parts)}" for section in sections)


def _parts(parts: Sequence[Part]) -> str:
    lines = []
    for part in parts:
        if isinstance(part, Paragraph):
            lines += textwrap.wrap(visible(part.text), _WIDTH, initial_indent="  ", subsequent_indent="  ")
        elif isinstance(part, Facts):
            lines += _columns([False, False], part.pairs)
        elif isinstance(part, Table):
            head = [name.removeprefix("#") for name in part.header]
            lines += _columns([name.startswith("#") for name in part.header], [head, *part.rows])
    return "".join(f"{line}\n" for line in lines)


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
