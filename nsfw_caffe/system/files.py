"""Files: their size and hash, writing them whole or not at all, and the folder of what is kept for later."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from nsfw_caffe.system.reading import open_file

_NO_LINKS = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)
"""What a file system without hard links says of them, one whose file has too many, and one that is not the target's."""

_NO_SUCH_FUNCTION = 1
"""What Windows says in place of those: ERROR_INVALID_FUNCTION of winerror.h."""

_LINK: dict[str, bool] = {"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}
"""How a symbolic link itself gets one more name; what lacks the option, does nothing else."""

_FOLDERS_OPEN = hasattr(os, "O_DIRECTORY")
"""Whether folders can be opened, which Windows cannot."""

_WINDOWS_NAMES = os.sep == "\\"

_RESERVED = re.compile(r'[<>:"|?*\0-\x1f]|[ .]$|^(CON|PRN|AUX|NUL|COM\d|LPT\d)(?=\.|$)', re.IGNORECASE)
"""What no name on Windows has."""


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
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
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
        if not link(part, path):
            # The name is taken first, by whoever comes first, and then the file put in its place.
            path.open("xb").close()
            part.replace(path)


@contextlib.contextmanager
def _beside(path: Path, part: Path | None = None) -> Iterator[Path]:
    part = part or path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def link(source: str | Path, target: Path) -> bool:
    """Give a file, or a symbolic link itself, one more name; False where the file system has no hard links for it."""
    try:
        os.link(source, target, **_LINK)
    except OSError as error:
        if error.errno not in _NO_LINKS and getattr(error, "winerror", None) != _NO_SUCH_FUNCTION:
            raise
        return False
    return True


def points_to(link: Path, path: str) -> bool:
    """Tell whether a path is a symbolic link that was made to this absolute path."""
    return link.is_symlink() and os.readlink(link).removeprefix("\\\\?\\") == path  # noqa: PTH115 - which normalises


def parts_below(path: str) -> list[str]:
    """Split a path, or a member's in an archive, into names that a folder here can have."""
    names = (path.replace("\\", "/") if _WINDOWS_NAMES else path).split("/")
    return [_possible(name) for name in names if name not in ("", ".")]


def _possible(name: str) -> str:
    return _RESERVED.sub(_replaced, name) if _WINDOWS_NAMES and name != ".." else name


def _replaced(found: re.Match[str]) -> str:
    return f"{found[0]}_" if found[1] else "_"


def take_room(path: Path, size: int) -> None:
    """Make a file at least as long as this, with its room on the disk: OSError where there is none.

    A system that cannot do that does nothing.
    """
    if hasattr(os, "posix_fallocate"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)


def force_to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, would survive a loss of power; Windows does not say it of names."""
    if not _FOLDERS_OPEN and path.is_dir():
        return
    # Windows forces only what could be written.
    descriptor = os.open(path, os.O_RDONLY if _FOLDERS_OPEN else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def user_cache() -> Path | None:
    r"""Give the library's folder in the user's cache, which may not exist yet; None where there is no home directory.

    On Linux it is ``nsfw_caffe/`` in $XDG_CACHE_HOME or ~/.cache, on macOS in ~/Library/Caches, and on Windows
    ``nsfw_caffe\Cache`` in %LOCALAPPDATA%.
    """
    from platformdirs import user_cache_path

    try:
        return user_cache_path("nsfw_caffe", appauthor=False)
    except RuntimeError:
        return None
