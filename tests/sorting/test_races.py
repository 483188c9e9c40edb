"""Files that change while they are moved: os.link is watched, since nothing else comes between a look and a step."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nsfw_caffe.sorting import files
from nsfw_caffe.sources.reopening import Sources, SourceUnusable
from tests.records import of_content, of_file

Change = Callable[[Path], None]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"a picture")
    return path


def replace(path: Path) -> None:
    """Put another file in its place, of the same size and time."""
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"a pictura")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


def write_over(path: Path) -> None:
    """Change the file itself."""
    path.write_bytes(b"a pictura")
    os.utime(path, (1e9, 1e9))


@pytest.mark.parametrize("change", [replace, write_over])
def test_what_became_of_the_source_before_the_move_is_not_moved(
    change: Change, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, target, link = of_file(source), tmp_path / "to.jpg", os.link

    def late(*arguments: Any, **options: Any) -> None:
        change(source)
        link(*arguments, **options)

    monkeypatch.setattr(os, "link", late)
    with Sources() as sources, pytest.raises(SourceUnusable, match=files.CHANGED):
        files.move(record, target, sources)
    assert source.read_bytes() == b"a pictura"
    assert not os.path.lexists(target)


def test_a_link_that_takes_the_sources_place_is_not_followed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, target, link = of_file(source), tmp_path / "to.jpg", os.link

    def late(*arguments: Any, **options: Any) -> None:
        source.rename(tmp_path / "moved.jpg")
        source.symlink_to("moved.jpg")
        link(*arguments, **options)

    monkeypatch.setattr(os, "link", late)
    with Sources() as sources, pytest.raises(SourceUnusable, match=files.CHANGED):
        files.move(record, target, sources)
    assert (tmp_path / "moved.jpg").read_bytes() == source.read_bytes() == b"a picture"
    assert source.is_symlink()
    assert not os.path.lexists(target)


def test_moves_between_file_systems_leave_no_file_open(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "to.jpg"
    target.write_bytes(source.read_bytes())
    before = len(list(Path("/proc/self/fd").iterdir()))
    files.finish_move(of_file(source), target)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    record = of_content(str(tmp_path / "a.jpg"), b"")
    with pytest.raises(SourceUnusable, match="not a regular file"):
        files.check_file(record)
