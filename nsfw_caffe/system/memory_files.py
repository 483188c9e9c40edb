"""Files for libraries that take nothing else: in memory where the system has such, else temporary ones."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def with_path(data: bytes) -> Iterator[Path]:
    """Give `data` a path, under which it may be read and written; on Linux no folder has to be writable for it."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("nsfw_caffe"), "wb") as file:
            file.write(data)
            file.flush()
            yield Path(f"/proc/self/fd/{file.fileno()}")
    else:
        import tempfile  # with all that it imports, for no system that has files in memory

        with tempfile.TemporaryDirectory(prefix="nsfw_caffe-") as folder:
            path = Path(folder, "data")
            path.write_bytes(data)
            yield path


def open_sealed(size: int) -> int:
    """Return the descriptor of an empty file, to be written to; on Linux a write beyond its size fails."""
    if sys.platform == "linux" and hasattr(os, "memfd_create"):
        import fcntl

        descriptor = os.memfd_create("nsfw_caffe", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
        return descriptor
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
