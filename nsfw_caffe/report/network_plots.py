"""What the figures of networks show: accuracy against multiply-adds, with the parameters as the dots' areas."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from nsfw_caffe.report.figures import FIRST, SECOND, Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

_AREA = 6e-6
"""Square points of a dot's area for each parameter: VGG-16's is 32 points across."""

_LEAST_AREA = 12
"""Square points of the smallest dot that is seen."""

_KEY = (1_000_000, 10_000_000, 100_000_000)
"""Parameters of the dots that the key shows."""

_HEIGHT = 4.0
"""Inches of the figure but for its strip."""

_ROW = 0.26
"""Inches of a row of the strip."""

_DISTANCE = 3
"""Points between a dot and its label."""

_STEPS = (0, 8, 16, 24, 36, 48, 64, 80, 100, 120)
"""Points by which a label moves away from its dot where there is no room beside it, on a line then."""

_ANGLES = (0, 180, 90, 270, 45, 315, 135, 225, 22, 338, 158, 202)
"""Degrees of where a label may stand, the best first."""


@dataclass(frozen=True)
class Dot:
    """A network in the figure; its measure is None where there is none."""

    name: str
    multiply_adds: int
    parameters: int
    measure: float | None


def trade_off_plot(name: str, measure: str, dots: Sequence[Dot]) -> Plot:
    """Return how to draw a measure, a percentage that the axis names, against cost."""
    missing = [dot for dot in dots if dot.measure is None]
    strip = " In the strip below are those without a figure to compare." if missing else ""
    caption = (
        f"{measure[0].upper()}{measure[1:]} upwards, multiply-adds of one picture across (logarithmic). A dot's area "
        f"is the number of parameters. The nearer to the upper left corner, the more is had for what it costs.{strip}"
    )
    return Plot(name, caption, partial(_draw, measure, dots), _HEIGHT + _strip_height(len(missing)))


def _draw(measure: str, dots: Sequence[Dot], figure: Figure) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    known = [dot for dot in dots if dot.measure is not None]
    missing = [dot for dot in dots if dot.measure is None]
    if known and missing:
        axes, strip = figure.subplots(2, sharex=True, height_ratios=(_HEIGHT - 1, _strip_height(len(missing))))
    else:
        axes = strip = figure.add_subplot()
    drawn = []
    if known:
        drawn += [(axes, dot, dot.measure or 0.0, FIRST) for dot in known]
        axes.set_ylabel(measure)
        axes.margins(y=0.2)
        axes.grid()
        _key(axes)
    if missing:
        # Each in a row of its own, so that there is room for its name.
        missing.sort(key=lambda dot: -dot.multiply_adds)
        drawn += [(strip, dot, float(row), SECOND) for row, dot in enumerate(missing)]
        strip.set_ylim(-1, len(missing))
        strip.yaxis.set_major_locator(NullLocator())
        strip.set_ylabel("no figure", fontsize=9)
        strip.grid(axis="x")
    for where, dot, height, colour in drawn:
        where.scatter(_across(dot), height, s=_area(dot), color=colour, alpha=0.6, linewidths=0)
    strip.set_xscale("log")
    counts = list(map(_across, dots))
    strip.set_xlim(min(counts) / 1.9, max(counts) * 1.9)
    strip.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    strip.xaxis.set_minor_locator(NullLocator())
    strip.xaxis.set_minor_formatter(NullFormatter())
    strip.xaxis.set_major_formatter(FuncFormatter(_millions))
    strip.set_xlabel("multiply-adds of one picture, millions (logarithmic)")
    figure.draw_without_rendering()  # which puts everything in its place, for the labels to be put beside it
    _label(figure, [(where, dot, height) for where, dot, height, _ in drawn])


def _strip_height(rows: int) -> float:
    return _ROW * (rows + 1) if rows else 0


def _millions(count: float, _position: float) -> str:
    return f"{count / 1e6:,.10g}"


def _key(axes: Axes) -> None:
    handles = [
        axes.scatter([], [], s=_AREA * count, color="grey", alpha=0.5, linewidths=0, label=f"{count // 1_000_000} M")
        for count in _KEY
    ]
    axes.legend(
        handles=handles,
        title="parameters",
        title_fontsize=9,
        fontsize=9,
        loc="lower right",
        labelspacing=1.3,
        handletextpad=1.3,
        borderpad=1.2,
    )


def _label(figure: Figure, drawn: Sequence[tuple[Axes, Dot, float]]) -> None:
    """Write the names beside the dots, each in the first place where it covers nothing, with a line if that is away."""
    from matplotlib.transforms import Bbox

    pixels = figure.dpi / 72
    taken: list[Bbox] = []
    for axes, dot, height in drawn:
        x, y = axes.transData.transform((_across(dot), height))
        radius = _radius(dot) * pixels
        taken.append(Bbox.from_extents(x - radius, y - radius, x + radius, y + radius))
        legend = axes.get_legend()
        if legend is not None:
            taken.append(legend.get_window_extent())
    for axes, dot, height in sorted(drawn, key=lambda each: -each[1].parameters):
        text = axes.annotate(dot.name, (_across(dot), height), (0, 0), textcoords="offset points", fontsize=9)
        text.set_in_layout(False)
        for step, angle in itertools.product(_STEPS, _ANGLES):
            _put(text, _radius(dot) + _DISTANCE + step, math.radians(angle))
            box = text.get_window_extent()
            if _within(box, axes.bbox) and not any(box.overlaps(other) for other in taken):
                break
        taken.append(box)
        if step:
            line = {"arrowstyle": "-", "color": "grey", "linewidth": 0.6, "shrinkA": 0, "shrinkB": _radius(dot)}
            axes.annotate(
                "", (_across(dot), height), text.get_position(), textcoords="offset points", arrowprops=line
            ).set_in_layout(False)


def _within(box: Bbox, whole: Bbox) -> bool:
    return bool(whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1)


def _across(dot: Dot) -> int:
    """Give where a dot stands on the logarithmic axis, which has no place for none."""
    return max(dot.multiply_adds, 1)


def _radius(dot: Dot) -> float:
    """Give a dot's radius in points."""
    return math.sqrt(_area(dot) / math.pi)


def _area(dot: Dot) -> float:
    return max(_AREA * dot.parameters, _LEAST_AREA)


def _put(text: Annotation, distance: float, angle: float) -> None:
    """Move a label to a place so many points from a dot's middle."""
    across, up = math.cos(angle), math.sin(angle)
    text.set_horizontalalignment("left" if across > 0.3 else "right" if across < -0.3 else "center")
    text.set_verticalalignment("bottom" if up > 0.3 else "top" if up < -0.3 else "center")
    text.set_position((distance * across, distance * up))
