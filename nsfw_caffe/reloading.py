"""A Classifier as it is pickled: its options, never its weights, and what must be the same where it is made again."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple, Protocol

from nsfw_caffe.engines.blas import loaded_blas, use_atlas
from nsfw_caffe.errors import EngineUnavailable, ModelError
from nsfw_caffe.options import ScoringOptions

_KEPT = 4  # Classifiers that a process keeps: pools pickle theirs for each task


class Reloadable(Protocol):
    """What a Classifier, which imports this module, tells of itself."""

    model_sha256: str

    @property
    def closed(self) -> bool:
        """Whether it was closed."""


class Pickled(NamedTuple):
    """What a Classifier is pickled as."""

    make: Callable[..., Reloadable]  # its class's `from_options`
    options: ScoringOptions
    model: tuple[tuple[str, str | None], ...]  # which it is: keywords of `make`
    model_sha256: str
    blas: str | None  # see `blas_of`


def blas_of(engine: str) -> str | None:
    """Name the BLAS that an engine computes with, where that is the process's."""
    blas = loaded_blas() if engine == "caffe" else None
    return None if blas is None else blas.name


def reload(pickled: Pickled) -> Reloadable:
    """Make a Classifier again, or give the one that was made of the same before and is still open.

    ModelError if the model's files hold something else now, EngineUnavailable if Caffe computes with another BLAS here.
    """
    classifier = made_again(pickled)
    if classifier.closed:
        made_again.cache_clear()
        classifier = made_again(pickled)
    return classifier


@functools.lru_cache(maxsize=_KEPT)
def made_again(pickled: Pickled) -> Reloadable:
    """Make a Classifier again, once for what is the same."""
    if pickled.blas == "atlas":
        use_atlas()
    classifier = pickled.make(pickled.options, **dict(pickled.model))
    if classifier.model_sha256 != pickled.model_sha256:
        raise ModelError("the model's files hold something else than where this Classifier was pickled")
    if blas_of(pickled.options.engine) != pickled.blas:
        raise EngineUnavailable(
            f"this Classifier was pickled where Caffe computes with {pickled.blas}, and here that is {loaded_blas()}; "
            "unpickle it first in a process of its own"
        )
    return classifier
