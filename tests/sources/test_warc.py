"""WARC files."""

from __future__ import annotations

import gzip
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from warcio.warcwriter import WARCWriter

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.sources.find import find_items
from nsfw_caffe.sources.item import Item
from nsfw_caffe.sources.selection import Selection
from nsfw_caffe.system.extras import install_hint
from tests.sources.support import CHANGED, PICTURES, errors, find, pack, read, response

PHOTO = PICTURES["moon.png"]
BROKEN = "the archive is damaged (its structure is broken)"
STOPS_EARLY = "the archive is damaged (it stops too early)"
MIB = 1 << 20


def write(path: Path, *records: Callable[[WARCWriter], object]) -> Path:
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=path.name.endswith(".gz"))
        for record in records:
            writer.write_record(record(writer))
    return path


def answer(name: str, body: bytes = PHOTO, status: str = "200 OK", **headers: str) -> Callable[[WARCWriter], object]:
    return lambda writer: response(writer, f"http://example.com/{name}", body, status, **headers)


def record(
    kind: str, address: str | None = "urn:x", content_type: str = "image/png", **headers: str
) -> Callable[[WARCWriter], object]:
    return lambda writer: writer.create_warc_record(
        address, kind, payload=io.BytesIO(PHOTO), warc_content_type=content_type, warc_headers_dict=headers
    )


@pytest.fixture(params=["x.warc", "x.warc.gz"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


def test_picture_has_its_address_size_and_time(path: Path) -> None:
    pack(path, {"a/moon.png?x#y": PHOTO})
    (item,) = find(path)
    assert item == Item(f"{path}!http://example.com/a/moon.png?x#y", len(PHOTO), CHANGED)
    assert read(item) == PHOTO


def test_only_pictures_that_were_there_are_members(path: Path) -> None:
    write(
        path,
        record("warcinfo", None, "application/warc-fields"),
        answer("moved.png", status="301 Moved"),
        answer("missing.png", status="404 Not Found"),
        answer("page", Content_Type="text/html"),
        answer("a.png", Content_Type="Image/PNG; charset=binary"),
        answer("empty", b""),
        record("resource", "file:///b.png"),
        record("resource", "file:///page", "text/html"),
        lambda writer: writer.create_revisit_record("http://example.com/c.png", "sha1:X", "http://x/", "2017-07-14"),
        record("metadata", "http://example.com/d.png"),
        record("resource", None),
    )
    assert [item.source.partition("!")[2] for item in find(path)] == [
        "http://example.com/a.png",
        "http://example.com/empty",
        "file:///b.png",
    ]


def test_addresses_that_come_again_are_told_apart(path: Path) -> None:
    pack(path, [("a.png", b"1"), ("a.png", b"2"), ("b.png", b"3")])
    assert [item.source.rpartition("/")[2] for item in find(path)] == ["a.png", "a.png#2", "b.png"]


def test_patterns_are_for_the_address(path: Path) -> None:
    write(path, answer("a/b.png?x"), answer("a/b.jpg"), answer("c/b.png"))
    found = find(path, include=("*.png",), exclude=("http://*/c/*",))
    assert [item.source.partition("!")[2] for item in found] == ["http://example.com/a/b.png?x"]


def test_encoded_content_is_decoded_and_its_size_known_then(path: Path) -> None:
    write(path, answer("a.png", gzip.compress(PHOTO), Content_Encoding="gzip"))
    (found,) = find_items([str(path)], Selection())
    assert found.size is None
    (item,) = find(path)
    assert (item.size, read(item)) == (len(PHOTO), PHOTO)


def test_content_that_cannot_be_decoded_is_an_error_and_the_rest_comes(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(
        path,
        answer("a.png", gzip.compress(PHOTO)[:-9], Content_Encoding="gzip"),
        answer("b.png", gzip.compress(bytes(64 * MIB)), Content_Encoding="gzip"),
        answer("c.png"),
    )
    assert errors(find(path, max_bytes=MIB)) == [
        "the content is damaged (its compressed data stops too early)",
        "larger than the limit of 1048576 bytes (Limits.bytes, --max-size)",
        None,
    ]
    assert capfd.readouterr() == ("", "")


def test_large_picture_is_passed_over_with_an_error(path: Path) -> None:
    write(
        path,
        answer("a.png", bytes(1001)),
        answer("b.png", bytes(1000)),
        answer("c.png", bytes(1001), Content_Encoding="x"),
    )
    limit = "larger than the limit of 1000 bytes (Limits.bytes, --max-size)"
    assert [(item.size, item.error) for item in find(path, max_bytes=1000)] == [
        (1001, limit),
        (1000, None),
        (None, limit),
    ]


@pytest.mark.parametrize("date", ["", "soon", "2017-14-01T00:00:00Z", "9" * 30])
def test_time_that_is_none_is_left_out(path: Path, date: str) -> None:
    write(path, record("resource", WARC_Date="x"), lambda writer: dated(writer, date))
    assert find(path)[1].mtime is None


def dated(writer: WARCWriter, date: str) -> object:
    made = record("resource")(writer)
    made.rec_headers.replace_header("WARC-Date", date)  # type: ignore[attr-defined]
    return made


def test_warc_that_is_compressed_as_a_whole_is_read(tmp_path: Path) -> None:
    plain = pack(tmp_path / "x.warc").read_bytes()
    whole = tmp_path / "x.warc.gz"
    whole.write_bytes(gzip.compress(plain))
    assert [read(item) for item in find(whole)] == list(PICTURES.values())


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (b"Content-Length: 50", b"Content-Length: 40", BROKEN),
        (b"Content-Length: 50", b"Content-Length: xx", BROKEN),
        (b"Content-Length: 50", b"Content-Length: -5", BROKEN),
        (b"Content-Length: 50", b"Content-Lxngth: 50", BROKEN),
        (b"Content-Length: 50", b"Content-Length: 95", STOPS_EARLY),
        (b"\r\n\r\nWARC/1.0", b"\r\n\r\nWASP/1.0", BROKEN),
        (
            b"\r\n\r\nWARC/1.0\r\n",
            b"\r\n\r\n" + b"x" * (5 * MIB) + b"\n",
            "the archive is damaged (a member's headers are too long)",
        ),
    ],
)
def test_damage_ends_the_archive_and_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], old: bytes, new: bytes, error: str
) -> None:
    path = write(tmp_path / "x.warc", answer("a.png", b"x" * 41), answer("b.png"))
    whole = path.read_bytes()
    assert whole.count(old) in (1, 2)
    cut = whole.index(old)
    path.write_bytes(whole[:cut] + new + whole[cut + len(old) :])
    found = find(path)
    assert (found[-1].source, found[-1].error) == (str(path), error)
    assert all(item.error is None for item in found[:-1])
    assert capfd.readouterr() == ("", "")


def test_address_with_a_space_prints_nothing(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(path, answer("a b.png"))
    assert [item.source.partition("!")[2] for item in find(path)] == ["http://example.com/a%20b.png"]
    assert capfd.readouterr() == ("", "")


def test_named_warc_without_warcio_says_how_to_get_it_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "warcio", None)
    path = pack(tmp_path / "x.warc")
    with pytest.raises(ResultsError, match=re.escape(install_hint("scan"))):
        find_items([str(path)], Selection())


def test_found_warc_without_warcio_is_an_error_and_the_rest_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(tmp_path / "x.warc")
    (tmp_path / "y.png").write_bytes(PHOTO)
    monkeypatch.setitem(sys.modules, "warcio", None)
    assert errors(find(tmp_path)) == [f"WARC files need warcio: {install_hint('scan')}", None]


def test_answer_without_anything_is_no_picture(tmp_path: Path) -> None:
    path = write(tmp_path / "x.warc", answer("a.png"))
    empty = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://x/\r\nContent-Length: 0\r\n\r\n\r\n\r\n"
    path.write_bytes(empty + path.read_bytes())
    assert [read(item) for item in find(path)] == [PHOTO]
