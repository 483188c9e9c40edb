"""One file of a model, known by its bytes."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from nsfw_caffe.errors import ModelError

_CHUNK = 1 << 20


@dataclass(frozen=True)
class ModelFile:
    """What a file of a model is called, and what it must hold.

    Attributes
    ----------
    name : str
        File name, without a folder.
    size : int
        Length in bytes.
    sha256 : str
        SHA-256 of the content, 64 hexadecimal digits.
    """

    name: str
    size: int
    sha256: str

    def is_at(self, path: Path) -> bool:
        """Tell whether a path holds exactly this file.

        Raises
        ------
        ModelError
            There is no file, or it cannot be read.
        """
        return self.difference(path) is None

    def difference(self, path: Path) -> str | None:
        """Say how the file at a path differs from this one; None where it does not.

        Raises
        ------
        ModelError
            There is no file, or it cannot be read.
        """
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


def file_size(path: Path) -> int | None:
    """Give the length of a file in bytes, None where there is none.

    Raises
    ------
    ModelError
        The file cannot be read, or is not a regular one.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path} is not a file")
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    return status.st_size


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file's content, 64 hexadecimal digits.

    Raises
    ------
    ModelError
        The file cannot be read.
    """
    # What hashlib.file_digest does, which Python 3.10 lacks.
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_CHUNK))
    try:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    return digest.hexdigest()


def write_whole(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file beside its path, then rename it: nobody ever reads half of it.

    Parameters
    ----------
    path : pathlib.Path
        Where to; what is there is replaced.
    content : bytes
        All of it.
    mode : int
        The file's permissions, of which the user's umask takes some away.

    Raises
    ------
    OSError
        It cannot be written.
    """
    # Made by open, not by tempfile, for the mode that the user's umask gives.
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as output:
            output.write(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
