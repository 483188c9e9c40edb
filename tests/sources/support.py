"""What the tests of scanning share: real photos, archives of them, and finding."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from nsfw_caffe.sources.find import find_items
from nsfw_caffe.sources.item import Item
from nsfw_caffe.sources.selection import Selection
from tests.support import PHOTOS

PICTURES = {
    name: (PHOTOS / name).read_bytes()
    for name in ("moon.png", "retina.jpg", "camera.png", "horse.png", "no_time_for_that_tiny.gif", "cell.png")
}
CHANGED = 1_500_000_000
ENDINGS = ("zip", "tar", "tar.gz", "tgz", "tar.bz2", "tbz2", "tar.xz", "txz", "warc", "warc.gz")


def find(*sources: Path | str, **selection: object) -> list[Item]:
    """Find and read everything, as if nothing were known."""
    return held(find_items(map(str, sources), Selection(**selection)))  # type: ignore[arg-type]


def held(items: Iterable[Item]) -> list[Item]:
    """Take items as a scan does: members are read before the next one is asked for."""
    return [item for found in items if (item := found.hold()) is not None]


def read(item: Item) -> bytes:
    """Return what an item stands for, which is nothing bad."""
    assert item.error is None
    return item.read()


def errors(items: Iterable[Item]) -> list[str | None]:
    return [item.error for item in items]


def pack(path: Path, members: Mapping[str, bytes] | Iterable[tuple[str, bytes]] = PICTURES) -> Path:
    """Write an archive of the kind that its name says."""
    pairs = list(members.items() if isinstance(members, Mapping) else members)
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in pairs:
                archive.writestr(zipfile.ZipInfo(name, (2017, 7, 14, 2, 40, 0)), content)
    elif ".warc" in path.name:
        with path.open("wb") as file:
            writer = WARCWriter(file, gzip=path.name.endswith(".gz"))
            for name, content in pairs:
                writer.write_record(response(writer, f"http://example.com/{name}", content))
    else:
        with tarfile.open(path, _tar_mode(path.name)) as tar:  # type: ignore[call-overload]
            for name, content in pairs:
                tar.addfile(header(name, len(content)), io.BytesIO(content))
    return path


def _tar_mode(name: str) -> str:
    compressions = {"gz": "gz", "tgz": "gz", "bz2": "bz2", "tbz2": "bz2", "xz": "xz", "txz": "xz"}
    return f"w:{compressions.get(name.rpartition('.')[2], '')}"


def header(name: str, size: int) -> tarfile.TarInfo:
    """Return a tar member's header."""
    made = tarfile.TarInfo(name)
    made.size, made.mtime = size, CHANGED
    return made


def response(writer: WARCWriter, address: str, body: bytes, status: str = "200 OK", **headers: str) -> object:
    """Return a record of what a server answered; a header's name has underscores for dashes."""
    named = {"Content-Type": "image/png"} | {name.replace("_", "-"): value for name, value in headers.items()}
    answer = StatusAndHeaders(status, list(named.items()), protocol="HTTP/1.1")
    return writer.create_warc_record(
        address,
        "response",
        payload=io.BytesIO(body),
        http_headers=answer,
        warc_headers_dict={"WARC-Date": "2017-07-14T02:40:00Z"},
    )
