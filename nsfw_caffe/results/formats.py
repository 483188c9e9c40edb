"""Files of results in any format; the ending of the file's name says which."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nsfw_caffe.errors import ResultsError, ResultsUnreadable
from nsfw_caffe.results import csv_file, jsonl_file, parquet_file, sqlite_file
from nsfw_caffe.results.record import Record
from nsfw_caffe.results.rows import Kinds
from nsfw_caffe.system.files import replacing
from nsfw_caffe.system.reading import NOT_REGULAR, open_file

if TYPE_CHECKING:
    import pyarrow


class Format(Protocol):
    """What a format's module has."""

    def write(self, path: Path, records: Iterable[Record]) -> None:
        """Write a new file; one that is there already is an error."""

    def read(self, path: Path) -> Iterator[Record]:
        """Read a file, a record at a time; ResultsError says what is wrong with it."""

    def read_columns(self, path: Path, kinds: Kinds) -> pyarrow.Table:
        """Read those of some columns that a file has; ResultsError or Arrow's error says what is wrong with it."""


_FORMATS: dict[str, Format] = {
    ".csv": csv_file,
    ".jsonl": jsonl_file,
    ".parquet": parquet_file,
    ".sqlite": sqlite_file,
}


def check_path(path: Path) -> None:
    """Find out before the work whether results could be written there; ResultsError says why not."""
    _check(path)
    # It is written beside the path, and renamed: so the folder has to be writable, and the file need not be.
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):  # room may be made while there is a scan
            raise unwritable(path, error.strerror or str(error)) from error


def _check(path: Path) -> None:
    if _format(path) is parquet_file:
        parquet_file.check_installed(path)
    if path.is_dir():
        raise ResultsError(f"{path}: a folder: give the name of a file in it")
    if path.exists() and not path.is_file():
        raise ResultsError(f"{path}: {NOT_REGULAR}")
    if path.parent.exists() and not path.parent.is_dir():
        raise ResultsError(f"{path}: {path.parent} is a file and no folder")
    if not path.parent.is_dir():
        raise ResultsError(f"{path}: there is no folder {path.parent}: make it first")


def unwritable(path: Path, why: str) -> ResultsError:
    """Return the error for a file in a folder where none can be made."""
    return ResultsError(f"{path}: the folder {path.parent} cannot be written ({why})")


def write_results(path: Path, records: Iterable[Record]) -> None:
    """Write a file of results as ``.NAME.part``, forced to the disk and renamed: whole or not at all, by one writer.

    ResultsError as for `check_path`, the folder left out, and where SQLite is given a source twice. After an OSError,
    or an error of `records`, which are read as they are written, the ``.part`` file is gone.
    """
    _check(path)
    try:
        with replacing(path, part=sidecar(path, "part"), durable=True) as part:
            _format(path).write(part, records)
    except sqlite_file.SourceTwiceError as error:
        raise ResultsError(f"{path}: {error}") from error


def sidecar(path: Path, kind: str) -> Path:
    """Name the sidecar file of a kind; readers of whole folders, Spark's for example, pass hidden files by."""
    return path.with_name(f".{path.name}.{kind}")


def read_results(path: str | os.PathLike[str]) -> Iterator[Record]:
    """Read a file of results a record at a time, in the file's order.

    Columns beyond those of `Record` are ignored, and the columns may come in any order.

    Parameters
    ----------
    path : str or os.PathLike
        The file, whose ending says the format.

    Yields
    ------
    Record
        A row.

    Raises
    ------
    ResultsUnreadable
        If the file cannot be read or is no file of results: the message names the file, and the line or row that is
        wrong. It is raised where the reading comes to it, after the rows before.

    Examples
    --------
    >>> import nsfw_caffe
    >>> result = nsfw_caffe.scan("photos", "results.csv")
    >>> [(record.source, record.format) for record in nsfw_caffe.read_results("results.csv") if record.error is None]
    [('photos/cat.jpg', 'PNG'), ('photos/cup.jpg', 'PNG')]
    """
    path = Path(path)
    reader = _format(path)
    if reader is parquet_file:
        parquet_file.check_installed(path)
    with _unreadable(path):
        yield from reader.read(path)


def read_columns(path: Path, kinds: Kinds) -> pyarrow.Table:
    """Read those of some columns that any table has, ten million rows in seconds where `read_results` takes minutes.

    The table may be a file of results, a folder ``NAME.parquet`` of them, or labels that somebody has written. What is
    wanted as text may be a number or truth value, as Arrow writes it; what is empty is null.
    """
    import pyarrow

    types = {float: pyarrow.float64(), str: pyarrow.string()}
    reader = _format(path)
    try:
        with _unreadable(path):
            if not path.is_dir():
                open_file(path).close()  # Arrow would wait for a pipe
            table = reader.read_columns(path, kinds)
            return pyarrow.table({name: table[name].cast(types[kinds[name]]) for name in table.column_names})
    except pyarrow.ArrowException as error:
        raise ResultsUnreadable(f"{path}: {str(error).splitlines()[0]}") from error


@contextlib.contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    """Say of errors that they come of reading a file of results."""
    try:
        yield
    except OSError as error:
        raise ResultsUnreadable(f"{path}: cannot be read: {error.strerror or error}") from error
    except ResultsError as error:  # of the format's module
        raise ResultsUnreadable(str(error)) from error


def _format(path: Path) -> Format:
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        *others, last = _FORMATS
        raise ResultsError(f"{path}: its ending says no format: use {', '.join(others)} or {last}") from None
