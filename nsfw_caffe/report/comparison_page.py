"""A comparison as an HTML page."""

from __future__ import annotations

from nsfw_caffe.evaluate.comparison import RunsCompared
from nsfw_caffe.report.comparison_figures import plots
from nsfw_caffe.report.comparison_sections import DISTANCES, sections
from nsfw_caffe.report.figures import check_matplotlib, to_svg
from nsfw_caffe.report.page import Figure, Section, to_page


def to_html(compared: RunsCompared) -> bytes:
    """Write a comparison as a page of its own.

    Parameters
    ----------
    compared : RunsCompared
        What to show.

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
    figures = [Figure(to_svg(plot.draw, height=plot.height), plot.caption) for plot in plots(compared)]
    shown = [
        Section(section.title, [*(figures if section.title == DISTANCES else ()), *section.parts])
        for section in sections(compared)
    ]
    return to_page("Comparison of NSFW scores", f"A: {compared.name_a}, B: {compared.name_b}", shown)
