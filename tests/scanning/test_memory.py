"""What a scan keeps in memory: what is under way, however much there is."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsfw_caffe.parallel.caffe_workers import _Borrowed, _Run, _Task
from nsfw_caffe.parallel.ordered_map import ordered_map
from nsfw_caffe.preprocessing.steps import held_bytes
from nsfw_caffe.results.formats import read_results
from tests.cli.test_scan import ENGINE
from tests.support import PEAK_MEMORY

MIB = 1 << 20

PEAK = f"""
import sys
from nsfw_caffe.cli.main import main
status = main(sys.argv[1:])
print(status, {PEAK_MEMORY})
"""


def peak(*arguments: object) -> int:
    """Return how many bytes of memory a scan took at most."""
    command = [sys.executable, "-c", PEAK, "scan", *map(str, arguments), *ENGINE, "--workers", "2"]
    output = subprocess.run(command, check=True, timeout=300, capture_output=True, text=True).stdout
    return int(output.split()[-1])


def test_content_does_not_outlive_its_scoring(tmp_path: Path) -> None:
    """Two archives of the same pictures, large ones and not even good ones."""
    content = bytes(4 * MIB)
    for name in "ab":
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(75):
                archive.writestr(f"{number}.jpg", content)
    few, many = tmp_path / "few.zip", tmp_path / "r.csv"
    with zipfile.ZipFile(few, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(10):
            archive.writestr(f"{number}.jpg", content)
    first = peak(few, "-o", tmp_path / "few.csv")
    second = peak(tmp_path / "a.zip", tmp_path / "b.zip", "-o", many)
    assert len(list(read_results(many))) == 150
    assert second - first < 60 * MIB  # all of it has 600


def test_items_under_way_are_bounded_by_what_they_hold() -> None:
    taken: list[int] = []

    def items() -> Iterator[bytes]:
        for number in range(50):
            taken.append(number)
            yield bytes([number]) * 100

    results = ordered_map(len, items(), 4, weigh=held_bytes, room=350)
    for number in range(46):
        item, length = next(results)
        assert (item[0], length) == (number, 100)
        assert len(taken) <= number + 4
    assert len(list(results)) == 4


@pytest.mark.parametrize(("size", "count"), [(100, 20), (64 << 20, 4)])
def test_caffes_workers_are_given_no_more_than_they_may_hold(
    size: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nsfw_caffe.parallel.caffe_workers.ROOM", 256 << 20)
    content = bytes(size)
    run = _Run([content] * 30, lambda _: content, None, [None])  # type: ignore[arg-type, list-item]
    run.workers.append(_Borrowed(0, None))  # type: ignore[arg-type]
    while (task := run._take()) is not None and len(run.workers[0].tasks) < 20:
        run.workers[0].tasks.append(task)
    assert len(run.workers[0].tasks) == min(count, 16)
    assert isinstance(run.workers[0].tasks[0], _Task)
