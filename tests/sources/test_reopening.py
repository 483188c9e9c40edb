from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nsfw_caffe.sources.reopening import Sources, SourceUnusable, split_member
from tests.sources.support import find

Fill = Callable[[Path, list[tuple[str, bytes]]], None]


def fill_zip(path: Path, members: list[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/", b"")
        for name, content in members:
            archive.writestr(name, content)


def fill_tar(path: Path, members: list[tuple[str, bytes]]) -> None:
    packed: dict[str, Callable[[bytes], bytes]]
    packed = {".tgz": gzip.compress, ".bz2": bz2.compress, ".txz": lzma.compress, ".tar": bytes}
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        link = tarfile.TarInfo("a.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    path.write_bytes(packed[path.suffix](plain.getvalue()))


ARCHIVES = [("a.zip", fill_zip), ("A.ZIP", fill_zip), ("a.tar", fill_tar), ("a.tgz", fill_tar), ("a.tar.bz2", fill_tar)]


def read(source: str | Path) -> bytes:
    with Sources() as sources:
        return b"".join(sources.chunks(str(source)))


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize(("name", "fill"), ARCHIVES)
def test_members_by_their_names_in_any_order(name: str, fill: Fill, tmp_path: Path) -> None:
    members = [("a", b"first"), ("in/b", os.urandom(1_500_000)), ("a#2", b"second"), ("a", b"third"), ("!", b"fourth")]
    fill(tmp_path / name, members)
    labels = ["a", "in/b", "a#2", "a#3", "!"]
    expected = {f"{tmp_path / name}!{label}": content for label, (_, content) in zip(labels, members, strict=True)}
    with Sources() as sources:
        for source in (*expected, *reversed(expected)):
            assert b"".join(sources.chunks(source)) == expected[source]
        with pytest.raises(SourceUnusable, match="no such member any more"):
            list(sources.chunks(f"{tmp_path / name}!c.jpg"))


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize(("name", "fill"), ARCHIVES)
def test_what_a_scan_finds_is_found_again(name: str, fill: Fill, tmp_path: Path) -> None:
    names = ["a", "b/a", "a", "a#2", "a", "ünï", "\udcff" if fill is fill_tar else "?", "!b.zip!c", "x.jpg"]
    fill(tmp_path / name, [(member, str(number).encode()) for number, member in enumerate(names)])
    items = [item for item in find(tmp_path / name) if item.error is None]
    assert len(items) == len(names)
    with Sources() as sources:
        assert [b"".join(sources.chunks(item.source)) for item in items] == [item.read() for item in items]


def test_several_archives_in_turn(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        fill_zip(tmp_path / name, [("x", name.encode())])
    with Sources() as sources:
        for name in ("a.zip", "b.zip", "a.zip"):
            assert b"".join(sources.chunks(f"{tmp_path / name}!x")) == name.encode()


@pytest.mark.linux
def test_archives_are_closed(tmp_path: Path) -> None:
    fill_zip(tmp_path / "a.zip", [("x", b"x")])
    before = len(list(Path("/proc/self/fd").iterdir()))
    read(f"{tmp_path}/a.zip!x")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file(tmp_path: Path) -> None:
    content = os.urandom(2_500_000)
    (tmp_path / "a.jpg").write_bytes(content)
    assert read(tmp_path / "a.jpg") == content


def test_a_file_that_is_named_like_a_member(tmp_path: Path) -> None:
    fill_zip(tmp_path / "a.zip", [("x", b"member")])
    (tmp_path / "a.zip!x").write_bytes(b"file")
    assert split_member(f"{tmp_path}/a.zip!x") is None
    assert read(f"{tmp_path}/a.zip!x") == b"file"


def test_where_the_archive_ends(tmp_path: Path) -> None:
    folder = tmp_path / "not.zip!"
    folder.mkdir()
    fill_zip(folder / "a!b.zip", [("c.zip!d", b"here")])
    assert split_member(f"{folder}/a!b.zip!c.zip!d") == (f"{folder}/a!b.zip", "c.zip!d")
    assert read(f"{folder}/a!b.zip!c.zip!d") == b"here"


@pytest.mark.parametrize("name", ["gone.jpg", "gone.zip!a.jpg", "file/below", "-"])
def test_what_has_gone(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SourceUnusable, match=r"^it has gone$"):
        read(tmp_path / name)


@pytest.mark.linux
def test_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(SourceUnusable, match=r"not a regular file|Is a directory"):
            read(f"{tmp_path}/{name}")


def test_a_warc_is_not_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(b"")
    with pytest.raises(SourceUnusable, match="a WARC has no names of members to go by"):
        read(f"{tmp_path}/a.warc.gz!http://example.org/a.jpg")


@pytest.mark.parametrize("name", ["a.zip", "a.tgz", "a.txz", "a.tar.bz2", "a.tar"])
@pytest.mark.parametrize("kept", [0, 1, 0.3, 0.7, 0.95])
def test_a_damaged_archive_is_a_source_gone(name: str, kept: float, tmp_path: Path) -> None:
    path = tmp_path / name
    (fill_zip if name.endswith("zip") else fill_tar)(path, [("a", os.urandom(100_000)), ("b", os.urandom(100_000))])
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(len(whole) * kept)])
    with pytest.raises(SourceUnusable):
        read(f"{path}!b")


def test_a_member_with_a_wrong_checksum(tmp_path: Path) -> None:
    fill_zip(tmp_path / "a.zip", [("a", b"x" * 1000)])
    content = bytearray((tmp_path / "a.zip").read_bytes())
    at = content.rindex(b"PK\x01\x02") + 16
    content[at] ^= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(SourceUnusable, match=r"it cannot be read \(BadZipFile: Bad CRC-32"):
        read(f"{tmp_path}/a.zip!a")


def test_what_goes_wrong_with_the_reader_is_the_readers(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    with Sources() as sources, pytest.raises(OSError, match="disk is full"):  # noqa: PT012
        for _ in sources.chunks(str(tmp_path / "a")):
            raise OSError("the disk is full")
