"""Walking through folders."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsfw_caffe.sources.archive import Archive
from nsfw_caffe.sources.item import Item
from nsfw_caffe.sources.selection import MAX_BYTES, Selection
from nsfw_caffe.sources.walk import walk
from tests.support import PHOTOS

NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with photos at three levels."""
    made = tmp_path / "photos"
    for name in ("b/moon.png", "a.png", "b/c/cat.png", "b.png", "d/horse.png"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PHOTOS / "moon.png", made / name)
    return made


@pytest.fixture
def half_closed_folder() -> Iterator[Path]:
    """A folder with one in it that must not be listed, and a user whom permissions bind: they do not bind root."""
    made = Path(tempfile.mkdtemp())
    for name in ("a.png", "closed/b.png", "d.png"):
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).touch()
    made.chmod(0o755)
    (made / "closed").chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield made
    os.seteuid(user)
    (made / "closed").chmod(0o700)
    shutil.rmtree(made)


def names(found: list[Item | Archive], folder: Path) -> list[str]:
    return [(each.source if isinstance(each, Item) else each.path).removeprefix(f"{folder}/") for each in found]


def listed(folder: Path, **selection: object) -> list[str]:
    return names(list(walk(str(folder), Selection(**selection), set())), folder)  # type: ignore[arg-type]


def test_what_is_in_a_folder_comes_by_name(folder: Path) -> None:
    assert listed(folder) == ["a.png", "b/c/cat.png", "b/moon.png", "b.png", "d/horse.png"]


def test_file_is_named_by_its_path_and_not_read(folder: Path) -> None:
    (item,) = walk(f"{folder}/./a.png", Selection(), set())
    status = (folder / "a.png").stat()
    path = f"{folder}/./a.png"
    assert item == Item(path, status.st_size, status.st_mtime, path=path, most=MAX_BYTES)


@pytest.mark.parametrize(("given", "expected"), [("photos", "photos/a.png"), ("./photos/", "./photos/a.png")])
def test_found_file_keeps_the_folder_as_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch, given: str, expected: str
) -> None:
    monkeypatch.chdir(folder.parent)
    first = next(walk(given, Selection(), set()))
    assert isinstance(first, Item)
    assert first.source == first.path == expected


def test_patterns_are_for_what_is_below_the_source(folder: Path) -> None:
    assert listed(folder, include=("b/*",)) == ["b/c/cat.png", "b/moon.png"]
    assert listed(folder, include=("*.png",), exclude=("B", "d/*")) == ["a.png", "b.png"]
    assert listed(folder / "b", include=("c/*",)) == ["c/cat.png"]


def test_hidden_files_and_folders_are_passed_over(folder: Path) -> None:
    (folder / ".e").mkdir()
    for name in (".e/f.png", ".g.png"):
        (folder / name).touch()
    assert not [name for name in listed(folder) if name.startswith(".")]
    assert listed(folder, hidden=True)[:2] == [".e/f.png", ".g.png"]


def test_what_is_named_itself_is_taken_anyway(folder: Path) -> None:
    hidden = folder / ".hidden.txt"
    hidden.touch()
    (item,) = walk(str(hidden), Selection(include=("*.png",), exclude=("*",)), set())
    assert isinstance(item, Item)
    assert item.path == str(hidden)
    hidden.unlink()
    folder.rename(folder.parent / ".photos")
    assert len(list(walk(f"{folder.parent}/.photos", Selection(), set()))) == 5


def test_excluded_folder_is_not_even_listed(folder: Path) -> None:
    visited: set[tuple[int, int]] = set()
    list(walk(str(folder), Selection(exclude=("b",)), visited))
    assert visited == {(path.stat().st_dev, path.stat().st_ino) for path in (folder, folder / "d")}


def test_archives_are_found_whatever_is_to_be_included(folder: Path) -> None:
    for name in ("x.ZIP", "x.tar.gz", "x.warc", "x.rar"):
        (folder / name).touch()
    found = list(walk(str(folder), Selection(include=("*.jpg",)), set()))
    assert names([each for each in found if isinstance(each, Archive)], folder) == ["x.ZIP", "x.tar.gz", "x.warc"]
    assert len(found) == 3
    assert listed(folder, include=("*.jpg",), exclude=("x.*",)) == []


def test_links_are_followed_and_loops_are_not(folder: Path) -> None:
    (folder / "b" / "c" / "up").symlink_to(folder)
    (folder / "b" / "self").symlink_to(folder / "b")
    (folder / "again").symlink_to(folder / "d")
    (folder / "link.png").symlink_to(folder / "a.png")
    assert listed(folder) == ["a.png", "again/horse.png", "b/c/cat.png", "b/moon.png", "b.png", "link.png"]


def test_folder_of_two_sources_comes_once(folder: Path) -> None:
    visited: set[tuple[int, int]] = set()
    assert len(list(walk(str(folder / "b"), Selection(), visited))) == 2
    assert len(list(walk(str(folder), Selection(), visited))) == 3
    assert list(walk(f"{folder}/b/..", Selection(), visited)) == []


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("missing.png", "cannot be read (No such file or directory)"),
        ("a.png/b.png", "cannot be read (Not a directory)"),
        ("x" * 300, "cannot be read (File name too long)"),
        ("nul\0.png", "cannot be read (a path cannot hold this character)"),
    ],
)
def test_what_is_no_file_is_an_error(folder: Path, name: str, error: str) -> None:
    source = f"{folder}/{name}"
    assert list(walk(source, Selection(), set())) == [Item(source, error=error)]


@pytest.mark.linux
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("dangling.png", "cannot be read (No such file or directory)"),
        ("circle.png", "cannot be read (Too many levels of symbolic links)"),
        ("pipe.png", "not a regular file"),
        ("pipe.zip", "not a regular file"),
        ("device.png", "not a regular file"),
    ],
)
def test_what_is_no_file_is_an_error_also_in_a_folder(folder: Path, name: str, error: str) -> None:
    path = folder / name
    if name.startswith("pipe"):
        os.mkfifo(path)
    else:
        path.symlink_to({"dangling.png": "nowhere", "circle.png": "circle.png", "device.png": "/dev/zero"}[name])
    expected = Item(str(path), error=error)
    assert list(walk(str(path), Selection(), set())) == [expected]
    found = list(walk(str(folder), Selection(), set()))
    assert expected in found
    assert len(found) == 6


def test_empty_source_is_not_the_current_folder() -> None:
    assert list(walk("", Selection(), set())) == [Item("", error="expected a path, found an empty text")]


@pytest.mark.linux
def test_folder_that_must_not_be_read_is_an_error_and_the_rest_comes(half_closed_folder: Path) -> None:
    found = list(walk(str(half_closed_folder), Selection(), set()))
    assert names(found, half_closed_folder) == ["a.png", "closed", "d.png"]
    assert found[1] == Item(f"{half_closed_folder}/closed", error="the folder cannot be read (Permission denied)")


def test_file_over_the_limit_is_an_error_with_its_size(folder: Path) -> None:
    large = folder / "large.png"
    with large.open("wb") as file:
        file.truncate(1001)
    (item,) = walk(str(large), Selection(max_bytes=1000), set())
    assert item == Item(
        str(large), 1001, large.stat().st_mtime, error="larger than the limit of 1000 bytes (Limits.bytes, --max-size)"
    )
    assert [item.error for item in walk(str(large), Selection(max_bytes=1001), set()) if isinstance(item, Item)] == [
        None
    ]


def test_large_archive_is_no_large_file(folder: Path) -> None:
    archive = folder / "large.zip"
    archive.write_bytes(bytes(1001))
    assert list(walk(str(archive), Selection(max_bytes=1000), set())) == [
        Archive(str(archive), 1001, archive.stat().st_mtime)
    ]


def test_results_are_no_source(folder: Path) -> None:
    results = folder / "b" / "results.csv"
    results.touch()
    selection = Selection(leave_out=frozenset({str(results)}))
    assert len(list(walk(str(folder), selection, set()))) == 5
    assert list(walk(str(results), selection, set())) == []


def test_names_of_any_bytes_are_found(tmp_path: Path) -> None:
    made = [b"\xff\xfe.png", b"caf\xc3\xa9.png", b"new\nline.png", b'quote".png']
    for name in made:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).touch()  # noqa: PTH118 - of bytes
    found = [item.path for item in walk(str(tmp_path), Selection(), set()) if isinstance(item, Item)]
    assert sorted(os.fsencode(path or "").rpartition(b"/")[2] for path in found) == sorted(made)


@pytest.fixture
def deep_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder nested more deeply than what Python, and so pytest, removes by recursion."""
    levels = [f"{tmp_path}{'/d' * count}" for count in range(1, 1051)]
    for level in levels:
        Path(level).mkdir()
    (Path(levels[-1]) / "x.png").touch()
    yield Path(levels[-1])
    (Path(levels[-1]) / "x.png").unlink()
    for level in reversed(levels):
        Path(level).rmdir()


def test_folders_may_be_nested_deeper_than_calls(tmp_path: Path, deep_folder: Path) -> None:
    found = list(walk(str(tmp_path), Selection(), set()))
    assert [item.path for item in found if isinstance(item, Item)] == [f"{deep_folder}/x.png"]
