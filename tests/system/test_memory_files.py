from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from nsfw_caffe.system.memory_files import open_sealed, with_path
from tests.support import LINUX


@pytest.fixture(params=[True, False], ids=["in memory", "on the disk"])
def in_memory(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Tell whether files are in memory, and let none be on the disk but in a folder of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not request.param:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    return bool(request.param) and LINUX


def test_data_has_a_path_for_a_while(in_memory: bool, tmp_path: Path) -> None:
    with with_path(b"before") as path:
        assert path.read_bytes() == b"before"
        path.write_bytes(b"after, and longer")
        assert path.read_bytes() == b"after, and longer"
        assert in_memory or path.is_relative_to(tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_written_is_read_and_what_is_too_much_may_fail(in_memory: bool, tmp_path: Path) -> None:
    descriptor = open_sealed(8)
    try:
        assert os.write(descriptor, b"written!") == 8
        if in_memory:
            with pytest.raises(PermissionError):
                os.write(descriptor, b"more")
        os.lseek(descriptor, 0, os.SEEK_SET)
        assert os.read(descriptor, 8) == b"written!"
    finally:
        os.close(descriptor)
    assert not list(tmp_path.iterdir())
