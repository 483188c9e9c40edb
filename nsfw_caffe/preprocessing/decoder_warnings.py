"""What is said of a picture while it is decoded: Python's warnings, and what C libraries write on descriptor 2.

In a user's program all of it goes where he has it go. In a program of the library's own, which has called `keep_apart`,
it is kept with the picture, because without the picture's name it would tell nobody anything.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TextIO, TypeVar

from nsfw_caffe.system.memory_files import open_sealed

if TYPE_CHECKING:
    from PIL import Image

_T = TypeVar("_T")

_MOST = 20  # texts that are kept of a picture: a damaged one may have a line for each of its rows
_MORE = "and so on"
_LONGEST = 500  # characters that are kept of a text, in which there may be what the file holds
_ROOM = 1 << 16  # bytes that are kept of what C libraries write about a picture
_PRINTING_DECODER = "libtiff"  # of Pillow's decoders the one whose library writes on descriptor 2


class _Thread(threading.local):
    texts: list[str] | None = None  # said of the picture that the thread works on; None where it works on none


_thread = _Thread()
_ignoring = threading.Lock()


@contextlib.contextmanager
def collected() -> Iterator[list[str]]:
    """Collect what is said in this thread meanwhile, in a program that keeps it apart; else the list stays empty."""
    before, _thread.texts = _thread.texts, []
    try:
        yield _thread.texts
    finally:
        _thread.texts = before


def heedless(decode: Callable[[], _T]) -> _T:
    """Call a function, and once more where it raises a warning, because filters of the user's make errors of them.

    Only then are filters changed, for as long as the second call takes: they are the whole process's, so other
    threads' warnings are ignored meanwhile too.
    """
    try:
        return decode()
    except Exception as error:
        if not _comes_of_a_warning(error):
            raise
    with _ignoring, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return decode()


def load(picture: Image.Image) -> None:
    """Decode an opened picture, and collect what libtiff writes."""
    printing = any(tile[0] == _PRINTING_DECODER for tile in getattr(picture, "tile", ()))
    with written() if printing else contextlib.nullcontext():
        picture.load()


@contextlib.contextmanager
def written() -> Iterator[None]:
    """Collect what is written on descriptor 2 meanwhile, in a program that keeps it apart.

    One caller at a time, for there is one such descriptor, and each line has to come to the right picture. So only
    what may write is put between: TIFF files that libtiff decodes, and libjpeg 9d.
    """
    if _kept_apart is None:
        yield
    else:
        with _kept_apart.written():
            yield


def keep_apart() -> None:
    """Let this process, a program of the library's own, keep what is said of pictures apart from all else.

    What is said while a thread works on no picture goes where it went before.
    """
    global _kept_apart
    warnings.simplefilter("always", _OfAPicture)
    warnings.showwarning = _shown_by(warnings.showwarning)
    if sys.stderr is not None and sys.stderr.fileno() == 2:  # else there is none to keep apart
        _kept_apart = _Descriptor(sys.stderr)
        sys.stderr = _kept_apart.stream
        if faulthandler.is_enabled():
            faulthandler.enable(_kept_apart.stream)


class _InAPicture(type):
    """Makes a class the parent of all others in a thread that works on a picture: so a filter may be a thread's."""

    def __subclasscheck__(cls, subclass: type) -> bool:
        return _thread.texts is not None


class _OfAPicture(Warning, metaclass=_InAPicture):
    """Stands in a filter for every warning that is said of a picture."""


class _Descriptor:
    """Descriptor 2, and a copy of it, which this program's own lines go to at any time."""

    def __init__(self, stream: TextIO) -> None:
        stream.flush()
        self._real = os.dup(2)
        self.stream = open(  # noqa: SIM115 - open to the end
            self._real, "w", buffering=1, encoding=stream.encoding, errors=stream.errors, closefd=False
        )
        self._lock = threading.Lock()
        self._memory = open_sealed(_ROOM)  # C libraries do not mind where a write fails

    @contextlib.contextmanager
    def written(self) -> Iterator[None]:
        with self._lock:
            os.dup2(self._memory, 2)
            try:
                yield
            finally:
                os.dup2(self._real, 2)
                end = os.lseek(self._memory, 0, os.SEEK_CUR)
                os.lseek(self._memory, 0, os.SEEK_SET)
                content = os.read(self._memory, min(end, _ROOM))
                os.lseek(self._memory, 0, os.SEEK_SET)
                if _thread.texts is None:
                    os.write(self._real, content)
                else:
                    for line in content.decode(errors="backslashreplace").splitlines():
                        _keep(_thread.texts, line)


_kept_apart: _Descriptor | None = None


def _shown_by(show: Callable[..., None]) -> Callable[..., None]:
    def keep_or_show(message: Warning | str, *others: object) -> None:
        if _thread.texts is None:
            show(message, *others)
        else:
            _keep(_thread.texts, str(message))

    return keep_or_show


def _keep(texts: list[str], text: str) -> None:
    shown = text.strip()[:_LONGEST]
    if shown and shown not in texts and len(texts) <= _MOST:
        texts.append(shown if len(texts) < _MOST else _MORE)


def _comes_of_a_warning(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, Warning):
        error = error.__cause__ or error.__context__
    return error is not None
