"""RESULTS as CSV: UTF-8, a header, a line feed after each row; a missing value is an empty cell."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.results.record import COLUMNS, Record
from nsfw_caffe.results.rows import TYPED_COLUMNS, Kinds, columns_there, find_columns, from_row, to_row
from nsfw_caffe.system.reading import open_file

if TYPE_CHECKING:
    import pyarrow

_LONGEST_CELL = 2**24  # Python's own limit, 131,072 characters, is less than what a name in a tar archive can have


class _LineFeeds:
    """What csv writes to: a file where rows end with a line feed.

    Up to Python 3.12, csv quotes a carriage return only where it is one of the characters that end a row. So rows come
    with both, and the carriage return is taken off here.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(row[:-2] + "\n")


def write(path: Path, records: Iterable[Record]) -> None:
    """Write a new file."""
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(_LineFeeds(file), lineterminator="\r\n")
        writer.writerow(COLUMNS)
        # csv writes a float as its repr, which reads back as the same float.
        writer.writerows(map(to_row, records))


def read(path: Path) -> Iterator[Record]:
    """Read a file row by row; ResultsError says what is wrong with it."""
    rows = _rows(path)
    _, header = next(rows, (1, []))
    places = find_columns(header, path)
    for line, cells in rows:
        if len(cells) != len(header):
            raise ResultsError(f"{path}: line {line}: it has {len(cells)} cells, and the header {len(header)}")
        yield from_row(_values(["" if place is None else cells[place] for place in places]), path, "line", line)


def read_columns(path: Path, kinds: Kinds) -> pyarrow.Table:
    """Read those of some columns that a file has."""
    import pyarrow
    from pyarrow import csv as arrow_csv

    _, header = next(_rows(path), (1, []))
    names = columns_there(header, kinds, path)
    if not names:  # Arrow would read all columns
        return pyarrow.table({})
    types = {name: pyarrow.float64() if kinds[name] is float else pyarrow.string() for name in names}
    return arrow_csv.read_csv(
        path,
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=names, column_types=types, strings_can_be_null=True, null_values=["", "null", "None"]
        ),
    )


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, each with the number of the line where it begins."""
    # Spreadsheet programs begin UTF-8 with a byte order mark, which is no part of the first column's name.
    with TextIOWrapper(open_file(path), encoding="utf-8-sig", newline="") as file:
        # The limit is the whole process's, so it is raised, never lowered.
        csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
        reader = csv.reader(file, strict=True)
        line = 1
        try:
            for cells in reader:
                if cells:
                    yield line, cells
                line = reader.line_num + 1
        except (csv.Error, UnicodeDecodeError) as error:
            raise ResultsError(f"{path}: line {line}: no CSV in UTF-8 from here: {error}") from error


def _values(cells: Sequence[str]) -> list[object]:
    return [
        cell if column.kind is str or not cell else _number(cell, column.kind)
        for column, cell in zip(TYPED_COLUMNS, cells, strict=True)
    ]


def _number(cell: str, kind: Callable[[str], object]) -> object:
    """Return a cell's number, or the cell itself, which is then complained of."""
    for parse in (kind, float):
        try:
            return parse(cell)
        except ValueError:
            continue
    return cell
