"""The child process in which a user's own model meets Caffe first: load it, run it, exit with 0."""

from __future__ import annotations

import sys
from pathlib import Path

from nsfw_caffe.engines.caffe import CaffeEngine, import_caffe
from nsfw_caffe.engines.trial import try_model
from nsfw_caffe.errors import NsfwCaffeError
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ScoringOptions


def main(prototxt: str, caffemodel: str, device: str) -> None:
    """Load the model and run it on a few pictures; an error of the library becomes the last line of standard error."""
    files = ModelFiles(Path(prototxt), Path(caffemodel), original=False)
    try:
        engine = CaffeEngine(import_caffe(), files, ScoringOptions(device=device).gpu)
        try_model(engine, files)
    except NsfwCaffeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
