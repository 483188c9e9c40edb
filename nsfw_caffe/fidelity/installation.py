"""What this installation scores with: engines, BLAS, JPEG libraries and model, in words."""

from __future__ import annotations

from collections.abc import Iterator

from nsfw_caffe.engines.base import require_engine
from nsfw_caffe.engines.blas import loaded_blas
from nsfw_caffe.errors import EngineUnavailable, ModelError
from nsfw_caffe.model import locate
from nsfw_caffe.options import ENGINES, ScoringOptions
from nsfw_caffe.preprocessing.jpeg import CODECS, create_codec, describe_codec


def describe_installation() -> list[str]:
    """Return a line for each of the engines, the BLAS, the JPEG libraries and the model."""
    return [f"{name:<12}{value}" for name, value in _lines()]


def _lines() -> Iterator[tuple[str, str]]:
    for engine in ENGINES:
        try:
            require_engine(ScoringOptions(engine=engine))
        except EngineUnavailable as error:
            yield engine, f"- {error}"
        else:
            yield engine, _version(engine)
    try:
        yield "engine", f"{require_engine(ScoringOptions())}, where none is named"
    except EngineUnavailable as error:
        yield "engine", f"- {error}"
    blas = loaded_blas()  # which has come with Caffe
    yield "BLAS", "- none is loaded" if blas is None else f"{blas.title}, {blas.path}"
    for jpeg in CODECS:
        try:
            create_codec(jpeg, "exact")
        except EngineUnavailable as error:
            yield "JPEG", f"- {error}"
        else:
            yield "JPEG", describe_codec(jpeg)
    try:
        files = locate.find()
    except ModelError as error:
        yield "model", f"- {error}"
    else:
        yield "model", "- not here yet: nsfw-caffe model fetch" if files is None else str(files.caffemodel.parent)


def _version(engine: str) -> str:
    return str(getattr(__import__(engine), "__version__", "of an unknown version"))
