"""The standard streams, as they may be: closed, full, of any encoding, or replaced by a caller from Python."""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, TextIO, cast

from nsfw_caffe.results.names import visible

_CONTINUED = "\n  "
"""How one of the library's own messages goes on in a further line; so no name in it can begin another message."""

_CLOSED = {"stdin": (os.O_WRONLY, "r"), "stdout": (os.O_RDONLY, "w"), "stderr": (os.O_RDONLY, "w")}
"""How /dev/null is opened in the place of a closed stream: using it fails, and no other file gets its number."""

_lost: list[str] = []
"""What could not be written since `prepared`: names of streams."""


class OutputLostError(Exception):
    """Standard output does not take what is written, which the user has been told."""


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Let no closed stream and no character that a stream's encoding lacks end a command with a traceback."""
    _lost.clear()
    for name, (flags, mode) in _CLOSED.items():  # by their numbers: each gets its own, which is the lowest free one
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, flags)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - open to the end
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, io.TextIOWrapper)]
    before = [(stream.encoding, stream.errors) for stream in streams]
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, (encoding, errors) in zip(streams, before, strict=True):
            with contextlib.suppress(ValueError):  # closed meanwhile
                stream.reconfigure(encoding=encoding, errors=errors)


def standard_input() -> BinaryIO:
    """Return standard input as bytes; or what a caller from Python has put there, whatever that gives."""
    return cast(BinaryIO, getattr(sys.stdin, "buffer", sys.stdin))


def say(text: str, *, end: str = "\n", flush: bool = False) -> None:
    """Write on standard output; OutputLostError where it cannot be written."""
    try:
        with _beside_progress(sys.stdout):
            print(text, end=end, flush=flush)
    except (OSError, ValueError) as error:  # ValueError: closed, or of an encoding without a character
        _give_up(sys.stdout, error)
        raise OutputLostError from error


def complain(message: str) -> None:
    """Write a message, in which there may be names and foreign text, on standard error."""
    shown = _CONTINUED.join(map(visible, message.split(_CONTINUED)))
    try:
        with _beside_progress(sys.stderr):
            print(f"nsfw-caffe: {shown}", file=sys.stderr, flush=True)
    except (OSError, ValueError) as error:
        _give_up(sys.stderr, error)


def warn(name: str, warnings: Iterable[str]) -> None:
    """Write what was said of a picture on standard error."""
    for text in warnings:
        complain(f"{name}: warning: {text}")


class LogHandler(logging.Handler):
    """Writes the library's log on standard error, as `complain` does."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        complain(record.getMessage())


def _beside_progress(stream: TextIO) -> AbstractContextManager[None]:
    """Take progress bars off the terminal while something else is written there."""
    if "tqdm" not in sys.modules or not stream.isatty():
        return contextlib.nullcontext()
    from tqdm import tqdm

    return tqdm.external_write_mode(file=stream)


def finish() -> bool:
    """Write out what still waits, and tell whether all has been written since `prepared`."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            _give_up(stream, error)
    return not _lost


def begin_csv() -> None:
    """Write UTF-8 from here on, whatever the locale is: CSV is for programs, like a file of results."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def csv_line(values: Iterable[object]) -> str:
    """Write a row of CSV, without the end of its line."""
    output = io.StringIO()
    # Up to Python 3.12, a carriage return in a name is quoted only where rows end with one.
    csv.writer(output, lineterminator="\r\n").writerow(values)
    return output.getvalue().removesuffix("\r\n")


def _give_up(stream: TextIO, error: Exception) -> None:
    """Take note that a stream is lost, and keep Python from complaining of it again at exit."""
    name = "standard error" if stream is sys.stderr else "standard output"
    _lost.append(name)
    with contextlib.suppress(OSError, ValueError):  # no file
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
    # Where the reader has gone (`| head`), nothing is amiss.
    if stream is sys.stdout and not isinstance(error, BrokenPipeError):
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        complain(f"{name} cannot be written: {reason}")
