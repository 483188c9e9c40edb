"""What the pages of an evaluation and of a comparison both say."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence

from nsfw_caffe._version import __version__
from nsfw_caffe.evaluate.intervals import Interval, Share
from nsfw_caffe.evaluate.libraries import load
from nsfw_caffe.report.page import Paragraph, Part, Table
from nsfw_caffe.report.rates import number, numbers, percent, percents, round_percent
from nsfw_caffe.report.text import describe_set_up
from nsfw_caffe.report.wording import count_of
from nsfw_caffe.results.record import SetUp

_FAILURES = 100
"""How many of the sources without a score are named."""


def methods(intervals: Iterable[Interval]) -> Paragraph:
    """Say at what level intervals are, and what they were computed with."""
    listed = list(intervals)
    names = "; ".join(dict.fromkeys(interval.method for interval in listed))
    return Paragraph(f"Intervals: {round_percent(listed[0].level)} ({names}).")


def failures(failed: Sequence[tuple[str, str]]) -> list[Part]:
    """Say which labelled sources have no score, the first hundred by name."""
    if not failed:
        return []
    first = "" if len(failed) <= _FAILURES else f" The first {_FAILURES}:"
    return [
        Paragraph(f"{count_of(len(failed), 'labelled source')} without a score, left out of all figures.{first}"),
        Table(("source", "reason"), failed[:_FAILURES]),
    ]


def made_with(set_ups: Sequence[SetUp], versions: Sequence[str]) -> list[Part]:
    """Say what made the scores, where that is known, and what made the evaluation."""
    rows = [("scores: set-up", describe_set_up(set_up)) for set_up in set_ups]
    rows += [("scores: model's SHA-256", model) for model in sorted({set_up.model for set_up in set_ups})]
    if versions:
        rows.append(("scores: nsfw_caffe", ", ".join(versions)))
    rows += [(f"evaluation: {name}", version) for name, version in library_versions().items()]
    return [Table(("what", "value"), rows)]


def library_versions() -> dict[str, str]:
    """Return the versions of what computes an evaluation."""
    others = (("numpy", "numpy"), ("scikit-learn", "sklearn"), ("SciPy", "scipy"))
    return {
        "nsfw_caffe": __version__,
        "Python": platform.python_version(),
        **{name: str(load(module).__version__) for name, module in others},
    }


def measures(rows: Sequence[tuple[str, float, Interval]]) -> Table:
    """Show measures with their intervals and what these were computed with."""
    level = round_percent(rows[0][2].level)
    return Table(
        ("measure", "#value", f"#{level} interval", "method"),
        [(name, number(value), numbers(interval), interval.method) for name, value, interval in rows],
    )


def cells(rate: Share) -> tuple[str, str]:
    """Write a rate and its interval, for two cells of a table."""
    # Nothing of nothing has an interval, the whole scale, that tells nothing.
    return percent(rate.value), percents(rate.interval if rate.total else None)
