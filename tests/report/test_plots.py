from __future__ import annotations

import dataclasses
import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from nsfw_caffe.evaluate.evaluation import evaluate
from nsfw_caffe.evaluate.options import Options
from nsfw_caffe.report.figures import to_png, to_svg
from nsfw_caffe.report.formatting import threshold
from nsfw_caffe.report.plots import comparison_plot, evaluation_plots, histogram
from tests.evaluate.labelled import of, simulated
from tests.report.labelled_results import comparison, evaluation

EDGES = [0.0, 0.25, 0.5, 0.75, 1.0]

NAMES = ["roc", "roc-log", "precision-recall", "scores", "rates", "reliability"]


def test_a_bar_for_every_count() -> None:
    svg = ElementTree.fromstring(to_svg(histogram([5, 1, 7, 2], EDGES)))
    bars = [path for path in svg.iter("path") if "var(--accent)" in path.get("style", "")]
    heights = [_height(path) for path in bars]
    assert [round(height / heights[1], 3) for height in heights] == [5, 1, 7, 2]


def _height(path: ElementTree.Element) -> float:
    ys = [float(word) for word in path.get("d", "").replace("L", "").replace("M", "").replace("z", "").split()[1::2]]
    return max(ys) - min(ys)


@pytest.mark.parametrize(("counts", "label"), [([49, 1, 0, 2], "sources"), ([50, 1, 0, 2], "sources (logarithmic)")])
def test_few_among_many_are_seen(counts: list[int], label: str) -> None:
    assert f">{label}</text>" in to_svg(histogram(counts, EDGES))


def test_nothing_to_draw() -> None:
    assert ">sources</text>" in to_svg(histogram([0, 0, 0, 0], EDGES))


def test_every_figure_is_a_png() -> None:
    plots = evaluation_plots(evaluation())
    assert [plot.name for plot in plots] == NAMES
    for plot in plots:
        with Image.open(io.BytesIO(to_png(plot))) as picture:
            assert picture.format == "PNG"
            assert len(np.unique(np.asarray(picture.convert("L")))) > 20


def test_every_figure_says_what_it_shows() -> None:
    found = evaluation()
    for plot in evaluation_plots(found):
        assert len(plot.caption.split()) > 20
        assert plot.caption.endswith(".")
    assert found.choice is not None
    assert threshold(found.choice.threshold) in evaluation_plots(found)[0].caption
    assert "chosen" not in "".join(plot.caption for plot in evaluation_plots(dataclasses.replace(found, choice=None)))


def test_the_chosen_point_is_drawn_where_it_is() -> None:
    found = evaluation()
    assert found.choice is not None
    for number in (0, 1):
        figure = Figure()
        evaluation_plots(found)[number].draw(figure)
        dot = figure.axes[0].lines[-1]
        assert (dot.get_xdata(), dot.get_ydata()) == ([found.choice.fpr], [1 - found.choice.fnr])


@pytest.mark.parametrize(
    "scores",
    [[0.9, 0.1] * 20, [0.1, 0.9] * 20, [0.5, 0.5] * 20, [1.0, 0.0] * 20],
    ids=["separated", "reversed", "equal", "at the ends"],
)
def test_odd_data_is_drawn(scores: list[float]) -> None:
    for labels, values in (("ns" * 20, scores), ("ns", scores[:2])):
        found = evaluate(of(labels, values), Options(resamples=20))
        for plot in evaluation_plots(found):
            assert ElementTree.fromstring(to_svg(plot)).tag == "svg"


def test_figures_of_many_samples_stay_small() -> None:
    found = evaluate(simulated(200_000), Options(resamples=10))
    for plot in evaluation_plots(found):
        assert len(to_svg(plot)) < 100_000


def test_the_logarithmic_curve_begins_at_its_left_end() -> None:
    found = evaluate(of("nnnnssss", [0.9, 0.8, 0.7, 0.2, 0.5, 0.4, 0.3, 0.1]), Options(resamples=20))
    figure = Figure()
    evaluation_plots(found)[1].draw(figure)
    axes = figure.axes[0]
    _, curve, dot = axes.lines
    across, up = (np.asarray(values, float).tolist() for values in curve.get_data())
    points = list(zip(across, up, strict=True))
    left = axes.get_xlim()[0]
    assert 0 < left < 1 / 4
    # Three of the four nsfw are found before the first sfw is flagged.
    assert (left, 0.75) in points
    assert points[points.index((left, 0.75)) + 1][0] >= 1 / 4
    assert found.choice is not None
    assert found.choice.fpr == 0
    assert (dot.get_xdata(), dot.get_ydata()) == ([left], [0.75])


def test_a_dot_for_each_of_few_samples() -> None:
    compared = comparison(300)
    figure = Figure()
    comparison_plot(compared).draw(figure)
    assert figure.axes[0].lines[0].get_xydata().tolist() == list(  # type: ignore[union-attr]
        map(list, zip(compared.dots_a, compared.dots_b, strict=True))
    )


def test_a_square_for_each_cell_that_has_samples() -> None:
    compared = comparison(3000)
    figure = Figure()
    comparison_plot(compared).draw(figure)
    squares = sum(len(patch.get_path()) for patch in figure.axes[0].patches) / 5
    assert squares == (compared.grid > 0).sum()
    assert "var(--accent)" in to_svg(comparison_plot(compared))
