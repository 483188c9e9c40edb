"""Locks that the system lets go of however their process ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

_A_MOMENT = 0.1  # seconds


@contextlib.contextmanager
def locked(path: Path, seconds: float = 0) -> Iterator[None]:
    """Hold a lock on a file, which is made for it and deleted after it.

    BlockingIOError where another one holds it for as long as it is waited for; another OSError where the file cannot be
    made.
    """
    # Its import takes as long as many a command's.
    from filelock import FileLock, Timeout

    # In the place of a lock that the file system lacks it would make one that a killed process leaves behind.
    lock = FileLock(path, fallback_to_soft=False)
    try:
        # A first try fails, too, where the last holder is about to delete the file.
        lock.acquire(timeout=max(seconds, _A_MOMENT), poll_interval=_A_MOMENT / 5)
    except Timeout as error:
        raise BlockingIOError(str(error)) from error
    try:
        yield
    finally:
        # While it is held: then whoever waits with the file open sees that it has gone. Windows deletes no file that is
        # open; there filelock does it afterwards.
        with contextlib.suppress(PermissionError):
            path.unlink(missing_ok=True)
        lock.release()
