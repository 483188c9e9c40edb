"""The file of a video, as FFmpeg and Pillow may read it: opened here, so that they need not open anything."""

from __future__ import annotations

import contextlib
import io
import os
from typing import BinaryIO

from nsfw_caffe.errors import VideoError
from nsfw_caffe.preprocessing.steps import describe
from nsfw_caffe.system.reading import open_file, why_unreadable

_HEAD = 4096
_MOST_TIMES = 64
_MOST_MORE = 1 << 30
"""How often a file may be read over, and some more of it: what a demuxer does to one that is well takes a few times."""


class ReadTooOften(Exception):  # noqa: N818 - a state, named as one
    """A file leads whoever reads it round in circles."""


class Footage(io.RawIOBase):
    """A path, bytes or a binary file object, read from where it is; in a pipe, nothing can be read twice.

    VideoError if it cannot be read at all.
    """

    def __init__(self, source: object) -> None:
        super().__init__()
        self.source_name = describe(source)
        self._left = 0
        self._owned = False
        try:
            self._file = self._open(source)
            self._rewinds = self._can_rewind()
            self._base = self._file.tell() if self._rewinds else 0
            self.head = self._first()
            size = self._file.seek(0, io.SEEK_END) - self._base if self._rewinds else 0
        except VideoError:
            self.close()
            raise
        except Exception as error:  # a file object of any library raises what it likes
            self.close()
            raise VideoError(self.source_name, why_unreadable(source, error)) from error
        self._ahead = self.head
        if self._rewinds:
            self._file.seek(self._base)
            self._ahead = b""
            self._left = _MOST_TIMES * size + _MOST_MORE

    def _open(self, source: object) -> BinaryIO:
        if isinstance(source, (bytes, bytearray, memoryview)):
            return io.BytesIO(source)
        if isinstance(source, (str, os.PathLike)):
            file = open_file(os.fsdecode(source))
            self._owned = True
            return file
        if not callable(getattr(source, "read", None)):
            raise VideoError(self.source_name, "not a source: give a path, bytes or a binary file object")
        return source  # type: ignore[return-value]  # as far as anybody can tell

    def _can_rewind(self) -> bool:
        with contextlib.suppress(AttributeError, OSError):
            return bool(self._file.seekable())
        return False

    def _first(self) -> bytes:
        head = b""
        while len(head) < _HEAD:
            piece = self._file.read(_HEAD - len(head))
            if piece is None:
                raise BlockingIOError("nothing can be read without waiting")
            if not isinstance(piece, bytes):
                raise VideoError(
                    self.source_name, f"the file gives {type(piece).__name__}, not bytes; open it in binary mode"
                )
            if not piece:
                break
            head += piece
        if not head:
            raise VideoError(self.source_name, "the file is empty, or has been read already")
        return head

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def seekable(self) -> bool:
        """See `io.RawIOBase`."""
        return self._rewinds

    def read(self, size: int = -1, /) -> bytes:
        """Return at most so many bytes; none at the end. ReadTooOften where there would never be one."""
        if self._ahead:
            size = len(self._ahead) if size < 0 else size
            piece, self._ahead = self._ahead[:size], self._ahead[size:]
            return piece
        piece = self._file.read(size)
        if self._rewinds:
            self._left -= len(piece)
            if self._left < 0:
                raise ReadTooOften("the file leads round in circles")
        return piece

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """See `io.RawIOBase`."""
        if whence == io.SEEK_SET:
            offset += self._base
        return self._file.seek(offset, whence) - self._base

    def tell(self) -> int:
        """See `io.RawIOBase`."""
        return self._file.tell() - self._base

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._owned and not self.closed:
            self._file.close()
        super().close()
