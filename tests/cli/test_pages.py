from __future__ import annotations

from pathlib import Path

import pytest

from nsfw_caffe.cli.pages import write_plots
from nsfw_caffe.errors import ResultsError
from nsfw_caffe.report.figures import to_png
from nsfw_caffe.report.plots import histogram

PLOT = histogram([5, 1], [0, 0.5, 1])


def test_png_files(tmp_path: Path) -> None:
    write_plots([PLOT], tmp_path / "new" / "plots")
    (path,) = (tmp_path / "new" / "plots").iterdir()
    assert path.name == "scores.png"
    assert path.read_bytes() == to_png(PLOT)


def test_a_png_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResultsError, match=r"file/scores\.png: cannot be written: Not a directory|File exists"):
        write_plots([PLOT], tmp_path / "file")
    (tmp_path / "scores.png").mkdir()
    with pytest.raises(ResultsError, match=r"scores\.png: cannot be written: Is a directory"):
        write_plots([PLOT], tmp_path)
