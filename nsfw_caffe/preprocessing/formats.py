"""The picture formats that are read: those of Pillow's plugins that do nothing but decode."""

from __future__ import annotations

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


def others() -> tuple[str, ...]:
    """Return the formats that are tried after the common ones: first those of plugins that the user has registered."""
    Image.init()
    known = frozenset(Image.ID)
    registered = [name for name in Image.ID if not is_pillows(Image.OPEN[name][0]) and name not in COMMON]
    return (*registered, *(name for name in OTHERS if name in known and name not in registered))


def refusal(prefix: bytes) -> str | None:
    """Say why a file that begins so is not read, where Pillow knows a format that is not read here by its beginning.

    Parameters
    ----------
    prefix : bytes
        Its first 16 bytes.

    Returns
    -------
    str or None
        The format's name, and why it is not read; None where the beginning says nothing.
    """
    for name in Image.ID:
        accept = Image.OPEN[name][1]
        if name in _REFUSED and is_pillows(Image.OPEN[name][0]) and accept is not None and accept(prefix) is True:
            return f"{name} is not read: it is {_REFUSED[name]}"
    return None


def is_pillows(known: object) -> bool:
    """Tell whether a plugin, a decoder or a class of pictures is one that Pillow brings."""
    return getattr(known, "__module__", "").partition(".")[0] == "PIL"
