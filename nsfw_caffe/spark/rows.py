"""What training runs on the executors besides the solvers: pictures looked at, run through a network, sent to ranks."""

from __future__ import annotations

import functools
import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.parallel.ordered_map import ordered_map
from nsfw_caffe.preprocessing.jpeg import create_codec
from nsfw_caffe.preprocessing.steps import Source
from nsfw_caffe.sources.item import Item, read
from nsfw_caffe.spark.executor import Read, ShippedModel, create_extractor, task_cpus, with_results
from nsfw_caffe.system.reading import UnreadableError, read_source
from nsfw_caffe.training.data import look_of

if TYPE_CHECKING:
    import pyarrow
    from pyspark import Broadcast

CELL, LABEL, NAME, SPLIT = "cell", "label", "name", "split"
"""Columns of the DataFrame that training makes of a user's."""

_ROWS = 256
"""Of a batch that is made here."""


class Wanted(NamedTuple):
    """Pictures by their contents' SHA-256, sorted."""

    hashes: npt.NDArray[np.bytes_]
    rows: npt.NDArray[np.int64]

    def row(self, sha256: str) -> int | None:
        """Return the row of a content."""
        place = int(np.searchsorted(self.hashes, sha256.encode()))
        found = place < len(self.hashes) and self.hashes[place] == sha256.encode()
        return int(self.rows[place]) if found else None


def wanted_of(hashes: Iterable[str], rows: Iterable[int]) -> Wanted:
    """Make a table of contents and their rows."""
    names, numbers = np.array([name.encode() for name in hashes], "S64"), np.array(list(rows), np.int64)
    order = np.argsort(names)
    return Wanted(names[order], numbers[order])


def examine_batches(
    options: ScoringOptions, reader: Read, batches: Iterable[pyarrow.RecordBatch]
) -> Iterator[pyarrow.RecordBatch]:
    """Put `sha256`, `format`, `look` (a perceptual hash, 8 bytes) and `error` in the place of pictures."""
    import pyarrow

    codec, threads = create_codec(options.jpeg, options.decode), task_cpus()

    def examine(source: Source) -> tuple[str | None, str | None, bytes | None, str | None]:
        data = _content(source, options)
        if isinstance(data, str):
            return None, None, None, data
        content = read(Item("", member=lambda: data), options.limits)
        look, error = look_of(data, codec, options.limits)
        return content.sha256, content.format, None if look is None else look.to_bytes(8, "big"), error

    def results(sources: Iterator[Source]) -> Iterator[tuple[str | None, str | None, bytes | None, str | None]]:
        return (found for _, found in ordered_map(examine, sources, threads))

    text = pyarrow.string()
    added = [("sha256", text), ("format", text), ("look", pyarrow.binary()), ("error", text)]
    examined = with_results(added, CELL, functools.partial(reader, threads=threads), results, batches)
    return (batch.drop_columns([CELL]) for batch in examined)


def output_batches(
    options: ScoringOptions,
    model: ShippedModel,
    width: int,
    reader: Read,
    wanted: Broadcast[Wanted],
    batches: Iterable[pyarrow.RecordBatch],
) -> Iterator[pyarrow.RecordBatch]:
    """Give `row`, `output` (so many float32) and `error` of the pictures that are wanted."""
    import pyarrow

    rows: deque[int] = deque()

    def contents() -> Iterator[bytes]:
        for row, content in _wanted(options, reader, wanted, batches):
            rows.append(row)
            yield content

    outputs = create_extractor(options, model, width, task_cpus()).outputs(contents())
    kinds = (pyarrow.int64(), pyarrow.binary(), pyarrow.string())
    done = (
        (rows.popleft(), None if output is None else np.asarray(output, np.float32).tobytes(), error)
        for output, error in outputs
    )
    yield from _batches(done, ("row", "output", "error"), kinds)


def content_batches(
    options: ScoringOptions, reader: Read, wanted: Broadcast[Wanted], batches: Iterable[pyarrow.RecordBatch]
) -> Iterator[pyarrow.RecordBatch]:
    """Give `row` and `content` of the pictures that are wanted."""
    import pyarrow

    found = _wanted(options, reader, wanted, batches)
    yield from _batches(found, ("row", "content"), (pyarrow.int64(), pyarrow.binary()), rows=1)


def _wanted(
    options: ScoringOptions, reader: Read, wanted: Broadcast[Wanted], batches: Iterable[pyarrow.RecordBatch]
) -> Iterator[tuple[int, bytes]]:
    cells = (cell for batch in batches for cell in batch.column(CELL))
    known: Wanted = wanted.value
    for source in reader(cells, task_cpus()):
        content = _content(source, options)
        if not isinstance(content, str):
            row = known.row(hashlib.sha256(content).hexdigest())
            if row is not None:
                yield row, content


def _batches(
    values: Iterable[tuple[object, ...]], names: tuple[str, ...], kinds: tuple[pyarrow.DataType, ...], rows: int = _ROWS
) -> Iterator[pyarrow.RecordBatch]:
    import pyarrow

    remaining = iter(values)
    while chunk := list(islice(remaining, rows)):
        columns = zip(zip(*chunk, strict=True), kinds, strict=True)
        yield pyarrow.RecordBatch.from_arrays([pyarrow.array(column, kind) for column, kind in columns], names=names)


def _content(source: Source, options: ScoringOptions) -> bytes | str:
    """Return a picture's bytes, or what is wrong."""
    try:
        return read_source(source, options.limits.bytes)
    except UnreadableError as error:
        return str(error)
