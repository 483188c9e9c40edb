"""Files that change while they are moved: os.link is watched, since nothing else comes between a look and a step."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nsfw_caffe.results.record import Record
from nsfw_caffe.sorting import apply
from nsfw_caffe.sorting.preview import check_file, has_content
from nsfw_caffe.sources.reopening import CHANGED, Sources, SourceUnusable
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
    with Sources() as sources, pytest.raises(SourceUnusable, match=CHANGED):
        apply.move(record, target, sources)
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
    with Sources() as sources, pytest.raises(SourceUnusable, match=CHANGED):
        apply.move(record, target, sources)
    assert (tmp_path / "moved.jpg").read_bytes() == source.read_bytes() == b"a picture"
    assert source.is_symlink()
    assert not os.path.lexists(target)


@pytest.mark.linux
def test_moves_between_file_systems_leave_no_file_open(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "to.jpg"
    target.write_bytes(source.read_bytes())
    before = len(list(Path("/proc/self/fd").iterdir()))
    apply.finish_move(of_file(source), target)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.linux
def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    record = of_content(str(tmp_path / "a.jpg"), b"")
    with pytest.raises(SourceUnusable, match="not a regular file"):
        check_file(record)


def test_a_link_that_takes_the_sources_place_is_not_moved(source: Path, tmp_path: Path) -> None:
    link, target = tmp_path / "link.jpg", tmp_path / "to.jpg"
    link.symlink_to(source)
    with Sources() as sources, pytest.raises(SourceUnusable, match=CHANGED):
        apply.move(of_file(link), target, sources)
    assert link.is_symlink()
    assert not os.path.lexists(target)


def test_a_source_of_another_content_is_not_removed_for_its_copy(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "to.jpg"
    target.write_bytes(b"a picture")
    source.write_bytes(b"a pictura")
    with pytest.raises(SourceUnusable, match=CHANGED):
        apply.finish_move(of_content(str(source), b"a picture", source.stat().st_mtime), target)
    assert (source.read_bytes(), target.read_bytes()) == (b"a pictura", b"a picture")


def test_a_source_is_not_removed_for_a_copy_of_another_content(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "to.jpg"
    target.write_bytes(b"a pictura")
    with pytest.raises(SourceUnusable, match=CHANGED):
        apply.finish_move(of_file(source), target)
    assert (source.read_bytes(), target.read_bytes()) == (b"a picture", b"a pictura")


@pytest.mark.linux
def test_a_file_of_one_name_at_two_paths_is_not_removed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a mount of one file at a second path looks like; as mounting takes root, lstat is made to answer like it."""
    target = tmp_path / "elsewhere" / "b.jpg"
    target.parent.mkdir()
    target.write_bytes(b"a picture")
    lstat = Path.lstat
    monkeypatch.setattr(Path, "lstat", lambda path: lstat(source if path == target else path))
    assert source.stat().st_nlink == 1
    with pytest.raises(SourceUnusable, match="the target is the source itself"):
        apply.finish_move(of_file(source), target)
    assert source.read_bytes() == b"a picture"


@pytest.mark.parametrize("moving", ["at once", "as a copy that is finished"])
def test_a_source_that_is_written_to_while_it_is_moved_is_not_removed(
    moving: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, target = of_file(source), tmp_path / "to.jpg"

    def check_and_write(path: Path, record: Record) -> bool:
        """Check as always; then another program writes to the source."""
        found = has_content(path, record)
        if moving == "at once" or path == target:
            source.write_bytes(b"a new picture")
            os.utime(source, ns=(1, 1))
        return found

    if moving == "as a copy that is finished":
        target.write_bytes(b"a picture")
    monkeypatch.setattr(apply, "has_content", check_and_write)
    finish: Callable[..., None] = apply.move if moving == "at once" else apply.finish_move
    with Sources() as sources:
        arguments = (record, target, sources) if moving == "at once" else (record, target)
        with pytest.raises(SourceUnusable, match="another file has taken its place"):
            finish(*arguments)
    assert source.read_bytes() == b"a new picture"
