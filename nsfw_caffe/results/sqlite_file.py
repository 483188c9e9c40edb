"""RESULTS as an SQLite database with one table, `results`; a missing value is NULL."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.results.record import COLUMNS, Record
from nsfw_caffe.results.rows import TYPED_COLUMNS, Kinds, Value, columns_there, find_columns, from_row, to_row
from nsfw_caffe.system.reading import open_file

if TYPE_CHECKING:
    import pyarrow

_TYPES = {str: "TEXT", int: "INTEGER", float: "REAL"}


class SourceTwiceError(Exception):
    """Two records have the same source; the message does not name the file, whose name here is not its last one."""


def write(path: Path, records: Iterable[Record]) -> None:
    """Write a new file."""
    source = ""

    def rows() -> Iterator[list[Value]]:
        nonlocal source
        for record in records:
            source = record.source
            yield to_row(record)

    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
            # The file is new, and thrown away if anything goes wrong: no journal, and one wait for the disk at the end.
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            database.execute(f"CREATE TABLE results ({_columns()})")
            database.execute("BEGIN")
            database.executemany(f"INSERT INTO results VALUES ({', '.join('?' * len(COLUMNS))})", rows())
            database.execute("COMMIT")
    except sqlite3.IntegrityError as error:
        raise SourceTwiceError(f"SQLite holds each source once, and {source!r} comes twice") from error
    except sqlite3.OperationalError as error:
        number = errno.ENOSPC if is_error(error, sqlite3.SQLITE_FULL) else errno.EIO
        raise OSError(number, f"{os.strerror(number)} (SQLite: {error})") from error


def read(path: Path) -> Iterator[Record]:
    """Read a file row by row; ResultsError says what is wrong with it."""
    with _opened(path) as (database, names):
        places = find_columns(names, path)
        found = ["NULL" if place is None else f'"{name}"' for name, place in zip(COLUMNS, places, strict=True)]
        for number, row in enumerate(_rows(database, found), start=1):
            yield from_row(row, path, "row", number)


def read_columns(path: Path, kinds: Kinds) -> pyarrow.Table:
    """Read those of some columns that a file has."""
    import pyarrow

    with _opened(path) as (database, there):
        names = columns_there(there, kinds, path)
        rows = _rows(database, (f'"{name}"' for name in names)).fetchall() if names else []
    return pyarrow.table({name: [row[index] for row in rows] for index, name in enumerate(names)})


def is_error(error: sqlite3.Error, code: int) -> bool:
    """Tell whether SQLite gave this code; Python's own errors have none."""
    return getattr(error, "sqlite_errorcode", None) == code


def _columns() -> str:
    constraints = {"source": " PRIMARY KEY NOT NULL"}
    return ", ".join(
        f'"{name}" {_TYPES[kind]}' + constraints.get(name, " NOT NULL" if required else "")
        for name, kind, required in TYPED_COLUMNS
    )


def _rows(database: sqlite3.Connection, columns: Iterable[str]) -> sqlite3.Cursor:
    return database.execute(f"SELECT {', '.join(columns)} FROM results ORDER BY rowid")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[sqlite3.Connection, list[str]]]:
    """Open a database, and give its connection and the names of its columns."""
    # SQLite says no more than "unable to open", and waits for a pipe.
    open_file(path).close()
    address = f"file:{urllib.parse.quote(os.fsencode(path))}?mode=ro"
    try:
        # A generator may be read in another thread than the one that began it, though never in two at once.
        with contextlib.closing(sqlite3.connect(address, uri=True, check_same_thread=False)) as database:
            names = [row[1] for row in database.execute("PRAGMA table_info(results)")]
            ((page,),) = database.execute("PRAGMA page_size")
            # SQLite takes what is missing of the last page for zeros.
            if path.stat().st_size % page:
                raise ResultsError(f"{path}: no whole number of pages: it was cut off")
            if not names:
                raise ResultsError(f"{path}: no file of results: it has no table results")
            yield database, names
    except sqlite3.Error as error:
        if is_error(error, sqlite3.SQLITE_BUSY):
            raise ResultsError(f"{path}: {error}: end what another program does to it, and try again") from error
        raise ResultsError(f"{path}: no SQLite database, or a damaged one: {error}") from error
