"""Reading files whose paths come from outside."""

from __future__ import annotations

import errno
import os
import stat

_CHUNK = 1 << 20

NOT_REGULAR = "not a regular file"


def read_file(path: str | os.PathLike[str], most: int | None = None) -> bytes:
    """Read a regular file, without ever waiting for somebody to write to it.

    What a path names may change between a look at it and its opening, so the file is looked at once it is open. A pipe,
    a device or a socket is refused; and some files of /proc say that they are regular and have no end, or no beginning.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    most : int, optional
        How many bytes it may have.

    Returns
    -------
    bytes
        All of it.

    Raises
    ------
    OSError
        It cannot be read, is not a regular file, or has more bytes (EFBIG); `strerror` says why, without the path.
    ValueError
        A path cannot hold a NUL.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor, not a path
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, NOT_REGULAR)
        if most is not None and status.st_size > most:
            raise _too_large(most)
        pieces: list[bytes] = []
        length = 0
        # One byte more than the file has shows its end without a copy of it all.
        wanted = status.st_size + 1
        while piece := file.read(max(wanted - length, _CHUNK)):
            pieces.append(piece)
            length += len(piece)
            if most is not None and length > most:
                raise _too_large(most)
        if piece is None:
            raise OSError(errno.EAGAIN, "nothing can be read without waiting")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(most: int) -> OSError:
    return OSError(errno.EFBIG, f"larger than the limit of {most} bytes")
