from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import matplotlib
import pytest

from nsfw_caffe.report.figures import histogram
from tests.support import run

EDGES = [0.0, 0.25, 0.5, 0.75, 1.0]


def test_the_same_numbers_give_the_same_bytes_in_every_process() -> None:
    code = f"from nsfw_caffe.report.figures import histogram; print(histogram([5, 1, 0, 2], {EDGES}))"
    assert run("-c", code).stdout == histogram([5, 1, 0, 2], EDGES) + "\n"


def test_a_bar_for_every_count() -> None:
    svg = ElementTree.fromstring(histogram([5, 1, 7, 2], EDGES))
    bars = [path for path in svg.iter("path") if "var(--accent)" in path.get("style", "")]
    heights = [_height(path) for path in bars]
    assert [round(height / heights[1], 3) for height in heights] == [5, 1, 7, 2]


def _height(path: ElementTree.Element) -> float:
    ys = [float(word) for word in path.get("d", "").replace("L", "").replace("M", "").replace("z", "").split()[1::2]]
    return max(ys) - min(ys)


def test_it_fits_into_a_page() -> None:
    svg = histogram([5, 1, 0, 2], EDGES)
    assert svg.startswith("<svg ")
    assert svg.endswith("</svg>")
    for foreign in ("http", "xmlns", "<style", "<metadata", "<!", "<?", "#010203", "#040506", "DejaVu"):
        assert foreign not in svg
    assert "currentColor" in svg
    assert ">score</text>" in svg


def test_every_reference_has_its_target() -> None:
    svg = ElementTree.fromstring(histogram([5000, 1, 0, 2], EDGES))
    ids = [element.get("id") for element in svg.iter() if element.get("id")]
    hrefs = [element.get("href", "").removeprefix("#") for element in svg.iter("use")]
    assert hrefs
    assert set(hrefs) <= set(ids)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("counts", "label"), [([49, 1, 0, 2], "sources"), ([50, 1, 0, 2], "sources (logarithmic)")])
def test_few_among_many_are_seen(counts: list[int], label: str) -> None:
    assert f">{label}</text>" in histogram(counts, EDGES)


def test_nothing_to_draw() -> None:
    assert ">sources</text>" in histogram([0, 0, 0, 0], EDGES)


def test_the_callers_settings_stay() -> None:
    before = dict(matplotlib.rcParams)
    histogram([1, 2, 3, 4], EDGES)
    assert dict(matplotlib.rcParams) == before


def test_without_matplotlib() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from nsfw_caffe.errors import ResultsError\n"
        "from nsfw_caffe.report.figures import histogram\n"
        "try: histogram([1], [0, 1])\n"
        "except ResultsError as error: print(error)"
    )
    assert run("-c", code).stdout == "an HTML page needs matplotlib: pip install 'nsfw-caffe[report]'\n"


def test_no_pyplot_and_no_window() -> None:
    code = (
        "import sys; from nsfw_caffe.report.figures import histogram; histogram([1], [0, 1])\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    assert run("-c", code).stdout == "False\n"
