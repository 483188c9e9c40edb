"""An evaluation as an HTML page."""

from __future__ import annotations

from collections.abc import Sequence

from nsfw_caffe.evaluate.evaluation import Evaluation
from nsfw_caffe.evaluate.samples import Mistake
from nsfw_caffe.report.evaluation_figures import plots
from nsfw_caffe.report.evaluation_sections import CALIBRATION, HIGHEST, LOWEST, RANKING, THRESHOLDS, named, sections
from nsfw_caffe.report.figures import check_matplotlib, to_svg
from nsfw_caffe.report.page import Figure, Gallery, Paragraph, Part, Section, to_page
from nsfw_caffe.report.rates import number
from nsfw_caffe.report.thumbnails import BLURRED, thumbnails_of

_FIGURES = {
    RANKING: ("roc", "roc-log", "precision-recall"),
    THRESHOLDS: ("scores", "rates"),
    CALIBRATION: ("reliability",),
}
"""The names of the figures that go to the head of a section."""


def to_html(evaluation: Evaluation, *, pictures: int = 0, clear: bool = False) -> bytes:
    """Write an evaluation as a page of its own.

    Parameters
    ----------
    evaluation : Evaluation
        What to show.
    pictures : int, default 0
        Of how many of the worst mistakes on each side, at most, to show a thumbnail. They are read now, from where
        their names say; one that is not there has none.
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
    check_matplotlib("an HTML page", "evaluate")
    drawn = {plot.name: Figure(to_svg(plot.draw, height=plot.height), plot.caption) for plot in plots(evaluation)}
    galleries = {HIGHEST: evaluation.highest_sfw, LOWEST: evaluation.lowest_nsfw}
    shown = []
    for section in sections(evaluation):
        figures = [drawn[name] for name in _FIGURES.get(section.title, ())]
        parts = [*figures, *section.parts]
        if pictures and section.title in galleries:
            parts = _pictured(galleries[section.title], pictures, clear)
        shown.append(Section(section.title, parts))
    return to_page("Evaluation of NSFW scores", evaluation.name, shown)


def _pictured(mistakes: Sequence[Mistake], pictures: int, clear: bool) -> list[Part]:
    """Show the first mistakes as thumbnails, and name the others."""
    sources = [mistake.source for mistake in mistakes[:pictures] if mistake.source is not None]
    if not sources:  # the data has no names
        return named(mistakes)
    shown = zip(thumbnails_of(sources, clear=clear), mistakes, strict=False)
    gallery = Gallery([thumbnail.under(number(mistake.score)) for thumbnail, mistake in shown])
    return [*([] if clear else [Paragraph(BLURRED)]), gallery, *named(mistakes[pictures:])]
