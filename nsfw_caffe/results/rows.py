"""Between records and the plain values that the formats hold: what is written, and what is accepted on reading."""

from __future__ import annotations

import math
import re
import reprlib
import typing
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.results.names import decode_name, encode_name
from nsfw_caffe.results.record import COLUMNS, DEFAULTS, Provenance, Record

Value = str | int | float | None
Kinds = Mapping[str, type[str] | type[float]]
"""Columns that are wanted as Arrow columns, by name, and what they are read as."""


class Column(NamedTuple):
    """A column of every format: text, int or float (of 64 bits); every row has a value in one that is required."""

    name: str
    kind: type[str] | type[int] | type[float]
    required: bool


def _columns() -> tuple[Column, ...]:
    hints = typing.get_type_hints(Record)
    kinds = [typing.get_args(hints[name]) or (hints[name],) for name in COLUMNS]
    return tuple(Column(name, kind[0], len(kind) == 1) for name, kind in zip(COLUMNS, kinds, strict=True))


TYPED_COLUMNS = _columns()
_TEXTS = [column.name for column in TYPED_COLUMNS if column.kind is str]
_FINITE = ("mtime", "seconds", "every", "max_time")
_LARGEST = 2**63 - 1
"""What an integer of Parquet and SQLite holds."""
_SCORED_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def to_row(record: Record) -> list[Value]:
    """Return the record's values in the order of COLUMNS, its texts such that UTF-8 can hold them."""
    values = [getattr(record, name) for name in COLUMNS]
    return [encode_name(value) if type(value) is str else value for value in values]


def from_row(values: Sequence[object], path: Path, place: str, number: int) -> Record:
    """Return the record of a row in the order of COLUMNS, with None for what the file lacks.

    An empty text counts as None, and a whole float as an int, because programs that know no missing integers write
    floats. ResultsError names the file, the place, "line" or "row", with its number, and what is wrong.
    """
    try:
        row = dict(zip(COLUMNS, map(_value, TYPED_COLUMNS, values), strict=True))
        record = Record(**row | Provenance.of_row(row)._asdict())  # type: ignore[arg-type]  # _value sees to the types
        _check(record)
    except ValueError as error:
        raise ResultsError(f"{path}: {place} {number}: {error}") from error
    return record


def find_columns(names: Sequence[str], path: Path) -> list[int | None]:
    """Return where each of COLUMNS stands among a file's columns, None for one that it may lack; else ResultsError."""
    found = columns_there(names, COLUMNS, path)
    if missing := [name for name in COLUMNS if name not in found and name not in DEFAULTS]:
        raise ResultsError(f"{path}: no file of results: it has no column {', '.join(missing)}")
    return [names.index(name) if name in found else None for name in COLUMNS]


def columns_there(names: Sequence[str], wanted: Collection[str], path: Path) -> list[str]:
    """Return those of a file's columns that are wanted, in the file's order; ResultsError where one is there twice."""
    found = [name for name in names if name in wanted]
    if double := [name for name, count in Counter(found).items() if count > 1]:
        raise ResultsError(f"{path}: it has more than one column {', '.join(double)}: keep one")
    return found


def _value(column: Column, value: object) -> Value:
    if value is None or value == "":
        if column.required and column.name not in DEFAULTS:
            raise ValueError(f"{column.name} is missing")
        return None
    if column.kind is str:
        if not isinstance(value, str):
            raise ValueError(f"{column.name} is {reprlib.repr(value)}: expected text")
        return decode_name(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError(f"{column.name} is {reprlib.repr(value)}: expected a number")
    return value if type(value) is column.kind else _converted(column, value)


def _converted(column: Column, value: int | float) -> int | float:
    """Return an int as a float, or the other way round."""
    try:
        number = float(value) if column.kind is float else int(value)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{column.name} cannot be held: {error}") from error
    if column.kind is int and number != value:
        raise ValueError(f"{column.name} is {value!r}: expected a whole number")
    return number


def _check(record: Record) -> None:
    """Raise ValueError for values that are of the right type, but not of a result."""
    if record.score is None and record.error is None:
        raise ValueError("neither a score nor an error")
    if record.score is not None and record.error is not None:
        raise ValueError("both a score and an error")
    for name in _FINITE:
        number = getattr(record, name)
        if number is not None and not math.isfinite(number):
            raise ValueError(f"{name} is {number!r}: expected a finite number")
    for name, count in (("width", record.width), ("height", record.height), ("bytes", record.bytes)):
        if count is not None and not 0 <= count <= _LARGEST:
            raise ValueError(f"{name} is no number from 0 to 2**63 - 1")
    if not 1 <= record.frames <= _LARGEST:
        raise ValueError("frames is no number from 1 to 2**63 - 1")
    # The last column: this is how a file that ends in the middle of its last row is told from a whole one.
    if not _SCORED_AT.fullmatch(record.scored_at):
        raise ValueError(f"scored_at is {reprlib.repr(record.scored_at)}: expected a time like 2026-11-23T07:15:00Z")
    for name in _TEXTS:
        text = getattr(record, name)
        if text is not None and not text.isascii():
            _check_text(name, text)


def _check_text(name: str, text: str) -> None:
    """Refuse the surrogates that JSON can write, but that are no byte of a name."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} is {reprlib.repr(text)}, which holds half a character") from error
