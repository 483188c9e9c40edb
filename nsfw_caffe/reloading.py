"""A Classifier as it is pickled: its options, never its weights, and what must be the same where it is made again."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol

from nsfw_caffe.engines.blas import loaded_blas, use_atlas
from nsfw_caffe.errors import EngineUnavailable, ModelError
from nsfw_caffe.options import ScoringOptions

_KEPT = 4
"""Classifiers that a process keeps for the next time that the same is unpickled: pools pickle theirs for each task."""


class Reloadable(Protocol):
    """What a Classifier, which imports this module, tells of itself."""

    @property
    def engine(self) -> str:
        """The engine's name."""

    @property
    def model_sha256(self) -> str:
        """The model's hash."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""


def blas_of(engine: str) -> str | None:
    """Name the BLAS that an engine computes with, where that is the process's."""
    blas = loaded_blas() if engine == "caffe" else None
    return None if blas is None else blas.name


def reload(
    make: Callable[..., Reloadable],
    options: ScoringOptions,
    paths: tuple[str | None, str | None],
    model_sha256: str,
    blas: str | None,
) -> Reloadable:
    """Make a Classifier again, in another process for example; `make` is its class's `from_options`.

    The paths are None for the original model. ModelError if the files hold something else than what has this hash;
    EngineUnavailable if Caffe computes here with another BLAS than the one that `blas_of` named.
    """
    classifier = made_again(make, options, paths, model_sha256, blas)
    if classifier.closed:
        made_again.cache_clear()
        classifier = made_again(make, options, paths, model_sha256, blas)
    return classifier


@functools.lru_cache(maxsize=_KEPT)
def made_again(
    make: Callable[..., Reloadable],
    options: ScoringOptions,
    paths: tuple[str | None, str | None],
    model_sha256: str,
    blas: str | None,
) -> Reloadable:
    """Do what `reload` says, once for what is the same."""
    if blas == "atlas":
        use_atlas()
    classifier = make(options, prototxt=paths[0], caffemodel=paths[1])
    if classifier.model_sha256 != model_sha256:
        raise ModelError("the model's files hold something else than where this Classifier was pickled")
    if blas_of(classifier.engine) != blas:
        raise EngineUnavailable(
            f"this Classifier was pickled where Caffe computes with {blas}, and here that is {loaded_blas()}; unpickle "
            "it first in a process of its own"
        )
    return classifier
