"""The figure of a comparison."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nsfw_caffe.evaluate.comparison import RunsCompared
from nsfw_caffe.report.figures import FIRST, Plot, write_pngs
from nsfw_caffe.report.rates import threshold

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 4.0

_SHADES = 8
"""Of the cells of a grid: each is of one path, so that a page holds few of them."""


def plots(compared: RunsCompared) -> tuple[Plot, ...]:
    """Return what there is to draw."""
    what = "Each dot is a sample" if len(compared.dots_a) else "The stronger a cell's colour, the more samples it has"
    caption = (
        f"The scores of A across and those of B upwards. {what}; on the dashed diagonal both scores are the same. In "
        f"the upper left and the lower right of the dotted lines, at {threshold(compared.figures.threshold)}, the two "
        "verdicts differ."
    )
    return (Plot("scores-a-b", caption, partial(_scatter, compared), _HEIGHT),)


def write_plots(compared: RunsCompared, folder: Path) -> tuple[Path, ...]:
    """Draw the figure into a PNG file in a folder: see `nsfw_caffe.report.evaluation_figures.write_plots`."""
    return write_pngs(plots(compared), folder, extra="evaluate")


def _scatter(compared: RunsCompared, figure: Figure) -> None:
    axes = figure.add_subplot(aspect="equal")
    if len(compared.dots_a):
        axes.plot(compared.dots_a, compared.dots_b, ".", color=FIRST, alpha=0.5, markersize=4)
    else:
        _shade(axes, compared)
    axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    for line in (axes.axhline, axes.axvline):
        line(compared.figures.threshold, linestyle=":", color="grey", linewidth=1)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_xlabel("score of A")
    axes.set_ylabel("score of B")


def _shade(axes: Axes, compared: RunsCompared) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    grid = compared.grid
    cells = len(grid)
    # Logarithmic: one sample among millions shows.
    depth = np.ceil(_SHADES * np.log1p(grid) / np.log1p(grid.max())).astype(int)
    for shade in range(1, _SHADES + 1):
        squares = [
            Outline(np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]) / cells + np.array(cell) / cells, closed=True)
            for cell in np.argwhere(depth == shade)
        ]
        if squares:
            outline = Outline.make_compound_path(*squares)
            axes.add_patch(PathPatch(outline, facecolor=FIRST, edgecolor="none", alpha=shade / _SHADES))
