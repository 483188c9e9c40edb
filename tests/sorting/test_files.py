from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nsfw_caffe.results.record import Record
from nsfw_caffe.sorting import files
from nsfw_caffe.sources.reopening import Sources, SourceUnusable
from tests.records import of_content, of_file


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"a picture")
    return path


def test_a_link_that_takes_the_sources_place_is_not_moved(source: Path, tmp_path: Path) -> None:
    link, target = tmp_path / "link.jpg", tmp_path / "to.jpg"
    link.symlink_to(source)
    with Sources() as sources, pytest.raises(SourceUnusable, match=files.CHANGED):
        files.move(of_file(link), target, sources)
    assert link.is_symlink()
    assert not os.path.lexists(target)


def test_a_source_of_another_content_is_not_removed_for_its_copy(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "to.jpg"
    target.write_bytes(b"a picture")
    source.write_bytes(b"a pictura")
    with pytest.raises(SourceUnusable, match=files.CHANGED):
        files.finish_move(of_content(str(source), b"a picture", source.stat().st_mtime), target)
    assert (source.read_bytes(), target.read_bytes()) == (b"a pictura", b"a picture")


def test_a_source_is_not_removed_for_a_copy_of_another_content(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "to.jpg"
    target.write_bytes(b"a pictura")
    with pytest.raises(SourceUnusable, match=files.CHANGED):
        files.finish_move(of_file(source), target)
    assert (source.read_bytes(), target.read_bytes()) == (b"a picture", b"a pictura")


def test_a_source_that_cannot_be_reached(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SourceUnusable, match=r"it cannot be read \(Too many levels of symbolic links\)"):
        files.check_file(of_content(str(tmp_path / "loop"), b"a picture"))


def test_content_is_a_files_own(source: Path, tmp_path: Path) -> None:
    record = of_file(source)
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "other").write_bytes(b"a pictura")
    names = ("a.jpg", "link", "other", "missing", ".")
    assert [files.has_content(tmp_path / name, record) for name in names] == [True, False, False, False, False]


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
        files.finish_move(of_file(source), target)
    assert source.read_bytes() == b"a picture"


@pytest.mark.parametrize("moving", ["at once", "as a copy that is finished"])
def test_a_source_that_is_written_to_while_it_is_moved_is_not_removed(
    moving: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, target = of_file(source), tmp_path / "to.jpg"
    has_content = files.has_content

    def check_and_write(path: Path, record: Record) -> bool:
        """Check as always; then another program writes to the source."""
        found = has_content(path, record)
        if moving == "at once" or path == target:
            source.write_bytes(b"a new picture")
            os.utime(source, ns=(1, 1))
        return found

    if moving == "as a copy that is finished":
        target.write_bytes(b"a picture")
    monkeypatch.setattr(files, "has_content", check_and_write)
    finish: Callable[..., None] = files.move if moving == "at once" else files.finish_move
    with Sources() as sources:
        arguments = (record, target, sources) if moving == "at once" else (record, target)
        with pytest.raises(SourceUnusable, match="another file has taken its place"):
            finish(*arguments)
    assert source.read_bytes() == b"a new picture"
