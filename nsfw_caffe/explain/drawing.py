"""Lays a heat map over its picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from nsfw_caffe.explain.explanation import Explanation
from nsfw_caffe.explain.scale import MOST, colours, cover
from nsfw_caffe.explain.showing import StoredPicture
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, Limits
from nsfw_caffe.preprocessing.steps import Source

SIDE = 1024
"""The longest side of an overlay, in pixels."""

_LEGEND = 56
"""Height of the legend, below the picture."""

_LEAST = 288
"""Width that the legend needs; smaller pictures are enlarged to it."""

_GREYS = 64, 232
"""What a picture's black and white become, so that colours can be told apart on both."""

_UNSEEN = 0.5
"""How bright the part of the picture is shown that the network does not see."""

_BACKGROUND, _INK = (255, 255, 255), (32, 32, 32)

_MARGIN, _BAR, _TEXT = 10, 12, 12


def overlay(source: Source, explanation: Explanation, *, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """Draw a picture in grey with the colours of its heat map over it, and a legend below.

    The picture is shown as browsers show it, turned as its EXIF data say, though scores do without them; it is the
    first frame, without transparency, as it is scored. What the network does not see of it is dark.

    A place's colour is its log-odds and the bias: the score, were all places like it. Blue is below one half, white one
    half, red above; the scale is the same for all pictures.

    Parameters
    ----------
    source
        The picture that was explained; a path or a file is read again.
    explanation : Explanation
        What `Classifier.explain` made of it.
    limits : Limits, optional
        What the picture may ask for.

    Returns
    -------
    PIL.Image.Image
        RGB, no side longer than 1024 pixels; its content is the picture's and nothing else of the file.

    Raises
    ------
    ImageError
        If the source is not a picture, or exceeds a limit.

    Examples
    --------
    >>> import nsfw_caffe
    >>> explanation = nsfw_caffe.Classifier().explain("photo.jpg")
    >>> nsfw_caffe.explain.overlay("photo.jpg", explanation).size
    (512, 568)
    """
    stored = StoredPicture(source, limits, (SIDE, SIDE - _LEGEND), _LEAST)
    shown = stored.show(coloured(stored.picture, explanation))
    return _with_legend(shown, explanation)


def coloured(picture: Image.Image, explanation: Explanation) -> Image.Image:
    """Lay the colours of the map over a picture as it is stored, of any size: RGB."""
    grey = np.repeat(np.asarray(picture.convert("L"), np.float64)[:, :, np.newaxis], 3, axis=2)
    grey = np.interp(grey, [0, 255], _GREYS)
    left, top, right, bottom = explanation.box
    height, width = explanation.heat_map.shape
    rows, down = _along(picture.height, top, bottom, height)
    columns, across = _along(picture.width, left, right, width)
    log_odds = (explanation.heat_map + explanation.bias)[np.ix_(rows, columns)]
    share = cover(log_odds)[:, :, np.newaxis]
    mixed = grey * _UNSEEN
    covered = np.ix_(down, across)
    mixed[covered] = grey[covered] * (1 - share) + colours(log_odds) * share
    return Image.fromarray(mixed.round().astype(np.uint8))


def _along(length: int, start: float, end: float, count: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Give, along one axis, the places of the pixels that the map covers, and these pixels."""
    at = ((np.arange(length) + 0.5) / length - start) / (end - start)
    (covered,) = np.nonzero((at >= 0) & (at < 1))
    return (at[covered] * count).astype(np.intp), covered


def _with_legend(picture: Image.Image, explanation: Explanation) -> Image.Image:
    """Put a picture on a sheet with its score, and with what the colours mean."""
    sheet = Image.new("RGB", (max(picture.width, _LEAST), picture.height + _LEGEND), _BACKGROUND)
    sheet.paste(picture, ((sheet.width - picture.width) // 2, 0))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT)
    top = picture.height + 5
    # Pillow's own font has no others, and without FreeType refuses them.
    name = explanation.score_class.encode("latin-1", "replace").decode("latin-1")
    score = f"{name} {explanation.score:.4f}"
    if explanation.score_range is not None:
        score += "  (shifted {:.4f} to {:.4f})".format(*explanation.score_range)
    draw.text((_MARGIN, top), score, _INK, font)
    bar = min(sheet.width - 2 * _MARGIN, 400)
    values = np.broadcast_to(np.linspace(-MOST, MOST, bar), (_BAR, bar))
    sheet.paste(Image.fromarray(colours(values).round().astype(np.uint8)), (_MARGIN, top + 17))
    ends = (f"-{MOST:g}", "0: score one half", f"+{MOST:g} log-odds")
    for text, at, anchor in zip(ends, (0.0, 0.5, 1.0), ("la", "ma", "ra"), strict=True):
        draw.text((_MARGIN + at * bar, top + 18 + _BAR), text, _INK, font, anchor)
    return sheet
