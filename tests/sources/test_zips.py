"""Zip files."""

from __future__ import annotations

import io
import lzma
import stat
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from nsfw_caffe.sources.find import find_items
from nsfw_caffe.sources.item import Item
from nsfw_caffe.sources.selection import Selection
from tests.sources.support import CHANGED, PICTURES, errors, find, held, pack, read

MIB = 1 << 20
Change = Callable[[zipfile.ZipFile], None]


def pack_and_change(path: Path, change: Change, members: dict[str, bytes] = PICTURES) -> Path:
    """Write a zip file whose directory says something else than what is there."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        change(archive)
    return path


def declare(index: int, **fields: object) -> Change:
    def change(archive: zipfile.ZipFile) -> None:
        for name, value in fields.items():
            setattr(archive.filelist[index], name, value)

    return change


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_compression_is_read(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in PICTURES.items():
            archive.writestr(name, content)
    items = find(path)
    assert [item.source for item in items] == [f"{path}!{name}" for name in PICTURES]
    assert [read(item) for item in items] == list(PICTURES.values())


def test_member_has_its_own_size_and_time_in_utc(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"a/moon.png": PICTURES["moon.png"]})
    content = PICTURES["moon.png"]
    (item,) = find(path)
    assert item == Item(f"{path}!a/moon.png", len(content), CHANGED)
    assert read(item) == content


def test_directory_may_have_another_order_than_the_members(tmp_path: Path) -> None:
    path = pack_and_change(tmp_path / "x.zip", lambda archive: archive.filelist.reverse())
    assert [read(item) for item in find(path)] == list(PICTURES.values())[::-1]


def test_time_that_is_none_is_left_out(tmp_path: Path) -> None:
    path = pack_and_change(tmp_path / "x.zip", declare(0, date_time=(2017, 0, 0, 0, 0, 0)))
    assert [item.mtime is None for item in find(path)] == [True] + [False] * (len(PICTURES) - 1)


def test_only_files_are_members(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    link = zipfile.ZipInfo("link.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    plain = zipfile.ZipInfo("plain.png")
    plain.create_system, plain.external_attr = 3, (stat.S_IFREG | 0o644) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("folder/", b"")
        archive.writestr(link, b"/etc/passwd")
        archive.writestr(plain, b"x")
    assert [item.source for item in find(path)] == [f"{path}!plain.png"]


def test_names_that_come_again_are_told_apart(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = pack(tmp_path / "x.zip", [("a.png", b"1"), ("a.png", b"2"), ("b.png", b"3"), ("a.png", b"4")])
    found = {item.source.rpartition("!")[2]: read(item) for item in find(path)}
    assert found == {"a.png": b"1", "a.png#2": b"2", "b.png": b"3", "a.png#3": b"4"}


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "a/../../b.png", "C:\\a.png", "\\a.png"])
def test_member_that_leads_out_is_refused_and_the_rest_comes(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / "x.zip", {name: b"x", **PICTURES})
    first, *rest = find(path)
    assert (first.error, first.member) == ("refused: the member's name leads out of the archive", None)
    assert [read(item) for item in rest] == list(PICTURES.values())


def test_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    # ZipInfo cuts a name at a NUL, so it is put in afterwards.
    data = pack(tmp_path / "x.zip", {"a.png!.txt": b"x"}).read_bytes().replace(b"a.png!", b"a.png\0")
    (tmp_path / "x.zip").write_bytes(data)
    (item,) = find(tmp_path / "x.zip")
    assert (item.source, item.error) == (
        f"{tmp_path}/x.zip!a.png",
        "refused: the member's name leads out of the archive",
    )


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"flag_bits": 1}, "the member is encrypted"),
        ({"flag_bits": 0x20}, "the member's compression is not supported"),
        ({"compress_type": 9}, "the member's compression is not supported"),
        ({"CRC": 1}, "the member is damaged (its checksum is wrong)"),
        ({"file_size": 100}, "the member is damaged (its checksum is wrong)"),
        ({"file_size": 1 << 20}, "the member is damaged (its length is not what the archive says)"),
        ({"compress_type": zipfile.ZIP_LZMA}, "the member is damaged (its compressed data is broken)"),
        ({"compress_type": zipfile.ZIP_BZIP2}, "the member is damaged (its compressed data is broken)"),
        ({"compress_size": 100}, "the member is damaged (its length is not what the archive says)"),
        ({"filename": "x.png", "orig_filename": "x.png"}, "the member is damaged (its structure is broken)"),
    ],
)
def test_bad_member_is_an_error_and_the_rest_comes(tmp_path: Path, fields: dict[str, object], error: str) -> None:
    path = pack_and_change(tmp_path / "x.zip", declare(1, **fields))
    items = find(path)
    assert errors(items) == [None, error, None, None, None, None]
    assert [read(item) for item in items if not item.error] == [
        content for index, content in enumerate(PICTURES.values()) if index != 1
    ]


def test_zip_of_a_later_version_is_an_error(tmp_path: Path) -> None:
    path = pack_and_change(tmp_path / "x.zip", declare(0, extract_version=99))
    assert errors(find(path)) == ["a zip file of a kind that cannot be read"]


def test_large_member_is_an_error_by_its_declared_size(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"a.png": bytes(1001), "b.png": bytes(1000)})
    limit = "larger than the limit of 1000 bytes (Limits.bytes, --max-size)"
    assert [(item.size, item.error) for item in find(path, max_bytes=1000)] == [(1001, limit), (1000, None)]


@pytest.mark.parametrize(
    ("compression", "what"),
    [
        (zipfile.ZIP_DEFLATED, "checksum is wrong"),
        (zipfile.ZIP_BZIP2, "length is not what the archive says"),
        (zipfile.ZIP_LZMA, "length is not what the archive says"),
    ],
)
def test_member_that_declares_too_little_is_not_unpacked(tmp_path: Path, compression: int, what: str) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a.png", bytes(100 * MIB), compresslevel=1)
        archive.filelist[0].file_size = 1000
    tracemalloc.start()
    items = find(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert errors(items) == [f"the member is damaged (its {what})"]
    assert peak < 10 * MIB


def test_zip_that_declares_far_too_much_is_refused_as_a_whole(tmp_path: Path) -> None:
    path = pack_and_change(tmp_path / "x.zip", declare(3, file_size=(1 << 30) + 1))
    (item,) = find(path)
    assert item.source == str(path)
    assert item.error == "refused: it unpacks to more than 100 times its size, as a bomb does"
    path = pack_and_change(tmp_path / "y.zip", declare(3, file_size=900 * MIB))
    assert len(find(path)) == len(PICTURES)


def test_members_that_share_their_data_are_refused(tmp_path: Path) -> None:
    def add_again(archive: zipfile.ZipFile) -> None:
        first = archive.filelist[0]
        again = zipfile.ZipInfo("again.png")
        for field in ("CRC", "compress_size", "file_size", "compress_type", "header_offset"):
            setattr(again, field, getattr(first, field))
        archive.filelist.append(again)

    path = pack_and_change(tmp_path / "x.zip", add_again)
    assert errors(find(path)) == ["refused: its members overlap, as a bomb's do"]


def test_member_that_spans_the_next_one_is_refused(tmp_path: Path) -> None:
    def span(archive: zipfile.ZipFile) -> None:
        first, second = archive.filelist[:2]
        first.compress_size += second.compress_size

    path = pack_and_change(tmp_path / "x.zip", span)
    assert errors(find(path)) == ["refused: its members overlap, as a bomb's do"]


def test_zip_behind_a_program_is_read(tmp_path: Path) -> None:
    whole = pack(tmp_path / "x.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(b"#!/bin/sh\n" * 50 + whole)
    assert [read(item) for item in find(tmp_path / "x.zip")] == list(PICTURES.values())


def test_zip_without_members_has_none(tmp_path: Path) -> None:
    assert find(pack(tmp_path / "x.zip", {})) == []


def test_zip_that_shrinks_while_it_is_read_gives_errors(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {str(number): bytes([number]) * 9 + PICTURES["camera.png"] for number in range(9)})
    items = find_items([str(path)], Selection())
    assert next(items).read() == bytes(9) + PICTURES["camera.png"]
    with path.open("r+b") as file:
        file.truncate(1000)
    rest = held(items)
    assert len(rest) == 8
    assert set(errors(rest[1:])) <= {
        "the member is damaged (it stops too early)",
        "the member is damaged (its structure is broken)",
    }


def test_name_that_is_no_utf8_though_it_says_so_is_an_error(tmp_path: Path) -> None:
    data = pack(tmp_path / "x.zip", {"caf\u00e9.png": b"x"}).read_bytes().replace("\u00e9".encode(), b"\xff\xff")
    (tmp_path / "x.zip").write_bytes(data)
    assert errors(find(tmp_path / "x.zip")) == ["the archive is damaged (its structure is broken)"]


def test_zip_in_a_zip_is_a_member(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.png", b"x")
    path = pack(tmp_path / "x.zip", {"inner.zip": inner.getvalue()})
    assert [(item.source, read(item)) for item in find(path)] == [(f"{path}!inner.zip", inner.getvalue())]


def test_lzma_that_does_not_announce_its_end_mark_is_read(tmp_path: Path) -> None:
    content = PICTURES["camera.png"]
    alone = lzma.compress(content, lzma.FORMAT_ALONE)
    # The same as a zip's member: a version and a length, the properties, and the data.
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"\x09\x04\x05\x00" + alone[:5] + alone[13:])
        member = archive.filelist[0]
        member.compress_type, member.file_size, member.CRC = zipfile.ZIP_LZMA, len(content), zlib.crc32(content)
    assert errors(find(path)) == [None]
    assert read(find(path)[0]) == content
