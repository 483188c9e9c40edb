"""The files that a scan keeps beside RESULTS: all hidden, and gone when it has ended well."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from nsfw_caffe.errors import ScanStopped
from nsfw_caffe.results.formats import sidecar, unwritable
from nsfw_caffe.system import locks
from nsfw_caffe.system.files import take_room

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
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locks.locked(sidecar(results, "lock")))
        except BlockingIOError:
            raise ScanStopped(f"another scan is at work on {results}: wait for it, or stop it") from None
        except OSError as error:
            if error.errno in _UNWRITABLE:
                raise unwritable(results, os.strerror(error.errno)) from error
            raise
        yield


class Reserve:
    """Disk space held back beside RESULTS, so that on a full disk RESULTS can still be written; see `take_room`."""

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
        take_room(self._path, size)
        self._size = size

    def release(self) -> None:
        """Give the space back."""
        self._path.unlink(missing_ok=True)
        self._size = 0
