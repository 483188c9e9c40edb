"""Files: their size and hash, writing them whole or not at all, and the folder of what is kept for later."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from nsfw_caffe.system.reading import open_file

NO_LINKS = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system without hard links says of them, one whose file has too many, and one that is not the target's."""


def file_size(path: Path) -> int | None:
    """Return the length of a file in bytes, None where there is none; it raises as `open_file` does."""
    try:
        with open_file(path) as file:
            return os.fstat(file.fileno()).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hexadecimal digits."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_file(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file, or replace one: nobody ever reads half of it. The user's umask takes some of the mode away."""
    with replacing(path) as part:
        # Made by open, not by tempfile, for the mode that the user's umask gives.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(part, flags, mode), "wb") as output:
            output.write(content)


@contextlib.contextmanager
def replacing(path: Path, *, part: Path | None = None, durable: bool = False) -> Iterator[Path]:
    """Name a file beside a path to be written; it takes the path's name when the block has ended well, else it goes.

    The file beside it, `part`, is a hidden one of a random name, so that several processes can write one path; under a
    name that is given, what a process that was killed has left is removed. A `durable` file is forced to the disk
    before it gets its name, and the name after.
    """
    with _beside(path, part) as part:
        part.unlink(missing_ok=True)
        yield part
        if durable:
            force_to_disk(part)
        part.replace(path)
    if durable:
        force_to_disk(path.parent)


@contextlib.contextmanager
def creating(path: Path) -> Iterator[Path]:
    """Name a file beside a path, as `replacing` does; FileExistsError where there is a file at the path by then."""
    with _beside(path) as part:
        yield part
        try:
            os.link(part, path)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            # Without hard links: the name is taken first, by whoever comes first, and then the file put in its place.
            path.open("xb").close()
            part.replace(path)


@contextlib.contextmanager
def _beside(path: Path, part: Path | None = None) -> Iterator[Path]:
    part = part or path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def force_to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, would survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def user_cache() -> Path | None:
    """Give the library's folder in the user's cache, which may not exist yet; None where there is no home directory."""
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        # The XDG base directory specification: a relative path is to be ignored.
        cache = Path(named) if named and Path(named).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        return None
    return cache / "nsfw_caffe"
