"""A Classifier as it is pickled: its options, never its weights, and what must be the same where it is made again."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from nsfw_caffe.engines.blas import loaded_blas, use_atlas
from nsfw_caffe.errors import EngineUnavailable, ModelError
from nsfw_caffe.options import ScoringOptions

if TYPE_CHECKING:
    from nsfw_caffe.classifier import Classifier

_KEPT = 4
"""Classifiers that a process keeps for the next time that the same is unpickled: pools pickle theirs for each task."""


def blas_of(engine: str) -> str | None:
    """Name the BLAS that an engine computes with, where that is the process's."""
    blas = loaded_blas() if engine == "caffe" else None
    return None if blas is None else blas.name


def reload(
    make: Callable[..., Classifier],
    options: ScoringOptions,
    paths: tuple[str | None, str | None],
    model_sha256: str,
    blas: str | None,
) -> Classifier:
    """Make a Classifier again, in another process for example.

    Parameters
    ----------
    make : callable
        Its class's `from_options`.
    options : ScoringOptions
        What it was made from, with the engine that "auto" has chosen.
    paths : tuple
        The prototxt and the caffemodel; None for the original model.
    model_sha256, blas : str, str or None
        The model's hash and the name of Caffe's BLAS, see `blas_of`.

    Raises
    ------
    ModelError
        As for `Classifier`, or if the model's files hold something else.
    EngineUnavailable
        As for `Classifier`, or if Caffe computes with another BLAS here.
    """
    classifier = made_again(make, options, paths, model_sha256, blas)
    if classifier.closed:
        made_again.cache_clear()
        classifier = made_again(make, options, paths, model_sha256, blas)
    return classifier


@functools.lru_cache(maxsize=_KEPT)
def made_again(
    make: Callable[..., Classifier],
    options: ScoringOptions,
    paths: tuple[str | None, str | None],
    model_sha256: str,
    blas: str | None,
) -> Classifier:
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
