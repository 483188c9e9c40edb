"""Figures as SVG that goes into a page: the same bytes for the same numbers, in the page's own colours."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nsfw_caffe.errors import ResultsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TEXT, _ACCENT = "#010203", "#040506"
"""Colours to draw in that stand for the page's, which are known only where it is read."""

_SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "nsfw_caffe",  # ids that do not differ from run to run
    "svg.fonttype": "none",  # text stays text, in the page's font
    "text.color": _TEXT,
    "axes.edgecolor": _TEXT,
    "axes.labelcolor": _TEXT,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
}

_SKEWED = 50
"""Where the tallest bar is so many times the lowest, a linear axis would hide the lowest."""


def histogram(counts: Sequence[int], edges: Sequence[float], *, label: str = "score") -> str:
    """Draw counts as bars.

    Parameters
    ----------
    counts : sequence of int
        One a bar.
    edges : sequence of float
        Where the bars begin and end: one more than there are counts.
    label : str, default "score"
        What the edges are.

    Returns
    -------
    str
        An <svg> element.

    Raises
    ------
    ResultsError
        matplotlib is not installed; the message says the command that installs it.
    """

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

        axes = figure.add_subplot()
        widths = [end - start for start, end in itertools.pairwise(edges)]
        axes.bar(edges[:-1], counts, widths, align="edge", color=_ACCENT, edgecolor="none", alpha=0.85)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel(label)
        present = [count for count in counts if count]
        if present and max(present) >= _SKEWED * min(present):
            axes.set_yscale("log")
            axes.set_ylim(bottom=0.5)  # a bar of one shows
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.set_ylabel("sources (logarithmic)")
        else:
            axes.set_ylabel("sources")
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))

    return to_svg(draw)


def to_svg(draw: Callable[[Figure], None], width: float = 5.5, height: float = 2.9) -> str:
    """Draw a figure with matplotlib.

    Parameters
    ----------
    draw : callable
        Takes the empty matplotlib.figure.Figure and draws on it.
    width, height : float
        In inches; the page scales the figure to its own width.

    Returns
    -------
    str
        An <svg> element, whose text has the page's colour.

    Raises
    ------
    ResultsError
        As for `histogram`.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ResultsError("an HTML page needs matplotlib: pip install 'nsfw-caffe[report]'") from error
    output = io.StringIO()
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        none = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(output, format="svg", transparent=True, metadata=none)
    return _for_a_page(output.getvalue())


def _for_a_page(document: str) -> str:
    svg = document[document.index("<svg") :].strip()
    # In a page namespaces go without saying, a style is the whole page's, and an id must not be there twice.
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = svg.replace("xlink:href=", "href=")
    used = set(re.findall(r"#(\w+)", svg))
    svg = re.sub(r'\sid="([^"]*)"', lambda match: match[0] if match[1] in used else "", svg)
    # The page's font; matplotlib up to 3.9 writes font, later ones font-size and font-family.
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    svg = re.sub(r"font-family: [^;\"]*; ?", "", svg)
    return svg.replace(_TEXT, "currentColor").replace(_ACCENT, "var(--accent)")
