from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from nsfw_caffe.errors import ImageError
from nsfw_caffe.preprocessing.formats import hint
from nsfw_caffe.preprocessing.jpeg import create_codec
from nsfw_caffe.preprocessing.steps import preprocess


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", b"b")
    return file.getvalue()


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return file.getvalue()


FILES = {
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "a video": b"\0\0\0\x18ftypisom\0\0\2\0isomavc1",
    "JPEG XL": b"\xff\x0a\xfa\x7f",
    "SVG": b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg xmlns='http://www.w3.org/2000/svg'/>",
    "SVG, packed with gzip": gzip.compress(b"<svg width='1'/>"),
    "PDF": b"%PDF-1.7\n",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "a web page": b"\n<!DOCTYPE html><html>",
    "a ZIP archive": _zip(),
    "the first part of a split ZIP archive": b"PK\x07\x08" + _zip(),
    "a RAR archive": b"Rar!\x1a\x07\x01\0",
    "a 7z archive": b"7z\xbc\xaf'\x1c\0\x04",
    "a WARC file": b"WARC/1.0\r\n",
    "an ARC file, packed with gzip": gzip.compress(b"filedesc://a.arc 0.0.0.0 2008 text/plain 76\n"),
    "a TAR archive, packed with gzip": gzip.compress(_tar()),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_picture_is_named_by_its_content(name: str) -> None:
    found = hint(FILES[name])
    assert found.startswith(f"; it is {name}: ")
    assert len(found.partition(": ")[2]) > 10  # and what to do


def test_an_avif_file_is_not_taken_for_heic() -> None:
    for brands in (b"avif\0\0\0\0mif1", b"mif1\0\0\0\0mif1avif"):
        assert hint(b"\0\0\0\x1cftyp" + brands).startswith("; it is AVIF: ")


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 5000, b"garbage", gzip.compress(b"garbage", mtime=0)[:12], b"\x1f\x8b\x08rest"]
)
def test_what_says_nothing_gets_no_hint(data: bytes) -> None:
    assert hint(data) in ("", "; it is packed with gzip: unpack it first")


def test_what_unpacks_to_itself_ends() -> None:
    packed = b"<svg>"
    for _ in range(100):
        packed = gzip.compress(packed)
    assert hint(packed) == "; it is packed with gzip: unpack it first"


def test_the_error_of_a_picture_says_it(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(FILES["HEIC"])
    with pytest.raises(
        ImageError, match="Pillow knows; it is HEIC: convert it to JPEG or PNG first, with heif-convert"
    ):
        preprocess(path, create_codec("pillow", "exact"))
