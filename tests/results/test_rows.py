from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.results.record import COLUMNS, Record
from nsfw_caffe.results.rows import TYPED_COLUMNS, find_columns, from_row, to_row
from tests.records import RECORD, failed

_PATH = Path("results.jsonl")


def _read(**others: Any) -> Record:
    values = dataclasses.asdict(RECORD) | others
    return from_row([values[name] for name in COLUMNS], _PATH, "line", 7)


def test_the_columns_are_a_records_fields() -> None:
    assert [column.name for column in TYPED_COLUMNS] == list(COLUMNS)
    kinds = {column.name: (column.kind, column.required) for column in TYPED_COLUMNS}
    assert [kinds[name] for name in ("source", "score", "error")] == [(str, True), (float, False), (str, False)]
    assert [kinds[name] for name in ("bytes", "frames", "seconds")] == [(int, False), (int, True), (float, False)]


def test_a_row_is_the_records_values_and_the_other_way_round() -> None:
    for record in (RECORD, failed("a\udcff\0"), dataclasses.replace(RECORD, error=None, format="\udc80")):
        row = to_row(record)
        assert len(row) == len(COLUMNS)
        for value in row:
            str(value).encode()
        assert from_row(row, _PATH, "line", 1) == record


def test_numbers_of_the_other_kind_are_taken_where_they_are_whole() -> None:
    record = _read(score=1, width=4000.0, bytes=2.0**62, mtime=1795504500, frames=3.0)
    assert (record.score, record.width, record.bytes, record.mtime, record.frames) == (1.0, 4000, 2**62, 1795504500, 3)
    assert [type(value) for value in (record.score, record.width, record.mtime)] == [float, int, float]


def test_an_empty_text_is_a_missing_one() -> None:
    assert _read(error="", format="", sha256="", width="").error is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"score": None}, "neither a score nor an error"),
        ({"score": None, "error": ""}, "neither a score nor an error"),
        ({"error": "cannot identify image file"}, "both a score and an error"),
        ({"score": math.nan}, "score is nan: expected 0 to 1"),
        ({"score": math.nextafter(1, 2)}, "score is 1.0000000000000002: expected 0 to 1"),
        ({"score": -5e-324}, "score is -5e-324: expected 0 to 1"),
        ({"score": "0.5"}, "score is '0.5': expected a number"),
        ({"score": True}, "score is True: expected a number"),
        ({"score": [0.5]}, "score is [0.5]: expected a number"),
        ({"score": 10**5000}, "score cannot be held: int too large to convert to float"),
        ({"source": None}, "source is missing"),
        ({"source": ""}, "source is missing"),
        ({"source": 5}, "source is 5: expected text"),
        ({"source": "\ud83d.jpg"}, r"source is '\ud83d.jpg', which holds half a character"),
        ({"engine": None}, "engine is missing"),
        ({"frames": None}, "frames is missing"),
        ({"frames": 0}, "frames is no number from 1 to 2**63 - 1"),
        ({"width": -1}, "width is no number from 0 to 2**63 - 1"),
        ({"bytes": 2**63}, "bytes is no number from 0 to 2**63 - 1"),
        ({"height": 2.5}, "height is 2.5: expected a whole number"),
        ({"height": math.inf}, "height cannot be held: cannot convert float infinity to integer"),
        ({"height": math.nan}, "height cannot be held: cannot convert float NaN to integer"),
        ({"mtime": math.inf}, "mtime is inf: expected a finite number"),
        ({"seconds": math.nan}, "seconds is nan: expected a finite number"),
        ({"scored_at": "2026-11-23"}, "scored_at is '2026-11-23': expected a time like 2026-11-23T07:15:00Z"),
        ({"scored_at": "٢٠٢٦-11-23T07:15:00Z"}, "expected a time like 2026-11-23T07:15:00Z"),
    ],
)
def test_what_is_no_row_of_results_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ResultsError) as caught:
        _read(**values)
    assert str(caught.value).startswith("results.jsonl: line 7: ")
    assert str(caught.value).endswith(message)


def test_a_long_value_is_not_repeated_in_full() -> None:
    with pytest.raises(ResultsError) as caught:
        _read(score="x" * 10**6)
    assert len(str(caught.value)) < 200


def test_columns_are_found_wherever_they_are() -> None:
    names = ["mine", *reversed(COLUMNS), "mine"]
    assert [names[index] for index in find_columns(names, _PATH) if index is not None] == list(COLUMNS)
    with pytest.raises(ResultsError, match=r"^results.jsonl: no file of results: it has no column score, model$"):
        find_columns([name for name in COLUMNS if name not in ("score", "model")], _PATH)
    with pytest.raises(ResultsError, match=r"^results.jsonl: it has more than one column score: keep one$"):
        find_columns([*COLUMNS, "score"], _PATH)
