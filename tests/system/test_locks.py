from __future__ import annotations

import time
from pathlib import Path

import pytest

from nsfw_caffe.system.locks import locked


def test_one_holder_at_a_time_and_no_file_after_it(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    for _ in range(2):
        with locked(path):
            for _ in range(2):
                with pytest.raises(BlockingIOError), locked(path):
                    pass
            assert path.exists()
        assert not path.exists()


def test_it_is_waited_for_as_long_as_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with locked(path):
        start = time.monotonic()
        with pytest.raises(BlockingIOError), locked(path, seconds=0.2):
            pass
        assert 0.2 <= time.monotonic() - start < 5


def test_a_lock_that_cannot_be_made_is_an_error_of_the_systems(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), locked(tmp_path / "file" / "a.lock"):
        pass
