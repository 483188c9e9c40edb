"""The converted model, kept: beside the model's files, else in the user's cache, else not at all.

A file's name holds what it was made from and what it must hold, `NAME-INPUTS-CONTENT.onnx`: the SHA-256 of both of the
model's files and the converter's version, and the SHA-256 of the file itself. So there is nothing to keep up to date
beside it, and a file that was damaged is seen at each load, for 15 ms, and made again.

Anybody can give a file a name that fits its content. So the original's conversion has to have the one hash that is
known of it; and of another model's, which nobody can know, only a file is taken that nobody but this user and root can
have put there: never on Windows.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nsfw_caffe.caffe_to_onnx import ORIGINAL_SHA256, ORIGINAL_SIZE, VERSION
from nsfw_caffe.model.spec import ModelFiles, combined_sha256
from nsfw_caffe.system.files import user_cache, write_file
from nsfw_caffe.system.reading import read_file

_DIGITS = 16
"""Hexadecimal digits of the inputs' hash in a name; the content's hash stands there in full."""

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

# Windows has neither these nor an owner that is told so briefly, and opens no folder.
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def onnx_model(files: ModelFiles) -> bytes:
    """Give a model as an ONNX file, see `convert`, from the cache or converted.

    One that is not the original is checked first, as for Caffe. It raises as `convert` does.
    """
    folders, prefix = _folders(files), _prefix(files)
    for folder in folders:
        content = _load_original(folder, prefix) if files.original else _load_own(folder, prefix)
        if content is not None:
            return content
    # Neither protobuf nor onnx is loaded where the cache has the file.
    from nsfw_caffe.caffe_to_onnx.convert import convert
    from nsfw_caffe.model.check import check_custom

    if not files.original:
        check_custom(files)
    content = convert(files.prototxt, files.caffemodel)
    name = _name(prefix, _sha256(content))
    for folder in folders:
        if _store(folder, name, content, original=files.original):
            break
    return content


def kept_conversions(files: ModelFiles) -> dict[Path, bool]:
    """Give the files that are kept under the names of the original's conversion, and whether each has its hash.

    Another file is never loaded.
    """
    prefix = _prefix(files)
    found = {}
    for folder in _folders(files):
        loadable = _load_original(folder, prefix) is not None
        for name in _names(folder, prefix):
            found[folder / name] = loadable and name == _name(prefix, ORIGINAL_SHA256)
    return found


def _folders(files: ModelFiles) -> list[Path]:
    return [folder for folder in (files.caffemodel.parent, user_cache()) if folder is not None]


def _prefix(files: ModelFiles) -> str:
    inputs = _sha256(f"{combined_sha256(files.hashes())} {VERSION}".encode())
    return f"{files.caffemodel.stem[:64]}-{inputs[:_DIGITS]}-"


def _name(prefix: str, sha256: str) -> str:
    return f"{prefix}{sha256}.onnx"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _names(folder: Path | int, prefix: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if name.startswith(prefix))  # noqa: PTH208 - or a descriptor
    except OSError:
        return []


def _load_original(folder: Path, prefix: str) -> bytes | None:
    """Read the original's conversion, whoever put it there: its bytes are known."""
    try:
        content = read_file(folder / _name(prefix, ORIGINAL_SHA256), ORIGINAL_SIZE)
    except OSError:
        return None
    return content if _sha256(content) == ORIGINAL_SHA256 else None


def _load_own(folder: Path, prefix: str) -> bytes | None:
    """Read the file whose content has the hash in its name, where nobody else can have put it there."""
    with _own_folder(folder) as descriptor:
        if descriptor is None:
            return None
        for name in _names(descriptor, prefix):
            content = _read_own(descriptor, name)
            if content is not None and name == _name(prefix, _sha256(content)):
                return content
    return None


@contextmanager
def _own_folder(folder: Path) -> Iterator[int | None]:
    """Open a folder that nobody else can write to; None where it is not one, or that cannot be told."""
    try:
        descriptor = os.open(folder, _FOLDER)
    except OSError:
        yield None
        return
    try:
        yield descriptor if _is_own(os.fstat(descriptor)) else None
    finally:
        os.close(descriptor)


def _read_own(folder: int, name: str) -> bytes | None:
    """Read a file that nobody else can write to; what is looked at is what is open, so nothing can change between."""
    try:
        # A link may lead to where somebody else writes.
        with os.fdopen(os.open(name, _FILE, dir_fd=folder), "rb") as file:
            status = os.fstat(file.fileno())
            return file.read() if stat.S_ISREG(status.st_mode) and _is_own(status) else None
    except OSError:
        return None


def _is_own(status: os.stat_result) -> bool:
    """Tell whether this user or root owns it, and nobody else can write to it."""
    return hasattr(os, "geteuid") and status.st_uid in (0, os.geteuid()) and not status.st_mode & _OTHERS_WRITE


def _store(folder: Path, name: str, content: bytes, *, original: bool) -> bool:
    """Write the file, where it can be loaded again; False where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o777 & ~_OTHERS_WRITE)
        if original:
            loadable = _sha256(content) == ORIGINAL_SHA256
        else:
            with _own_folder(folder) as descriptor:
                loadable = descriptor is not None
        if loadable:
            write_file(folder / name, content, 0o666 & ~_OTHERS_WRITE)
    except OSError:
        return False
    return loadable
