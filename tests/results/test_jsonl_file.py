from __future__ import annotations

import json
from pathlib import Path

import pytest

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.results.formats import read_results, write_results
from nsfw_caffe.results.record import COLUMNS
from tests.records import RECORD, failed


def test_each_line_is_an_object_in_the_order_of_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    write_results(path, [RECORD, failed("ü\n")])
    text = path.read_bytes().decode()
    assert text.startswith('{"source": "holiday/0001.jpg", "score": 0.031705040484666824, "error": null, "width": 4000')
    assert '{"source": "ü\\n", "score": null, "error": "cannot identify image file", "width": null' in text
    rows = [json.loads(line) for line in text.splitlines()]
    assert [tuple(row) for row in rows] == [COLUMNS, COLUMNS]


def test_other_keys_blank_lines_and_another_order_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    write_results(path, [RECORD, failed("\udcff")])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [json.dumps({"mine": [1]} | dict(reversed(row.items()))) for row in rows]
    path.write_text("\r\n\r\n".join(lines))
    assert list(read_results(path)) == [RECORD, failed("\udcff")]


def test_bytes_of_a_name_that_another_program_wrote_as_json_does_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    write_results(path, [RECORD])
    path.write_text(path.read_text().replace("holiday", r"\udcff"))
    assert next(read_results(path)).source == "\udcff/0001.jpg"


def test_what_is_no_json_lines_of_results_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    write_results(path, [RECORD])
    line = path.read_text()
    for broken, message in {
        line[:-20]: "line 2: no JSON: Unterminated string",
        "[" * 100_000: "line 2: no JSON: ",
        "[1]": "line 2: no JSON object",
        line.replace("0.0317", "1e9990.0317"): "line 2: no JSON: ",
        line.replace('"score"', '"Score"'): "line 2: no row of results: it has no score",
        line.replace("0.031705040484666824", "NaN"): "line 2: score is nan: expected 0 to 1",
        line.replace("0.031705040484666824", "1e999"): "line 2: score is inf: expected 0 to 1",
        line.replace("0.031705040484666824", '"0.5"'): "line 2: score is '0.5': expected a number",
        line.replace("4000", "9" * 5000): "line 2: ",
        line.replace("holiday", r"\ud800"): "line 2: source is '\\ud800/0001.jpg', which holds half a character",
    }.items():
        path.write_text(line + broken)
        with pytest.raises(ResultsError) as caught:
            list(read_results(path))
        assert str(caught.value).startswith(f"{path}: {message}")
    path.write_bytes(b"\n\xff\n")
    with pytest.raises(ResultsError, match=r"results.jsonl: no UTF-8 after line 0: .* byte 0xff"):
        list(read_results(path))
