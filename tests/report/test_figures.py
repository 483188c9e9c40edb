from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.report.figures import FIRST, SECOND, Plot, histogram, to_svg, write_pngs
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


def test_plots_without_matplotlib() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from pathlib import Path\n"
        "from nsfw_caffe.errors import ResultsError\n"
        "from nsfw_caffe.report.figures import write_pngs\n"
        "try: write_pngs([], Path('nowhere'), extra='evaluate')\n"
        "except ResultsError as error: print(error)"
    )
    assert run("-c", code).stdout == "a plot needs matplotlib: pip install 'nsfw-caffe[evaluate]'\n"


def test_no_pyplot_and_no_window() -> None:
    code = (
        "import sys; from nsfw_caffe.report.figures import histogram; histogram([1], [0, 1])\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    assert run("-c", code).stdout == "False\n"


def halves(figure: Figure) -> None:
    axes = figure.add_subplot()
    axes.barh([0, 1], [1, 1], color=[FIRST, SECOND], height=1)
    axes.set_axis_off()


def test_two_colours_of_the_page() -> None:
    svg = to_svg(halves)
    assert svg.count("var(--accent)") == svg.count("var(--contrast)") == 1


def test_png_files(tmp_path: Path) -> None:
    paths = write_pngs([Plot("a", "A.", halves), Plot("b", "B.", halves)], tmp_path / "new" / "plots")
    assert paths == (tmp_path / "new/plots/a.png", tmp_path / "new/plots/b.png")
    assert sorted(paths[0].parent.iterdir()) == sorted(paths)
    first = paths[0].read_bytes()
    assert first == paths[1].read_bytes()
    with Image.open(io.BytesIO(first)) as picture:
        assert (picture.format, picture.size) == ("PNG", (825, 435))
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert [(pixels == colour).all(axis=1).mean() > 0.2 for colour in ((47, 111, 214), (194, 65, 12))] == [True, True]


def test_a_png_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResultsError, match=r"file/a\.png: cannot be written: Not a directory|File exists"):
        write_pngs([Plot("a", "A.", halves)], tmp_path / "file")
