"""The child process in which a user's own model meets Caffe first: load it, run it once, exit with 0."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from nsfw_caffe.engines.base import parse_device
from nsfw_caffe.engines.caffe import CaffeEngine, import_caffe
from nsfw_caffe.errors import ModelError
from nsfw_caffe.model import ModelFiles


def main(prototxt: str, caffemodel: str, device: str) -> None:
    """Load the model and run it on a grey picture; a ModelError becomes the last line of standard error."""
    files = ModelFiles(Path(prototxt), Path(caffemodel), original=False)
    try:
        engine = CaffeEngine(import_caffe(), files, parse_device(device))
        probabilities = engine.forward(np.zeros((1, 3, 224, 224), np.float32))
        if not np.isfinite(probabilities).all():
            raise ModelError(f"the output for a grey picture is {probabilities[0].tolist()}, not two finite numbers")
    except ModelError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
