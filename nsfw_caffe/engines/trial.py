"""Trying a user's own model on a few inputs before it scores any picture.

As a program this is the child process in which a model meets Caffe first, since Caffe ends the process when it does
not like one: load it, run it, exit with 0.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nsfw_caffe.engines.base import Engine, taker
from nsfw_caffe.errors import ModelError, NsfwCaffeError, ScoreError
from nsfw_caffe.model.spec import INPUT_SHAPE, MEAN_BGR, ModelFiles
from nsfw_caffe.options import ScoringOptions


def try_model(engine: Engine, files: ModelFiles) -> None:
    """Run a model on pictures of several kinds; ModelError if it does not give a probability a class for each."""
    take = taker(files)
    for name, picture in _pictures().items():
        output = engine.forward(picture[np.newaxis])
        outputs = files.outputs
        if output.shape != (1, outputs):
            raise ModelError(f"{files.prototxt}: expected an output of shape (n, {outputs}), found (n, {output.size})")
        try:
            take(output[0])
        except ScoreError as error:
            if files.features is not None:
                raise ModelError(f"{files.prototxt}: for a {name} picture, {error.reason}") from error
            found = output[0].tolist()
            count = "two" if outputs == 2 else outputs
            wanted = f"{count} finite numbers"
            if all(map(math.isfinite, found)):
                wanted = f"{count} probabilities that sum to 1: the network needs a Softmax as its last layer"
            raise ModelError(f"{files.prototxt}: the output for a {name} picture is {found}, not {wanted}") from error


def _pictures() -> dict[str, npt.NDArray[np.float32]]:
    mean = np.array(MEAN_BGR)[:, np.newaxis, np.newaxis]
    ramp = np.linspace(0, 255, INPUT_SHAPE[-1])
    levels: dict[str, npt.NDArray[Any]] = {
        "grey": mean,
        "black": np.zeros(()),
        "white": np.array(255),
        "noisy": np.random.default_rng(0).integers(0, 256, INPUT_SHAPE),
        "many-coloured": np.stack(np.broadcast_arrays(ramp, ramp[:, np.newaxis], ramp[::-1])),
    }
    return {
        name: (np.broadcast_to(of_picture, INPUT_SHAPE) - mean).astype(np.float32)
        for name, of_picture in levels.items()
    }


def main(prototxt: str, caffemodel: str, device: str, features: str, *classes: str) -> None:
    """Load the model and run it on a few pictures; an error of the library becomes the last line of standard error."""
    from nsfw_caffe.engines.caffe import CaffeEngine, import_caffe  # what the other engines can do without

    files = ModelFiles(
        Path(prototxt), Path(caffemodel), original=False, classes=classes, features=int(features) if features else None
    )
    try:
        engine = CaffeEngine(import_caffe(), files, ScoringOptions(device=device).gpu)
        try_model(engine, files)
    except NsfwCaffeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
