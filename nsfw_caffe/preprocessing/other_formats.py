"""What a file is that is no picture which can be read here, and what to do about it."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

_LOOKED_AT = 4096
"""Bytes from the beginning that are looked at."""

_DEEPEST = 2
"""How often what is unpacked is looked at in its turn."""


class _Kind(NamedTuple):
    begins: str
    """A regular expression for the first bytes, as Latin-1."""
    name: str
    remedy: str


_CONVERT = "convert it to JPEG or PNG first"
_FRAMES = "score pictures taken from it, with ffmpeg for example"
_SCAN = "'nsfw-caffe scan' reads it under a name that ends in"

# The signatures are those of the formats' specifications, and of file(1). ISO's box `ftyp` names the brands of a file.
_KINDS = (
    _Kind(r"....ftyp(?:av|....(?:....)*?av)i[fs]", "AVIF", f"Pillow reads it from version 11.3 on; or {_CONVERT}"),
    _Kind(
        r"....ftyp(?:he[iv]|mif1|msf1)",
        "HEIC",
        f"{_CONVERT}, with heif-convert for example; in Python pillow-heif makes Pillow read it",
    ),
    _Kind(r"....ftypcrx ", "a camera's raw file", _CONVERT),
    _Kind(r"....(?:ftyp|moov|mdat)", "a video", _FRAMES),
    _Kind(r"\x1aE\xdf\xa3|RIFF....AVI |FLV\x01|\0\0\x01[\xb3\xba]|0&\xb2u|OggS", "a video", _FRAMES),
    _Kind(
        r"\xff\x0a|\0\0\0\x0cJXL ",
        "JPEG XL",
        f"{_CONVERT}, with djxl for example; in Python pillow-jxl-plugin makes Pillow read it",
    ),
    _Kind(r"FUJIFILMCCD-RAW|IIRO|IIRS|MMOR|IIU\0|II\x1a\0\0\0HEAP", "a camera's raw file", _CONVERT),
    _Kind(r"gimp xcf ", "a picture of GIMP", f"export it from GIMP as PNG, or {_CONVERT}"),
    _Kind(r"(?s:\s*(?:<\?xml|<!--|<!DOCTYPE svg).*)?\s*<svg[\s>]", "SVG", f"{_CONVERT}, with rsvg-convert for example"),
    _Kind(r"\s*(?i:<!doctype html|<html)", "a web page", "the server sent it in the picture's place: fetch it again"),
    _Kind(r"%PDF-", "PDF", "convert its pages first, with pdftoppm for example"),
    _Kind(r"%!|\xc5\xd0\xd3\xc6", "PostScript", f"it is a program, which is not run: {_CONVERT}"),
    _Kind(
        r"PK\x07\x08PK|PK00PK",
        "the first part of a split ZIP archive",
        "join the parts with 'zip -s 0 NAME.zip --out WHOLE.zip'",
    ),
    _Kind(
        r"PK\x03\x04|PK\x05\x06",
        "a ZIP archive",
        f"{_SCAN} .zip; join the parts of a split one first (.zip.001 and so on: with cat)",
    ),
    _Kind(r"Rar!\x1a\x07", "a RAR archive", "unpack it, with unrar or bsdtar for example, and scan the folder"),
    _Kind(r"7z\xbc\xaf'\x1c", "a 7z archive", "unpack it, with 7z or bsdtar for example, and scan the folder"),
    _Kind(r"WARC/[01]", "a WARC file", f"{_SCAN} .warc or .warc.gz"),
    _Kind(r"filedesc://", "an ARC file", "make a WARC file of it first, with 'warcio recompress' for example"),
    _Kind(r"(?s:.{257})ustar", "a TAR archive", f"{_SCAN} .tar, .tar.gz, .tar.bz2 or .tar.xz"),
    _Kind(
        r"BZh[1-9]1AY&SY|\xfd7zXZ\0", "a packed file", f"unpack it; if it is a TAR archive, {_SCAN} .tar.bz2 or .tar.xz"
    ),
    _Kind(r"\(\xb5/\xfd", "a packed file", "unpack it with zstd first"),
)
_SIGNATURES = tuple((re.compile(kind.begins.encode("latin-1"), re.DOTALL), kind) for kind in _KINDS)
_GZIP = b"\x1f\x8b\x08"


def hint(data: bytes) -> str:
    """Say what a file is that no decoder here knows, and what to do about it, as the rest of a sentence.

    Parameters
    ----------
    data : bytes
        The file, or its beginning.

    Returns
    -------
    str
        "; it is HEIC: convert it to JPEG or PNG first, ..."; empty where the first bytes say nothing.
    """
    return _hint(data[:_LOOKED_AT], "", 0)


def _hint(head: bytes, packed: str, depth: int) -> str:
    if head.startswith(_GZIP) and depth < _DEEPEST:
        try:
            inner = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, _LOOKED_AT)
        except zlib.error:
            return ""
        return _hint(inner, ", packed with gzip", depth + 1) or "; it is packed with gzip: unpack it first"
    for signature, kind in _SIGNATURES:
        if signature.match(head):
            return f"; it is {kind.name}{packed}: {kind.remedy}"
    return ""
