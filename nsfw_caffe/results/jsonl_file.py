"""RESULTS as JSON Lines: UTF-8, an object a line; a missing value is null."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.results.record import COLUMNS, Record
from nsfw_caffe.results.rows import Kinds, columns_there, from_row, to_row
from nsfw_caffe.system.reading import open_file

if TYPE_CHECKING:
    import pyarrow

_values = operator.itemgetter(*COLUMNS)


def write(path: Path, records: Iterable[Record]) -> None:
    """Write a new file."""
    # json writes a float as its repr, which reads back as the same float.
    encode = json.JSONEncoder(ensure_ascii=False).encode
    with path.open("x", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(encode(dict(zip(COLUMNS, to_row(record), strict=True))) + "\n")


def read(path: Path) -> Iterator[Record]:
    """Read a file line by line; ResultsError says what is wrong with it."""
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ResultsError(f"{path}: line {number}: no JSON: {error}") from error
        if not isinstance(row, dict):
            raise ResultsError(f"{path}: line {number}: no JSON object")
        if missing := [name for name in COLUMNS if name not in row]:
            raise ResultsError(f"{path}: line {number}: no row of results: it has no {', '.join(missing)}")
        yield from_row(_values(row), path, "line", number)


def read_columns(path: Path, kinds: Kinds) -> pyarrow.Table:
    """Read those of some columns that a file has."""
    from pyarrow import json as arrow_json

    table = arrow_json.read_json(path, parse_options=arrow_json.ParseOptions(newlines_in_values=False))
    return table.select(columns_there(table.column_names, kinds, path))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers."""
    number = 0
    with TextIOWrapper(open_file(path), encoding="utf-8", newline="\n") as file:
        try:
            for number, line in enumerate(file, start=1):
                if not line.isspace():
                    yield number, line
        except UnicodeDecodeError as error:
            raise ResultsError(f"{path}: no UTF-8 after line {number}: {error}") from error
