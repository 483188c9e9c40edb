"""Reading lists of sources."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

_CHUNK = 1 << 16
_LONGEST = 1 << 20  # no path is near as long; a file that is no list must not be gathered into memory


def read_list(stream: BinaryIO, *, nul: bool = False) -> Iterator[str]:
    r"""Read a list of paths, one a line, while it is being written.

    Parameters
    ----------
    stream : binary file object
        The list. Paths are bytes; those that are no UTF-8 are kept as Python keeps them, with surrogates.
    nul : bool, default False
        Each path ends with a NUL, as ``find -print0`` writes them, and not with a line end (``\n`` or ``\r\n``).

    Yields
    ------
    str
        The paths, in order; empty ones are left out.

    Raises
    ------
    ValueError
        If a path would be longer than 1 MiB: the file is no such list.
    """
    for entry in _split(stream, b"\0") if nul else _lines(stream):
        if entry:
            yield os.fsdecode(entry)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    for line in _split(stream, b"\n"):
        yield line.removesuffix(b"\r")


def _split(stream: BinaryIO, end: bytes) -> Iterator[bytes]:
    rest = b""
    # read1 gives what a pipe holds so far, where read would wait for a whole chunk.
    read = getattr(stream, "read1", stream.read)
    while chunk := read(_CHUNK):
        *entries, rest = (rest + chunk).split(end)
        yield from entries
        if len(rest) > _LONGEST:
            raise ValueError("not a list of paths: one of them would be longer than 1 MiB")
    yield rest
