"""Columns of a table in a file, as Arrow columns: tens of millions of rows in seconds."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsfw_caffe.errors import EvaluationError, LabelsUnreadable, NsfwCaffeError
from nsfw_caffe.system.reading import open_file

if TYPE_CHECKING:
    import pyarrow

NUMBERS = frozenset({"score"})
"""Columns that are numbers; all others are read as text."""

_ENDINGS = (".csv", ".jsonl", ".parquet", ".sqlite")


def read_table(path: Path, columns: Collection[str]) -> pyarrow.Table:
    """Read those of some columns that a table has; others are ignored.

    Parameters
    ----------
    path : pathlib.Path
        A .csv or .jsonl file, a .parquet file or a folder of them, or a .sqlite file with a table `results`.
    columns : collection of str
        What is wanted.

    Returns
    -------
    pyarrow.Table
        `score` is float64; every other column is text, a number or truth value as Arrow writes it. What is empty is
        null.

    Raises
    ------
    LabelsUnreadable
        The file cannot be read, or is damaged.
    EvaluationError
        It is no such table.
    NsfwCaffeError
        pyarrow is missing.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise NsfwCaffeError("evaluation needs pyarrow: pip install 'nsfw-caffe[evaluate]'") from error

    readers = dict(zip(_ENDINGS, (_read_csv, _read_jsonl, _read_parquet, _read_sqlite), strict=True))
    try:
        reader = readers[path.suffix.lower()]
    except KeyError:
        raise EvaluationError(f"{path}: its ending says no format: use {', '.join(_ENDINGS)}") from None
    try:
        if not path.is_dir():
            open_file(path).close()  # Arrow and SQLite would wait for a pipe
        table = reader(path, columns)
        return pyarrow.table({name: _typed(table[name], name) for name in table.column_names})
    except OSError as error:
        raise LabelsUnreadable(f"{path}: cannot be read: {error.strerror or error}") from error
    except (pyarrow.ArrowException, sqlite3.Error) as error:
        raise LabelsUnreadable(f"{path}: {str(error).splitlines()[0]}") from error


def _typed(column: pyarrow.ChunkedArray, name: str) -> pyarrow.ChunkedArray:
    import pyarrow

    wanted = pyarrow.float64() if name in NUMBERS else pyarrow.string()
    return column if column.type == wanted else column.cast(wanted)


def _read_csv(path: Path, columns: Collection[str]) -> pyarrow.Table:
    import pyarrow
    from pyarrow import csv

    parsing = csv.ParseOptions(newlines_in_values=True)
    with csv.open_csv(path, parse_options=parsing) as reader:
        names = _wanted(reader.schema.names, columns, path)
    types = {name: pyarrow.float64() if name in NUMBERS else pyarrow.string() for name in names}
    options = csv.ConvertOptions(
        include_columns=names, column_types=types, strings_can_be_null=True, null_values=["", "null", "None"]
    )
    return csv.read_csv(path, parse_options=parsing, convert_options=options)


def _read_jsonl(path: Path, columns: Collection[str]) -> pyarrow.Table:
    from pyarrow import json

    table = json.read_json(path, parse_options=json.ParseOptions(newlines_in_values=False))
    return table.select(_wanted(table.column_names, columns, path))


def _read_parquet(path: Path, columns: Collection[str]) -> pyarrow.Table:
    from pyarrow import dataset

    files = dataset.dataset(path, format="parquet")
    return files.to_table(columns=_wanted(files.schema.names, columns, path))


def _read_sqlite(path: Path, columns: Collection[str]) -> pyarrow.Table:
    import pyarrow

    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        there = [row[1] for row in database.execute("PRAGMA table_info(results)")]
        names = _wanted(there, columns, path)
        rows: list[tuple[Any, ...]] = database.execute(f"SELECT {', '.join(names)} FROM results").fetchall()
    return pyarrow.table({name: [row[index] for row in rows] for index, name in enumerate(names)})


def _wanted(there: list[str], columns: Collection[str], path: Path) -> list[str]:
    doubled = {name for name in there if name in columns and there.count(name) > 1}
    if doubled:
        raise EvaluationError(f"{path}: the column {min(doubled)} is there more than once")
    return [name for name in there if name in columns]
