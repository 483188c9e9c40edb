"""The JPEG codecs of the preprocessing.

The original script decodes a picture, writes it as a JPEG of quality 75 and decodes that again, so a score depends
on the JPEG library three times. Pillow's wheels carried IJG libjpeg 9 until version 8.4 and libjpeg-turbo since 9.0
(January 2022); the two upsample chroma differently, and scores differ by up to 0.03.

Both codecs may be used from several threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL
from PIL import Image, features

from nsfw_caffe.errors import EngineUnavailable
from nsfw_caffe.preprocessing.decoder_warnings import load, written
from nsfw_caffe.preprocessing.resize import Pixels

QUALITY = 75
"""The quality of Pillow's `Image.save(format="JPEG")`, which the original script leaves at its default."""

FAST_SIDE = 512
"""The shortest side, in pixels, that `decode="fast"` leaves a picture: twice the side that it is resized to."""

JPEG_FORMATS = ("JPEG", "MPO")
"""What Pillow calls files whose (first) picture is a JPEG."""


class JpegCodec(Protocol):
    """Decodes sources that are JPEG files and puts resized pictures through JPEG once."""

    name: str  # in `CODECS`

    def decode_source(self, picture: Image.Image, data: bytes) -> Image.Image:
        """Return the picture that `data` holds, loaded, in its own mode; `picture` is `data` opened by Pillow."""

    def round_trip(self, picture: Image.Image) -> Pixels:
        """Encode an RGB picture at quality 75 and decode it again: uint8 (height, width, 3), RGB."""


class PillowCodec:
    """The JPEG library inside Pillow: libjpeg-turbo in its wheels since 9.0."""

    name = "pillow"

    def decode_source(self, picture: Image.Image, data: bytes) -> Image.Image:  # noqa: ARG002
        """Return `picture`, which Pillow decodes."""
        load(picture)
        return picture

    def round_trip(self, picture: Image.Image) -> Pixels:
        """Encode an RGB picture at quality 75 and decode it again: uint8 (height, width, 3), RGB."""
        buffer = io.BytesIO()
        # An empty comment: the source's own, which Pillow would carry over, can be too long for a JPEG.
        picture.save(buffer, format="JPEG", quality=QUALITY, comment=b"")
        return np.asarray(Image.open(buffer, formats=("JPEG",)))


class FastPillowCodec(PillowCodec):
    """The JPEG library inside Pillow, decoding large sources at a fraction of their size: faster, with other scores.

    libjpeg leaves out each 8x8 block's finest frequencies and gives the picture at 1/2, 1/4 or 1/8 of its size, the
    smallest at which neither side is shorter than `FAST_SIDE`. docs/speed.md says what that does to scores.
    """

    def decode_source(self, picture: Image.Image, data: bytes) -> Image.Image:
        """Return `picture`, smaller if it is a large JPEG."""
        if picture.format in JPEG_FORMATS:
            picture.draft("RGB", (FAST_SIDE, FAST_SIDE))
        return super().decode_source(picture, data)


class Ijg9dCodec:
    """IJG libjpeg 9d, the library of Pillow's wheels from 6.2 to 8.4, through the package `jpeglib`.

    About a damaged file that it still decodes, the C library writes a line on standard error. EngineUnavailable if
    `jpeglib` is not installed.
    """

    name = "ijg9d"

    def __init__(self) -> None:
        self._library = _libjpeg_9d()

    def decode_source(self, picture: Image.Image, data: bytes) -> Image.Image:
        """Decode `data` with 9d if it is a JPEG or MPO file; what else Pillow opened stays Pillow's.

        OSError if 9d cannot decode what Pillow's library could.
        """
        load(picture)
        if picture.format not in JPEG_FORMATS:
            return picture
        with written():
            pixels = self._decode(data, picture.mode, picture.size)
        return Image.frombuffer(picture.mode, picture.size, pixels, "raw", picture.mode, 0, 1)

    def round_trip(self, picture: Image.Image) -> Pixels:
        """Encode an RGB picture at quality 75 and decode it again: uint8 (height, width, 3), RGB."""
        return self._decode(self._encode(np.asarray(picture)), "RGB", picture.size)

    def _decode(self, data: bytes, mode: str, size: tuple[int, int]) -> Pixels:
        color_space, channels = _COLOR_SPACES[mode]
        width, height = size
        found = (ctypes.c_int * 2)()
        with _memory_file(data) as path:
            # The library writes as many pixels as the file announces: know that number before it does.
            with _in_plain_words():
                self._library.read_jpeg_info(
                    path, None, found, None, None, None, None, None, None, None, (ctypes.c_int * 1)(), None
                )
            if tuple(found) != (height, width):
                raise OSError(f"IJG libjpeg 9d finds {found[1]}x{found[0]} pixels where Pillow finds {width}x{height}")
            pixels = np.empty((height, width, channels), np.uint8)
            with _in_plain_words():
                self._library.read_jpeg_spatial(path, _address(pixels), None, None, color_space, None, None, None)
        # Like Pillow, take every four-channel JPEG for Adobe's, which stores inverted ink.
        return 255 - pixels if mode == "CMYK" else pixels

    def _encode(self, pixels: Pixels) -> bytes:
        height, width, channels = pixels.shape
        with _memory_file(b"") as path:
            self._library.write_jpeg_spatial(
                dstfile=path,
                spatial=_address(np.ascontiguousarray(pixels)),
                image_dims=(ctypes.c_int * 2)(height, width),
                jpeg_color_space=(ctypes.c_int * 2)(_JCS_RGB, _JCS_YCBCR),
                num_components=(ctypes.c_int * 2)(channels, channels),
                dct_method=None,
                samp_factor=None,
                qt=None,
                quality=QUALITY,
                quant_tbl_no=None,
                base_quant_tbl_idx=None,
                smoothing_factor=None,
                num_markers=0,
                marker_types=None,
                marker_lengths=None,
                markers=None,
                num_scans=1,
                scan_script=None,
                huffman_bits=None,
                huffman_values=None,
                progressive_mode=False,
                dst_unquantized=None,
                flags=[],
            )
            return Path(path).read_bytes()


CODECS: dict[str, type[PillowCodec] | type[Ijg9dCodec]] = {codec.name: codec for codec in (PillowCodec, Ijg9dCodec)}


def create_codec(jpeg: str, decode: str) -> JpegCodec:
    """Create the codec that `ScoringOptions` of these values, which it has checked, ask for.

    EngineUnavailable if the codec's library is not installed.
    """
    return FastPillowCodec() if decode == "fast" else CODECS[jpeg]()


def describe_codec(jpeg: str) -> str:
    """Name a codec with its library and their versions: "pillow 13.0.0 (libjpeg-turbo 3.2.0)"."""
    if jpeg == Ijg9dCodec.name:
        return f"jpeglib {metadata.version('jpeglib')} (IJG libjpeg 9d)"
    turbo = features.version_feature("libjpeg_turbo")
    library = f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version_codec('jpg')}"
    return f"pillow {PIL.__version__} ({library})"


# J_COLOR_SPACE of jpeglib.h
_JCS_GRAYSCALE, _JCS_RGB, _JCS_YCBCR, _JCS_CMYK = 1, 2, 3, 4
_COLOR_SPACES = {"L": (_JCS_GRAYSCALE, 1), "RGB": (_JCS_RGB, 3), "CMYK": (_JCS_CMYK, 4)}


@functools.cache
def _libjpeg_9d() -> Any:  # noqa: ANN401
    """Bind jpeglib's 9d for this library alone.

    `jpeglib.version` switches the whole process, and `jpeglib.read_spatial` wants a writable temporary folder; the
    binding underneath, given a library of its own, does neither.
    """
    try:
        from jpeglib._bind import CJpegLib
    except ImportError as error:
        machine = platform.machine()
        if sys.platform == "linux" and machine != "x86_64":
            raise EngineUnavailable(
                f"IJG libjpeg 9d cannot be had on Linux on {machine}: it comes with the package jpeglib, which has no "
                "wheel for that, and whose sources on PyPI do not compile, for want of their headers. The image for "
                "linux/amd64 has it and runs here where Docker emulates x86-64 (docs/docker.md)"
            ) from error
        raise EngineUnavailable(
            "IJG libjpeg 9d needs the package jpeglib: pip install '.[published]' from the checkout, "
            "or pip install jpeglib==1.0.2"
        ) from error
    library: Any = type("Libjpeg9d", (CJpegLib,), {})
    library.set_version("9d")
    return library


@contextlib.contextmanager
def _memory_file(data: bytes) -> Iterator[str]:
    """Give `data` a path, without any folder that can be written."""
    descriptor = os.memfd_create("nsfw_caffe.jpg", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        yield f"/proc/self/fd/{descriptor}"


@contextlib.contextmanager
def _in_plain_words() -> Iterator[None]:
    """Say what an error of jpeglib's means: its own says that reading a path failed, and the path is ours."""
    try:
        yield
    except OSError as error:
        raise OSError("IJG libjpeg 9d cannot decode it, though Pillow's library can") from error


def _address(pixels: Pixels) -> ctypes.c_void_p:
    return pixels.ctypes.data_as(ctypes.c_void_p)
