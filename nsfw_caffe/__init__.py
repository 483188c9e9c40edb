"""Scores pictures with the original open_nsfw Caffe model, and with the original's bits.

A score is the probability, 0 to 1, that a picture is pornographic:

    >>> import nsfw_caffe
    >>> nsfw_caffe.classify("photo.jpg")
    0.0317...
"""

import importlib

from nsfw_caffe._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nsfw_caffe import evaluate as evaluate
    from nsfw_caffe import spark as spark
    from nsfw_caffe.classifier import Classifier, Result, classify, classify_batch
    from nsfw_caffe.errors import EngineUnavailable, ImageError, ModelError, NsfwCaffeError, ScoreError
    from nsfw_caffe.preprocessing.limits import Limits

_MODULES = {
    "nsfw_caffe.classifier": ("Classifier", "Result", "classify", "classify_batch"),
    "nsfw_caffe.errors": ("EngineUnavailable", "ImageError", "ModelError", "NsfwCaffeError", "ScoreError"),
    "nsfw_caffe.preprocessing.limits": ("Limits",),
}
"""Where each public name is."""

_PACKAGES = ("evaluate", "spark")
"""Public packages, which `import nsfw_caffe` alone gives too."""

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
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    for module, names in _MODULES.items():
        if name in names:
            value: object = getattr(importlib.import_module(module), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_PACKAGES})
