"""A Classifier as it is pickled: its options, never its weights, and what must be the same where it is made again."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nsfw_caffe.engines.blas import loaded_blas, use_atlas
from nsfw_caffe.errors import EngineUnavailable, ModelError
from nsfw_caffe.preprocessing.limits import Limits

if TYPE_CHECKING:
    from nsfw_caffe.classifier import Classifier

_KEPT = 4
"""Classifiers that a process keeps for the next time that the same is unpickled: pools pickle theirs for each task."""


@dataclass(frozen=True)
class Options:
    """What `Classifier` takes, under the same names; the engine is the one that "auto" has chosen."""

    engine: str
    device: str
    prototxt: str | None
    caffemodel: str | None
    jpeg: str
    decode: str
    precision: str
    threads: int | None
    limits: Limits


def blas_of(engine: str) -> str | None:
    """Name the BLAS that an engine computes with, where that is the process's."""
    blas = loaded_blas() if engine == "caffe" else None
    return None if blas is None else blas.name


@functools.lru_cache(maxsize=_KEPT)
def reload(kind: type[Classifier], options: Options, model_sha256: str, blas: str | None) -> Classifier:
    """Make a Classifier again, in another process for example.

    Parameters
    ----------
    kind : type
        Its class.
    options : Options
        What it was made from.
    model_sha256, blas : str, str or None
        The model's hash and the name of Caffe's BLAS, see `blas_of`.

    Raises
    ------
    ModelError
        As for `Classifier`, or if the model's files hold something else.
    EngineUnavailable
        As for `Classifier`, or if Caffe computes with another BLAS here.
    """
    if blas == "atlas":
        use_atlas()
    classifier = kind(**vars(options))
    if classifier.model_sha256 != model_sha256:
        raise ModelError("the model's files hold something else than where this Classifier was pickled")
    if blas_of(classifier.engine) != blas:
        raise EngineUnavailable(
            f"this Classifier was pickled where Caffe computes with {blas}, and here that is {loaded_blas()}; unpickle "
            "it first in a process of its own"
        )
    return classifier
