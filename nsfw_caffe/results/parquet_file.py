"""RESULTS as Parquet: text as strings, integers as int64, floats as double; a missing value is null."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.results.record import COLUMNS, Record
from nsfw_caffe.results.rows import TYPED_COLUMNS, Kinds, columns_there, find_columns, from_row, to_row
from nsfw_caffe.system.extras import install_hint
from nsfw_caffe.system.reading import open_file

if TYPE_CHECKING:
    import pyarrow

_ROWS_PER_GROUP = 50_000  # written at once
_ROWS_PER_BATCH = 5_000  # read at once: they are in memory as Python's objects


def check_installed(path: Path) -> None:
    """Raise ResultsError where pyarrow, which Parquet is written and read with, is not installed."""
    _pyarrow(path)


def write(path: Path, records: Iterable[Record]) -> None:
    """Write a new file."""
    arrow = _pyarrow(path)
    types = {str: arrow.string(), int: arrow.int64(), float: arrow.float64()}
    schema = arrow.schema([arrow.field(name, types[kind], not required) for name, kind, required in TYPED_COLUMNS])
    rows = map(to_row, records)
    # A file of Python's own, so that a full disk is an OSError with its errno.
    with path.open("xb") as file, arrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(itertools.islice(rows, _ROWS_PER_GROUP)):
            columns = zip(*group, strict=True)
            arrays = [arrow.array(column, type_) for column, type_ in zip(columns, schema.types, strict=True)]
            writer.write_table(arrow.table(arrays, schema=schema), row_group_size=_ROWS_PER_GROUP)


def read(path: Path) -> Iterator[Record]:
    """Read a file a batch of rows at a time; ResultsError says what is wrong with it."""
    with open_file(path) as file:
        for number, row in enumerate(_rows(path, file), start=1):
            yield from_row(row, path, "row", number)


def read_columns(path: Path, kinds: Kinds) -> pyarrow.Table:
    """Read those of some columns that a file has, or a folder of files."""
    from pyarrow import dataset

    files = dataset.dataset(path, format="parquet")
    return files.to_table(columns=columns_there(files.schema.names, kinds, path))


def _rows(path: Path, file: BinaryIO) -> Iterator[tuple[Any, ...]]:
    arrow = _pyarrow(path)
    try:
        source = arrow.parquet.ParquetFile(file)
        names = source.schema_arrow.names
        find_columns(names, path)
        there = [name for name in COLUMNS if name in names]
        for batch in source.iter_batches(_ROWS_PER_BATCH, columns=there):
            lacking = [None] * len(batch)
            columns = (batch.column(name).to_pylist() if name in there else lacking for name in COLUMNS)
            yield from zip(*columns, strict=True)
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise ResultsError(f"{path}: no Parquet file, or a damaged one: {error}") from error


def _pyarrow(path: Path) -> ModuleType:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ResultsError(f"{path}: Parquet needs pyarrow: {install_hint('scan')}") from error
    module: ModuleType = pyarrow
    return module
