"""Reading what is named or given from outside: without waiting for it, and no more of it than is wanted."""

from __future__ import annotations

import contextlib
import errno
import inspect
import io
import os
import re
import stat
from collections.abc import Callable
from typing import BinaryIO

_CHUNK = 1 << 20
_LONGEST_REASON = 200
_LONGEST_PATH = 4095
"""PATH_MAX of Linux, the NUL at its end left out."""
_WITHOUT_WAITING = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"))
"""How a file is opened: the first two are not on Windows, where nothing waits, the last is nowhere else."""
_INVALID_NAME = 123
"""What Windows says of a path that none can be: ERROR_INVALID_NAME of winerror.h."""

NOT_REGULAR = "not a regular file"
_NOTHING_YET = "nothing can be read without waiting"
_NO_SOURCE = "not a source: give a path, bytes, a binary file object, a Pillow image or an array"

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
_BASE64 = re.compile(
    r"(/9j/|iVBORw0KGgo|R0lGOD|UklGR|Qk[01]|SUkqA|TU0AK)[A-Za-z0-9+/_-]{24,}[A-Za-z0-9+/_\s=-]*"
    rf"|[A-Za-z0-9+/_\r\n=-]{{{_LONGEST_PATH + 1},}}"
)
"""What a JPEG, PNG, GIF, WebP, BMP or TIFF file begins with in base64; or any file, where it is too long for a path."""
_EXPECTED = (
    (re.compile(r""), "expected a path, found an empty text"),
    (re.compile(r"data:.*", re.DOTALL), "expected a path, found a data: URL: decode it to bytes"),
    (_BASE64, "expected a path, found base64: decode it to bytes"),
    (re.compile(r"(?i:file):.*", re.DOTALL), "expected a path, found a file: URL: give the path in it"),
    (re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.*", re.DOTALL), "expected a path, found a URL: download it first"),
    (re.compile(r"~.*", re.DOTALL), "expected a path, found ~, which a shell would replace: give the whole path"),
)
"""What is given in place of a path, where no file has this name: it may be one."""


class UnreadableError(Exception):
    """A source cannot be read; the message says why, without its name, and the cause is the foreign error."""


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file to read it, without ever waiting for somebody to write to it.

    It raises an OSError, whose `strerror` is without the path; ValueError where a path cannot hold a character.
    """
    # What a path names may change between a look at it and its opening, so it is looked at once it is open.
    try:
        descriptor = os.open(path, _WITHOUT_WAITING)
    except PermissionError:
        if os.path.isdir(path):  # noqa: PTH112 - to Path, "" is the current folder; Windows opens no folder
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)) from None
        raise
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, NOT_REGULAR)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_file(path: str | os.PathLike[str], most: int | None = None) -> bytes:
    """Read all of a regular file, as `open_file` opens it; OSError with EFBIG where it has more bytes than it may have.

    Some files of /proc say that they are regular and have no end, or no beginning.
    """
    with open_file(path) as file:
        length = os.fstat(file.fileno()).st_size
        if most is not None and length > most:
            raise _too_large(most)
        # One byte more than there should be shows the end, without a copy of it all.
        return _read_all(file.read, file.read(length + 1), most)


def read_source(source: object, most: int | None = None) -> bytes:
    """Read all of a path, bytes, or a file object from where it is to its end.

    UnreadableError says why that cannot be, or that there are too many bytes: what goes wrong is the source's fault.
    """
    try:
        if isinstance(source, (bytes, bytearray, memoryview)):
            if most is not None and memoryview(source).nbytes > most:
                raise _too_large(most)
            return bytes(source)
        if isinstance(source, (str, os.PathLike)):
            return read_file(os.fsdecode(source), most)
        return _read_object(source, most)
    except UnreadableError:
        raise
    except Exception as error:  # a file object of any library raises what it likes
        raise UnreadableError(why_unreadable(source, error)) from error


def why_unreadable(source: object, error: Exception) -> str:
    """Say in a line why a source cannot be read, without its name; what is no path at all, where one is expected."""
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return reason(error)
    if isinstance(source, str) and (isinstance(error, ValueError) or _is_nowhere(error)):
        for pattern, expected in _EXPECTED:
            if pattern.fullmatch(source):
                return expected
    return f"cannot be read ({reason(error)})"


def _is_nowhere(error: Exception) -> bool:
    return getattr(error, "errno", None) in _NOT_THERE or getattr(error, "winerror", None) == _INVALID_NAME


def reason(error: BaseException) -> str:
    """Say in a few words what a foreign error means, without the path that it may hold."""
    text = ""
    with contextlib.suppress(Exception):
        text = " ".join(str(getattr(error, "strerror", None) or error).split())
    if len(text) > _LONGEST_REASON:
        text = text[:_LONGEST_REASON] + "..."
    if isinstance(error, (OSError, ValueError, EOFError)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def short_path(path: str) -> str:
    """Return a path as a message can hold it: all of it, unless it is none and may be as long as a picture."""
    if len(path) <= _LONGEST_PATH and not path.startswith("data:") and not _BASE64.fullmatch(path):
        return path or "''"
    return f"{path[:40]}... ({len(path)} characters)"


def _read_object(source: object, most: int | None) -> bytes:
    read = getattr(source, "read", None)
    if not callable(read):
        raise UnreadableError(_NO_SOURCE)
    try:
        first = _checked(read(_CHUNK))
    except TypeError:  # it takes no size
        first = _checked(read())
        if most is not None and len(first) > most:
            raise _too_large(most) from None
    else:
        first = _read_all(lambda size: _checked(read(size)), first, most)
    if not first:
        raise UnreadableError(_why_empty(source))
    return first


def _checked(piece: object) -> bytes:
    """Return what a `read` has given, if it is a part of a file."""
    if isinstance(piece, (bytes, bytearray, memoryview)):
        return bytes(piece)
    if piece is None:
        raise UnreadableError(f"cannot be read ({_NOTHING_YET})")
    if inspect.isawaitable(piece):
        if inspect.iscoroutine(piece):
            piece.close()  # else Python says that nobody has awaited it
        raise UnreadableError("the file is asynchronous: await its read, and give the bytes")
    raise UnreadableError(f"the file gives {type(piece).__name__}, not bytes; open it in binary mode")


def _why_empty(source: object) -> str:
    try:
        position = source.tell()  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - a file object of any library raises what it likes
        return "the file is empty, or has been read already"
    return "nothing left to read: rewind it" if position else "the file is empty"


def _read_all(read: Callable[[int], bytes | None], first: bytes | None, most: int | None) -> bytes:
    """Read on to the end, unless there are more bytes than there may be."""
    content = io.BytesIO(first or b"")  # which is not copied before more comes
    content.seek(0, io.SEEK_END)
    piece = first
    while piece:
        if most is not None and content.tell() > most:
            raise _too_large(most)
        piece = read(_CHUNK)
        # What stands for a file in a test often gives one and the same object each time.
        if not piece or (piece is first and len(piece) > 1):
            break
        content.write(piece)
    if piece is None:
        raise BlockingIOError(errno.EAGAIN, _NOTHING_YET)
    return content.getvalue()


def _too_large(most: int) -> OSError:
    return OSError(errno.EFBIG, f"larger than the limit of {most} bytes (Limits.bytes, --max-size)")
