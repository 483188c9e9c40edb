"""What `nsfw_caffe.spark` runs on the executors: Arrow batches in, the same with scores out."""

from __future__ import annotations

import dataclasses
import errno
import functools
import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from nsfw_caffe.classifier import Classifier
from nsfw_caffe.engines.base import create_engine, require_engine
from nsfw_caffe.engines.loaded import LoadedEngines
from nsfw_caffe.errors import ModelError, NsfwCaffeError
from nsfw_caffe.model.spec import ModelFiles, reading
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.parallel.ordered_map import ordered_map
from nsfw_caffe.parallel.pipeline import Pipeline
from nsfw_caffe.preprocessing.formats import LOOKED_AT, is_video
from nsfw_caffe.preprocessing.jpeg import create_codec
from nsfw_caffe.preprocessing.steps import Source, Tensor
from nsfw_caffe.system.extras import install_hint
from nsfw_caffe.system.files import file_sha256, file_size
from nsfw_caffe.system.reading import open_file, read_file, reason

if TYPE_CHECKING:
    import pyarrow

READERS = 4
"""Files that a task reads at a time, for each thread that computes: an object store may take several times as long for
a file as a thread takes for its score."""

_NULL = "the cell is null"
_REASONS = {FileNotFoundError: errno.ENOENT, PermissionError: errno.EACCES, IsADirectoryError: errno.EISDIR}


class Read(Protocol):
    """Turns a column's cells into sources, in order, for so many threads that compute."""

    def __call__(self, cells: Iterable[pyarrow.Scalar], threads: int) -> Iterator[Source]:
        """Read."""


@dataclass(frozen=True)
class ShippedModel:
    """A model in a folder that Spark unpacks on every executor."""

    folder: str  # its name among SparkFiles
    names: tuple[str, ...]  # paths in it: prototxt and caffemodel, and in a model folder its description
    hashes: tuple[str, ...]
    score_class: str


def score_batches(
    options: ScoringOptions,
    model: ShippedModel,
    column: str,
    read: Read,
    every: float | None,
    batches: Iterable[pyarrow.RecordBatch],
) -> Iterator[pyarrow.RecordBatch]:
    """Score a column of a partition's rows, batch by batch: `score` (float64) and `error` (string) come after it.

    Where videos are scored, `max_time` (float64) and `warning` (string) come after these.
    """
    import pyarrow

    threads = task_cpus()

    def results(sources: Iterator[Source]) -> Iterator[tuple[float | str | None, ...]]:
        for result in create_classifier(options, model, threads).scan(sources, workers=threads, every=every):
            warning = "; ".join(result.warnings) if result.max_time is not None else None
            yield (result.score, result.reason, result.max_time, warning or None)[: len(added)]

    added = [("score", pyarrow.float64()), ("error", pyarrow.string())]
    if every is not None:
        added += [("max_time", pyarrow.float64()), ("warning", pyarrow.string())]
    return with_results(added, column, functools.partial(read, threads=threads), results, batches)


def feature_batches(
    options: ScoringOptions,
    model: ShippedModel,
    width: int,
    column: str,
    read: Read,
    batches: Iterable[pyarrow.RecordBatch],
) -> Iterator[pyarrow.RecordBatch]:
    """Compute features of a column of a partition's rows: `features` (list of float32) and `error` come after it."""
    import pyarrow

    threads = task_cpus()

    def results(sources: Iterator[Source]) -> Iterator[tuple[Tensor | None, str | None]]:
        return create_extractor(options, model, width, threads).outputs(sources)

    added = [("features", pyarrow.list_(pyarrow.float32())), ("error", pyarrow.string())]
    return with_results(added, column, functools.partial(read, threads=threads), results, batches)


def with_results(
    added: Sequence[tuple[str, pyarrow.DataType]],
    column: str,
    read: Callable[[Iterable[pyarrow.Scalar]], Iterator[Source]],
    results: Callable[[Iterator[Source]], Iterator[tuple[Any, ...]]],
    batches: Iterable[pyarrow.RecordBatch],
) -> Iterator[pyarrow.RecordBatch]:
    """Put results, a tuple for each row, after a partition's columns, batch by batch."""
    import pyarrow

    begun: deque[pyarrow.RecordBatch] = deque()

    def cells() -> Iterator[pyarrow.Scalar]:
        for batch in batches:
            if batch.num_rows:
                begun.append(batch)
                yield from batch.column(column)

    found = results(read(cells()))
    names, kinds = zip(*added, strict=True)
    for first in found:
        batch = begun.popleft()
        values = zip(first, *islice(found, batch.num_rows - 1), strict=True)
        arrays = [pyarrow.array(each, kind) for each, kind in zip(values, kinds, strict=True)]
        yield pyarrow.RecordBatch.from_arrays([*batch.columns, *arrays], names=[*batch.schema.names, *names])


def task_cpus() -> int:
    """Return how many cores the task has."""
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context is not None
    cpus: int = context.cpus()
    return cpus


@functools.cache
def create_classifier(options: ScoringOptions, model: ShippedModel, threads: int) -> Classifier:
    """Create the Classifier, once in a worker process for each such call: Spark gives it one task after the other."""
    paths = _paths_of(model)
    options = dataclasses.replace(options, threads=threads)
    if len(paths) > 2:  # a model folder
        return Classifier.from_options(options, model=paths[0].parent, score_class=model.score_class)
    prototxt, caffemodel = paths
    return Classifier.from_options(options, prototxt=prototxt, caffemodel=caffemodel, score_class=model.score_class)


def _paths_of(model: ShippedModel) -> list[Path]:
    """Return where a model's files are on this executor; ModelError if they are not what was sent."""
    from pyspark import SparkFiles

    paths = [Path(SparkFiles.get(model.folder), name) for name in model.names]
    for path, sha256 in zip(paths, model.hashes, strict=True):
        # Without this a damaged copy of the original would be taken for a model of the user's own.
        with reading(path):
            is_whole = file_size(path) is not None and file_sha256(path) == sha256
        if not is_whole:
            raise ModelError(f"{path} is missing or damaged: it is not what the driver has sent; run the job again")
    return paths


class Extractor:
    """A network whose outputs are taken as they are."""

    def __init__(self, files: ModelFiles, options: ScoringOptions) -> None:
        self._pipeline = Pipeline(
            LoadedEngines(create_engine(files, options), files, options), create_codec(options.jpeg, options.decode)
        )
        self._threads = options.threads

    def outputs(self, sources: Iterable[Source]) -> Iterator[tuple[Tensor | None, str | None]]:
        """Give each source's outputs, or what is wrong with it."""
        for _, (found, *_) in self._pipeline.score(sources, self._threads):
            if isinstance(found, NsfwCaffeError):
                yield None, found.reason
            else:
                yield cast(Tensor, found), None


@functools.cache
def create_extractor(options: ScoringOptions, model: ShippedModel, width: int, threads: int) -> Extractor:
    """Create what computes so many outputs a picture, as `create_classifier` does."""
    prototxt, caffemodel = _paths_of(model)
    options = dataclasses.replace(options, engine=require_engine(options), threads=threads)
    return Extractor(ModelFiles(prototxt, caffemodel, original=False, features=width), options)


def read_content(cells: Iterable[pyarrow.Scalar], threads: int) -> Iterator[Source]:  # noqa: ARG001 - a `Read`
    """Take binary cells as files' contents, without a copy."""
    for cell in cells:
        buffer = cell.as_buffer()
        yield _Unreadable(_NULL) if buffer is None else memoryview(buffer)


def read_paths(
    storage_options: Mapping[str, object], videos: bool, cells: Iterable[pyarrow.Scalar], threads: int
) -> Iterator[Source]:
    """Read the files that string cells name, several at a time and ahead of the scores; an ImportError ends the job.

    With `videos`, the file of a video is opened alone: it may be larger than memory.
    """
    read = functools.partial(_read_path, storage_options, videos)
    paths = (cell.as_py() for cell in cells)
    return (source for _, source in ordered_map(read, paths, READERS * threads))


class _Unreadable(io.BytesIO):
    """A file that cannot be read: a scan has a result for it, as for every source."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self._reason = reason

    def read(self, size: int | None = -1, /) -> bytes:  # noqa: ARG002 - as for every file
        raise OSError(self._reason)


def _read_path(storage_options: Mapping[str, object], videos: bool, path: str | None) -> Source:
    if path is None:
        return _Unreadable(_NULL)
    try:
        return _read_file(storage_options, videos, path)
    except (ImportError, NsfwCaffeError):
        raise  # a missing package is not the path's fault, and stops the job
    except Exception as error:  # noqa: BLE001 - each kind of store raises its own
        return _Unreadable(_reason(error, path))


def _read_file(storage_options: Mapping[str, object], videos: bool, path: str) -> bytes | str | BinaryIO:
    local = path.removeprefix("file:")
    if local != path or "://" not in path:
        # Not through fsspec, for which "::" or "*" in a name has a meaning. Spark writes file:/name, others file:///name.
        name = local.removeprefix("//") if local != path else path
        return name if videos and _is_video(open_file(name)) else read_file(name)
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise NsfwCaffeError(f"paths with a scheme need fsspec: {install_hint('spark')}") from error
    file_system, name = url_to_fs(path, **storage_options)
    if videos and _is_video(file_system.open(name, "rb")):
        return cast(BinaryIO, file_system.open(name, "rb"))
    content: bytes = file_system.cat_file(name)
    return content


def _is_video(file: BinaryIO) -> bool:
    with file:
        return is_video(file.read(LOOKED_AT))


def _reason(error: Exception, path: str) -> str:
    """Say what is wrong with a path, without the path."""
    for kind, number in _REASONS.items():
        if isinstance(error, kind):  # which stores raise with nothing but the path
            return os.strerror(number)
    return reason(error).replace(path, "<path>")
