"""A scan's results as an HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nsfw_caffe.report.figures import histogram
from nsfw_caffe.report.page import Facts, Figure, Gallery, Paragraph, Part, Section, Table, to_page
from nsfw_caffe.report.summary import EDGES, Summary
from nsfw_caffe.report.text import describe_set_up
from nsfw_caffe.report.thumbnails import BLURRED, thumbnails
from nsfw_caffe.report.wording import duration, share, size
from nsfw_caffe.results.record import Record


def to_html(summary: Summary, name: str, *, pictures: int = 0, clear: bool = False) -> bytes:
    """Write a summary as a page of its own.

    Parameters
    ----------
    summary : Summary
        What to show.
    name : str
        What the results are called, their path for example.
    pictures : int, default 0
        Of how many of the highest scores, at most, to show a thumbnail. They are read now, from where they were
        scanned; one that is gone or has changed has none.
    clear : bool, default False
        Show them as they are, not blurred.

    Returns
    -------
    bytes
        HTML in UTF-8.

    Raises
    ------
    ResultsError
        matplotlib is not installed; the message says the command that installs it.
    """
    return to_page("NSFW scores", name, list(_sections(summary, pictures, clear)))


def _sections(summary: Summary, pictures: int, clear: bool) -> Iterator[Section]:
    yield Section("Overview", [_overview(summary)])
    if summary.scored:
        yield Section("Scores", _scores(summary))
        yield _highest(summary, pictures, clear)
        yield Section("Formats", [_counts("format", summary.formats, summary.scored)])
    if summary.failed:
        rows = [(row.source, row.error or "") for row in summary.failures]
        parts: list[Part] = [
            _counts("reason", summary.reasons, summary.failed),
            Paragraph(f"The first {len(rows)}:" if len(rows) < summary.failed else "All of them:"),
            Table(("source", "reason"), rows),
        ]
        yield Section("What failed", parts)
    if summary.slowest:
        slowest = [(duration(row.seconds or 0), _pixels(row), row.source) for row in summary.slowest]
        yield Section("Slowest", [Table(("#time", "#pixels", "source"), slowest)])
    if summary.rows:
        yield Section("Set-up", _set_up(summary))


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
    reached = [(f"{value:g}", f"{count:,}", share(count, summary.scored)) for value, count in summary.reached]
    return [
        Figure(histogram(summary.histogram, EDGES), "How many sources have which score, in steps of 0.05."),
        Table(("#threshold", "#at or above", "#share"), reached),
    ]


def _highest(summary: Summary, pictures: int, clear: bool) -> Section:
    parts: list[Part] = []
    if pictures:
        shown = thumbnails(summary.highest[:pictures], clear=clear)
        if not clear:
            parts.append(Paragraph(BLURRED))
        titles = [f"{row.score:.4f}" for row in summary.highest[:pictures]]
        parts.append(Gallery([thumbnail.under(title) for thumbnail, title in zip(shown, titles, strict=True)]))
    rows = [(f"{row.score:.4f}", _pixels(row), row.source) for row in summary.highest[pictures:]]
    if rows:
        parts.append(Table(("#score", "#pixels", "source"), rows))
    return Section("Highest scores", parts)


def _counts(what: str, counts: Sequence[tuple[str, int]], whole: int) -> Table:
    return Table(("#count", "#share", what), [(f"{count:,}", share(count, whole), name) for name, count in counts])


def _pixels(row: Record) -> str:
    return f"{row.width} × {row.height}" if row.width and row.height else "-"  # noqa: RUF001 - a sign, not a letter


def _set_up(summary: Summary) -> list[Part]:
    rows = [("set-up", describe_set_up(set_up)) for set_up in summary.set_ups]
    rows.append(("model", ", ".join(sorted({set_up.model for set_up in summary.set_ups}))))
    rows.append(("version", ", ".join(summary.versions)))
    rows.append(("scored at", f"{summary.first} to {summary.last}"))
    return [Table(("what", "value"), rows)]
