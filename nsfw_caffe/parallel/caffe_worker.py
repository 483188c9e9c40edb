"""A process that preprocesses and scores pictures with Caffe, one at a time, for a parent that asks.

It is started as a program of its own: a fork after BLAS has started its threads hangs, and multiprocessing's spawn
imports the parent's main module again, which breaks scripts without a `__main__` guard, notebooks and `python -`.
"""

from __future__ import annotations

import ctypes
import functools
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
from nsfw_caffe.system.processes import keep_to_cores


@dataclass(frozen=True)
class WorkerSetUp:
    """What a worker loads, to give the bits that its parent gives."""

    files: ModelFiles
    options: ScoringOptions
    blas: str
    """The file of the parent's BLAS, to be loaded before Caffe comes."""
    idle_seconds: float
    """How long it waits to be used again."""


@dataclass(frozen=True)
class Terms:
    """What may be another thing each time that a worker is used."""

    pillow: Settings
    threads: int | None
    """How many threads OpenBLAS computes with; None where it is another BLAS."""
    cores: tuple[int, ...] | None
    """The cores that these share, where their number is one for the bits; None where the system may choose."""


def main(descriptor: str) -> None:
    """Score what comes over the connection, until the parent closes it or dies, or has no use for this for long.

    What comes are terms, which are answered with None as soon as they are met, sources, and None when all are scored.
    """
    # Ctrl-C reaches the whole process group: the parent ends this process by closing the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_apart()
    connection: Connection = Connection(int(descriptor))
    try:
        set_up: WorkerSetUp = connection.recv()
        ctypes.CDLL(set_up.blas)
        options = set_up.options
        codec = create_codec(options.jpeg, options.decode)
        engine = CaffeEngine(import_caffe(), set_up.files, None)
        score = functools.partial(_score, engine, taker(set_up.files), codec, options.limits)
        while connection.poll(set_up.idle_seconds):
            _accept(connection.recv())
            connection.send(None)
            source: str | bytes | Tensor | None
            while (source := connection.recv()) is not None:
                connection.send(timed(functools.partial(score, source)))
    except (EOFError, ConnectionError):
        pass


def _accept(terms: Terms) -> None:
    set_pillow(terms.pillow)
    if terms.threads is not None:
        set_openblas_threads(terms.threads)
    if terms.cores is not None:
        # Their share of the work is what matters for the bits, not who does it when.
        keep_to_cores(terms.cores)


def _score(
    engine: CaffeEngine, take: Callable[[Tensor], Any], codec: JpegCodec, limits: Limits, source: str | bytes | Tensor
) -> Any:  # noqa: ANN401 - see `taker`
    tensor = source if isinstance(source, np.ndarray) else preprocess(source, codec, limits)
    return take(engine.forward(tensor[np.newaxis])[0])


if __name__ == "__main__":
    main(sys.argv[1])
