"""What this machine scores with, and what it makes of pictures, stage by stage, measured in a child process.

A process computes with one BLAS, so each choice of options gets a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from nsfw_caffe.classifier import Classifier
from nsfw_caffe.engines.base import require_engine
from nsfw_caffe.engines.blas import loaded_blas
from nsfw_caffe.errors import EngineUnavailable, ModelError, NsfwCaffeError
from nsfw_caffe.model import locate
from nsfw_caffe.options import ENGINES, ScoringOptions
from nsfw_caffe.preprocessing.jpeg import CODECS, create_codec, describe_codec
from nsfw_caffe.preprocessing.resize import PATHS
from nsfw_caffe.preprocessing.steps import preprocess
from nsfw_caffe.system import processes

_PASSED = ("engine", "jpeg", "blas")
"""Options that differ in what is measured here."""


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
    """Preprocess and score pictures in a child process.

    EngineUnavailable where what the options ask for is not available here, or the child process died.
    """
    run = subprocess.run(
        processes.command("fidelity.measure", *arguments(options), "--", *map(str, paths)),
        # With some of OpenBLAS's kernels the last bits depend on the number of threads, by default that of the cores.
        env=processes.environment(OPENBLAS_NUM_THREADS="1"),
        capture_output=True,
        text=True,
    )
    if run.returncode != 0:
        raise EngineUnavailable(run.stderr.strip() or f"the child process ended with status {run.returncode}")
    answer = json.loads(run.stdout)
    return Environment(**answer["environment"]), [Measured(**picture) for picture in answer["pictures"]]


def arguments(options: ScoringOptions) -> list[str]:
    """Return the child's arguments for these options."""
    return [f"--{name}={getattr(options, name)}" for name in _PASSED]


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
    return {"environment": asdict(_environment(options.jpeg)), "pictures": [asdict(picture) for picture in pictures]}


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
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


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
            yield engine, engine_version(engine)
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


def engine_version(engine: str) -> str:
    """Return the version of an engine that can be imported."""
    return str(getattr(__import__(engine), "__version__", "of an unknown version"))


def _main() -> None:
    """Be the child process: measure, and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m nsfw_caffe.fidelity.measure")
    for name in _PASSED:
        parser.add_argument(f"--{name}", default=getattr(ScoringOptions(), name))
    parser.add_argument("paths", nargs="*", type=Path)
    given = parser.parse_args()
    try:
        options = ScoringOptions(**{name: getattr(given, name) for name in _PASSED})
        json.dump(_measure_here(given.paths, options), sys.stdout)
    except NsfwCaffeError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    _main()
