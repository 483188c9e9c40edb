from __future__ import annotations

from pathlib import Path

import pytest

from nsfw_caffe.sorting.preview import check_file, has_content
from nsfw_caffe.sources.reopening import SourceUnusable
from tests.records import of_content, of_file


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"a picture")
    return path


def test_a_source_that_cannot_be_reached(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SourceUnusable, match=r"it cannot be read \(Too many levels of symbolic links\)"):
        check_file(of_content(str(tmp_path / "loop"), b"a picture"))


def test_content_is_a_files_own(source: Path, tmp_path: Path) -> None:
    record = of_file(source)
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "other").write_bytes(b"a pictura")
    names = ("a.jpg", "link", "other", "missing", ".")
    assert [has_content(tmp_path / name, record) for name in names] == [True, False, False, False, False]
