from __future__ import annotations

import csv
from pathlib import Path

import pytest

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.results.formats import read_results, write_results
from nsfw_caffe.results.record import COLUMNS, Record
from tests.records import RECORD, failed, scored


def _read(path: Path, text: str) -> list[Record]:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return list(read_results(path))


def _text(path: Path, *records: Record) -> str:
    write_results(path, records)
    return path.read_bytes().decode()


def test_the_file_is_what_is_documented(tmp_path: Path) -> None:
    text = _text(tmp_path / "results.csv", RECORD, failed('a,"b\r.jpg'))
    assert text == (
        "source,score,error,width,height,format,bytes,sha256,mtime,engine,precision,decode,frames,model,device,jpeg,"
        "blas,every,max_time,warning,version,seconds,scored_at\n"
        f"holiday/0001.jpg,0.031705040484666824,,4000,3000,JPEG,1000,{'0123456789abcdef' * 4},1795504500.1234567,"
        f"onnxruntime,float32,exact,1,{'abababababababab' * 4},cpu,pillow,system,,,,0.1.0,0.01,2026-11-23T07:15:00Z\n"
        '"a,""b\r.jpg",,cannot identify image file,,,,,,,'
        f"onnxruntime,float32,exact,1,{'abababababababab' * 4},cpu,pillow,system,,,,0.1.0,,2026-11-23T07:15:00Z\n"
    )


def test_what_spreadsheet_programs_make_of_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    write_results(path, [RECORD, failed("b\nc")])
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["mine"] = "x"
        if row["width"]:
            row["width"] += ".0"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, ["mine", *reversed(COLUMNS)], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
        file.write("\r\n")
    assert list(read_results(path)) == [RECORD, failed("b\nc")]


def test_a_byte_order_mark_is_no_part_of_the_first_columns_name(tmp_path: Path) -> None:
    """Excel's files begin with one, and here with the column source."""
    path = tmp_path / "results.csv"
    assert _read(path, "\ufeff" + _text(path, RECORD)) == [RECORD]


def test_the_same_source_twice_is_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    assert _read(path, _text(path, RECORD, scored(score=0.5))) == [RECORD, scored(score=0.5)]


def test_an_error_names_the_line_where_the_row_begins(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    text = _text(path, scored("two\nlines"), scored("b"), scored("c", score=0.5))
    with pytest.raises(ResultsError) as caught:
        _read(path, text.replace("c,0.5,", "c,half,"))
    assert str(caught.value) == f"{path}: line 5: score is 'half': expected a number"


def test_what_is_no_csv_of_results_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    text = _text(path, scored("a"), scored("b"))
    for broken, message in {
        "": "no file of results: it has no column source, score, ",
        text.replace(",", ";"): "no file of results: it has no column source, score, ",
        text.replace("score", "Score", 1): "no file of results: it has no column score",
        text.replace("\nb,", "\nb,c,"): "line 3: it has 24 cells, and the header 23",
        text[:-40]: "line 3: it has 17 cells, and the header 23",
        text[:-2]: "line 3: scored_at is '2026-11-23T07:15:00': expected a time like 2026-11-23T07:15:00Z",
        text.replace("\nb,", '\n"b,'): "line 3: no CSV in UTF-8 from here: unexpected end of data",
        text.replace("\nb,", '\n"b"c,'): "line 3: no CSV in UTF-8 from here: ',' expected after '\"'",
        text.replace("\nb,", "\n\udcff,"): "no CSV in UTF-8 from here: 'utf-8' codec can't decode byte 0xff",
    }.items():
        with pytest.raises(ResultsError) as caught:
            _read(path, broken)
        assert str(caught.value).startswith(f"{path}: ")
        assert message in str(caught.value)
