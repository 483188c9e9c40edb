"""The files that a scan keeps beside RESULTS: all hidden, and gone when it has ended well."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from nsfw_caffe.errors import ScanStopped
from nsfw_caffe.results.formats import sidecar, unwritable

_STEP = 1 << 18  # bytes by which the reserve grows
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)  # `os.access` does not know of all that forbids it
_KINDS = ("journal", "journal-wal", "journal-shm", "lock", "reserve", "part")  # -wal, -shm: SQLite's; part: new RESULTS


def own_files(results: Path) -> list[str]:
    """List the files that belong to a scan into RESULTS, and are no sources of it."""
    return [str(path) for path in (results, *(sidecar(results, kind) for kind in _KINDS))]


@contextlib.contextmanager
def locked(results: Path) -> Iterator[None]:
    """Hold the lock of RESULTS; the system lets go of it however the process ends.

    ResultsError if its folder cannot be written, ScanStopped if another scan holds it.
    """
    path = sidecar(results, "lock")
    descriptor = _acquire(path, results)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, results: Path) -> int:
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if error.errno in _UNWRITABLE:
                raise unwritable(results, os.strerror(error.errno)) from error
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its last holder may have deleted the file between the two calls; a lock on that keeps nobody out.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise ScanStopped(f"another scan is at work on {results}: wait for it, or stop it") from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


class Reserve:
    """Disk space held back beside RESULTS, so that on a full disk RESULTS can still be written."""

    def __init__(self, results: Path) -> None:
        self._path = sidecar(results, "reserve")
        self._size = 0

    def __enter__(self) -> Reserve:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def hold(self, size: int) -> None:
        """Hold back at least so many bytes; OSError if there is no room."""
        if size <= self._size:
            return
        size = -(-size // _STEP) * _STEP
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)
        self._size = size

    def release(self) -> None:
        """Give the space back."""
        self._path.unlink(missing_ok=True)
        self._size = 0
