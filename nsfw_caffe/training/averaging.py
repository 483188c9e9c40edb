"""The mean of what several solvers have computed, in each of them before its update: Caffe's own update stays whole."""

from __future__ import annotations

import itertools
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import TrainingError

Buffer: TypeAlias = npt.NDArray[np.float32]

Allreduce: TypeAlias = Callable[[Buffer], Buffer]
"""Gives the mean of what all solvers call it with, in each the same bits; it may reuse what it is given."""

CHECK_EVERY = 50
"""Iterations between comparisons of the solvers' weights."""

_CHECKED_BITS = (1 << 12) - 1
"""Of a checksum: sums of 4096 of them are exact in float32."""


class Averaging:
    """Averages gradients, and with them the loss."""

    def __init__(self, blobs: Sequence[Any], allreduce: Allreduce) -> None:
        self._gradients = [blob.diff.reshape(-1) for blob in blobs]
        self._weights = [blob.data.reshape(-1) for blob in blobs]
        self._allreduce = allreduce
        self._edges = np.cumsum([0, *(len(gradient) for gradient in self._gradients)]).tolist()
        self._buffer = np.zeros(self._edges[-1] + 2, np.float32)
        self.seconds = 0.0
        """How long the last one took."""

    def average(self, loss: float, *, check: bool) -> float:
        """Replace the gradients by their mean over all solvers, and give that of the loss.

        With `check`, TrainingError where the weights of one are not those of another.
        """
        start = time.perf_counter()
        checksum = self._checksum() if check else 0
        for gradient, part in zip(self._gradients, self._parts(self._buffer), strict=True):
            part[...] = gradient
        self._buffer[-2:] = loss, checksum
        mean = self._allreduce(self._buffer)
        if mean[-1] != checksum:
            raise TrainingError(
                "the solvers' weights are not the same any more: their processors or libraries compute differently; "
                "train on machines of one kind"
            )
        for gradient, part in zip(self._gradients, self._parts(mean), strict=True):
            gradient[...] = part
        self.seconds = time.perf_counter() - start
        return float(mean[-2])

    def _parts(self, buffer: Buffer) -> list[Buffer]:
        return [buffer[start:stop] for start, stop in itertools.pairwise(self._edges)]

    def _checksum(self) -> int:
        found = 0
        for weights in self._weights:
            found = zlib.crc32(weights, found)
        return found & _CHECKED_BITS
