"""The C extension of the resize, where it was built."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

Strip = Buffer | npt.NDArray[np.uint8] | tuple[object, object]

PATHS: tuple[str, ...]
"""The code paths that this CPU can take, the fastest first: of "avx2", "sse4.1" and "c". All have the same bits."""

def resize(strips: Iterable[Strip], width: int, height: int, path: str | None = None) -> bytes:
    """Resize a picture to 256x256 with Pillow's bilinear filter, horizontally and then vertically, without the GIL.

    Strips are the picture from top to bottom: uint8 buffers of shape (rows, width, 3 or 4) with any strides, or what
    `PIL.Image.Image.__arrow_c_array__` returns for rows of an RGB picture. Returned are pixels of four bytes: red,
    green, blue and one without a meaning. ValueError if the strips do not make up the picture, or this CPU does not
    have the path, one of `PATHS`; TypeError if a strip is no buffer.
    """
