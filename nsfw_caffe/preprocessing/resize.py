"""The resize of the preprocessing: Pillow's bilinear filter, horizontally and then vertically, to 256x256.

The C extension does it where it was built, vectorised; elsewhere Pillow does. The bits are the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

try:
    from nsfw_caffe.preprocessing import _resize

    PATHS = _resize.PATHS
except ImportError:
    PATHS = ()

Pixels = npt.NDArray[np.uint8]

RESIZE = (256, 256)
"""Width and height that every picture is resized to: `resize_image(pimg, sz=(256, 256))` of the original script."""

_STRIP_BYTES = 1 << 20
"""About how much of a picture is copied at a time: it should stay in a core's cache until it is read again."""


def resize(picture: Image.Image | Pixels, side: int = RESIZE[0]) -> Image.Image:
    """Resize an RGB picture to 256x256, or to another side, which the extension does not know.

    An array is uint8 (height, width, 3), RGB, with any strides; neither side is 0.
    """
    return resize_by_extension(picture) if PATHS and side == RESIZE[0] else resize_by_pillow(picture, side)


def resize_by_extension(picture: Image.Image | Pixels, path: str | None = None) -> Image.Image:
    """Resize as `resize` does, by the C extension; `path` is one of `PATHS`, by default the first."""
    if isinstance(picture, Image.Image):
        pixels = _resize.resize(_strips(picture), *picture.size, path)
    else:
        pixels = _resize.resize([picture], picture.shape[1], picture.shape[0], path)
    return Image.frombytes("RGB", RESIZE, pixels, "raw", "RGBX")


def resize_by_pillow(picture: Image.Image | Pixels, side: int = RESIZE[0]) -> Image.Image:
    """Resize as `resize` does, by Pillow.

    One axis a call: since Pillow 12, a call that resizes both may take the vertical pass first, which rounds
    differently.
    """
    if not isinstance(picture, Image.Image):
        picture = Image.fromarray(np.ascontiguousarray(picture))
    rows = picture.resize((side, picture.height), Image.Resampling.BILINEAR)
    return rows.resize((side, side), Image.Resampling.BILINEAR)


def _strips(picture: Image.Image) -> Iterator[memoryview | tuple[object, object]]:
    """Yield a picture's pixels from top to bottom.

    Pillow gives its memory away only as an Arrow array, since 11.2, and only where a picture is in one block, as one
    of less than 16 MB is; before 13.0 it crashes where a picture lies in a buffer of the user's. A crop is neither.
    """
    rows = max(1, _STRIP_BYTES // (4 * picture.width) // 4 * 4)  # the extension takes four at a time
    for top in range(0, picture.height, rows):
        strip = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        if hasattr(strip, "__arrow_c_array__"):
            yield strip.__arrow_c_array__()
        else:
            yield memoryview(strip.tobytes("raw", "RGBX")).cast("B", (strip.height, strip.width, 4))
