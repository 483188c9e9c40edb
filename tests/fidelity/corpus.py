"""Some 400 picture files of every kind that Pillow writes, made from scikit-image's photos, the same in every run."""

from __future__ import annotations

import functools
import importlib.util
import io
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import skimage
from PIL import Image

DATA = Path(skimage.__file__).parent / "data"
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "ihc.png", "retina.jpg")
REAL_FILES = (".gif", ".jpg", ".png", ".tif")
MODES = (
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBX",
    "RGBA",
    "RGBa",
    "CMYK",
    "YCbCr",
    "HSV",
    "LAB",
    "I",
    "I;16",
    "F",
)
NOT_READ_BACK = ("EPS", "PDF")  # Pillow reads EPS only with Ghostscript's help, and PDF not at all.
QUALITIES = (1, 5, 10, 20, 30, 50, 60, 75, 80, 90, 95, 100)
EXIF_ORIENTATION = 0x0112
# A width and a height each: tiny, around the 256 of the resize, both sides of its passes' order, and a camera's own.
SMALL_SIZES = [
    *(
        (1, 1),
        (1, 2),
        (2, 1),
        (2, 2),
        (3, 3),
        (1, 7),
        (7, 1),
        (8, 8),
        (15, 17),
        (33, 16),
        (1, 256),
        (256, 1),
        (224, 224),
    ),
    *((255, 255), (255, 256), (256, 255), (256, 256), (256, 257), (257, 256), (257, 257), (256, 700), (700, 256)),
    *((1, 5000), (5000, 1), (9000, 3), (3, 9000), (40, 3000), (300, 6000), (6000, 300), (750, 1334), (1080, 2400)),
]
LARGE_SIZES = [(1920, 1080), (4000, 3000), (6000, 4000)]
# What one more option of a writer makes of a picture: format, mode, options.
VARIANTS: list[tuple[str, str, dict[str, Any]]] = [
    *(("TIFF", mode, {"compression": "tiff_lzw"}) for mode in ("L", "P", "RGB", "RGBA", "CMYK", "I;16", "F")),
    *(("TIFF", mode, {"compression": "tiff_adobe_deflate"}) for mode in ("1", "LA", "RGB", "RGBA", "I;16", "F")),
    *(("TIFF", mode, {"compression": "packbits"}) for mode in ("1", "L", "RGB", "CMYK")),
    *(("TIFF", "1", {"compression": compression}) for compression in ("tiff_ccitt", "group3", "group4")),
    *(("TIFF", mode, {"compression": "jpeg", "quality": 80}) for mode in ("L", "RGB", "CMYK", "YCbCr")),
    *(("TIFF", "RGB", {"compression": compression}) for compression in ("zstd", "lzma")),
    ("TIFF", "RGB", {"compression": "raw", "tiffinfo": {322: 64, 323: 64}}),
    ("TIFF", "L", {"big_tiff": True}),
    *(("WEBP", mode, {"lossless": True}) for mode in ("RGB", "RGBA")),
    *(("WEBP", "RGB", {"quality": quality}) for quality in (5, 50, 100)),
    ("WEBP", "RGBA", {"quality": 60, "alpha_quality": 20}),
    ("PNG", "P", {"transparency": 7}),
    ("PNG", "P", {"transparency": bytes(range(256))}),
    ("PNG", "L", {"transparency": 128}),
    ("PNG", "RGB", {"transparency": (0, 0, 0)}),
    ("PNG", "P", {"bits": 4}),
    ("PNG", "RGB", {"optimize": True, "dpi": (300, 300)}),
    ("GIF", "P", {"transparency": 3}),
    ("GIF", "P", {"interlace": False, "comment": b"a comment"}),
    *(("TGA", mode, {"compression": "tga_rle"}) for mode in ("L", "RGB", "RGBA")),
    ("TGA", "RGB", {"orientation": 1}),
    ("ICO", "RGBA", {"bitmap_format": "bmp", "sizes": [(64, 64)]}),
    *(("JPEG2000", "RGB", {"irreversible": True, "quality_layers": [rate]}) for rate in (5, 60)),
    ("JPEG2000", "RGBA", {"tile_size": (128, 128), "no_jp2": True}),
    *(("AVIF", "RGB", {"quality": 40, "subsampling": subsampling}) for subsampling in ("4:4:4", "4:2:0", "4:0:0")),
    *(("DDS", "RGBA", {"pixel_format": pixel_format}) for pixel_format in ("DXT1", "DXT3", "DXT5", "BC3")),
    ("SGI", "L", {"bpc": 2}),
    ("BLP", "P", {"blp_version": "BLP1"}),
]
# Without AVIF: an animated one holds the time at which it was written.
ANIMATED = (("GIF", "P"), ("GIF", "RGBA"), ("WEBP", "RGB"), ("WEBP", "RGBA"), ("PNG", "RGBA"), ("TIFF", "RGB"))

File = tuple[str, bytes]


def generate(folder: Path) -> list[Path]:
    """Write the corpus into `folder` and return its paths, sorted."""
    groups = (
        _real,
        _modes,
        _variants,
        _animated,
        _interlaced,
        _sizes,
        _patterns,
        _jpeg,
        _jpeg_unusual,
        _damaged,
        _misnamed,
    )
    paths = []
    for group in groups:
        for number, (name, data) in enumerate(group()):
            path = folder / f"{group.__name__[1:]}_{number:03}_{name}"
            path.write_bytes(data)
            paths.append(path)
    return sorted(paths)


@functools.cache
def _photo(number: int, size: tuple[int, int] | None = None) -> Image.Image:
    image = Image.open(DATA / PHOTOS[number % len(PHOTOS)]).convert("RGB")
    return image.resize(size) if size else image


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    if mode == "I":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.int32) * 200)
    if mode == "LAB":
        return Image.frombytes("LAB", image.size, image.tobytes())
    if mode in ("La", "PA", "RGBa"):
        return _in_mode(image, mode[:-1] + "A" if mode != "PA" else "P").convert(mode)
    converted = image.convert(mode)
    if mode in ("LA", "RGBA"):
        converted.putalpha(Image.linear_gradient("L").resize(image.size))
    return converted


def _encode(image: Image.Image, file_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def _readable(image: Image.Image, file_format: str, **options: Any) -> bytes | None:
    """Return the file, or None where this Pillow does not write this or not read it back."""
    try:
        data = _encode(image, file_format, **options)
        with Image.open(io.BytesIO(data)) as reread:
            reread.load()
    except (KeyError, OSError, RuntimeError, TypeError, ValueError):
        return None
    return data


def _real() -> Iterator[File]:
    for path in sorted(DATA.iterdir()):
        if path.suffix in REAL_FILES:
            yield path.name, path.read_bytes()


def _modes() -> Iterator[File]:
    Image.init()
    seen = set()
    for number, file_format in enumerate(sorted(set(Image.SAVE) - set(NOT_READ_BACK))):
        for mode in MODES:
            if data := _readable(_in_mode(_photo(number, (320, 240)), mode), file_format):
                kind = (file_format, Image.open(io.BytesIO(data)).mode)
                if kind not in seen:  # Many writers convert to another mode first.
                    seen.add(kind)
                    yield f"{mode.replace(';', '')}.{file_format.lower()}", data


def _variants() -> Iterator[File]:
    for number, (file_format, mode, options) in enumerate(VARIANTS):
        image = _in_mode(_photo(number, (301, 223)), mode)
        if file_format in Image.SAVE and (data := _readable(image, file_format, **options)):
            yield f"{mode.replace(';', '')}.{file_format.lower()}", data


def _animated() -> Iterator[File]:
    for file_format, mode in ANIMATED:
        first, *others = (_in_mode(_photo(number, (200, 160)), mode) for number in range(3))
        if data := _readable(first, file_format, save_all=True, append_images=others):
            yield f"{mode}.{file_format.lower()}", data
    for kind in ("mpo", "jpeg"):
        yield f"two.{kind}", _encode(_photo(1), "MPO", save_all=True, append_images=[_photo(2)])


def _interlaced() -> Iterator[File]:
    for number, mode in enumerate(("L", "RGB", "RGBA")):
        yield f"{mode}.png", _adam7(np.asarray(_in_mode(_photo(number, (201, 155)), mode)))


def _adam7(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return an interlaced PNG file, which Pillow reads but does not write."""
    height, width = pixels.shape[:2]
    color_type = 0 if pixels.ndim == 2 else {3: 2, 4: 6}[pixels.shape[2]]
    starts_steps = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = (row for y, x, down, right in starts_steps for row in pixels[y::down, x::right])
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 1)),
        (b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))),
        (b"IEND", b""),
    )
    framed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def _sizes() -> Iterator[File]:
    for number, size in enumerate(SMALL_SIZES + LARGE_SIZES):
        image = _photo(number, size)
        yield f"{size[0]}x{size[1]}.jpg", _encode(image, "JPEG", quality=85)
        if size in SMALL_SIZES:
            yield f"{size[0]}x{size[1]}.png", _encode(image, "PNG", compress_level=1)


def _patterns() -> Iterator[File]:
    rng = np.random.default_rng(2016)
    images = [Image.new("RGB", (300, 200), color) for color in ("black", "white", "red", "gray", "#e0ac69")]
    images += [Image.fromarray(rng.integers(0, 256, (240, 320, 3), np.uint8)) for _ in range(2)]
    images += [
        Image.linear_gradient("L"),
        Image.radial_gradient("L"),
        Image.effect_mandelbrot((400, 300), (-3, -2.5, 2, 2.5), 100),
    ]
    for image in images:
        yield "pattern.jpg", _encode(image, "JPEG")
        yield "pattern.png", _encode(image, "PNG")


def _jpeg() -> Iterator[File]:
    options: list[dict[str, Any]] = [
        {"quality": quality, "subsampling": subsampling, "progressive": number % 3 == 1, "optimize": number % 3 == 2}
        for number, quality in enumerate(QUALITIES)
        for subsampling in range(3)
    ]
    options += [{"quality": 75, "subsampling": subsampling, "progressive": True} for subsampling in range(3)]
    options += [
        {"restart_marker_blocks": 5},
        {"restart_marker_rows": 1},
        {"restart_marker_rows": 2, "progressive": True},
    ]
    options += [{"keep_rgb": True}, {"keep_rgb": True, "progressive": True}, {"smooth": 50}, {"dpi": (72, 300)}]
    options += [{"comment": b"a comment"}, {"icc_profile": b"profile " * 20_000}, {"xmp": b"<xmp/>"}]
    options += [{"qtables": [[1] * 64, [200] * 64]}, {"qtables": [list(range(1, 65))]}]
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[EXIF_ORIENTATION] = orientation
        options.append({"exif": exif})
    for number, keywords in enumerate(options):
        yield f"{'_'.join(keywords)}.jpg", _encode(_photo(number), "JPEG", **keywords)
    for number, mode in enumerate(("L", "CMYK", "1", "YCbCr")):
        for progressive in (False, True):
            image = _in_mode(_photo(number), mode)
            yield f"{mode}.jpg", _encode(image, "JPEG", quality=90 - 40 * progressive, progressive=progressive)


def _jpeg_unusual() -> Iterator[File]:
    """Yield chroma samplings, YCCK colours and arithmetic coding, which Pillow reads and only jpeglib writes."""
    if importlib.util.find_spec("jpeglib") is None:  # on Linux on arm64
        return
    import jpeglib

    pixels = np.asarray(_photo(0, (401, 299)))
    inks = np.dstack([255 - pixels, pixels.min(axis=2)])
    kinds: list[tuple[npt.NDArray[np.uint8], str, dict[str, Any]]] = [
        *(
            (pixels, "JCS_YCbCr", {"samp_factor": sampling})
            for sampling in ("4:1:1", "4:4:0", "4:1:0", "4:2:0", "4:2:2")
        ),
        (inks, "JCS_YCCK", {}),
        (inks, "JCS_CMYK", {}),
        (pixels, "JCS_YCbCr", {"flags": ["+ARITH_CODE"]}),
    ]
    with jpeglib.version("8d"), tempfile.TemporaryDirectory() as folder:
        for array, space, options in kinds:
            path = Path(folder) / "one.jpg"
            jpeg = jpeglib.from_spatial(array, jpeglib.Colorspace["JCS_CMYK" if array is inks else "JCS_RGB"])
            jpeg.jpeg_color_space = jpeglib.Colorspace[space]
            jpeg.samp_factor = options.get("samp_factor")
            jpeg.write_spatial(str(path), qt=80, flags=options.get("flags", []))
            yield f"{space}_{'_'.join(options)}.jpg", path.read_bytes()


def _damaged() -> Iterator[File]:
    """Yield files that a camera's card has bitten: most are decoded all the same, some are an error."""
    rng = np.random.default_rng(1991)
    options: list[dict[str, Any]] = [
        {},
        {"progressive": True},
        {"subsampling": 0},
        {"restart_marker_rows": 1},
        {"quality": 30},
    ]
    for number, keywords in enumerate(options):
        whole = _encode(_photo(number, (400, 300)), "JPEG", **keywords)
        for flips in (1, 1, 2, 5, 20, 80):
            data = bytearray(whole)
            for place in rng.integers(data.index(b"\xff\xda") + 14, len(data) - 2, flips):
                data[place] ^= 1 << int(rng.integers(8))
            yield f"{flips}.jpg", bytes(data)
    for file_format in ("JPEG", "PNG", "GIF", "WEBP", "TIFF"):
        whole = _encode(_photo(3, (400, 300)), file_format)
        for kept in (len(whole) - 1, len(whole) // 2, 10):
            yield f"cut.{file_format.lower()}", whole[:kept]
    yield "empty.jpg", b""
    yield "text.jpg", b"not a picture\n" * 100


def _misnamed() -> Iterator[File]:
    for name, file_format in (
        ("png.jpg", "PNG"),
        ("jpeg.png", "JPEG"),
        ("gif.bmp", "GIF"),
        ("webp.jpeg", "WEBP"),
        ("none", "BMP"),
    ):
        yield name, _encode(_photo(4, (333, 222)), file_format)
    yield "a name with spaces, and ünïcödé.jpg", _encode(_photo(5, (333, 222)), "JPEG")
