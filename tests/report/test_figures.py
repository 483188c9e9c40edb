from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from nsfw_caffe.report.figures import FIRST, SECOND, Plot, to_png, to_svg
from nsfw_caffe.report.plots import histogram
from nsfw_caffe.system.extras import install_hint
from tests.support import run

EDGES = [0.0, 0.25, 0.5, 0.75, 1.0]

DRAW = "from nsfw_caffe.report.figures import to_svg; from nsfw_caffe.report.plots import histogram"


def test_the_same_numbers_give_the_same_bytes_in_every_process() -> None:
    code = f"{DRAW}; print(to_svg(histogram([5, 1, 0, 2], {EDGES})))"
    assert run("-c", code).stdout == to_svg(histogram([5, 1, 0, 2], EDGES)) + "\n"


def test_it_fits_into_a_page() -> None:
    svg = to_svg(histogram([5, 1, 0, 2], EDGES))
    assert svg.startswith("<svg ")
    assert svg.endswith("</svg>")
    for foreign in ("http", "xmlns", "<style", "<metadata", "<!", "<?", "#010203", "#040506", "DejaVu"):
        assert foreign not in svg
    assert "currentColor" in svg
    assert ">score</text>" in svg


def test_every_reference_has_its_target() -> None:
    svg = ElementTree.fromstring(to_svg(histogram([5000, 1, 0, 2], EDGES)))
    ids = [element.get("id") for element in svg.iter() if element.get("id")]
    hrefs = [element.get("href", "").removeprefix("#") for element in svg.iter("use")]
    assert hrefs
    assert set(hrefs) <= set(ids)
    assert len(ids) == len(set(ids))


def test_the_callers_settings_stay() -> None:
    before = dict(matplotlib.rcParams)
    to_svg(histogram([1, 2, 3, 4], EDGES))
    assert dict(matplotlib.rcParams) == before


def test_without_matplotlib() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from nsfw_caffe.errors import ResultsError\n"
        f"{DRAW}\n"
        "try: to_svg(histogram([1], [0, 1]))\n"
        "except ResultsError as error: print(error)"
    )
    assert run("-c", code).stdout == f"an HTML page needs matplotlib: {install_hint('report')}\n"


def test_plots_without_matplotlib() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from nsfw_caffe.errors import ResultsError\n"
        "from nsfw_caffe.report.figures import Plot, to_png\n"
        "try: to_png(Plot('a', 'A.', print, extra='evaluate'))\n"
        "except ResultsError as error: print(error)"
    )
    assert run("-c", code).stdout == f"a plot needs matplotlib: {install_hint('evaluate')}\n"


def test_no_pyplot_and_no_window() -> None:
    code = f"import sys; {DRAW}; to_svg(histogram([1], [0, 1])); print('matplotlib.pyplot' in sys.modules)"
    assert run("-c", code).stdout == "False\n"


def halves(figure: Figure) -> None:
    axes = figure.add_subplot()
    axes.barh([0, 1], [1, 1], color=[FIRST, SECOND], height=1)
    axes.set_axis_off()


def test_two_colours_of_the_page() -> None:
    svg = to_svg(Plot("a", "A.", halves))
    assert svg.count("var(--accent)") == svg.count("var(--contrast)") == 1


def test_a_png() -> None:
    first = to_png(Plot("a", "A.", halves))
    assert first == to_png(Plot("b", "B.", halves))
    with Image.open(io.BytesIO(first)) as picture:
        assert (picture.format, picture.size) == ("PNG", (825, 435))
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert [(pixels == colour).all(axis=1).mean() > 0.2 for colour in ((47, 111, 214), (194, 65, 12))] == [True, True]
