"""Tar files."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from nsfw_caffe.sources.find import find_items
from nsfw_caffe.sources.item import Item
from nsfw_caffe.sources.selection import Selection
from tests.sources.support import CHANGED, PICTURES, errors, find, header, pack, read

PHOTO = PICTURES["moon.png"]
MIB = 1 << 20
BROKEN = "the archive is damaged (its structure is broken)"
STOPS_EARLY = "the archive is damaged (it stops too early)"


def add(tar: tarfile.TarFile, name: str, content: bytes = PHOTO, **fields: object) -> None:
    made = header(name, len(content))
    for field, value in fields.items():
        setattr(made, field, value)
    tar.addfile(made, io.BytesIO(content))


def test_member_has_its_own_size_and_time(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar.gz", {"a/moon.png": PHOTO})
    (item,) = find(path)
    assert item == Item(f"{path}!a/moon.png", len(PHOTO), CHANGED)
    assert read(item) == PHOTO


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_is_read_with_long_names_and_names_of_any_bytes(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "x.tar"
    names = ["./a.png", f"{'long' * 20}/{'name' * 15}.png", "\udcff.png", "new\nline.png", "caf\u00e9.png"]
    with tarfile.open(path, "w", format=kind) as tar:
        for name in names:
            add(tar, name)
    items = find(path)
    assert [item.source for item in items] == [f"{path}!{name}" for name in names]
    assert [read(item) for item in items] == [PHOTO] * len(names)
    assert os.fsencode(items[2].source).endswith(b"!\xff.png")


def test_only_files_are_members(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            add(tar, f"{kind!r}.png", b"", type=kind, linkname="a.png")
        add(tar, "a.png")
    assert [item.source for item in find(path)] == [f"{path}!a.png"]


def test_headers_that_were_read_are_not_kept(tmp_path: Path) -> None:
    count = 4000
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for number in range(count):
            add(tar, f"{number}.png", b"")
        tar.members.clear()  # type: ignore[attr-defined]  # the writer keeps them too
    items = find_items([str(path)], Selection())
    next(items)
    tracemalloc.start()
    assert sum(1 for _ in items) == count - 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400 * count  # a header takes about 700 bytes, a name that has been met less


def test_names_that_come_again_are_told_apart(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar", [("a.png", b"1"), ("a.png", b"2"), ("b.png", b"3"), ("a.png", b"4")])
    found = {item.source.rpartition("!")[2]: read(item) for item in find(path)}
    assert found == {"a.png": b"1", "a.png#2": b"2", "b.png": b"3", "a.png#3": b"4"}


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "a/../../b.png", "C:\\a.png", "\\a.png", "a\0b.png"])
def test_member_that_leads_out_is_refused_and_the_rest_comes(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, "x.png", pax_headers={"path": name})
        add(tar, "y.png")
    first, second = find(path)
    assert (first.error, first.member) == ("refused: the member's name leads out of the archive", None)
    assert read(second) == PHOTO


@pytest.mark.parametrize("mtime", ["nan", "inf"])
def test_time_that_is_none_is_left_out(tmp_path: Path, mtime: str) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, "x.png", pax_headers={"mtime": mtime})
    assert [item.mtime for item in find(path)] == [None]


def test_large_member_is_passed_over_with_an_error(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tgz", {"a.png": bytes(1001), "b.png": bytes(1000)})
    limit = "larger than the limit of 1000 bytes (Limits.bytes, --max-size)"
    assert [(item.size, item.error) for item in find(path, max_bytes=1000)] == [(1001, limit), (1000, None)]


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tar"])
def test_how_it_is_compressed_is_not_a_matter_of_the_name(tmp_path: Path, name: str) -> None:
    packed = pack(tmp_path / ("x.tar" if name.endswith("gz") else "x.tgz"))
    items = find(packed.rename(tmp_path / name))
    assert [read(item) for item in items] == list(PICTURES.values())


@pytest.mark.slow
def test_bomb_is_left_before_its_end(tmp_path: Path) -> None:
    # A member of 2 GiB of zeros, in 2 MB; what comes behind is never reached.
    start = io.BytesIO()
    with tarfile.open(fileobj=start, mode="w") as tar:
        add(tar, "a.png")
    path = tmp_path / "x.tar.gz"
    block = gzip.compress(bytes(64 * MIB))
    large = header("bomb.png", 2 << 30).tobuf(tarfile.GNU_FORMAT)
    path.write_bytes(gzip.compress(start.getvalue()[: 512 + (len(PHOTO) + 511) // 512 * 512] + large) + block * 32)
    first, second, last = find(path)
    assert read(first) == PHOTO
    assert (second.source, second.error) == (
        f"{path}!bomb.png",
        "larger than the limit of 268435456 bytes (Limits.bytes, --max-size)",
    )
    assert (last.source, last.error) == (
        str(path),
        "refused: it unpacks to more than 100 times its size, as a bomb does",
    )


def test_headers_without_end_are_not_gathered(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, "a.png")
        add(tar, "b.png", pax_headers={"comment": "x" * (5 * MIB)})
    first, last = find(path)
    assert read(first) == PHOTO
    assert last.error == "the archive is damaged (a member's headers are too long)"


def test_headers_of_headers_end(tmp_path: Path) -> None:
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 10
    path = tmp_path / "x.tar"
    path.write_bytes((long_name.tobuf(tarfile.GNU_FORMAT) + b"name".ljust(512, b"\0")) * 2000)
    assert errors(find(path)) == [BROKEN]


@pytest.mark.parametrize("size", [-1, -512, -1024])
def test_negative_size_does_not_lead_back(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, "a.png")
        add(tar, "b.png", pax_headers={"size": str(size)})
    first, last = find(path)
    assert read(first) == PHOTO
    assert last.error == BROKEN


def test_sparse_file_is_read(tmp_path: Path) -> None:
    # The old GNU format: 4 bytes of data at 1000, of 2000 in all.
    made = header("sparse.png", 4)
    made.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(made.tobuf(tarfile.GNU_FORMAT))
    block[386:410] = b"%011o\0%011o\0" % (1000, 4)
    block[483:495] = b"%011o\0" % 2000
    block[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(block))[0]  # type: ignore[attr-defined]
    path = tmp_path / "x.tar"
    path.write_bytes(bytes(block) + b"data".ljust(512, b"\0") + bytes(1024))
    assert [read(item) for item in find(path)] == [bytes(1000) + b"data" + bytes(996)]


def test_broken_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar")
    whole = bytearray(path.read_bytes())
    second = whole.index(list(PICTURES)[1].encode())
    whole[second + 100] ^= 1
    path.write_bytes(whole)
    first, last = find(path)
    assert read(first) == next(iter(PICTURES.values()))
    assert (last.source, last.error) == (str(path), BROKEN)


def test_archive_without_its_end_mark_has_been_cut(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar", {"a.png": bytes(512), "b.png": bytes(512)})
    path.write_bytes(path.read_bytes()[:1024])  # in front of the second header
    first, last = find(path)
    assert read(first) == bytes(512)
    assert (last.source, last.error) == (str(path), STOPS_EARLY)


def test_checksum_at_the_end_is_looked_at(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar.gz")
    whole = bytearray(path.read_bytes())
    whole[-8] ^= 1
    path.write_bytes(whole)
    *items, last = find(path)
    assert [read(item) for item in items] == list(PICTURES.values())
    assert last.error == "the archive is damaged (its compressed data is broken)"


def test_tar_without_members_has_none(tmp_path: Path) -> None:
    assert find(pack(tmp_path / "x.tar", {})) == []
