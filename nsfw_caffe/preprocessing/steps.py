"""The preprocessing of the original script, bit for bit: from a source to the network's input.

The steps are those of `classify_nsfw.py` in github.com/yahoo/open_nsfw (2016), which calls Pillow, scikit-image and
pycaffe's `caffe.io.Transformer`:

1. open the picture with Pillow (of several frames the first) and convert it to RGB; EXIF orientation is not applied;
2. resize it to 256x256, whatever its shape, with Pillow's bilinear filter: the horizontal pass first (`resize.py`);
3. encode it as a JPEG of quality 75 and decode that (`jpeg.py`);
4. cut out the centre 224x224;
5. divide by 255, multiply by 255 and subtract the mean, in float32; channels in the order blue, green, red.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from nsfw_caffe.errors import ImageError
from nsfw_caffe.model.spec import INPUT_SHAPE, MEAN_BGR
from nsfw_caffe.preprocessing.decoder_warnings import heedless, load
from nsfw_caffe.preprocessing.jpeg import JpegCodec
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, LimitExceeded, Limits
from nsfw_caffe.preprocessing.opening import NotRead, check_opened, open_picture
from nsfw_caffe.preprocessing.resize import RESIZE, Pixels, resize
from nsfw_caffe.system.reading import UnreadableError, read_source, reason, short_path

Source: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | Pixels
"""A path, a file's bytes, a binary file object, a Pillow image, or a uint8 RGB array (height, width, 3)."""

Tensor = npt.NDArray[np.float32]

CROP = INPUT_SHAPE[-1]
"""Side of the network's input."""

OFFSET = (RESIZE[0] - CROP) // 2
"""Of the crop from the left and from the top of the resized picture."""
_MEAN = np.array(MEAN_BGR, np.float32)[:, np.newaxis, np.newaxis]


def preprocess(source: Source, codec: JpegCodec, limits: Limits = DEFAULT_LIMITS) -> Tensor:
    """Turn a source into the network's input: float32 (3, 224, 224), blue, green, red, from -123 to 151.

    A Pillow image or an array is taken as decoded; from everything else, a JPEG is decoded by `codec`, which also puts
    every picture through JPEG. ImageError, which names the source, if it is no picture that Pillow can read, or exceeds
    a limit.
    """
    return crop(decoded(source, codec, limits))


def decoded(source: Source, codec: JpegCodec, limits: Limits = DEFAULT_LIMITS, side: int = RESIZE[0]) -> Pixels:
    """Do the steps before the crop: uint8 (side, side, 3), RGB. Only training resizes to another side than 256."""
    with _named(source):
        content = _content(source, limits)
        return heedless(lambda: codec.round_trip(resize(_open_rgb(content, codec, limits), side)))


def rgb(source: Source, codec: JpegCodec, limits: Limits = DEFAULT_LIMITS) -> Image.Image | Pixels:
    """Do the first step alone: the whole picture as it is scored, RGB; an array is given back. ImageError as above."""
    with _named(source):
        content = _content(source, limits)
        return heedless(lambda: _open_rgb(content, codec, limits))


def _content(source: Source, limits: Limits) -> bytes | Image.Image | Pixels:
    return source if isinstance(source, (np.ndarray, Image.Image)) else read_source(source, limits.bytes)


@contextlib.contextmanager
def _named(source: Source) -> Iterator[None]:
    """Make ImageErrors, which name the source, of what is wrong with it."""
    try:
        yield
    except (NotRead, LimitExceeded) as error:
        raise ImageError(describe(source), str(error)) from error
    except (_SourceError, UnreadableError) as error:
        raise ImageError(describe(source), str(error)) from error.__cause__


def describe(source: object) -> str:
    """Name a source in a message: its path where it has one, else what it is."""
    with contextlib.suppress(Exception):  # whatever a source of another library makes of being asked
        if isinstance(source, (str, os.PathLike)):
            return short_path(os.fsdecode(source))
        if isinstance(source, (bytes, bytearray, memoryview)):
            return f"<{memoryview(source).nbytes} bytes>"
        if isinstance(source, np.ndarray):
            return f"<array {source.dtype} {source.shape}>"
        name = getattr(source, "filename" if isinstance(source, Image.Image) else "name", None)
        if isinstance(name, str) and name:
            return name
    return f"<{type(source).__name__}>"


def held_bytes(source: object) -> int:
    """Return how many bytes of memory a source takes while it waits, as far as one sees."""
    with contextlib.suppress(ValueError):  # a memoryview that has been released
        if isinstance(source, (bytes, bytearray)):
            return len(source)
        if isinstance(source, (memoryview, np.ndarray)):
            return int(source.nbytes)
        if isinstance(source, Image.Image):
            return source.width * source.height * len(source.getbands())
    return 0


class _SourceError(Exception):
    """What is wrong with a source, before its name is known; its cause is the foreign error."""


def _open_rgb(source: bytes | Image.Image | Pixels, codec: JpegCodec, limits: Limits) -> Image.Image | Pixels:
    if isinstance(source, np.ndarray):
        return _check_array(source)
    if isinstance(source, Image.Image):
        if isinstance(source, ImageFile.ImageFile):  # what `Image.open` gives is not decoded before it is used
            check_opened(source, limits)
        return _to_rgb(source, None, codec)
    if not source:
        raise _SourceError("the file is empty")
    try:
        picture = open_picture(source, limits)
    except (NotRead, LimitExceeded):
        raise
    except Exception as error:  # Pillow's plugins raise whatever their format makes them raise
        raise _SourceError(f"the picture cannot be opened ({reason(error)})") from error
    return _to_rgb(picture, source, codec)


def _to_rgb(picture: Image.Image, data: bytes | None, codec: JpegCodec) -> Image.Image:
    try:
        if data is None:
            load(picture)
        else:
            picture = codec.decode_source(picture, data)
        if picture.mode != "RGB":
            picture = picture.convert("RGB")
    except LimitExceeded:
        raise
    except Exception as error:
        raise _SourceError(f"the picture cannot be decoded ({reason(error)})") from error
    if 0 in picture.size:
        raise _SourceError(f"the picture has no pixels ({picture.width}x{picture.height})")
    return picture


def _check_array(array: Pixels) -> Pixels:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise _SourceError("an array must be uint8, of shape (height, width, 3), in RGB order")
    if array.size == 0:
        raise _SourceError("the array has no pixels")
    return array


def crop(pixels: Pixels, left: int = OFFSET, top: int = OFFSET) -> Tensor:
    """Cut the network's input out of a resized picture, uint8 (256, 256, 3): in its middle, where scores come from."""
    return tensor_of(pixels[top : top + CROP, left : left + CROP])


def tensor_of(crop: Pixels) -> Tensor:
    """Turn a part of a picture, uint8 (height, width, 3), RGB, into float32 (3, height, width), BGR minus the mean."""
    # For each of the 256 levels, dividing by 255 and multiplying by it in the original's precisions gives the level
    # again, so only the subtraction is left; tests/preprocessing/test_steps.py holds it against the original's steps.
    tensor = crop[:, :, ::-1].transpose(2, 0, 1).astype(np.float32, order="C")
    tensor -= _MEAN
    return tensor
