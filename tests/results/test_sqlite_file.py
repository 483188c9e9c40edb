from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.results.formats import read_results, write_results
from nsfw_caffe.results.record import COLUMNS, Record
from tests.records import RECORD, failed, scored
from tests.results.records import names


def _do(path: Path, *statements: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        return [row for statement in statements for row in database.execute(statement)]


def test_the_table_has_types_and_an_index_and_nothing_lies_beside(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    write_results(path, [scored("a"), failed("b")])
    assert names(tmp_path) == ["results.sqlite"]
    assert _do(path, "PRAGMA integrity_check") == [("ok",)]
    types = {row[1]: row[2] for row in _do(path, "PRAGMA table_info(results)")}
    assert tuple(types) == COLUMNS
    assert {types[name] for name in ("score", "mtime", "seconds")} == {"REAL"}
    assert {types[name] for name in ("width", "height", "bytes", "frames")} == {"INTEGER"}
    assert {types[name] for name in ("source", "error", "sha256", "scored_at")} == {"TEXT"}
    assert _do(path, "SELECT source FROM results WHERE score IS NULL AND width IS NULL") == [("b",)]
    plan = _do(path, "EXPLAIN QUERY PLAN SELECT score FROM results WHERE source = 'a'")
    assert "USING INDEX" in str(plan)


def test_a_source_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with pytest.raises(ResultsError, match=r"/results.sqlite: SQLite holds each source once, and 'a' comes twice"):
        write_results(path, [scored("a"), scored("b"), scored("a"), scored("c")])
    assert names(tmp_path) == []


def test_a_folder_with_any_name_will_do(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"a?mode=rw#b%20 \xff'")
    folder.mkdir()
    path = folder / "results.sqlite"
    write_results(path, [RECORD])
    assert list(read_results(path)) == [RECORD]


def test_reading_changes_nothing_and_other_columns_and_orders_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    write_results(path, [scored("b"), failed("a")])
    columns = ", ".join(f'"{name}"' for name in reversed(COLUMNS))
    _do(
        path,
        f"CREATE TABLE other AS SELECT 1 AS mine, {columns} FROM results ORDER BY rowid",
        "DROP TABLE results",
        "ALTER TABLE other RENAME TO results",
        "UPDATE results SET score = 1 WHERE source = 'b'",
    )
    before = path.read_bytes()
    path.chmod(0o400)
    assert list(read_results(path)) == [scored("b", score=1.0), failed("a")]
    assert path.read_bytes() == before
    assert names(tmp_path) == ["results.sqlite"]


def test_a_reading_may_go_on_in_another_thread(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    write_results(path, [scored("a"), scored("b")])
    records = read_results(path)
    found: list[Record] = [next(records)]
    thread = threading.Thread(target=lambda: found.extend(records))
    thread.start()
    thread.join()
    assert found == [scored("a"), scored("b")]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP TABLE results", "no file of results: it has no table results"),
        ("ALTER TABLE results DROP COLUMN score", "no file of results: it has no column score"),
        ("UPDATE results SET score = 'half' WHERE source = 'b'", "row 2: score is 'half': expected a number"),
        ("UPDATE results SET score = NULL WHERE source = 'b'", "row 2: neither a score nor an error"),
        ("UPDATE results SET version = x'ff'", "row 1: version is b'\\xff': expected text"),
        ("UPDATE results SET version = CAST(x'ff' AS TEXT)", "no SQLite database, or a damaged one: Could not decode"),
    ],
)
def test_what_are_no_results_is_refused(tmp_path: Path, statement: str, message: str) -> None:
    path = tmp_path / "results.sqlite"
    write_results(path, [scored("a"), scored("b")])
    _do(path, statement)
    with pytest.raises(ResultsError) as caught:
        list(read_results(path))
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_database_that_another_program_holds_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.sqlite"
    write_results(path, [scored("a")])
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", functools.partial(connect, timeout=0))
    with contextlib.closing(connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ResultsError, match="database is locked: end what another program does to it"):
            list(read_results(path))


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    write_results(path, (scored(str(index)) for index in range(1000)))
    whole = path.read_bytes()
    path.write_bytes(whole[:8192])
    with pytest.raises(ResultsError, match=r"a damaged one: database disk image is malformed"):
        list(read_results(path))
    path.write_bytes(whole[:-1])
    with pytest.raises(ResultsError, match=r"no whole number of pages: it was cut off"):
        list(read_results(path))
