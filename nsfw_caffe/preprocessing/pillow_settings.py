"""What a user has set in Pillow for the whole process, carried to processes of the library's own."""

from __future__ import annotations

import importlib
from typing import TypeAlias

from PIL import Image

from nsfw_caffe.preprocessing.formats import is_pillows

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
