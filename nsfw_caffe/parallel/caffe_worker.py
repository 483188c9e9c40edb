"""A process that preprocesses and scores pictures with Caffe, one at a time, for a parent that asks.

It is started as a program of its own: a fork after BLAS has started its threads hangs, and multiprocessing's spawn
imports the parent's main module again, which breaks scripts without a `__main__` guard, notebooks and `python -`.
"""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from nsfw_caffe.engines.base import taker
from nsfw_caffe.engines.blas import set_openblas_threads
from nsfw_caffe.engines.caffe import CaffeEngine, import_caffe
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.parallel.outcome import timed
from nsfw_caffe.preprocessing.decoder_warnings import keep_apart
from nsfw_caffe.preprocessing.formats import Settings, set_pillow
from nsfw_caffe.preprocessing.jpeg import JpegCodec, create_codec
from nsfw_caffe.preprocessing.limits import Limits
from nsfw_caffe.preprocessing.steps import Tensor, preprocess


@dataclass(frozen=True)
class WorkerSetUp:
    """What a worker needs to give the bits that its parent gives."""

    files: ModelFiles
    options: ScoringOptions
    pillow: Settings
    blas: str
    """The file of the parent's BLAS, to be loaded before Caffe comes."""
    threads: int | None
    """How many threads that computes with, where its bits depend on it."""
    number: int = 0
    """The worker's own, from 0 on."""


def main(descriptor: str) -> None:
    """Score what comes over the connection, until the parent closes it or dies."""
    # Ctrl-C reaches the whole process group: the parent ends this process by closing the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_apart()
    connection: Connection = Connection(int(descriptor))
    try:
        set_up: WorkerSetUp = connection.recv()
        _load_blas(set_up)
        set_pillow(set_up.pillow)
        options = set_up.options
        codec = create_codec(options.jpeg, options.decode)
        engine = CaffeEngine(import_caffe(), set_up.files, None)
        score = functools.partial(_score, engine, taker(set_up.files), codec, options.limits)
        connection.send(None)  # ready
        while True:
            source: str | bytes | Tensor = connection.recv()
            connection.send(timed(functools.partial(score, source)))
    except (EOFError, ConnectionError):
        pass


def _score(
    engine: CaffeEngine, take: Callable[[Tensor], Any], codec: JpegCodec, limits: Limits, source: str | bytes | Tensor
) -> Any:  # noqa: ANN401 - see `taker`
    tensor = source if isinstance(source, np.ndarray) else preprocess(source, codec, limits)
    return take(engine.forward(tensor[np.newaxis])[0])


def _load_blas(set_up: WorkerSetUp) -> None:
    if set_up.threads is not None:
        # All of them on one core, for the bits: their share of the work is what matters, not who does it when.
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[set_up.number % len(cores)]})
    ctypes.CDLL(set_up.blas)
    if set_up.threads is not None:
        set_openblas_threads(set_up.threads)


if __name__ == "__main__":
    main(sys.argv[1])
