"""The converted model, kept: beside the model's files, else in the user's cache, else not at all.

A file's name holds what it was made from and what it must hold, `NAME-INPUTS-CONTENT.onnx`: the SHA-256 of both of the
model's files and the converter's version, and the SHA-256 of the file itself. So there is nothing to keep up to date
beside it, and a file that was damaged is seen at each load, for 15 ms, and made again.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from nsfw_caffe.caffe_to_onnx.version import VERSION
from nsfw_caffe.model import ModelFiles, user_cache
from nsfw_caffe.model_file import write_whole

_DIGITS = 16
"""Hexadecimal digits of the inputs' hash in a name; the content's hash stands there in full."""


def onnx_model(files: ModelFiles) -> bytes:
    """Give a model as an ONNX file, from the cache or converted.

    Parameters
    ----------
    files : ModelFiles
        The model. One that is not the original is checked first, as for Caffe.

    Returns
    -------
    bytes
        The file, see `convert`; its input is float32 (n, 3, 224, 224).

    Raises
    ------
    ModelError
        The model cannot be read or converted.
    EngineUnavailable
        It has to be converted, and the package onnx is missing.
    """
    prefix = f"{files.caffemodel.stem[:64]}-{_inputs_hash(files)[:_DIGITS]}-"
    folders = [files.caffemodel.parent, user_cache()]
    for folder in folders:
        content = _load(folder, prefix) if folder is not None else None
        if content is not None:
            return content
    # Neither protobuf nor onnx is loaded where the cache has the file.
    from nsfw_caffe.caffe_to_onnx.convert import convert
    from nsfw_caffe.custom_model import check_custom

    if not files.original:
        check_custom(files)
    content = convert(files.prototxt, files.caffemodel)
    name = f"{prefix}{hashlib.sha256(content).hexdigest()}.onnx"
    for folder in folders:
        if folder is not None and _store(folder / name, content):
            break
    return content


def _inputs_hash(files: ModelFiles) -> str:
    return hashlib.sha256(f"{files.sha256()} {VERSION}".encode()).hexdigest()


def _load(folder: Path, prefix: str) -> bytes | None:
    """Read the file whose content has the hash in its name."""
    try:
        names = sorted(path.name for path in folder.iterdir() if path.name.startswith(prefix))
    except OSError:
        return None
    for name in names:
        with contextlib.suppress(OSError):  # deleted since, or another user's
            content = (folder / name).read_bytes()
            if name == f"{prefix}{hashlib.sha256(content).hexdigest()}.onnx":
                return content
    return None


def _store(path: Path, content: bytes) -> bool:
    """Write the file; False where that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError:
        return False
    return True
