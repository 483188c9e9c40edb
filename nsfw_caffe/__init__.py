"""Scores pictures with the original open_nsfw Caffe model, and with the original's bits.

A score is the network's output between 0 and 1, to order and filter pictures by:

    >>> import nsfw_caffe
    >>> nsfw_caffe.classify("photo.jpg")  # doctest: +ELLIPSIS
    0.0317...
"""

from nsfw_caffe._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nsfw_caffe import evaluate, explain, networks, spark, training
    from nsfw_caffe.classifier import Classifier, Result, classify, classify_batch
    from nsfw_caffe.errors import (
        EngineUnavailable,
        ImageError,
        ModelError,
        NsfwCaffeError,
        ScoreError,
        TrainingError,
        VideoError,
    )
    from nsfw_caffe.explain.explanation import Explanation
    from nsfw_caffe.options import ScoringOptions
    from nsfw_caffe.preprocessing.limits import Limits
    from nsfw_caffe.results.formats import read_results
    from nsfw_caffe.results.record import Record
    from nsfw_caffe.scanning.scan import ScanResult, scan
    from nsfw_caffe.training.options import TrainingOptions
    from nsfw_caffe.training.result import TrainingResult
    from nsfw_caffe.training.run import train
    from nsfw_caffe.video import VideoResult

__all__ = [
    "Classifier",
    "EngineUnavailable",
    "Explanation",
    "ImageError",
    "Limits",
    "ModelError",
    "NsfwCaffeError",
    "Record",
    "Result",
    "ScanResult",
    "ScoreError",
    "ScoringOptions",
    "TrainingError",
    "TrainingOptions",
    "TrainingResult",
    "VideoError",
    "VideoResult",
    "__version__",
    "classify",
    "classify_batch",
    "evaluate",
    "explain",
    "networks",
    "read_results",
    "scan",
    "spark",
    "train",
    "training",
]

_MODULES = {
    "classifier": ("Classifier", "Result", "classify", "classify_batch"),
    "errors": (
        *("EngineUnavailable", "ImageError", "ModelError", "NsfwCaffeError"),
        *("ScoreError", "TrainingError", "VideoError"),
    ),
    "explain.explanation": ("Explanation",),
    "options": ("ScoringOptions",),
    "preprocessing.limits": ("Limits",),
    "results.formats": ("read_results",),
    "results.record": ("Record",),
    "scanning.scan": ("ScanResult", "scan"),
    "training.options": ("TrainingOptions",),
    "training.result": ("TrainingResult",),
    "training.run": ("train",),
    "video": ("VideoResult",),
}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: the program has to begin before NumPy and Pillow are imported."""
    from importlib import import_module

    if name in ("evaluate", "explain", "networks", "spark", "training"):
        return import_module(f"nsfw_caffe.{name}")
    for module, names in _MODULES.items():
        if name in names:
            value: object = getattr(import_module(f"nsfw_caffe.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
