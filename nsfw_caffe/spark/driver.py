"""Scores as columns of a Spark DataFrame."""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from nsfw_caffe.errors import NsfwCaffeError
from nsfw_caffe.model.folder import DESCRIPTION
from nsfw_caffe.model.locate import resolve
from nsfw_caffe.model.spec import ModelFiles, reading
from nsfw_caffe.options import Decode, EngineChoice, Precision, ScoringOptions
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, Limits
from nsfw_caffe.sources.timeline import Grid
from nsfw_caffe.spark.executor import Read, ShippedModel, feature_batches, read_content, read_paths, score_batches
from nsfw_caffe.system.extras import install_hint
from nsfw_caffe.system.files import file_sha256
from nsfw_caffe.training.features import cut

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import DataFrame

_ADDED = ("score", "error")
_ADDED_OF_VIDEOS = ("max_time", "warning")

_Path: TypeAlias = str | os.PathLike[str] | None
_Model: TypeAlias = tuple[_Path, _Path, _Path, str | None]
"""Arguments of `resolve`."""


def score_images(
    df: DataFrame,
    content: str = "content",
    *,
    engine: EngineChoice = "auto",
    precision: Precision = "float32",
    decode: Decode = "exact",
    prototxt: _Path = None,
    caffemodel: _Path = None,
    model: _Path = None,
    score_class: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    every: float | None = None,
) -> DataFrame:
    """Score the pictures in a binary column; nothing runs before the result is used.

    The model is sent to the executors, on which nsfw_caffe and the engine must be installed; a job fails where the
    engine is not. Each task computes with `spark.task.cpus` threads, and gives the scores of a `Classifier` with as
    many.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        Of a session that has a SparkContext: not one of Spark Connect.
    content : str, default "content"
        The column of the pictures' files, as Spark's source `binaryFile` reads them. It is a column of the result too:
        drop it before the result is written, cached or shuffled.
    engine, precision, decode, prototxt, caffemodel, model, score_class, limits
        As for `Classifier`; the two files are the driver's. Each executor decides for itself what "auto" is: name the
        engine where they differ in what is installed.
    every : float, optional
        Videos and animations too: of each the highest score of the frames that it shows every so many seconds, as for
        `Classifier.scan`. PyAV must be installed on the executors.

    Returns
    -------
    pyspark.sql.DataFrame
        The columns of `df`, and then `score` (double, 0 to 1) and `error` (string), of which one is null. A broken
        picture and a null cell have an error. With `every` there are two more, null for pictures: `max_time` (double),
        the seconds at which a video reaches its score, and `warning` (string), what kept it from being looked at as a
        whole.

    Raises
    ------
    ValueError
        If there is no such column or it is not binary, if a column `score` or `error` is there already, or if an option
        is none of the values above.
    TypeError
        If `df` is not a DataFrame of a session that has a SparkContext.
    ModelError
        If the model cannot be found or downloaded, or is damaged.
    NsfwCaffeError
        If PySpark is missing.
    """
    options = ScoringOptions(engine=engine, precision=precision, decode=decode, limits=limits)
    return _score(df, content, "binary", read_content, options, (prototxt, caffemodel, model, score_class), every)


def score_paths(
    df: DataFrame,
    path: str = "path",
    *,
    engine: EngineChoice = "auto",
    precision: Precision = "float32",
    decode: Decode = "exact",
    prototxt: _Path = None,
    caffemodel: _Path = None,
    model: _Path = None,
    score_class: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    every: float | None = None,
    storage_options: Mapping[str, object] | None = None,
) -> DataFrame:
    """Score the pictures whose paths are in a string column; nothing runs before the result is used.

    The executors read the files, each task several at a time.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        As for `score_images`.
    path : str, default "path"
        The column of the paths: absolute ones, which exist on every executor, or URIs (``s3://``, ``gs://``,
        ``hdfs://``, ``https://``, ``file:/``), which are read through fsspec. It needs a package for most of them,
        s3fs for ``s3://`` for example.
    engine, precision, decode, prototxt, caffemodel, model, score_class, limits, every
        As for `score_images`. The file of a video is not read into memory.
    storage_options : mapping, optional
        What fsspec is given besides each URI, ``{"anon": True}`` for example.

    Returns
    -------
    pyspark.sql.DataFrame
        As for `score_images`. A path that cannot be read has an error, which does not name it.

    Raises
    ------
    ValueError
        As for `score_images`, but the column is to hold strings.
    TypeError, ModelError, NsfwCaffeError
        As for `score_images`.
    """
    options = ScoringOptions(engine=engine, precision=precision, decode=decode, limits=limits)
    read = functools.partial(read_paths, dict(storage_options or {}), every is not None)
    return _score(df, path, "string", read, options, (prototxt, caffemodel, model, score_class), every)


def features(
    df: DataFrame,
    content: str = "content",
    *,
    path: str | None = None,
    engine: EngineChoice = "auto",
    precision: Precision = "float32",
    decode: Decode = "exact",
    prototxt: _Path = None,
    caffemodel: _Path = None,
    model: _Path = None,
    limits: Limits = DEFAULT_LIMITS,
    storage_options: Mapping[str, object] | None = None,
) -> DataFrame:
    """Compute what the network makes of pictures before its last layer; nothing runs before the result is used.

    They are what the last layer is trained on, and what other methods can take: classifiers, clusters, searches for
    similar pictures.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        As for `score_images`.
    content : str, default "content"
        The column of the pictures' files, as for `score_images`.
    path : str, optional
        The column of the paths instead, as for `score_paths`.
    engine, precision, decode, prototxt, caffemodel, model, limits, storage_options
        As for `score_images` and `score_paths`.

    Returns
    -------
    pyspark.sql.DataFrame
        The columns of `df`, and then `features` (array of float; 1024 of the original) and `error` (string), of which
        one is null.

    Raises
    ------
    ValueError, TypeError, ModelError, NsfwCaffeError
        As for `score_images`.
    TrainingError
        If the network's last layer that learns is no InnerProduct.

    Examples
    --------
    >>> from nsfw_caffe.spark import features
    >>> features(pictures, engine="onnxruntime").write.parquet("features")  # doctest: +SKIP
    """
    options = ScoringOptions(engine=engine, precision=precision, decode=decode, limits=limits)
    column, kind, read = content, "binary", read_content
    if path is not None:
        column, kind, read = path, "string", functools.partial(read_paths, dict(storage_options or {}), False)
    check_frame(df, column, kind, ("features", "error"))
    from pyspark.sql.types import ArrayType, FloatType, StringType, StructField, StructType

    files = resolve(prototxt, caffemodel, model, None)
    network = cut(files.prototxt)
    shipped = ship(df.sparkSession.sparkContext, with_prototxt(files, network.text))
    added = [StructField("features", ArrayType(FloatType(), containsNull=False)), StructField("error", StringType())]
    schema = StructType([*df.schema.fields, *added])
    return df.mapInArrow(functools.partial(feature_batches, options, shipped, network.width, column, read), schema)


def with_prototxt(files: ModelFiles, text: str) -> ModelFiles:
    """Give the same weights with other layers."""
    prototxt = Path(_spool().name) / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.prototxt"
    prototxt.write_text(text)
    return ModelFiles(prototxt, files.caffemodel, original=False)


def _score(
    df: DataFrame,
    column: str,
    kind: str,
    read: Read,
    options: ScoringOptions,
    model: _Model,
    every: float | None,
) -> DataFrame:
    names = _ADDED if every is None else _ADDED + _ADDED_OF_VIDEOS
    check_frame(df, column, kind, names)
    from pyspark.sql.types import DoubleType, StringType, StructField, StructType

    if every is not None:
        Grid(every)  # a ValueError comes at once
    shipped = ship(df.sparkSession.sparkContext, resolve(*model), model[2])
    added = (StructField(name, kind) for name, kind in zip(names, 2 * (DoubleType(), StringType()), strict=False))
    schema = StructType([*df.schema.fields, *added])
    return df.mapInArrow(functools.partial(score_batches, options, shipped, column, read, every), schema)


def check_frame(df: DataFrame, column: str, kind: str, added: tuple[str, ...] = ()) -> None:
    """Raise ValueError or TypeError for a DataFrame that cannot be used."""
    try:
        from pyspark.sql.classic.dataframe import DataFrame as ClassicDataFrame
    except ImportError as error:
        raise NsfwCaffeError(f"Spark needs PySpark 4 or newer: {install_hint('spark')}") from error
    if not isinstance(df, ClassicDataFrame):
        raise TypeError(
            "expected a DataFrame of a session that has a SparkContext, through which the model is sent to the "
            f"executors (Spark Connect and serverless have none), found {type(df).__module__}.{type(df).__qualname__}"
        )
    kinds = [field.dataType.typeName() for field in df.schema if field.name == column]
    if kinds != [kind]:
        found = f"it is {' and '.join(kinds)}" if kinds else f"the columns are {', '.join(df.columns)}"
        raise ValueError(f"column {column!r}: expected one {kind} column of this name; {found}")
    for name in df.columns:
        if name.lower() in added:  # to Spark, names that differ in case alone are the same
            raise ValueError(f"column {name!r} is there already: drop or rename it, for what is added has this name")


def ship(context: SparkContext, files: ModelFiles, model: _Path = None) -> ShippedModel:
    """Have Spark send the model, a folder or its two files, to each executor that comes to work for this context."""
    # Not the converted one too, which would double what is sent: an executor makes it once, in 0.3 s.
    # In folders of their own, because a user's two files may have one name.
    names: tuple[str, ...] = f"prototxt/{files.prototxt.name}", f"caffemodel/{files.caffemodel.name}"
    paths: tuple[Path, ...] = files.prototxt, files.caffemodel
    hashes: tuple[str, ...] = files.hashes()
    if model is not None:
        description = Path(model, DESCRIPTION)
        with reading(description):
            hashes = (*hashes, file_sha256(description))
        paths = (*paths, description)
        names = tuple(f"model/{path.name}" for path in paths)
    # Spark keeps one file of a name, so models that differ must not share one.
    digest = hashlib.sha256("\n".join([*names, *hashes]).encode()).hexdigest()
    folder = f"nsfw_caffe-{digest[:16]}"
    if not any(archive.endswith(f"#{folder}") for archive in context.listArchives):
        packed = Path(_spool().name) / f"{folder}.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            for path, name in zip(paths, names, strict=True):
                archive.write(path, name)
        context.addArchive(f"{packed.as_uri()}#{folder}")
    return ShippedModel(folder, names, hashes, files.classes[files.scored])


@functools.cache
def _spool() -> tempfile.TemporaryDirectory[str]:
    """Create the folder from which the driver serves the models, until its process ends."""
    return tempfile.TemporaryDirectory(prefix="nsfw_caffe-")
