"""A process that makes batches of pictures ready for the solver; a program of its own, as Caffe's workers are."""

from __future__ import annotations

import hashlib
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import ImageError, NsfwCaffeError, TrainingError
from nsfw_caffe.preprocessing.decoder_warnings import keep_apart
from nsfw_caffe.preprocessing.formats import set_pillow
from nsfw_caffe.preprocessing.jpeg import create_codec
from nsfw_caffe.preprocessing.steps import Tensor, decoded, tensor_of
from nsfw_caffe.sources.reopening import Sources, SourceUnusable, split_member
from nsfw_caffe.training.prefetch import Pictures, PrefetchSetUp, load_pictures

_AUGMENTATION = 1
"""Keeps its random numbers apart from those of the order."""

_MOST_ARCHIVES = 50


def main(descriptor: str) -> None:
    """Answer each order of a batch with None and its pictures' bytes, or with an error, until the parent goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_apart()
    connection: Connection = Connection(int(descriptor))
    try:
        set_up: PrefetchSetUp = connection.recv()
        set_pillow(set_up.pillow)
        pictures = load_pictures(Path(set_up.pictures), sys.maxsize)
        with OpenSources() as sources:
            preparer = Preparer(set_up, pictures, sources)
            while True:
                draw, rows = connection.recv()
                try:
                    data = preparer.batch(draw, rows)
                except NsfwCaffeError as error:
                    connection.send(TrainingError(str(error)))
                    continue
                connection.send(None)
                connection.send_bytes(data.reshape(-1).view(np.uint8).data)
    except (EOFError, ConnectionError):
        pass


class OpenSources:
    """Reads sources in any order: several archives stay open, for listing the members of a large one takes a second."""

    def __init__(self) -> None:
        self._open: dict[str, Sources] = {}

    def __enter__(self) -> OpenSources:
        return self

    def __exit__(self, *error: object) -> None:
        for sources in self._open.values():
            sources.__exit__()

    def read(self, source: str) -> bytes:
        """Return a source's content; SourceUnusable as of `Sources`."""
        archive, _ = split_member(source) or ("", source)
        sources = self._open.pop(archive, None) or Sources()
        self._open[archive] = sources  # the last, as the one that was used last
        if len(self._open) > _MOST_ARCHIVES:
            self._open.pop(next(iter(self._open))).__exit__()
        return b"".join(sources.chunks(source))


class Preparer:
    """Makes batches ready."""

    def __init__(self, set_up: PrefetchSetUp, pictures: Pictures, sources: OpenSources) -> None:
        self._set_up, self._pictures, self._sources = set_up, pictures, sources
        self._codec = create_codec(set_up.jpeg, set_up.decode)

    def batch(self, draw: tuple[int, int], rows: npt.NDArray[np.int64]) -> Tensor:
        """Return a batch, float32 (n, 3, side, side); `draw` is as in `RowOrder.draw`."""
        number, past = draw
        generator = np.random.default_rng((self._set_up.seed, _AUGMENTATION, number))
        for _ in range(past):
            self._drawn(generator)
        return np.stack([self._picture(int(row), *self._drawn(generator)) for row in rows])

    def _drawn(self, generator: np.random.Generator) -> tuple[int, float, float, float]:
        # All is drawn for every picture, so that what the one option draws does not depend on the others.
        low, high = self._set_up.scales
        return int(generator.integers(low, high + 1)), *generator.random(3).tolist()

    def _picture(self, row: int, scale: int, down: float, right: float, flip: float) -> Tensor:
        set_up = self._set_up
        pixels = self._decoded(row, scale)
        room = scale - set_up.side
        top, left = (int(place * (room + 1)) if set_up.crops else room // 2 for place in (down, right))
        crop = pixels[top : top + set_up.side, left : left + set_up.side]
        return tensor_of(crop[:, ::-1] if set_up.flips and flip < 0.5 else crop)

    def _decoded(self, row: int, scale: int) -> npt.NDArray[np.uint8]:
        source, sha256 = self._pictures.sources[row], self._pictures.hashes[row]
        try:
            content = self._sources.read(source)
            if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
                raise TrainingError(f"{source} is not the picture any more that it was when training began")
            return decoded(content, self._codec, self._set_up.limits, scale)
        except SourceUnusable as error:
            raise TrainingError(f"{source}: {error}") from error
        except ImageError as error:
            raise TrainingError(f"{source}: {error.reason}") from error


if __name__ == "__main__":
    main(sys.argv[1])
