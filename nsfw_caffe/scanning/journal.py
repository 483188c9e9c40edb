"""What a scan has found so far, safe from the moment that it is committed.

A SQLite file beside RESULTS, which is there while a scan runs or has been broken off. SQLite's write-ahead log makes a
commit whole or undone, whenever the process or the machine dies.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nsfw_caffe.errors import ResultsError, ResultsUnreadable
from nsfw_caffe.results.names import decode_name, encode_name
from nsfw_caffe.results.record import COLUMNS, PUBLISHED, Record
from nsfw_caffe.results.rows import to_row
from nsfw_caffe.results.sqlite_file import is_error

_VERSION = 3  # of the tables: a journal of a later version is not gone on with
_TYPES = {"str": "TEXT", "float": "REAL", "int": "INTEGER"}
_DEFINITIONS = ", ".join(f"{field.name} {_TYPES[str(field.type).split()[0]]}" for field in dataclasses.fields(Record))
_TABLES = f"""
    PRAGMA user_version = {_VERSION};
    CREATE TABLE results (id INTEGER PRIMARY KEY, {_DEFINITIONS});
    CREATE UNIQUE INDEX by_source ON results (source);
    CREATE INDEX by_content ON results (sha256);
    CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT);
"""
_PUT = (
    f"INSERT INTO results ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "
    f"ON CONFLICT (source) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS[1:])}"
)
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM results"
# From earlier versions, whose rows lacked these columns.
_UPGRADES = {
    1: f"""
        ALTER TABLE results ADD COLUMN device TEXT DEFAULT '';
        ALTER TABLE results ADD COLUMN jpeg TEXT DEFAULT 'pillow';
        ALTER TABLE results ADD COLUMN blas TEXT DEFAULT 'system';
        UPDATE results SET engine = 'caffe', jpeg = 'ijg9d', blas = 'atlas' WHERE engine = '{PUBLISHED}';
    """,
    2: """
        ALTER TABLE results ADD COLUMN every REAL;
        ALTER TABLE results ADD COLUMN max_time REAL;
        ALTER TABLE results ADD COLUMN warning TEXT;
    """,
}

# What a row takes at most in any format of RESULTS: its columns' names and hashes, and each letter of other texts.
_TEXTS = ("source", "error", "warning")
_ROW_BYTES = 700
_LETTER_BYTES = 6  # an escape in JSON


class Journal:
    """The journal of one RESULTS, open; what is put into it counts from the next commit on.

    ResultsError if the file is no journal of this version, or a damaged one; OSError, here and in every method, if it
    cannot be written: with ENOSPC where the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with contextlib.ExitStack() as on_error, self._errors():
            self._database = sqlite3.connect(path, isolation_level=None)
            on_error.callback(self._database.close)
            # One process has it: so no memory is shared with others, which network file systems cannot do.
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            # A crash of the machine may undo the last commits, which is work to be done again, but breaks nothing.
            self._database.execute("PRAGMA synchronous = NORMAL")
            if not self._database.execute("SELECT 1 FROM sqlite_master").fetchone():
                self._database.executescript(f"BEGIN; {_TABLES} COMMIT;")
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version in _UPGRADES:
                upgrades = (_UPGRADES[number] for number in range(version, _VERSION))
                self._database.executescript(f"BEGIN; {' '.join(upgrades)} PRAGMA user_version = {_VERSION}; COMMIT;")
                version = _VERSION
            if version != _VERSION:
                raise ResultsError(f"{path} is of another version of nsfw_caffe: end that scan with the same version")
            texts = " + ".join(f"IFNULL(LENGTH({name}), 0)" for name in _TEXTS)
            rows, letters = self._database.execute(f"SELECT COUNT(*), TOTAL({texts}) FROM results").fetchone()
            on_error.pop_all()
        self._size = int(rows * _ROW_BYTES + letters * _LETTER_BYTES)

    def close(self) -> None:
        """Undo what is not committed, and close the file."""
        self._database.close()

    def delete(self) -> None:
        """Close the journal and delete its files."""
        self.close()
        delete_journal(self._path)

    @property
    def results_size(self) -> int:
        """How many bytes RESULTS takes in any format, at most."""
        return self._size

    def note(self, name: str) -> str | None:
        """Read what was noted under a name."""
        with self._errors():
            row = self._database.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def put_note(self, name: str, value: str) -> None:
        """Note something; it counts from the next commit on."""
        self._write("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def put(self, record: Record) -> None:
        """Put a record in the place of the one for the same source."""
        row = dict(zip(COLUMNS, to_row(record), strict=True))
        self._write(_PUT, tuple(row.values()))
        self._size += _ROW_BYTES + _LETTER_BYTES * sum(len(str(row[name] or "")) for name in _TEXTS)

    def commit(self) -> None:
        """Make everything safe that was put so far."""
        with self._errors():
            self._database.commit()

    def roll_back(self) -> None:
        """Undo what is not committed."""
        with self._errors():
            self._database.rollback()

    def of_source(self, source: str) -> Record | None:
        """Return the record of a source."""
        return next(self._records("WHERE source = ?", encode_name(source)), None)

    def of_content(self, sha256: str) -> Record | None:
        """Return a record of identical content."""
        return next(self._records("WHERE sha256 = ? LIMIT 1", sha256), None)

    def records(self) -> Iterator[Record]:
        """Iterate over all records, in the order in which their sources were first met."""
        return self._records("ORDER BY id")

    def _records(self, clause: str, *values: str) -> Iterator[Record]:
        with self._errors():
            for row in self._database.execute(f"{_SELECT} {clause}", values):
                yield Record(*map(_decoded, row))

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        with self._errors():
            if not self._database.in_transaction:
                self._database.execute("BEGIN")
            self._database.execute(statement, values)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn SQLite's errors into what they mean."""
        try:
            yield
        except sqlite3.OperationalError as error:
            full = is_error(error, sqlite3.SQLITE_FULL)
            code, text = (errno.ENOSPC, os.strerror(errno.ENOSPC)) if full else (errno.EIO, str(error))
            raise OSError(code, text, str(self._path)) from error
        except sqlite3.DatabaseError as error:
            raise ResultsUnreadable(f"{self._path} is damaged ({error}): delete it to go on from RESULTS") from error


def _decoded(value: Any) -> Any:  # noqa: ANN401 - a column's
    return decode_name(value) if type(value) is str else value


def delete_journal(path: Path) -> None:
    """Delete a journal that is closed, its log last: without the log it would go for a whole one."""
    path.unlink(missing_ok=True)
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
