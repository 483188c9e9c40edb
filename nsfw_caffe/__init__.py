"""Scores pictures with the original open_nsfw Caffe model, and with the original's bits.

A score is the probability, 0 to 1, that a picture is pornographic:

    >>> import nsfw_caffe
    >>> nsfw_caffe.classify("photo.jpg")
"""

from nsfw_caffe._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nsfw_caffe.classifier import Classifier, Result, classify, classify_batch
    from nsfw_caffe.errors import EngineUnavailable, ImageError, ModelError, NsfwCaffeError, ScoreError
    from nsfw_caffe.preprocessing.limits import Limits

__all__ = [
    "Classifier",
    "EngineUnavailable",
    "ImageError",
    "Limits",
    "ModelError",
    "NsfwCaffeError",
    "Result",
    "ScoreError",
    "__version__",
    "classify",
    "classify_batch",
]


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: the program has to begin before NumPy and Pillow are imported."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nsfw_caffe import classifier, errors
    from nsfw_caffe.preprocessing import limits

    value: object = next(getattr(module, name) for module in (errors, limits, classifier) if hasattr(module, name))
    globals()[name] = value
    return value
