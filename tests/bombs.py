"""Files that are small and ask for much: each is an error of its own, made in a few lines."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, data: bytes = b"", more: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return PNG + header + more + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def webp() -> bytes:
    """16383x16383 pixels, VP8L, in 34 bytes."""
    body = b"\x2f" + struct.pack("<I", 16382 | 16382 << 14) + b"\x88\x88\x08\0\0\0\0\0\0"[:9]
    data = b"VP8L" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(data) + 4) + b"WEBP" + data


def webp_extended() -> bytes:
    size = (16382).to_bytes(3, "little")
    data = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + size + size + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    return b"RIFF" + struct.pack("<I", len(data) + 4) + b"WEBP" + data


def jpeg(width: int = 64, height: int = 64, **options: object) -> bytes:
    return saved(Image.linear_gradient("L").resize((width, height)).convert("RGB"), "JPEG", **options)


def saved(picture: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def jpeg_of_many_scans(scans: int = 210, side: int = 2000) -> bytes:
    """A progressive JPEG whose last scan is repeated: of one colour, since a scan then takes the least bytes."""
    whole = saved(Image.new("RGB", (side, side)), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * scans + whole[-2:]


def jpeg_2000(width: int = 13000, height: int = 13000) -> bytes:
    """A codestream whose header alone is real: the picture is as large as that says."""
    small = saved(Image.new("RGB", (64, 64)), "JPEG2000", no_jp2=True)
    start = small.index(b"\xff\x51") + 6
    sizes = struct.pack(">4I", width, height, 0, 0)
    tiles = struct.pack(">4I", width, height, 0, 0)
    return small[:start] + sizes + tiles + small[start + 32 :]


def jpeg_2000_within() -> bytes:
    """A JP2 whose header says 64x64 and whose codestream says 13000x13000."""
    small = saved(Image.new("RGB", (64, 64)), "JPEG2000")
    stream = small.index(b"\xff\x4f\xff\x51")
    return small[:stream] + jpeg_2000()


def qoi(width: int = 13000, height: int = 13000) -> bytes:
    """Runs of 62 pixels a byte: 2.7 MB."""
    return b"qoif" + struct.pack(">II", width, height) + b"\x03\0" + b"\xfd" * (width * height // 62 + 1)


def gif(width: int = 65535, height: int = 65535, frames: int = 1) -> bytes:
    head = b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + bytes(6)
    frame = b"\x2c" + bytes(4) + struct.pack("<HH", width, height) + b"\0\x02\x02\x44\x01\0"
    return head + frame * frames + b";"


def gif_of_many_frames(frames: int = 100_000) -> bytes:
    return gif(300, 300, frames)


def gif_that_grows() -> bytes:
    """The second frame lies beyond the first."""
    head = b"GIF89a" + struct.pack("<HH", 1, 1) + b"\x80\0\0" + bytes(6)
    pixel = b"\0\x02\x02\x44\x01\0"
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + pixel
    return head + frame + b"\x2c" + struct.pack("<HHHH", 0, 0, 13000, 13000) + pixel + frame + b";"


def apng(frames: int = 1000, side: int = 8000) -> bytes:
    control = chunk(b"acTL", struct.pack(">II", frames, 0))
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, side, side, 0, 0, 1, 1, 0, 0))
    return png(side, side, b"", control + frame)


def tiff(fields: list[tuple[int, int, int, int]], data: bytes = b"") -> bytes:
    entries = b"".join(struct.pack("<HHII", *field) for field in fields)
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4) + data


def tiff_of_one_tile(side: int = 13000) -> bytes:
    """A picture of one pixel, in a tile of 169 megapixels."""
    fields = [(256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    return tiff([*fields, (322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, 150), (325, 4, 1, 8)], bytes(64))


def tiff_of_many_strips(strips: int = 1_100_000) -> bytes:
    """A picture of one pixel with as many places of strips as fit into 4 MB, of which Pillow makes an object each."""
    fields = [(256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    return tiff([*fields, (273, 4, strips, 100), (277, 3, 1, 1), (279, 4, strips, 100)], bytes(4 * strips))


def tiff_large() -> bytes:
    fields = [(256, 4, 1, 13000), (257, 4, 1, 13000), (258, 3, 1, 8), (259, 3, 1, 32773), (262, 3, 1, 1)]
    return tiff([*fields, (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 13000), (279, 4, 1, 10)])


def ico(embedded: bytes, bits: int = 32) -> bytes:
    return b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, bits, len(embedded), 22) + embedded


def ico_of_png() -> bytes:
    return ico(png(13000, 13000, bytes(13001) * 13000))


def ico_of_bitmap() -> bytes:
    return ico(struct.pack("<IiiHHIIiiII", 40, 13000, 26000, 1, 8, 1, 0, 0, 0, 256, 0) + bytes(1024))


def icns(embedded: bytes) -> bytes:
    body = b"ic08" + struct.pack(">I", len(embedded) + 8) + embedded
    return b"icns" + struct.pack(">I", len(body) + 8) + body


def icns_of_png() -> bytes:
    return icns(png(13000, 13000, bytes(13001) * 13000))


def icns_of_jpeg_2000() -> bytes:
    return icns(jpeg_2000())


def bmp_rle(width: int = 13000, height: int = 13000) -> bytes:
    """Two bytes for 255 pixels."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024) + header + bytes(1024) + b"\xff\0" * 100_000


def blp_of_jpeg() -> bytes:
    """A BLP of one pixel that holds a JPEG of 144 megapixels."""
    whole = jpeg()
    frame = whole.index(b"\xff\xc0")
    large = whole[: frame + 5] + struct.pack(">HH", 12000, 12000) + whole[frame + 9 :]
    start = 28 + 128 + 4
    places = struct.pack("<16I", start, *[0] * 15) + struct.pack("<16I", len(large), *[0] * 15)
    return b"BLP1" + struct.pack("<iIIIii", 0, 0, 1, 1, 0, 0) + places + struct.pack("<I", 0) + large


def psd(side: int = 13000) -> bytes:
    return b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, side, side, 8, 3) + bytes(12) + b"\0\0"


SLOW = 5_000_000
"""Chunks of a PNG file of 60 MB, which take longer to read than a picture may take."""


def png_of_many_chunks(chunks: int = 600_000) -> bytes:
    return PNG + png(1, 1)[8:33] + chunk(b"aaAa", b"") * chunks


def jpeg_of_many_segments(segments: int = 600_000) -> bytes:
    return b"\xff\xd8" + b"\xff\xfe\0\2" * segments + jpeg()[2:]


def animated(form: str) -> bytes:
    """Frames that are allowed, but not so many."""
    frames = [Image.new("L", (1000, 1000), level) for level in range(2)]
    return saved(frames[0], form, save_all=True, append_images=frames[1:] * 5)


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "webp": (webp, "268402689 pixels: the limit is 100000000 (Limits.pixels, --max-pixels)"),
    "webp_extended": (webp_extended, "268402689 pixels"),
    "jpeg_2000": (jpeg_2000, "169000000 pixels"),
    "jpeg_2000_within": (jpeg_2000_within, "169000000 pixels"),
    "png_narrow": (lambda: png(1, 170_000_000), "170000000 pixels: the limit is 100000000"),
    "png_long": (lambda: png(1, 30_001), "30001 pixels a side: the limit is 30000 (Limits.side, --max-side)"),
    "qoi": (qoi, "169000000 pixels"),
    "qoi_within": (
        lambda: qoi(9_000, 9_000),
        "81000000 pixels of a format that Pillow decodes in Python: the limit is",
    ),
    "jpeg_scans": (jpeg_of_many_scans, "scans of a JPEG: the limit is 64 (Limits.jpeg_scans, --max-scans)"),
    "gif": (gif, "4294836225 pixels: the limit is 100000000"),
    "tiff": (tiff_large, "169000000 pixels"),
    "tiff_tile": (tiff_of_one_tile, "169000000 pixels"),
    "tiff_strips": (
        tiff_of_many_strips,
        "11000000 steps of Pillow's Python code: the limit is 10000000 (Limits.steps, --max-steps)",
    ),
    "ico_png": (ico_of_png, "169000000 pixels"),
    "ico_bitmap": (ico_of_bitmap, "169000000 pixels"),
    "icns_png": (icns_of_png, "169000000 pixels"),
    "icns_jpeg_2000": (icns_of_jpeg_2000, "169000000 pixels"),
    "ppm": (lambda: b"P6 60000 60000 255 ", "3600000000 pixels: the limit is 100000000"),
    "ppm_text": (lambda: b"P2 9000 9000 255 " + b"1 " * 1_000_000, "81000000 pixels of a format"),
    "bmp_rle": (bmp_rle, "169000000 pixels"),
    "dds": (
        lambda: (
            b"DDS "
            + struct.pack("<7I", 124, 0x1007, 20000, 20000, 0, 0, 1)
            + bytes(44)
            + struct.pack("<8I", 32, 4, 0x31545844, 0, 0, 0, 0, 0)
            + bytes(20)
        ),
        "400000000 pixels: the limit is 100000000",
    ),
    "tga": (
        lambda: struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 65535, 65535, 24, 0),
        "4294836225 pixels: the limit is 100000000",
    ),
    "blp_jpeg": (blp_of_jpeg, "144000000 pixels"),
    "psd": (psd, "169000000 pixels"),
    "png_chunks": (
        png_of_many_chunks,
        "steps of Pillow's Python code: the limit is 10000000 (Limits.steps, --max-steps)",
    ),
    "jpeg_segments": (jpeg_of_many_segments, "steps of Pillow's Python code"),
    "eps": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{} loop\n", "EPS is not read: it is a program"),
}
"""Bombs by name: what makes each, and what is said of it."""
