"""What the figures of a training show: ROC curves of several models in one, the loss, and the area by iteration."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nsfw_caffe.evaluate.curves import Roc
from nsfw_caffe.evaluate.intervals import Interval
from nsfw_caffe.report.figures import FIRST, SECOND, Plot
from nsfw_caffe.report.formatting import count_of, numbers
from nsfw_caffe.report.plots import rates_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 300
"""Of the curve of a loss, at most: where there are more updates, a point is the mean of several."""

_TALL = 3.8
"""Inches of the height of a square of rates."""

Curve = npt.NDArray[np.float64]


def rocs_plot(curves: Sequence[tuple[str, Roc]], score_class: str) -> Plot:
    """Return how to draw the ROC curves of models by their names, the new one last."""
    caption = (
        f"How much of {score_class} is found (true positive rate) for how much of the rest that is taken for it (false "
        "positive rate), over all thresholds, on the pictures held out. The nearer a curve comes to the upper left "
        "corner the better; the dashed diagonal is chance."
    )
    return Plot("roc", caption, partial(_rocs, curves), _TALL, extra="train")


def loss_plot(name: str, layers: str, losses: Sequence[float]) -> Plot:
    """Return how to draw the loss of each update."""
    updates, means = thinned(losses)
    size = -(-len(losses) // len(updates))
    each = "an update's" if size == 1 else f"the mean of {count_of(size, 'update')}"
    caption = (
        f"The loss, on pictures trained on, while {layers} learned; each point is {each}. "
        "Where it still falls at the end, more updates may help."
    )
    return Plot(f"loss-{name}", caption, partial(_loss, updates, means), extra="train")


def areas_plot(checked: Sequence[tuple[int, float]], chosen: int, interval: Interval) -> Plot:
    """Return how to draw the area under the ROC curve by iteration, and which iteration's weights were taken."""
    caption = (
        "The area under the ROC curve on the pictures held out, by update; 0 is the model before more than its last "
        f"layer was trained. The dot is what was taken, at {chosen:,}. Its interval is {numbers(interval)}: what lies "
        "within cannot be told apart by these pictures."
    )
    return Plot("auc", caption, partial(_areas, checked, chosen), extra="train")


def thinned(losses: Sequence[float]) -> tuple[Curve, Curve]:
    """Give the means of so many losses each that _POINTS are left, and the number of the last update of each."""
    size = max(1, -(-len(losses) // _POINTS))
    starts = np.arange(0, len(losses), size)
    ends = np.minimum(starts + size, len(losses))
    means = np.add.reduceat(np.asarray(losses, np.float64), starts) / (ends - starts)
    return ends.astype(np.float64), means


def _rocs(curves: Sequence[tuple[str, Roc]], figure: Figure) -> None:
    axes = rates_axes(figure, "false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    styles = [(SECOND, "-"), (FIRST, ":")][: len(curves) - 1]
    for (name, roc), (colour, line) in zip(curves, [*styles, (FIRST, "-")], strict=True):
        axes.plot(roc.fpr, roc.tpr, line, color=colour, label=name)
    axes.legend(loc="lower right")


def _loss(updates: Curve, means: Curve, figure: Figure) -> None:
    axes = figure.add_subplot()
    axes.plot(updates, means, color=FIRST)
    axes.set(xlim=(0, updates[-1]), xlabel="update", ylabel="loss")
    axes.set_ylim(bottom=0)
    _count_updates(axes)


def _areas(checked: Sequence[tuple[int, float]], chosen: int, figure: Figure) -> None:
    axes = figure.add_subplot()
    axes.plot(*zip(*checked, strict=True), color=FIRST)
    axes.plot(chosen, dict(checked)[chosen], "o", color=SECOND, clip_on=False, zorder=3)
    axes.set(xlabel="update", ylabel="area under the ROC curve")
    _count_updates(axes)


def _count_updates(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.grid()
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
