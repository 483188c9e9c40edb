"""What the figures of reports show: a scan's histogram, an evaluation's curves, two runs' scores."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from nsfw_caffe.evaluate.comparison import RunsCompared
from nsfw_caffe.evaluate.evaluation import Evaluation
from nsfw_caffe.report.figures import FIRST, SECOND, Plot
from nsfw_caffe.report.formatting import percent, round_percent, threshold

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOW, _TALL = 2.9, 3.8
"""Inches of the figures' height; those tall have a square of rates, or two parts."""

_SKEWED = 50
"""Where the tallest bar is so many times the lowest, a linear axis would hide the lowest."""

_SHADES = 8
"""Of the cells of a grid: each is of one path, so that a page holds few of them."""


def histogram(counts: Sequence[int], edges: Sequence[float]) -> Plot:
    """Return how to draw counts of scores as bars, each from one of the edges to the next."""
    return Plot("scores", "How many sources have which score, in steps of 0.05.", partial(_bars, counts, edges))


def evaluation_plots(evaluation: Evaluation) -> tuple[Plot, ...]:
    """Return what there is to draw, in the order of the page."""
    chosen = evaluation.choice
    point = "" if chosen is None else f" The dot is the chosen threshold, {threshold(chosen.threshold)}."
    line = "" if chosen is None else " The dotted line is the chosen threshold."
    captions = {
        "roc": "How much of the nsfw is caught (true positive rate) for how much of the sfw that is flagged by mistake "
        "(false positive rate), over all thresholds. The nearer the curve comes to the upper left corner the better; "
        f"the dashed diagonal is chance.{point}",
        "roc-log": "The same curve with a logarithmic axis of false positive rates, for the low ones at which "
        f"thresholds are set in practice. One sfw sample flagged is a rate of {percent(1 / evaluation.sfw)}: what is "
        f"lower than that, this data cannot tell; at the left end, none is flagged.{point}",
        "precision-recall": "What share of all that is flagged is nsfw (precision) for what share of the nsfw is "
        "caught (recall). The dashed line is the share of nsfw in this data, which is what flagging at random gives; "
        "with another share of nsfw the curve is another one.",
        "scores": "Which scores the samples of each class have, as shares of their class. The less the two overlap, "
        "the better they can be told apart.",
        "rates": "The two kinds of mistake at every threshold: the share of sfw that is flagged (false positives) and "
        f"the share of nsfw that is not (false negatives).{line}",
        "reliability": "Whether a score can be read as a probability: above, the share of nsfw among the samples of "
        f"each bin of scores, with its {round_percent(evaluation.options.level)} interval (Wilson). On the dashed "
        "diagonal it is as the scores say; where dots lie below it scores are too high, above it too low. Below, how "
        "many samples each bin has.",
    }
    draws = (_roc, _roc_log, _precision_recall, _scores, _rates, _reliability)
    tall = ("roc", "roc-log", "reliability")
    return tuple(
        Plot(name, caption, partial(draw, evaluation), _TALL if name in tall else _LOW, extra="evaluate")
        for (name, caption), draw in zip(captions.items(), draws, strict=True)
    )


def comparison_plot(compared: RunsCompared) -> Plot:
    """Return how to draw the scores of two runs against each other."""
    what = "Each dot is a sample" if len(compared.dots_a) else "The stronger a cell's colour, the more samples it has"
    caption = (
        f"The scores of A across and those of B upwards. {what}; on the dashed diagonal both scores are the same. In "
        f"the upper left and the lower right of the dotted lines, at {threshold(compared.figures.threshold)}, the two "
        "verdicts differ."
    )
    return Plot("scores-a-b", caption, partial(_scatter, compared), 4.0, extra="evaluate")


def _bars(counts: Sequence[int], edges: Sequence[float], figure: Figure) -> None:
    from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

    axes = figure.add_subplot()
    widths = [end - start for start, end in itertools.pairwise(edges)]
    axes.bar(edges[:-1], counts, widths, align="edge", color=FIRST, edgecolor="none", alpha=0.85)
    axes.set(xlim=(edges[0], edges[-1]), xlabel="score")
    present = [count for count in counts if count]
    if present and max(present) >= _SKEWED * min(present):
        axes.set(yscale="log", ylabel="sources (logarithmic)")
        axes.set_ylim(bottom=0.5)  # a bar of one shows
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylabel("sources")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _roc(evaluation: Evaluation, figure: Figure) -> None:
    axes = rates_axes(figure, "false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    axes.plot(evaluation.roc.fpr, evaluation.roc.tpr, color=FIRST)
    _mark(axes, evaluation)


def _roc_log(evaluation: Evaluation, figure: Figure) -> None:
    axes = rates_axes(figure, "false positive rate (logarithmic)", "true positive rate")
    lowest = 1 / evaluation.sfw
    chance = np.geomspace(lowest, 1, 100) if lowest < 1 else np.ones(1)
    axes.plot(chance, chance, "--", color="grey", linewidth=1)
    # No place on a logarithmic axis is 0: its left end stands for it.
    axes.plot(np.maximum(evaluation.roc.fpr, _left_end(evaluation)), evaluation.roc.tpr, color=FIRST)
    axes.set(xscale="log", xlim=(_left_end(evaluation), 1.1))
    _mark(axes, evaluation)
    axes.xaxis.set_major_formatter(_percent_axis)


def _precision_recall(evaluation: Evaluation, figure: Figure) -> None:
    axes = rates_axes(figure, "recall", "precision")
    share = evaluation.nsfw / (evaluation.nsfw + evaluation.sfw)
    axes.axhline(share, linestyle="--", color="grey", linewidth=1)
    curve = evaluation.precision_recall
    axes.plot(curve.recall, curve.precision, color=FIRST)


def _scores(evaluation: Evaluation, figure: Figure) -> None:
    axes = figure.add_subplot()
    edges = np.linspace(0, 1, len(evaluation.sfw_histogram) + 1)
    sides = (("sfw", evaluation.sfw_histogram, FIRST), ("nsfw", evaluation.nsfw_histogram, SECOND))
    shares = [counts / counts.sum() for _, counts, _ in sides]
    for (name, _, colour), heights in zip(sides, shares, strict=True):
        axes.stairs(heights, edges, color=colour, fill=True, alpha=0.35)
        axes.stairs(heights, edges, color=colour, label=name)
    present = np.concatenate([heights[heights > 0] for heights in shares])
    if present.max() >= _SKEWED * present.min():
        axes.set_yscale("log")
        axes.set_ylim(bottom=present.min() / 2)
    axes.yaxis.set_major_formatter(_percent_axis)
    axes.set(xlim=(0, 1), xlabel="score", ylabel="share of the class")
    axes.legend()


def _rates(evaluation: Evaluation, figure: Figure) -> None:
    axes = rates_axes(figure, "threshold", "rate")
    rates = evaluation.rates
    axes.plot(rates.thresholds, rates.fpr, color=FIRST, label="false positives")
    axes.plot(rates.thresholds, rates.fnr, color=SECOND, label="false negatives")
    if evaluation.choice is not None and np.isfinite(evaluation.choice.threshold):
        axes.axvline(evaluation.choice.threshold, linestyle=":", color="grey")
    axes.legend()


def _reliability(evaluation: Evaluation, figure: Figure) -> None:
    from matplotlib.ticker import StrMethodFormatter

    calibration = evaluation.calibration
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    filled = calibration.counts > 0
    means, shares = calibration.mean_score[filled], calibration.fraction_nsfw[filled]
    ends = np.array([(interval.low, interval.high) for interval in calibration.intervals])[filled]
    upper.vlines(means, ends[:, 0], ends[:, 1], color=FIRST, alpha=0.5)
    upper.plot(means, shares, "o-", color=FIRST, markersize=4)
    upper.set(ylim=(-0.03, 1.03), ylabel="share of nsfw")
    upper.grid()
    lower.stairs(calibration.counts, calibration.edges, color=FIRST, fill=True, alpha=0.6)
    if calibration.counts.max() >= _SKEWED * calibration.counts[filled].min():
        lower.set_yscale("log")
        lower.set_ylim(bottom=0.5)
    lower.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    lower.set(xlim=(0, 1), xlabel="score", ylabel="samples")


def rates_axes(figure: Figure, across: str, up: str) -> Axes:
    """Give axes of rates, from 0 to 1 both."""
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=across, ylabel=up)
    axes.grid()
    return axes


def _mark(axes: Axes, evaluation: Evaluation) -> None:
    chosen = evaluation.choice
    if chosen is not None:
        lowest = _left_end(evaluation) if axes.get_xscale() == "log" else 0
        axes.plot(max(chosen.fpr, lowest), 1 - chosen.fnr, "o", color=SECOND, clip_on=False, zorder=3)


def _left_end(evaluation: Evaluation) -> float:
    """Return the lowest rate of the logarithmic axis: a little less than one sfw sample's."""
    return 0.8 / evaluation.sfw


def _percent_axis(rate: float, _position: float) -> str:
    return f"{100 * rate:.6g} %"


def _scatter(compared: RunsCompared, figure: Figure) -> None:
    axes = figure.add_subplot(aspect="equal")
    if len(compared.dots_a):
        axes.plot(compared.dots_a, compared.dots_b, ".", color=FIRST, alpha=0.5, markersize=4)
    else:
        _shade(axes, compared)
    axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    for line in (axes.axhline, axes.axvline):
        line(compared.figures.threshold, linestyle=":", color="grey", linewidth=1)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel="score of A", ylabel="score of B")


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
