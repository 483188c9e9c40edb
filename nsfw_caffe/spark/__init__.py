"""Spark: scores and features as columns of a DataFrame, and training on its pictures."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nsfw_caffe.spark.driver import features, score_images, score_paths
    from nsfw_caffe.spark.ranks import Cluster
    from nsfw_caffe.spark.training import train

__all__ = ["Cluster", "features", "score_images", "score_paths", "train"]

_MODULES = {"Cluster": "ranks", "train": "training"}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: an executor needs nothing of the driver's side."""
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"nsfw_caffe.spark.{_MODULES.get(name, 'driver')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
