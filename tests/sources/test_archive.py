"""What every kind of archive has in common."""

from __future__ import annotations

import io
import lzma
import zlib

import pytest

from nsfw_caffe.sources.archive import Archive, UniqueNames, leads_out, member_source, read_at_most, reason


def test_name_that_comes_again_gets_a_number_that_nothing_has() -> None:
    names = UniqueNames()
    given = ["a", "a", "b", "a#3", "a", "a", "a#3"]
    assert list(map(names.take, given)) == ["a", "a#2", "b", "a#3", "a#4", "a#5", "a#3#2"]


@pytest.mark.parametrize(
    "name",
    ["/a", "\\a", "C:a", "c:\\a", "..", "../a", "a/../b", "a/..", "a\\..\\b", "..\\a", "a.jpg\0.txt", "new\n/../a"],
)
def test_name_that_leads_out_is_known(name: str) -> None:
    assert leads_out(name)


@pytest.mark.parametrize("name", ["a", "./a", "a/./b", "..a", "a..", "a/..b/c", "a...b", "", "caf\udcff", "12:30.jpg"])
def test_other_names_do_not_lead_out(name: str) -> None:
    assert not leads_out(name)


def test_source_holds_no_nul() -> None:
    assert member_source(Archive("x.tar", 0, 0), "a\0b") == "x.tar!a\N{REPLACEMENT CHARACTER}b"


def test_archive_may_unpack_to_a_gibibyte_or_a_hundred_times_its_size() -> None:
    assert Archive("x", 0, 0).most_unpacked() == 1 << 30
    assert Archive("x", 10 << 30, 0).most_unpacked() == 1000 << 30


@pytest.mark.parametrize(("limit", "length"), [(0, 1), (99_999, 100_000), (100_000, 100_000), (200_000, 100_000)])
def test_no_more_than_one_byte_over_the_limit_is_read(limit: int, length: int) -> None:
    stream = io.BytesIO(bytes(100_000))
    assert len(read_at_most(stream, limit)) == stream.tell() == length


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, "No such file or directory", "secret"), "No such file or directory"),
        (EOFError("secret"), "it stops too early"),
        (OSError("secret"), "its compressed data is broken"),
        (zlib.error("secret"), "its compressed data is broken"),
        (lzma.LZMAError("secret"), "its compressed data is broken"),
        (ValueError("secret"), "its structure is broken"),
    ],
)
def test_foreign_error_is_told_without_its_message(error: Exception, said: str) -> None:
    assert reason(error) == said
