"""Files that were written before there were the columns device, jpeg, blas and those of videos are still read."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from nsfw_caffe.evaluate.labelled import to_labelled_scores
from nsfw_caffe.evaluate.load import read_table
from nsfw_caffe.results.formats import read_results
from nsfw_caffe.results.record import COLUMNS, DEFAULTS, Provenance, Record
from nsfw_caffe.results.rows import TYPED_COLUMNS
from nsfw_caffe.scanning.journal import Journal
from nsfw_caffe.scanning.state import State
from tests.records import RECORD, scored
from tests.results.records import ENDINGS

OLD = [name for name in COLUMNS if name not in DEFAULTS]
PLAIN = Provenance("onnxruntime", "float32", "exact", 1, "ab" * 32)
PUBLISHED = Provenance("caffe", "float32", "exact", 1, "ab" * 32, "", "ijg9d", "atlas")


def write_old(path: Path, records: list[Record]) -> None:
    """Write a file as it was written before."""
    rows: list[dict[str, Any]] = [{name: getattr(record, name) for name in OLD} for record in records]
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, OLD, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        _write_table(path, rows, "")


def _write_table(path: Path, rows: list[dict[str, Any]], key: str) -> None:
    types = {str: "TEXT", int: "INTEGER", float: "REAL"}
    kinds = {column.name: types[column.kind] for column in TYPED_COLUMNS}
    database = sqlite3.connect(path)
    database.execute(f"CREATE TABLE results ({key}{', '.join(f'{name} {kinds[name]}' for name in OLD)})")
    names = f"({', '.join(OLD)})"
    database.executemany(
        f"INSERT INTO results {names} VALUES ({', '.join('?' * len(OLD))})", [list(row.values()) for row in rows]
    )
    database.commit()
    database.close()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("engine", "expected"), [("onnxruntime", PLAIN), ("caffe-published", PUBLISHED)])
def test_every_format(ending: str, engine: str, expected: Provenance, tmp_path: Path) -> None:
    path = tmp_path / f"results{ending}"
    write_old(path, [scored("a.jpg", engine=engine), scored("b.jpg", 0.25, engine=engine)])
    records = list(read_results(path))
    assert [(record.source, record.score, record.set_up) for record in records] == [
        ("a.jpg", 0.5, expected),
        ("b.jpg", 0.25, expected),
    ]
    assert (records[0].version, records[0].scored_at) == (RECORD.version, RECORD.scored_at)


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_evaluation_says_what_made_them(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"results{ending}"
    write_old(path, [scored("a.jpg", engine="caffe-published"), scored("b.jpg", 0.25, engine="caffe-published")])
    table = read_table(path, set(COLUMNS))
    table = table.append_column("label", pyarrow.array([True, False]))
    assert to_labelled_scores(table, "labels").set_ups == (PUBLISHED,)


@pytest.mark.parametrize(
    ("engine", "now"),
    [("onnxruntime", PLAIN._replace(device="cpu")), ("caffe-published", PUBLISHED._replace(device="cpu"))],
)
def test_a_scan_goes_on_with_results(engine: str, now: Provenance, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    write_old(path, [scored("a.jpg", engine=engine)])
    state = State(path, now, rescore=False)
    assert [record.set_up for record in state.journal.records()] == [now]
    state.journal.close()


def test_a_scan_goes_on_with_a_journal(tmp_path: Path) -> None:
    results = tmp_path / "results.csv"
    path = tmp_path / ".results.csv.journal"
    row = {name: getattr(RECORD, name) for name in OLD} | {"engine": "caffe-published"}
    _write_table(path, [row], "id INTEGER PRIMARY KEY, ")
    database = sqlite3.connect(path)
    database.executescript(
        "PRAGMA user_version = 1; CREATE UNIQUE INDEX by_source ON results (source);"
        "CREATE INDEX by_content ON results (sha256); CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT);"
    )
    note = json.dumps(["caffe-published", "float32", "exact", 1, "ab" * 32])
    database.execute("INSERT INTO notes VALUES ('set-up', ?), ('stamp', '')", (note,))
    database.commit()
    database.close()
    state = State(results, PUBLISHED._replace(device="cpu"), rescore=False)
    assert [(record.source, record.set_up) for record in state.journal.records()] == [(RECORD.source, PUBLISHED)]
    state.journal.put(scored("new.jpg"))
    state.journal.commit()
    state.journal.close()
    again = Journal(path)
    assert len(list(again.records())) == 2
    again.close()
