"""What this machine scores with, and what it makes of pictures, stage by stage, measured in a child process.

A process computes with one BLAS, so each choice of options gets a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from nsfw_caffe.classifier import Classifier
from nsfw_caffe.engines.base import require_engine
from nsfw_caffe.engines.blas import loaded_blas
from nsfw_caffe.errors import EngineUnavailable, NsfwCaffeError
from nsfw_caffe.model import locate
from nsfw_caffe.options import ENGINES, EngineName, ScoringOptions
from nsfw_caffe.preprocessing.jpeg import CODECS, create_codec, describe_codec
from nsfw_caffe.preprocessing.resize import PATHS
from nsfw_caffe.preprocessing.steps import preprocess
from nsfw_caffe.system import proc, processes


@dataclass(frozen=True)
class Measured:
    """What this machine makes of a picture: SHA-256 of the file and of the tensor, and the score."""

    sha256: str
    tensor: str
    score: float


@dataclass(frozen=True)
class Environment:
    """What measured pictures were computed with: names and versions."""

    codec: str
    jpeg: str
    resize: str
    blas: str
    blas_path: str
    cpu: str


def measure(paths: list[Path], options: ScoringOptions) -> tuple[Environment, list[Measured]]:
    """Preprocess and score pictures in a child process; EngineUnavailable where it cannot, or has died."""
    run = subprocess.run(
        processes.command("fidelity.measure", *arguments(options), *map(str, paths)),
        # With some of OpenBLAS's kernels the last bits depend on the number of threads, by default that of the cores.
        env=processes.environment(OPENBLAS_NUM_THREADS="1", PYTHONIOENCODING="utf-8:backslashreplace"),
        capture_output=True,
        encoding="utf-8",
    )
    if run.returncode != 0:
        raise EngineUnavailable(run.stderr.strip() or f"the child process ended with status {run.returncode}")
    answer = json.loads(run.stdout)
    return Environment(**answer["environment"]), [Measured(**picture) for picture in answer["pictures"]]


def arguments(options: ScoringOptions) -> list[str]:
    """Return the child's arguments for these options, before those of the pictures."""
    return [options.engine, options.jpeg, options.blas]


def _measure_here(paths: list[Path], options: ScoringOptions) -> dict[str, object]:
    with Classifier.from_options(options) as classifier:
        codec = create_codec(options.jpeg, options.decode)
        pictures = [
            Measured(
                hashlib.sha256(path.read_bytes()).hexdigest(),
                hashlib.sha256(preprocess(path, codec).tobytes()).hexdigest(),
                classifier.classify(path),
            )
            for path in paths
        ]
    return {"environment": vars(_environment(options.jpeg)), "pictures": [vars(picture) for picture in pictures]}


def _environment(codec: str) -> Environment:
    blas = loaded_blas()
    return Environment(
        codec=codec,
        jpeg=describe_codec(codec),
        resize=f"C extension, {PATHS[0]}" if PATHS else f"Pillow {metadata.version('pillow')}",
        blas="no BLAS" if blas is None else f"{blas.name} {blas.kernel}".strip(),
        blas_path="" if blas is None else str(blas.path),
        cpu=cpu_name(),
    )


def cpu_name() -> str:
    """Return the CPU's model name."""
    for line in proc.lines("cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def describe_installation() -> list[str]:
    """Return a line for each of the engines, the BLAS, the JPEG libraries and the model."""
    return [f"{name:<12}{value}" for name, value in _lines()]


def _lines() -> Iterator[tuple[str, str]]:
    for engine in ENGINES:
        yield engine, _or_error(engine_version, engine)
    yield "engine", _or_error(lambda: f"{require_engine(ScoringOptions())}, where none is named")
    blas = loaded_blas()  # which has come with Caffe
    yield "BLAS", "- none is loaded" if blas is None else f"{blas.title}, {blas.path}"
    for jpeg in CODECS:
        yield "JPEG", _or_error(_codec, jpeg)
    yield "model", _or_error(_model)


def _or_error(describe: Callable[..., str], *names: str) -> str:
    try:
        return describe(*names)
    except NsfwCaffeError as error:
        return f"- {error}"


def engine_version(engine: EngineName) -> str:
    """Return the version of an engine; EngineUnavailable where it cannot be used."""
    require_engine(ScoringOptions(engine=engine))
    return str(getattr(__import__(engine), "__version__", "of an unknown version"))


def _codec(jpeg: str) -> str:
    create_codec(jpeg, "exact")
    return describe_codec(jpeg)


def _model() -> str:
    files = locate.find()
    return "not here yet: nsfw-caffe model fetch" if files is None else str(files.caffemodel.parent)


def _main() -> None:
    """Be the child process: measure, and write JSON."""
    engine, jpeg, blas, *paths = sys.argv[1:]
    try:
        options = ScoringOptions(engine=engine, jpeg=jpeg, blas=blas)  # type: ignore[arg-type]  # which it checks
        json.dump(_measure_here([Path(path) for path in paths], options), sys.stdout)
    except NsfwCaffeError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    _main()
