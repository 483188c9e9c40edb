"""Scores pictures with the original open_nsfw Caffe model, and with the original's bits.

A score is the probability, 0 to 1, that a picture is pornographic:

    >>> import nsfw_caffe
    >>> nsfw_caffe.classify("photo.jpg")
"""

from typing import TYPE_CHECKING

from nsfw_caffe._version import __version__
from nsfw_caffe.errors import EngineUnavailable, ImageError, ModelError, NsfwCaffeError

if TYPE_CHECKING:
    from nsfw_caffe.classifier import Classifier, Result, classify, classify_batch

__all__ = [
    "Classifier",
    "EngineUnavailable",
    "ImageError",
    "ModelError",
    "NsfwCaffeError",
    "Result",
    "__version__",
    "classify",
    "classify_batch",
]


def __getattr__(name: str) -> object:
    """Import what needs NumPy and Pillow when it is first asked for: the command line begins before that."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nsfw_caffe import classifier

    value: object = getattr(classifier, name)
    globals()[name] = value
    return value
