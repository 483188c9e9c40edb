"""What a picture's file says of itself, read from its bytes: what Pillow's plugins act on before they can be asked.

Nothing here has to be exact: what a plugin refuses anyway may be found too large before.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator

Size = tuple[int, int]

_ICO, _ICNS, _BLP_JPEG = b"\0\0\1\0", b"icns", b"BLP1\0\0\0\0"
_JPEG_2000 = (b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  \x0d\x0a\x87\x0a")

_IHDR = re.compile(rb"IHDR(.{8})", re.DOTALL)
_CODESTREAM = re.compile(rb"\xff\x4f\xff\x51.{4}(.{16})", re.DOTALL)  # SOC and SIZ: the grid's size and its offset
_ISPE = re.compile(rb"ispe.{4}(.{8})", re.DOTALL)
_SOF = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf].{3}(.{4})", re.DOTALL)
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")

_SOS, _EOI = 0xDA, 0xD9
_TIFF_OF_BYTES = frozenset({1, 2, 6, 7})  # BYTE, ASCII, SBYTE, UNDEFINED: Pillow keeps these as they are


def announced_sizes(data: bytes) -> Iterator[Size]:
    """Yield the widths and heights that a file announces, where a plugin acts on them before `Image.open` returns.

    Besides these, they are the sizes that differ from the one that the opened picture tells: those of pictures in a
    container, and of a codestream in another header. Other formats yield nothing.
    """
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        yield from _webp(data)
    elif data[4:8] == b"ftyp":
        yield from _pairs(">II", _ISPE, data)
    elif data.startswith(_JPEG_2000):
        yield from _jpeg_2000(data)
    elif data.startswith(_ICO):
        yield from _pairs(">II", _IHDR, data)
        yield from _bitmaps_of_icon(data)
    elif data.startswith(_ICNS):
        yield from _pairs(">II", _IHDR, data)
        yield from _jpeg_2000(data)
    elif data.startswith(_BLP_JPEG):
        yield from _pairs(">HH", _SOF, data)


def count_jpeg_scans(data: bytes, start: int = 0) -> int:
    """Count the scans of the JPEG that begins at a place in a file: starts of scan outside the other segments."""
    scans = 0
    marker = _MARKER.search(data, start)
    while marker is not None:
        kind, position = marker[1][0], marker.end()
        if kind == _EOI:
            break
        scans += kind == _SOS
        if 0xC0 <= kind <= 0xFE and kind != 0xD8 and position + 2 <= len(data):  # the others have no length
            position += max(2, int.from_bytes(data[position : position + 2], "big"))
        marker = _MARKER.search(data, position)
    return scans


def has_jpeg(data: bytes) -> bool:
    """Tell whether a file is a JPEG, or one of a container of which Pillow decodes a JPEG in it itself."""
    return data.startswith((b"\xff\xd8", _BLP_JPEG))


def most_tiff_values(data: bytes, *, pages: int | None) -> int:
    """Return how many numbers the longest field of a TIFF has, on its first pages or all (None); 0 for another file."""
    return max(itertools.islice(_longest_fields(data), pages), default=0)


def _longest_fields(data: bytes) -> Iterator[int]:
    """Yield for each page of a TIFF how many numbers its longest field has: Pillow makes an object of each."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return
    (version,) = struct.unpack_from(order + "H", data, 2)
    # Of an IFD: its number of fields, a field (tag, type, count, value), the place of the next IFD.
    number, field, place = {42: ("H", "HHI4x", "I"), 43: ("Q", "HHQ8x", "Q")}.get(version, ("", "", ""))
    if not number:
        return
    (position,) = struct.unpack_from(order + place, data, 4 if version == 42 else 8)
    seen: set[int] = set()
    step = struct.calcsize(order + field)
    while position and position not in seen and position + 8 <= len(data):
        seen.add(position)
        (fields,) = struct.unpack_from(order + number, data, position)
        begin = position + struct.calcsize(order + number)
        end = begin + step * fields
        whole = begin + (min(end, len(data)) - begin) // step * step
        entries = struct.iter_unpack(order + field, memoryview(data)[begin:whole])
        yield max((count for _, kind, count in entries if kind not in _TIFF_OF_BYTES), default=0)
        if end + struct.calcsize(order + place) > len(data):
            return
        (position,) = struct.unpack_from(order + place, data, end)


def _pairs(form: str, pattern: re.Pattern[bytes], data: bytes) -> Iterator[Size]:
    for match in pattern.finditer(data):
        first, second = struct.unpack(form, match[1])
        yield first, second


def _webp(data: bytes) -> Iterator[Size]:
    kind, head = data[12:16], data[:30].ljust(30, b"\0")
    if kind == b"VP8X":
        yield 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    elif kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        yield 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        yield width & 0x3FFF, height & 0x3FFF


def _jpeg_2000(data: bytes) -> Iterator[Size]:
    for match in _CODESTREAM.finditer(data):
        right, bottom, left, top = struct.unpack(">IIII", match[1])
        yield max(0, right - left), max(0, bottom - top)


def _bitmaps_of_icon(data: bytes) -> Iterator[Size]:
    (count,) = struct.unpack_from("<H", data.ljust(6, b"\0"), 4)
    for position in range(6, min(6 + 16 * count, len(data) - 15), 16):
        (offset,) = struct.unpack_from("<I", data, position + 12)
        header = data[offset : offset + 12]
        if len(header) == 12 and not header.startswith(b"\x89PNG"):
            length, width, height = struct.unpack("<Iii", header)
            if length == 12:  # OS/2's header has shorter numbers
                width, height = struct.unpack("<HH", header[4:8])
            yield abs(width), abs(height) // 2
