"""One file of a model, known by its bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nsfw_caffe.errors import ModelError
from nsfw_caffe.system.files import file_sha256, file_size
from nsfw_caffe.system.reading import reason


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


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Make a ModelError of what is in the way of reading a file."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {reason(error)}") from error
