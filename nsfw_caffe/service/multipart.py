"""The files of a multipart/form-data body, kept in memory as it arrives."""

from __future__ import annotations

import io
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from nsfw_caffe.service.refusals import Refused

_FIELDS = 50
"""A form may have that many fields besides its files; they are ignored."""


@dataclass(frozen=True)
class File:
    """A file of a form: its name as the client gives it, and what is in it."""

    name: str
    content: bytes


class Form:
    """Takes the pieces of a form, and gives the files that were in it.

    Parameters
    ----------
    content_type : str
        The request's Content-Type, which names the boundary.
    most : int
        How many files there may be.

    Raises
    ------
    Refused
        If there is no boundary that could be one.
    """

    def __init__(self, content_type: str, most: int) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise Refused("bad_request", "the Content-Type names no boundary")
        self._most = most
        self._delimiter = b"--" + boundary
        self._delimiters = 0
        self._name, self._value, self._disposition = b"", b"", b""
        self._files: list[tuple[str, io.BytesIO]] = []
        self._file: io.BytesIO | None = None
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._take_header_name,
                    "on_header_value": self._take_header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._begin_data,
                    "on_part_data": self._take_data,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _not_a_form(error) from error

    def feed(self, piece: bytes) -> None:
        """Take a piece of the body; Refused where this is no form, or there are too many files or fields."""
        # Counted first: the parser looks at each byte around one in Python, of a boundary's beginning too.
        self._delimiters += piece.count(self._delimiter)
        if self._delimiters > self._most + _FIELDS + 1:
            raise Refused("bad_request", f"the form has more than {self._most} files and {_FIELDS} fields")
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise _not_a_form(error) from error

    def files(self) -> list[File]:
        """Return the files, once the body has ended; Refused where the form has not."""
        if not self._ended:
            raise Refused("bad_request", "the form ends before its last boundary")
        return [File(name, stream.getvalue()) for name, stream in self._files]

    def _begin_part(self) -> None:
        self._disposition, self._file = b"", None

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name, self._value = b"", b""

    def _begin_data(self) -> None:
        name = parse_options_header(self._disposition)[1].get(b"filename")
        if name is None:
            return
        if len(self._files) == self._most:
            expected = "one file" if self._most == 1 else f"at most {self._most} files"
            raise Refused("bad_request", f"the form has more files: expected {expected}")
        self._file = io.BytesIO()
        self._files.append((name.decode("utf-8", "replace"), self._file))

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])

    def _end(self) -> None:
        self._ended = True


def _not_a_form(error: FormParserError) -> Refused:
    return Refused("bad_request", f"the body is no multipart/form-data ({error})")
