"""Reading lists of sources."""

from __future__ import annotations

import io
import os

import pytest

from nsfw_caffe.sources.find import read_list


def test_one_path_a_line_as_it_is() -> None:
    text = b" leading and trailing \n\n#no comment\nwindows\r\ncaf\xc3\xa9\n\xff\nlast"
    assert list(read_list(io.BytesIO(text))) == [
        " leading and trailing ",
        "#no comment",
        "windows",
        "café",
        "\udcff",
        "last",
    ]


def test_path_that_is_no_utf8_comes_back_as_its_bytes() -> None:
    assert [os.fsencode(path) for path in read_list(io.BytesIO(b"a\xff\xfe.jpg\n"))] == [b"a\xff\xfe.jpg"]


def test_nul_separates_paths_with_line_ends() -> None:
    assert list(read_list(io.BytesIO(b"a\nb\0\0c\r\0"), nul=True)) == ["a\nb", "c\r"]


def test_long_list_is_the_same_wherever_it_is_cut() -> None:
    paths = [f"folder/{number:07}.jpg" for number in range(10_000)]
    assert list(read_list(io.BytesIO("\r\n".join(paths).encode()))) == paths


def test_path_of_a_pipe_is_there_before_the_pipe_ends() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as pipe:
        paths = read_list(stream)
        pipe.write(b"first\nsec")
        assert next(paths) == "first"
        pipe.write(b"ond\n")
        assert next(paths) == "second"


def test_file_that_is_no_list_is_refused() -> None:
    with pytest.raises(ValueError, match="not a list of paths"):
        list(read_list(io.BytesIO(bytes(3 << 20))))
