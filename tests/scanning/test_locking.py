from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nsfw_caffe.errors import ScanStopped
from nsfw_caffe.results.formats import sidecar
from nsfw_caffe.scanning.locking import Reserve, locked

HOLD = """
import sys, time
from pathlib import Path
from nsfw_caffe.scanning.locking import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_side_files_are_hidden(tmp_path: Path) -> None:
    assert sidecar(tmp_path / "r.csv", "lock") == tmp_path / ".r.csv.lock"


def test_the_second_one_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    results = tmp_path / "r.csv"
    with locked(results):
        for _ in range(2):
            with pytest.raises(ScanStopped, match=r"another scan is at work on .*r\.csv: wait"), locked(results):
                pass
        with locked(tmp_path / "other.csv"):
            pass
    assert not list(tmp_path.iterdir())
    with locked(results):
        pass


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    results = tmp_path / "r.csv"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, results], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder, holder.stdout:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ScanStopped), locked(results):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert sidecar(results, "lock").exists()
    with locked(results):
        pass


@pytest.mark.linux
def test_reserve_takes_space_and_gives_it_back(tmp_path: Path) -> None:
    results = tmp_path / "r.csv"
    with Reserve(results) as reserve:
        reserve.hold(1)
        first = sidecar(results, "reserve").stat()
        assert first.st_blocks * 512 >= 1 << 18
        reserve.hold(1 << 18)
        assert sidecar(results, "reserve").stat() == first
        reserve.hold((1 << 18) + 1)
        assert sidecar(results, "reserve").stat().st_size == 1 << 19
        reserve.release()
        assert not list(tmp_path.iterdir())
        reserve.hold(1)
    assert not list(tmp_path.iterdir())


@pytest.mark.linux
def test_reserve_says_that_there_is_no_room(tmp_path: Path) -> None:
    """More than any file may have: what is more than the disk has would fill it first, under other tests."""
    with Reserve(tmp_path / "r.csv") as reserve, pytest.raises(OSError, match=r"space|large") as caught:
        reserve.hold(1 << 62)
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
