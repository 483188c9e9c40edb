"""What holds for archives of every kind."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import pytest

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.sources.archive import MOST_HEADERS, Archive, is_archive
from nsfw_caffe.sources.find import count_members, read_archive
from nsfw_caffe.sources.item import Item
from nsfw_caffe.sources.selection import Selection
from tests.sources.support import CHANGED, ENDINGS, PICTURES, find, pack, read

MIB = 1 << 20


def open_archive(path: Path) -> Archive:
    status = path.stat()
    return Archive(str(path), status.st_size, status.st_mtime)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("upper", [False, True])
def test_archive_is_known_by_its_name_and_read(tmp_path: Path, ending: str, upper: bool) -> None:
    path = pack(tmp_path / f"x.{ending}")
    path = path.rename(tmp_path / f"y.{ending.upper() if upper else ending}")
    assert is_archive(str(path))
    items = find(path)
    assert [item.source.startswith(f"{path}!") for item in items] == [True] * len(PICTURES)
    assert [read(item) for item in items] == list(PICTURES.values())
    assert {item.mtime for item in items} == {CHANGED}


def test_other_files_are_no_archives() -> None:
    assert not any(map(is_archive, ("x.zip.png", "zip", "xzip", "x.gz", "x.rar", "x.warc.png")))


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "warc", "warc.gz"])
def test_member_larger_than_what_headers_may_be(tmp_path: Path, ending: str) -> None:
    members = {"a.png": random.Random(1).randbytes(MOST_HEADERS + 1), "b.png": b"small"}
    path = pack(tmp_path / f"x.{ending}", members)
    assert [read(item) for item in find(path)] == list(members.values())
    large, small = find(path, max_bytes=1000)
    assert large.member is None
    assert large.error == "larger than the limit of 1000 bytes (Limits.bytes, --max-size)"
    assert read(small) == b"small"


@pytest.mark.parametrize("ending", ENDINGS)
def test_members_that_are_not_read_are_passed_over(tmp_path: Path, ending: str) -> None:
    path = pack(tmp_path / f"x.{ending}")
    contents = [
        item.read() if number % 2 else None for number, item in enumerate(read_archive(open_archive(path), Selection()))
    ]
    assert contents == [content if number % 2 else None for number, content in enumerate(PICTURES.values())]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("content", [b"", b"\0", b"no archive at all", PICTURES["moon.png"]])
def test_file_that_is_no_archive_is_one_error(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"x.{ending}"
    path.write_bytes(content)
    (item,) = find(path)
    assert (item.source, item.size, item.mtime) == (str(path), len(content), path.stat().st_mtime)
    assert item.error is not None
    assert item.error.startswith("the archive is damaged (")


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "warc", "warc.gz"])
@pytest.mark.parametrize("part", range(1, 16))
def test_cut_archive_gives_what_is_in_front_of_the_cut(tmp_path: Path, ending: str, part: int) -> None:
    path = pack(tmp_path / f"x.{ending}")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * part // 16])
    *items, last = find(path)
    assert [read(item) for item in items] == list(PICTURES.values())[: len(items)]
    assert last.source == str(path)
    assert last.error is not None
    assert last.error.startswith("the archive is damaged (")
    assert str(tmp_path) not in last.error


def test_later_cut_leaves_more(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar")
    whole = path.read_bytes()
    counts = []
    for part in range(1, 9):
        path.write_bytes(whole[: len(whole) * part // 9])
        counts.append(len(find(path)) - 1)
    assert counts == sorted(counts)
    assert counts[0] < 2
    assert counts[-1] == len(PICTURES) - 1


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "warc", "warc.gz"])
def test_archive_that_is_gone_is_an_error(tmp_path: Path, ending: str) -> None:
    path = pack(tmp_path / f"x.{ending}")
    archive = open_archive(path)
    path.unlink()
    expected = Item(str(path), archive.size, archive.mtime, error="cannot be read (No such file or directory)")
    assert list(read_archive(archive, Selection())) == [expected]


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "warc", "warc.gz"])
def test_archive_takes_no_more_memory_than_a_few_members(tmp_path: Path, ending: str) -> None:
    noise = random.Random(0).randbytes(MIB)
    path = pack(tmp_path / f"x.{ending}", ((f"{number}.png", noise) for number in range(48)))
    tracemalloc.start()
    count = sum(len(item.read()) for item in read_archive(open_archive(path), Selection()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 48 * MIB
    assert peak < 6 * MIB


def test_patterns_and_dots_are_for_members_too(tmp_path: Path) -> None:
    names = ("a.png", "a.jpg", "thumbs/b.png", ".c/d.png", "e/f.PNG")
    for ending in ("zip", "tar"):
        path = pack(tmp_path / f"x.{ending}", dict.fromkeys(names, b"x"))
        found = find(path, include=("*.png",), exclude=("thumbs",))
        assert [item.source.partition("!")[2] for item in found] == ["a.png", "e/f.PNG"]
        assert len(find(path, hidden=True)) == len(names)


def test_members_of_a_zip_file_are_counted_by_its_directory(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip")
    whole = path.read_bytes()
    # The members themselves are of no account.
    start = whole.index(b"PK\x01\x02")
    path.write_bytes(bytes(start) + whole[start:])
    assert count_members(open_archive(path), Selection()) == len(PICTURES)
    assert count_members(open_archive(path), Selection(include=("*.jpg",))) == 1
    path.write_bytes(b"no zip file")
    assert count_members(open_archive(path), Selection()) == len(find(path)) == 1
    path.unlink()
    assert count_members(Archive(str(path), 0, 0), Selection()) == 1


@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending != "zip"])
def test_members_of_other_archives_are_not_known_beforehand(tmp_path: Path, ending: str) -> None:
    assert count_members(open_archive(pack(tmp_path / f"x.{ending}")), Selection()) is None


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "warc"])
@pytest.mark.parametrize("kind", [OSError, ValueError, ResultsError])
def test_error_of_the_caller_is_not_taken_for_the_archives(tmp_path: Path, ending: str, kind: type[Exception]) -> None:
    items = read_archive(open_archive(pack(tmp_path / f"x.{ending}")), Selection())
    next(items)
    with pytest.raises(kind, match="mine"):
        items.throw(kind("mine"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("ending", ["zip", "tar", "warc"])
def test_folder_in_an_archives_place_is_an_error(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"x.{ending}").mkdir()
    (item,) = read_archive(Archive(f"{tmp_path}/x.{ending}", 0, 0), Selection())
    assert item.error == "cannot be read (Is a directory)"
