"""Figures: as SVG that goes into a page, the same bytes for the same numbers, in the page's own colours; and as PNG."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.system.extras import install_hint
from nsfw_caffe.system.files import user_cache

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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

_WIDTH = 5.5
"""Of all figures, in inches."""

_DOTS_PER_INCH = 150
"""Of a PNG: 825 pixels across."""


@dataclass(frozen=True)
class Plot:
    """A figure; as a file it is called `name`, without an ending."""

    name: str
    caption: str
    draw: Callable[[Figure], None]  # in the colours of FIRST and SECOND, on the empty figure
    height: float = 2.9  # in inches
    extra: str = "report"  # of this library, which the message names where matplotlib is missing


def to_svg(plot: Plot) -> str:
    """Draw a figure for a page, which scales it to its own width, as an <svg> element with text in its colour."""
    check_matplotlib("an HTML page", plot.extra)
    settings = {"svg.hashsalt": "nsfw_caffe", "svg.fonttype": "none"}  # the same ids in every run; the page's font
    none = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    saving = {"format": "svg", "transparent": True, "metadata": none}
    return _for_a_page(_draw(plot, (_TEXT, _ACCENT, _CONTRAST), settings, saving).decode())


def to_png(plot: Plot) -> bytes:
    """Draw a figure on white as a PNG."""
    check_matplotlib("a plot", plot.extra)
    return _draw(plot, _ON_WHITE, {}, {"format": "png", "dpi": _DOTS_PER_INCH, "metadata": {"Software": None}})


def check_matplotlib(what: str, extra: str) -> None:
    """Find out before the work whether figures can be drawn; ResultsError says how to install matplotlib."""
    try:
        with _in_own_cache():
            import matplotlib.figure

            matplotlib.get_configdir()  # remembered from its first call on, which may come later than the import
    except ImportError as error:
        raise ResultsError(f"{what} needs matplotlib: {install_hint(extra)}") from error


@contextlib.contextmanager
def _in_own_cache() -> Iterator[None]:
    """Let matplotlib, while it is imported, keep its list of fonts in this library's cache, not all over the home.

    It makes folders in ~/.config and ~/.cache, and fontconfig, which it asks for fonts, one in XDG_CACHE_HOME.
    """
    cache = user_cache()
    if cache is None or "matplotlib" in sys.modules:
        yield
        return
    ours = {"MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR") or str(cache / "matplotlib"), "XDG_CACHE_HOME": str(cache)}
    before = {name: os.environ[name] for name in ours if name in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]
        os.environ.update(before)


def _draw(plot: Plot, colours: tuple[str, ...], settings: dict[str, str], saving: dict[str, Any]) -> bytes:
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
        figure = Figure(figsize=(_WIDTH, plot.height), layout="constrained")
        plot.draw(figure)
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
