from __future__ import annotations

import io
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from PIL import Image

from nsfw_caffe.errors import ResultsUnreadable
from nsfw_caffe.networks import NETWORKS, Measurement, cost
from nsfw_caffe.networks.catalogue import COMPARED
from nsfw_caffe.report.figures import to_png
from nsfw_caffe.report.networks import (
    OwnEvaluation,
    compare_networks,
    comparison_json,
    comparison_report,
    cost_json,
    cost_report,
    list_json,
    list_report,
    read_evaluation,
)
from tests.report.test_sections import EVIL, Elements
from tests.support import REPOSITORY

OWN = OwnEvaluation("e.json", "labels.csv", 40, 60, 0.9731, 0.96, 0.98, 0.8, 0.915)


def measured(network: str, engine: str, threads: int, *times: float) -> Measurement:
    return Measurement(network, engine, threads, times, 260_000_000, 60_000_000)  # type: ignore[arg-type]


def row(text: str, name: str, section: str = "") -> str:
    """Return the first row of a name, from a section's title on, with one space between words."""
    lines = text[text.index(section) :].splitlines()
    return next(" ".join(line.split()) for line in lines if line.startswith(f"  {name} "))


def drawn_dots(axes: Axes) -> list[PathCollection]:
    """Return the dots, without the empty ones that the key is made of."""
    return [dots for dots in axes.collections if isinstance(dots, PathCollection) and np.size(dots.get_offsets())]


def test_cost_has_totals_and_both_rules() -> None:
    text = cost_report(cost("resnet50_thin")).to_text()
    for said in ("1,069,572,096", "6,940,840", "26,677", "27.9 MB", "1,069,598,720", "6,926,528", "3x224x224"):
        assert said in text
    assert "By layer" not in text


def test_cost_by_layer_adds_up() -> None:
    counted = cost("squeezenet1_1")
    text = cost_report(counted, by_layer=True).to_text()
    assert row(text, "conv1", "By layer") == "conv1 Convolution 1x64x113x113 22,064,832 5.7 % 1,792 3.3 MB"
    assert row(text, "relu_conv1", "By layer") == "relu_conv1 ReLU 1x64x113x113"
    found = json.loads(cost_json(counted, by_layer=True))
    for total in ("multiply_adds", "parameters", "statistics", "activation_bytes"):
        assert sum(layer[total] for layer in found["layers"]) == found[total] == getattr(counted, total)
    assert "layers" not in json.loads(cost_json(counted))
    assert found["input_shape"] == [3, 227, 227]


def test_accuracy_is_as_published_or_blank() -> None:
    text = comparison_report(compare_networks(["googlenet", "ms_ctc", "squeezenet1_1"])).to_text()
    assert row(text, "googlenet") == "googlenet 1,582.7 M 7.00 M 68.7 % 88.9 % centre crop"
    assert row(text, "ms_ctc") == "ms_ctc 926.7 M 67.66 M 88.2 % 10 views"
    assert row(text, "squeezenet1_1") == "squeezenet1_1 387.7 M 1.24 M"
    assert "measured" not in text
    assert "Your own" not in text


def test_every_figure_has_its_source() -> None:
    compared = compare_networks(COMPARED, evaluations={"vgg16": OWN})
    sources = comparison_report(compared).to_text().partition("\nSources\n")[2]
    for each in compared:
        known = NETWORKS[each.cost.name]
        assert known.publisher in sources
        assert known.accuracy is None or known.accuracy.source in sources
    assert re.search(r"  vgg16 +your own evaluation +e\.json\n", sources)
    assert sources.count("in part a reconstruction") == 1


def test_times_and_memory() -> None:
    measurements = [
        measured("vgg16", "caffe", 1, 0.4, 0.3865, 0.5),
        measured("vgg16", "caffe", 2, 0.2, 0.2, 0.2),
        measured("googlenet", "caffe", 1, 0.06, 0.07, 0.08),
    ]
    compared = compare_networks(["vgg16", "googlenet"], measurements)
    text = comparison_report(compared, [("CPU", "a fast one")]).to_text()
    assert row(text, "network", "Forward time") == "network caffe, 1 thread caffe, 2 threads"
    assert row(text, "vgg16", "Forward time") == "vgg16 400.0 200.0"
    assert row(text, "googlenet", "Forward time") == "googlenet 70.0"
    assert row(text, "vgg16", "Memory") == "vgg16 200 200"
    assert "the median of 3 rounds" in text
    assert "caffe 60.0 MB" in text
    assert "a fast one" in text
    found = json.loads(comparison_json(compared, [("CPU", "a fast one")]))
    first = found["networks"][0]["measured"][0]
    assert (first["engine"], first["threads"], first["seconds"]) == ("caffe", 1, 0.4)
    assert (first["times"], first["network_bytes"]) == ([0.4, 0.3865, 0.5], 200_000_000)
    assert found["measured_with"] == {"CPU": "a fast one"}


def test_json_has_what_the_text_has() -> None:
    found = json.loads(comparison_json(compare_networks(["ms_ctc", "resnet50"], evaluations={"resnet50": OWN})))
    ms_ctc, resnet = found["networks"]
    assert (ms_ctc["parameters"], ms_ctc["reconstructed"], ms_ctc["evaluation"]) == (67_655_912, True, None)
    assert (ms_ctc["imagenet"]["top1"], ms_ctc["imagenet"]["top5"]) == (None, 0.882)
    assert (resnet["imagenet"]["top1"], resnet["measured"]) == (0.753, [])
    assert resnet["evaluation"]["auc"] == 0.9731


def test_own_evaluations() -> None:
    other = OwnEvaluation("f.json", "labels.csv", 40, 61, 0.9, None, None, None, None)
    text = comparison_report(compare_networks(["vgg16", "resnet50"], evaluations={"vgg16": OWN})).to_text()
    assert row(text, "vgg16", "Your own") == "vgg16 0.9731 0.9600 to 0.9800 0.8 91.50 % 40 60 labels.csv"
    assert "figures of different data do not compare" not in text
    both = comparison_report(compare_networks(["vgg16", "resnet50"], evaluations={"vgg16": OWN, "resnet50": other}))
    assert "figures of different data do not compare" in both.to_text()
    assert [plot.name for plot in both.plots] == ["imagenet", "nsfw"]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"roc": {"auc": null}}', '{"roc": 1}', "[" * 100_000, '{"rows": 3}', "\udcff"]
)
def test_a_file_that_is_no_evaluation(content: str, tmp_path: Path) -> None:
    path = tmp_path / "e.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ResultsUnreadable, match=r"e\.json: is not what 'nsfw-caffe evaluate --json' writes"):
        read_evaluation(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ResultsUnreadable, match=r"e\.json: cannot be read: No such file"):
        read_evaluation(tmp_path / "e.json")


def test_the_list() -> None:
    listed = json.loads(list_json())
    assert [network["name"] for network in listed] == list(NETWORKS)
    text = list_report().to_text()
    assert all(name in text for name in NETWORKS)


@pytest.mark.parametrize("names", [COMPARED, tuple(NETWORKS), ("vgg16",), ("ms_ctc",)], ids=len)
def test_labels_cover_neither_each_other_nor_dots(names: tuple[str, ...]) -> None:
    (plot,) = comparison_report(compare_networks(names)).plots
    figure = Figure(figsize=(5.5, plot.height), layout="constrained")
    plot.draw(figure)
    figure.draw_without_rendering()
    labels = [text for axes in figure.axes for text in axes.texts if text.get_text()]
    assert sorted(label.get_text() for label in labels) == sorted(names)
    boxes = [label.get_window_extent() for label in labels]
    assert not [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    for axes in figure.axes:
        inside = [text.get_window_extent() for text in axes.texts if text.get_text()]
        assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in inside)
        for dots in drawn_dots(axes):
            (middle,) = axes.transData.transform(dots.get_offsets())
            assert not any(box.contains(*middle) for box in boxes)


def test_areas_are_as_the_parameters() -> None:
    (plot,) = comparison_report(compare_networks(["vgg16", "resnet50"])).plots
    figure = Figure()
    plot.draw(figure)
    areas = [float(dots.get_sizes()[0]) for dots in drawn_dots(figure.axes[0])]
    assert areas[0] / areas[1] == pytest.approx(138_357_544 / 25_557_096)


def test_the_plot_is_small_and_the_same_each_time() -> None:
    (plot,) = comparison_report(compare_networks(COMPARED)).plots
    png = to_png(plot)
    assert len(png) < 100_000
    assert png == to_png(plot)
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"


def test_the_documentation_has_what_compare_writes() -> None:
    page = (REPOSITORY / "docs" / "networks.md").read_text()
    text = comparison_report(compare_networks(COMPARED)).to_text()
    for section in ("Accuracy against cost", "Sources"):
        assert text[text.index(section) :].partition("\n\n")[0].strip() in page
    assert (REPOSITORY / "docs" / "networks.png").stat().st_size < 100_000


def test_page() -> None:
    page = Elements(comparison_report(compare_networks(COMPARED, evaluations={"vgg16": OWN})).to_html())
    assert page.tags.count("svg") == 2
    assert "script" not in page.tags


@pytest.mark.parametrize("name", EVIL)
def test_names_of_files_stay_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(name.replace("/", "_"))
    path.write_text('layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }')
    page = Elements(comparison_report(compare_networks(["vgg16", str(path)])).to_html())
    plain = Path("plain")
    plain.write_text(path.read_text())
    assert page.tags == Elements(comparison_report(compare_networks(["vgg16", "plain"])).to_html()).tags
