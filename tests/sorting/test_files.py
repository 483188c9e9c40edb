from __future__ import annotations

import os
from pathlib import Path

import pytest

from nsfw_caffe.scanning.reopen import Sources, SourceUnusable
from nsfw_caffe.sorting import files
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
