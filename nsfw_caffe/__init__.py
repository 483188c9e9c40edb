"""Scores pictures with the original open_nsfw Caffe model, and with the original's bits.

A score is the probability, 0 to 1, that a picture is pornographic:

    >>> import nsfw_caffe
    >>> nsfw_caffe.classify("photo.jpg")
"""

from nsfw_caffe._version import __version__
from nsfw_caffe.classifier import Classifier, Result, classify, classify_batch
from nsfw_caffe.errors import EngineUnavailable, ImageError, ModelError, NsfwCaffeError, ScoreError

__all__ = [
    "Classifier",
    "EngineUnavailable",
    "ImageError",
    "ModelError",
    "NsfwCaffeError",
    "Result",
    "ScoreError",
    "__version__",
    "classify",
    "classify_batch",
]
