from __future__ import annotations

import json
from pathlib import Path

import pytest

from nsfw_caffe.cli import report
from nsfw_caffe.errors import ResultsError
from nsfw_caffe.report.scan import scan_report
from nsfw_caffe.report.summary import summarise
from nsfw_caffe.results.formats import write_results
from tests.cli.running import run
from tests.records import failed, of_file, scored
from tests.support import PHOTOS

ROWS = [of_file(PHOTOS / "rocket.jpg", 0.9), scored("b.jpg", 0.3), failed("c.jpg", "the file is empty")]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.csv"
    write_results(path, ROWS)
    return path


def test_text_and_no_file(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(report, results) == 0
    assert capsys.readouterr().out == scan_report(summarise(ROWS), str(results)).to_text()
    assert list(results.parent.iterdir()) == [results]


def test_json(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = results.with_name("page.html")
    options = ("--top", 1, "--thresholds", "0.5", "--html", page, "--thumbnails", 2)
    assert run(report, results, "--json", *options) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["scored"], found["failed"], found["mean"]) == (3, 2, 1, 0.6)
    assert found["reached"] == [{"threshold": 0.5, "count": 1}]
    assert found["reasons"] == {"the file is empty": 1}
    assert [(row["source"], row["score"]) for row in found["highest"]] == [(ROWS[0].source, 0.9)]
    assert found["set_ups"] == [ROWS[0].set_up._asdict()]
    assert page.exists()


def test_options_reach_the_text(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(report, results, "--thresholds", "0.25", "--top", "1") == 0
    out = capsys.readouterr().out
    assert "       0.25            2  100.00 %" in out
    assert "b.jpg" not in out


def test_a_page_with_blurred_or_clear_thumbnails(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = []
    for options in ([], ["--thumbnails", 1], ["--thumbnails", 1, "--clear"], ["--thumbnails", 1]):
        assert run(report, results, "--html", results.with_name("page.html"), *options) == 0
        pages.append(results.with_name("page.html").read_text())
    none, blurred, clear, again = pages
    assert ("<img" in none, blurred.count("<img"), clear.count("<img")) == (False, 1, 1)
    assert (blurred == again, blurred == clear) == (True, False)
    assert capsys.readouterr().out.count("Overview\n  sources ") == 4
    assert {path.name for path in results.parent.iterdir()} == {"results.csv", "page.html"}


def test_many_thumbnails_do_not_make_the_text_longer(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = results.with_name("page.html")
    assert run(report, results, "--html", page, "--thumbnails", 2, "--top", 1) == 0
    assert "b.jpg" not in capsys.readouterr().out
    assert "b.jpg (it has gone)" in page.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--thumbnails", "1"], "--thumbnails goes with --html"),
        (["--html", "p.html", "--clear"], "--clear goes with --thumbnails"),
        (["--html", "results.csv"], "the page's name has to end in .html"),
        (["--html", "/nowhere/p.html"], "there is no folder /nowhere: make it first"),
        (["--thresholds", "2"], "2 is not between 0 and 1"),
        (["--top", "0"], "0 is not 1 or more"),
    ],
)
def test_wrong_usage(options: list[str], message: str, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(report, results, *options)
    assert message in capsys.readouterr().err


def test_results_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"missing\.csv"):
        run(report, tmp_path / "missing.csv")


def test_a_page_that_cannot_be_written(results: Path) -> None:
    results.with_name("page.html").mkdir()
    with pytest.raises(ResultsError, match=r"page\.html: cannot be written: Is a directory"):
        run(report, results, "--html", results.with_name("page.html"))
