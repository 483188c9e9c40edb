"""Figures: as SVG that goes into a page, the same bytes for the same numbers, in the page's own colours; and as PNG."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.system.files import user_cache, write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawing: TypeAlias = "Callable[[Figure], None]"
"""Takes the empty figure and draws on it, in the colours of `FIRST` and `SECOND`."""

FIRST, SECOND = "C0", "C1"
"""The two colours to draw in, by matplotlib's names: what they are depends on where the figure goes."""

_TEXT, _ACCENT, _CONTRAST = "#010203", "#040506", "#070809"
"""Colours to draw an SVG in that stand for the page's, which are known only where it is read."""

_ON_WHITE = ("#1d2430", "#2f6fd6", "#c2410c")
"""The same of a PNG: those of the light page."""

_SETTINGS: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 11,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "legend.fontsize": 10,
}

_DOTS_PER_INCH = 150
"""Of a PNG: 825 pixels across in the width that a figure has by itself."""

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
        axes.bar(edges[:-1], counts, widths, align="edge", color=FIRST, edgecolor="none", alpha=0.85)
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


def to_svg(draw: Drawing, width: float = 5.5, height: float = 2.9, *, extra: str = "report") -> str:
    """Draw a figure with matplotlib for a page.

    Parameters
    ----------
    draw : callable
        Takes the empty matplotlib.figure.Figure and draws on it.
    width, height : float
        In inches; the page scales the figure to its own width.
    extra : str, default "report"
        This library's extra that the message names where matplotlib is missing.

    Returns
    -------
    str
        An <svg> element, whose text has the page's colour.

    Raises
    ------
    ResultsError
        As for `histogram`.
    """
    check_matplotlib("an HTML page", extra)
    settings = {"svg.hashsalt": "nsfw_caffe", "svg.fonttype": "none"}  # the same ids in every run; the page's font
    none = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    saving = {"format": "svg", "transparent": True, "metadata": none}
    return _for_a_page(_draw(draw, (width, height), (_TEXT, _ACCENT, _CONTRAST), settings, saving).decode())


@dataclass(frozen=True)
class Plot:
    """A figure that is still to be drawn.

    Attributes
    ----------
    name : str
        What a file of it is called, without an ending.
    caption : str
        What it shows and how to read it.
    draw : callable
        See `to_svg`.
    height : float, default 2.9
        In inches.
    """

    name: str
    caption: str
    draw: Drawing
    height: float = 2.9


def write_pngs(plots: Sequence[Plot], folder: Path, *, extra: str = "report") -> tuple[Path, ...]:
    """Draw each figure into a file of its own, on white.

    Parameters
    ----------
    plots : sequence of Plot
        What to draw.
    folder : pathlib.Path
        Where to; it is made if need be. A file of the same name is replaced.
    extra : str, default "report"
        As for `to_svg`.

    Returns
    -------
    tuple of pathlib.Path
        The files, in the order of the plots.

    Raises
    ------
    ResultsError
        matplotlib is not installed, or a file cannot be written: the message names it.
    """
    check_matplotlib("a plot", extra)
    saving = {"format": "png", "dpi": _DOTS_PER_INCH, "metadata": {"Software": None}}
    written = []
    for plot in plots:
        png = _draw(plot.draw, (5.5, plot.height), _ON_WHITE, {}, saving)
        path = folder / f"{plot.name}.png"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_file(path, png)
        except OSError as error:
            raise ResultsError(f"{path}: cannot be written: {error.strerror or error}") from error
        written.append(path)
    return tuple(written)


def check_matplotlib(what: str, extra: str) -> None:
    """Find out before the work whether figures can be drawn.

    Raises
    ------
    ResultsError
        matplotlib is not installed; the message says what needs it, and the command that installs it.
    """
    try:
        with _in_own_cache():
            import matplotlib.figure

            matplotlib.get_configdir()  # remembered from its first call on, which may come later than the import
    except ImportError as error:
        raise ResultsError(f"{what} needs matplotlib: pip install 'nsfw-caffe[{extra}]'") from error


@contextlib.contextmanager
def _in_own_cache() -> Iterator[None]:
    """Let matplotlib, while it is imported, keep its list of fonts in this library's cache, not all over the home.

    It makes `~/.config/matplotlib` and `~/.cache/matplotlib`, unless MPLCONFIGDIR is set; fontconfig, which it asks for
    fonts, may make `fontconfig` in XDG_CACHE_HOME.
    """
    cache = user_cache()
    if cache is None or "matplotlib" in sys.modules:
        yield
        return
    ours = {"MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR") or str(cache / "matplotlib"), "XDG_CACHE_HOME": str(cache)}
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _draw(
    draw: Drawing,
    size: tuple[float, float],
    colours: tuple[str, ...],
    settings: dict[str, str],
    saving: dict[str, Any],
) -> bytes:
    import matplotlib
    from cycler import cycler
    from matplotlib.figure import Figure

    text, *others = colours
    names = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color")
    in_all: dict[Any, Any] = {**dict.fromkeys(names, text), "axes.prop_cycle": cycler(color=others)}
    output = io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # not what a matplotlibrc says, the user's or one in the working folder
        matplotlib.rcParams.update(in_all | _SETTINGS | settings)
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(output, **saving)
    return output.getvalue()


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
    for drawn, shown in ((_TEXT, "currentColor"), (_ACCENT, "var(--accent)"), (_CONTRAST, "var(--contrast)")):
        svg = svg.replace(drawn, shown)
    return svg
