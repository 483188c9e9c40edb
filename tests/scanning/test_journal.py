from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.results.formats import write_results
from nsfw_caffe.scanning.journal import Journal
from tests.records import RECORD


def test_what_is_committed_is_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.put(RECORD)
    journal.put_note("set-up", "x")
    journal.commit()
    journal.put(dataclasses.replace(RECORD, source="b.jpg"))
    journal.put_note("set-up", "y")
    journal.close()
    again = Journal(path)
    assert list(again.records()) == [RECORD]
    assert again.note("set-up") == "x"
    assert again.note("other") is None
    again.delete()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a\nb", "\udcff\udc80", "\\udcff", "é☃\U0001f600", "'\"`;--", "a" * 5000])
def test_any_name_and_error(tmp_path: Path, name: str) -> None:
    record = dataclasses.replace(RECORD, source=name, score=None, error=f"odd: {name}\0", sha256=None, mtime=None)
    record = dataclasses.replace(record, warning=f"odd: {name}")
    with contextlib.closing(Journal(tmp_path / "journal")) as journal:
        journal.put(record)
        assert journal.of_source(name) == record
        assert list(journal.records()) == [record]


def test_a_source_keeps_its_place_and_its_newest_record(tmp_path: Path) -> None:
    with contextlib.closing(Journal(tmp_path / "journal")) as journal:
        for source in "abc":
            journal.put(dataclasses.replace(RECORD, source=source))
        changed = dataclasses.replace(RECORD, source="a", score=None, error="gone", sha256="ef" * 32)
        journal.put(changed)
        assert [record.source for record in journal.records()] == ["a", "b", "c"]
        assert journal.of_source("a") == changed
        assert journal.of_content("ef" * 32) == changed
        assert journal.of_content("cc" * 32) is None
        assert journal.of_source("d") is None


@pytest.mark.parametrize("ending", ["csv", "jsonl", "sqlite", "parquet"])
def test_results_take_no_more_room_than_it_says(tmp_path: Path, ending: str) -> None:
    journal = Journal(tmp_path / "journal")
    for number in range(2000):
        name = f"\udcff\n{number:064x}" * (number % 5 + 1)
        journal.put(dataclasses.replace(RECORD, source=name, score=1 / 3, error=f"{name}\0\0"))
    size = journal.results_size
    write_results(tmp_path / f"r.{ending}", journal.records())
    assert (tmp_path / f"r.{ending}").stat().st_size < size
    journal.commit()
    journal.close()
    with contextlib.closing(Journal(tmp_path / "journal")) as again:
        assert again.results_size == pytest.approx(size, rel=0.2)


@pytest.mark.parametrize("content", [b"no journal\n" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_journal_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    with pytest.raises(ResultsError, match=r"journal is damaged .*: delete it to go on from RESULTS"):
        Journal(path)


@pytest.mark.parametrize("version", [1, 2])
def test_a_journal_of_an_earlier_version_is_gone_on_with(version: int, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.put(dataclasses.replace(RECORD, engine="caffe", jpeg="ijg9d", blas="atlas"))
    journal.commit()
    journal.close()
    added = {1: ("device", "jpeg", "blas", "every", "max_time", "warning"), 2: ("every", "max_time", "warning")}
    with contextlib.closing(sqlite3.connect(path)) as database:
        for name in added[version]:
            database.execute(f"ALTER TABLE results DROP COLUMN {name}")
        if version == 1:
            database.execute("UPDATE results SET engine = 'caffe-published'")
        database.execute(f"PRAGMA user_version = {version}")
        database.commit()
    again = Journal(path)
    device = "" if version == 1 else RECORD.device
    assert list(again.records()) == [
        dataclasses.replace(RECORD, engine="caffe", jpeg="ijg9d", blas="atlas", device=device)
    ]
    video = dataclasses.replace(RECORD, source="clip.mp4", every=0.5, max_time=12.5, warning="ends at 00:20.0: \udcff")
    again.put(video)
    again.close()
    with contextlib.closing(Journal(path)) as last:
        assert video not in last.records()  # which was not committed


def test_a_journal_of_another_version(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    subprocess.run(
        [sys.executable, "-c", "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); "
         "d.executescript('CREATE TABLE t (x); PRAGMA user_version = 99')", path], check=True
    )  # fmt: skip
    with pytest.raises(ResultsError, match="of another version of nsfw_caffe") as caught:
        Journal(path)
    with contextlib.closing(sqlite3.connect(path, timeout=0)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (99,)
    del caught  # which would keep a connection open
