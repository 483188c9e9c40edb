"""What this machine makes of pictures, stage by stage, measured in a child process.

A process computes with one BLAS, so each set-up gets a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from nsfw_caffe.classifier import Classifier
from nsfw_caffe.engines.blas import loaded_blas
from nsfw_caffe.errors import EngineUnavailable, NsfwCaffeError
from nsfw_caffe.preprocessing.jpeg import CODECS
from nsfw_caffe.preprocessing.resize import PATHS
from nsfw_caffe.preprocessing.steps import preprocess
from nsfw_caffe.system import child_process


@dataclass(frozen=True)
class Measured:
    """What this machine makes of a picture: SHA-256 of the file and of the tensor, and the score."""

    sha256: str
    tensor: str
    score: float


@dataclass(frozen=True)
class SetUp:
    """What a score was computed with: names and versions."""

    codec: str
    jpeg: str
    resize: str
    blas: str
    blas_path: str
    cpu: str


def measure(paths: list[Path], *, published: bool = False, engine: str = "caffe") -> tuple[SetUp, list[Measured]]:
    """Preprocess and score pictures in a child process, with the published set-up or the default one of an engine.

    Raises
    ------
    EngineUnavailable
        If the set-up is not available here, or the child process died.
    """
    options = ["--published"] if published else ["--engine", engine]
    run = subprocess.run(
        child_process.command("fidelity.measure", *options, "--", *map(str, paths)),
        # With some of OpenBLAS's kernels the last bits depend on the number of threads, by default that of the cores.
        env=child_process.environment(OPENBLAS_NUM_THREADS="1"),
        capture_output=True,
        text=True,
    )
    if run.returncode != 0:
        raise EngineUnavailable(run.stderr.strip() or f"the child process ended with status {run.returncode}")
    answer = json.loads(run.stdout)
    return SetUp(**answer["set_up"]), [Measured(**picture) for picture in answer["pictures"]]


def _measure_here(paths: list[Path], *, published: bool, engine: str) -> dict[str, object]:
    classifier = Classifier.published() if published else Classifier(engine=engine)
    codec = "ijg9d" if published else "pillow"
    pictures = [
        Measured(
            hashlib.sha256(path.read_bytes()).hexdigest(),
            hashlib.sha256(preprocess(path, CODECS[codec]()).tobytes()).hexdigest(),
            classifier.classify(path),
        )
        for path in paths
    ]
    return {"set_up": asdict(_set_up(codec)), "pictures": [asdict(picture) for picture in pictures]}


def _set_up(codec: str) -> SetUp:
    from PIL import features

    if codec == "ijg9d":
        jpeg = f"IJG libjpeg 9d (jpeglib {metadata.version('jpeglib')})"
    elif turbo := features.version_feature("libjpeg_turbo"):
        jpeg = f"libjpeg-turbo {turbo}"
    else:
        jpeg = f"libjpeg {features.version_codec('jpg')}"
    blas = loaded_blas()
    return SetUp(
        codec=codec,
        jpeg=jpeg,
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


def _main() -> None:
    """Be the child process: measure, and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m nsfw_caffe.fidelity.measure")
    parser.add_argument("--published", action="store_true")
    parser.add_argument("--engine", default="caffe")
    parser.add_argument("paths", nargs="*", type=Path)
    arguments = parser.parse_args()
    try:
        json.dump(_measure_here(arguments.paths, published=arguments.published, engine=arguments.engine), sys.stdout)
    except NsfwCaffeError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    _main()
