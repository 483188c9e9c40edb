"""What a scan's results say."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

from nsfw_caffe.report.formatting import describe_set_up, duration, share, size
from nsfw_caffe.report.plots import histogram
from nsfw_caffe.report.sections import Facts, Figure, Gallery, Paragraph, Part, Report, Section, Table
from nsfw_caffe.report.summary import EDGES, Summary
from nsfw_caffe.report.thumbnails import thumbnails
from nsfw_caffe.results.record import Record
from nsfw_caffe.sources.timeline import clock

_BAR = 40
"""Characters of the longest bar of a text's histogram."""


def scan_report(summary: Summary, name: str, *, top: int = 10, pictures: int = 0, clear: bool = False) -> Report:
    """Return what a summary says of results called `name`, with the `top` highest scores.

    A page has thumbnails, blurred unless `clear`, of up to `pictures` of them, made when it is written; one that is
    gone or has changed has none.
    """
    sections = [Section("Overview", [_overview(summary)])]
    if summary.scored:
        sections += [
            Section("Scores", _scores(summary)),
            Section("Highest scores", [_highest(summary, top, pictures, clear)]),
            Section("Formats", [_counts("format", summary.formats, summary.scored)]),
        ]
    if summary.failed:
        sections.append(Section("What failed", _failures(summary)))
    if summary.slowest:
        slowest = [(duration(row.seconds or 0), _pixels(row), row.source) for row in summary.slowest]
        sections.append(Section("Slowest", [Table(("#time", "#pixels", "source"), slowest)]))
    if summary.rows:
        sections.append(Section("Set-up", [_set_up(summary)]))
    return Report("NSFW scores", name, sections)


def _overview(summary: Summary) -> Facts:
    facts = [
        ("sources", f"{summary.rows:,}"),
        ("scored", f"{summary.scored:,}"),
        ("failed", f"{summary.failed:,}"),
        ("repeated content", f"{summary.repeated:,}"),
        ("size", size(summary.bytes)),
        ("working time", duration(summary.seconds)),
    ]
    if summary.mean is not None:
        facts.append(("mean score", f"{summary.mean:.4f}"))
    return Facts(facts)


def _scores(summary: Summary) -> list[Part]:
    most = max(summary.histogram)
    bars = [
        # Whatever is there shows: one in a million is what a scan is after.
        (f"{start:.2f} - {end:.2f}", f"{count:,}", "#" * max(round(_BAR * count / most), 1 if count else 0))
        for (start, end), count in zip(itertools.pairwise(EDGES), summary.histogram, strict=True)
    ]
    reached = [(f"{value:g}", f"{count:,}", share(count, summary.scored)) for value, count in summary.reached]
    return [
        Figure(histogram(summary.histogram, EDGES), in_text=Table(("#score", "#sources", ""), bars)),
        Table(("#threshold", "#at or above", "#share"), reached),
    ]


def _highest(summary: Summary, top: int, pictures: int, clear: bool) -> Part:
    rows = [(f"{row.score:.4f}", _pixels(row), _place(row)) for row in summary.highest]
    table = Table(("#score", "#pixels", "source"), rows[:top])
    if not pictures:
        return table
    read = partial(thumbnails, summary.highest[:pictures], clear=clear)
    return Gallery([score for score, *_ in rows[:pictures]], read, clear, table)


def _failures(summary: Summary) -> list[Part]:
    rows = [(row.source, row.error or "") for row in summary.failures]
    return [
        _counts("reason", summary.reasons, summary.failed),
        Paragraph(f"The first {len(rows)}:" if len(rows) < summary.failed else "All of them:"),
        Table(("source", "reason"), rows),
    ]


def _counts(what: str, counts: Sequence[tuple[str, int]], whole: int) -> Table:
    return Table(("#count", "#share", what), [(f"{count:,}", share(count, whole), name) for name, count in counts])


def _place(row: Record) -> str:
    return row.source if row.max_time is None else f"{row.source} at {clock(row.max_time)}"


def _pixels(row: Record) -> str:
    return f"{row.width} × {row.height}" if row.width and row.height else "-"  # noqa: RUF001 - a sign, not a letter


def _set_up(summary: Summary) -> Table:
    rows = [("set-up", describe_set_up(set_up)) for set_up in summary.set_ups]
    rows.append(("model", ", ".join(sorted({set_up.model for set_up in summary.set_ups}))))
    rows.append(("version", ", ".join(summary.versions)))
    rows.append(("scored at", f"{summary.first} to {summary.last}"))
    return Table(("what", "value"), rows)
