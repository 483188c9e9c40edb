"""Trying a user's own model on a few inputs before it scores any picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nsfw_caffe.engines.base import Engine, score_of
from nsfw_caffe.errors import ModelError, ScoreError
from nsfw_caffe.model.spec import INPUT_SHAPE, MEAN_BGR, ModelFiles


def try_model(engine: Engine, files: ModelFiles) -> None:
    """Run a model on pictures of several kinds: what a network makes of one says little of the others.

    Raises
    ------
    ModelError
        If it does not give two probabilities for each of them.
    """
    for name, picture in _pictures().items():
        output = engine.forward(picture[np.newaxis])
        if output.shape != (1, 2):
            raise ModelError(f"{files.prototxt}: expected an output of shape (n, 2), found (n, {output.size})")
        try:
            score_of(output[0])
        except ScoreError as error:
            found = output[0].tolist()
            wanted = "two finite numbers"
            if all(map(math.isfinite, found)):
                wanted = "two probabilities that sum to 1: the network needs a Softmax as its last layer"
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
