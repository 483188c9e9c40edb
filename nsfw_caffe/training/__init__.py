"""Training on pictures of one's own, by Caffe's solver in a process of its own."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nsfw_caffe.training.options import TrainingOptions
    from nsfw_caffe.training.prototxts import Prototxts, write_prototxts
    from nsfw_caffe.training.result import TrainingResult
    from nsfw_caffe.training.run import train

__all__ = ["Prototxts", "TrainingOptions", "TrainingResult", "train", "write_prototxts"]

_WHERE = {
    "Prototxts": "prototxts",
    "TrainingOptions": "options",
    "TrainingResult": "result",
    "train": "run",
    "write_prototxts": "prototxts",
}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: the solver's process needs none of it."""
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"nsfw_caffe.training.{_WHERE[name]}")
    value: object = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
