"""The C extension of the resize, where it was built."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

Strip = Buffer | npt.NDArray[np.uint8] | tuple[object, object]

PATHS: tuple[str, ...]
"""The code paths that this CPU can take, the fastest first: of "avx2", "sse4.1" and "c". All have the same bits."""

def resize(strips: Iterable[Strip], width: int, height: int, path: str | None = None) -> bytes:
    """Resize a picture to 256x256 with Pillow's bilinear filter, horizontally and then vertically.

    It computes without the GIL.

    Parameters
    ----------
    strips : iterable of buffers or of Arrow arrays
        The picture from top to bottom: uint8 buffers of shape (rows, width, 3 or 4) with any strides, or what
        `PIL.Image.Image.__arrow_c_array__` returns for rows of an RGB picture.
    width, height : int
        The picture's size in pixels.
    path : str, optional
        One of `PATHS`; without it the fastest.

    Returns
    -------
    bytes
        256 x 256 pixels of four bytes: red, green, blue and one without a meaning.

    Raises
    ------
    ValueError
        If the strips are of another kind or do not make up the picture, or if this CPU does not have the path.
    TypeError
        If a strip is no buffer.
    MemoryError
        If there is no memory for the coefficients or the rows between the passes.
    """
