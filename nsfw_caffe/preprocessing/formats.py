"""Picture formats: which are read, what a file is that is not and why, and what a user has set in Pillow.

Read are the formats of those of Pillow's plugins that do nothing but decode.
"""

from __future__ import annotations

import importlib
import re
import zlib
from typing import NamedTuple, TypeAlias

from PIL import Image

COMMON = ("BMP", "DIB", "GIF", "JPEG", "PPM", "PNG")
"""The formats that Pillow always tries first. MPO files are opened as JPEG."""

OTHERS = (
    *("AVIF", "BLP", "CUR", "PCX", "DCX", "DDS", "FITS", "FLI", "FTEX", "GBR", "JPEG2000", "ICNS", "ICO", "IM", "IMT"),
    *("MCIDAS", "TIFF", "MSP", "PCD", "PIXAR", "PSD", "QOI", "SGI", "SPIDER", "SUN", "TGA", "WEBP", "XBM", "XPM"),
    "XVTHUMB",
)
"""The others, in Pillow's own order: some are known by little, and it matters who is asked first."""

_REFUSED = {
    "EPS": "a program, which Pillow has Ghostscript run",
    "WMF": "commands for Windows to draw",
    "MPEG": "video, which Pillow does not decode",
    "IPTC": "a container, in which Pillow opens whatever there is",
    "FPX": "a container, which Pillow opens with a library that is no longer maintained",
    "MIC": "a container, which Pillow opens with a library that is no longer maintained",
    **dict.fromkeys(("BUFR", "GRIB", "HDF5"), "data, which Pillow does not decode"),
}
"""Pillow's other formats, and why they are not read."""

LOOKED_AT = 4096  # bytes from the beginning
_DEEPEST = 2  # how often what is unpacked is looked at in its turn


class _Kind(NamedTuple):
    begins: str
    """A regular expression for the first bytes, as Latin-1."""
    name: str
    remedy: str


_CONVERT = "convert it to JPEG or PNG first"
_VIDEO = "a video"
_FRAMES = "'nsfw-caffe video' scores it, or 'nsfw-caffe scan --videos'; in Python Classifier.classify_video"
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
    _Kind(r"....(?:ftyp|moov|mdat)", _VIDEO, _FRAMES),
    _Kind(r"\x1aE\xdf\xa3|RIFF....AVI |FLV\x01|\0\0\x01[\xb3\xba]|0&\xb2u|OggS", _VIDEO, _FRAMES),
    _Kind(r"G.{187}G.{187}G|....G.{191}G.{191}G", _VIDEO, _FRAMES),  # MPEG-TS, with and without four bytes of time
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

Settings: TypeAlias = dict[tuple[str, str], object]

_SETTINGS = (
    ("PIL.Image", "MAX_IMAGE_PIXELS"),
    ("PIL.ImageFile", "LOAD_TRUNCATED_IMAGES"),
    ("PIL.PngImagePlugin", "MAX_TEXT_CHUNK"),
    ("PIL.PngImagePlugin", "MAX_TEXT_MEMORY"),
    ("PIL.GifImagePlugin", "LOADING_STRATEGY"),
    ("PIL.TiffImagePlugin", "READ_LIBTIFF"),
)
"""Modules and their attributes that say whether and how a picture is decoded."""


def others() -> tuple[str, ...]:
    """Return the formats that are tried after the common ones: first those of plugins that the user has registered."""
    Image.init()
    known = frozenset(Image.ID)
    registered = [name for name in Image.ID if not is_pillows(Image.OPEN[name][0]) and name not in COMMON]
    return (*registered, *(name for name in OTHERS if name in known and name not in registered))


def refusal(prefix: bytes) -> str | None:
    """Say which format a file is in and why it is not read, by its first 16 bytes; None where they say nothing."""
    for name in Image.ID:
        accept = Image.OPEN[name][1]
        if name in _REFUSED and is_pillows(Image.OPEN[name][0]) and accept is not None and accept(prefix) is True:
            return f"{name} is not read: it is {_REFUSED[name]}"
    return None


def is_pillows(known: object) -> bool:
    """Tell whether a plugin, a decoder or a class of pictures is one that Pillow brings."""
    return getattr(known, "__module__", "").partition(".")[0] == "PIL"


def hint(data: bytes, packed: str = "", depth: int = 0) -> str:
    """Say what a file is that no decoder here knows, and what to do about it, as the rest of a sentence.

    "; it is HEIC: convert it to JPEG or PNG first, ..."; empty where the first bytes say nothing.
    """
    head = data[:LOOKED_AT]
    if head.startswith(_GZIP) and depth < _DEEPEST:
        try:
            inner = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, LOOKED_AT)
        except zlib.error:
            return ""
        return hint(inner, ", packed with gzip", depth + 1) or "; it is packed with gzip: unpack it first"
    for signature, kind in _SIGNATURES:
        if signature.match(head):
            return f"; it is {kind.name}{packed}: {kind.remedy}"
    return ""


def is_video(data: bytes) -> bool:
    """Tell whether a file is a video, by its first bytes."""
    head = data[:LOOKED_AT]
    return next((kind.name for signature, kind in _SIGNATURES if signature.match(head)), "") == _VIDEO


def pillow_settings() -> Settings:
    """Return what this process has set."""
    return {(module, name): getattr(importlib.import_module(module), name) for module, name in _SETTINGS}


def set_pillow(settings: Settings) -> None:
    """Set it in this process, which is to decode as the one does that the settings are from."""
    for (module, name), value in settings.items():
        setattr(importlib.import_module(module), name, value)


def knows_more_than_pillow() -> bool:
    """Tell whether this process has plugins or decoders for pictures that Pillow does not bring."""
    known = [factory for factory, _ in Image.OPEN.values()] + list(Image.DECODERS.values())
    return not all(map(is_pillows, known))


def needs_this_process(picture: Image.Image) -> bool:
    """Tell whether an opened picture comes from a plugin, or is for a decoder, that Pillow does not bring."""
    factory = Image.OPEN.get(picture.format or "", (type(picture),))[0]
    decoders = [Image.DECODERS[tile[0]] for tile in getattr(picture, "tile", ()) if tile[0] in Image.DECODERS]
    return not all(map(is_pillows, (type(picture), factory, *decoders)))
