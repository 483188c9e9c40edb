from __future__ import annotations

import json
from pathlib import Path

import pytest

from nsfw_caffe.cli import rank
from nsfw_caffe.results.formats import read_results, write_results
from tests.cli.running import run
from tests.records import failed, scored

ROWS = [
    scored("low.jpg", 0.1),
    scored("b.jpg", 0.7),
    scored("a.jpg", 0.7),
    failed("bad.jpg", "the file is empty"),
    scored('odd\r\udcff\x1b, "q".jpg', 1 / 3),
]
ODD = r'odd\x0d\udcff\x1b, "q".jpg'


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.csv"
    write_results(path, ROWS)
    return path


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ([], ["0.7\ta.jpg", "0.7\tb.jpg", f"{1 / 3!r}\t{ODD}", "0.1\tlow.jpg"]),
        (["--top", 1], ["0.7\ta.jpg"]),
        (["--bottom", 2], ["0.1\tlow.jpg", f"{1 / 3!r}\t{ODD}"]),
        (["--top", 2, "--bottom", 1], ["0.7\ta.jpg", "0.7\tb.jpg", "0.1\tlow.jpg"]),
    ],
)
def test_text(options: list[object], lines: list[str], results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(rank, results, *options) == 0
    assert capsys.readouterr().out.split("\n") == [*lines, ""]


def test_csv_is_a_file_of_results_again(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(rank, results, "--csv") == 0
    again = results.with_name("again.csv")
    again.write_text(capsys.readouterr().out, newline="")
    assert list(read_results(again)) == [ROWS[2], ROWS[1], ROWS[4], ROWS[0]]


def test_json_has_every_column(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(rank, results, "--json", "--top", 1) == 0
    row = json.loads(capsys.readouterr().out)
    assert list(row) == list(ROWS[0].__dataclass_fields__)
    assert (row["source"], row["score"], row["error"], row["bytes"]) == ("a.jpg", 0.7, None, 1000)


def test_one_form_at_a_time(results: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(rank, results, "--json", "--csv")
