from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from nsfw_caffe.evaluate.evaluation import evaluate
from nsfw_caffe.evaluate.options import Options
from nsfw_caffe.report.evaluation_figures import plots, write_plots
from nsfw_caffe.report.figures import to_svg
from nsfw_caffe.report.rates import threshold
from tests.evaluate.labelled import of, simulated
from tests.report.labelled_results import evaluation

NAMES = ["roc", "roc-log", "precision-recall", "scores", "rates", "reliability"]


def test_every_figure_is_a_png(tmp_path: Path) -> None:
    paths = write_plots(evaluation(), tmp_path)
    assert [path.name for path in paths] == [f"{name}.png" for name in NAMES]
    for path in paths:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert len(np.unique(np.asarray(picture.convert("L")))) > 20


def test_every_figure_says_what_it_shows() -> None:
    found = evaluation()
    for plot in plots(found):
        assert len(plot.caption.split()) > 20
        assert plot.caption.endswith(".")
    assert found.choice is not None
    assert threshold(found.choice.threshold) in plots(found)[0].caption
    assert "chosen" not in "".join(plot.caption for plot in plots(dataclasses.replace(found, choice=None)))


def test_the_chosen_point_is_drawn_where_it_is() -> None:
    found = evaluation()
    assert found.choice is not None
    for number in (0, 1):
        figure = Figure()
        plots(found)[number].draw(figure)
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
        for plot in plots(found):
            assert ElementTree.fromstring(to_svg(plot.draw)).tag == "svg"


def test_figures_of_many_samples_stay_small() -> None:
    found = evaluate(simulated(200_000), Options(resamples=10))
    for plot in plots(found):
        assert len(to_svg(plot.draw)) < 100_000


def test_the_logarithmic_curve_begins_at_its_left_end() -> None:
    found = evaluate(of("nnnnssss", [0.9, 0.8, 0.7, 0.2, 0.5, 0.4, 0.3, 0.1]), Options(resamples=20))
    figure = Figure()
    plots(found)[1].draw(figure)
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
