"""Finding what to scan."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsfw_caffe.sources.find import count_items, find_items
from nsfw_caffe.sources.selection import Selection
from tests.sources.support import PICTURES, errors, find, pack, read
from tests.support import PHOTOS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with photos and a zip file between them."""
    made = tmp_path / "photos"
    (made / "b").mkdir(parents=True)
    shutil.copy(PHOTOS / "moon.png", made / "a.png")
    shutil.copy(PHOTOS / "moon.png", made / "c.png")
    pack(made / "b" / "x.zip", {"d/horse.png": PICTURES["horse.png"], "cell.png": PICTURES["cell.png"]})
    return made


def test_files_folders_and_archives_come_in_the_order_of_their_names(folder: Path) -> None:
    items = find(folder)
    assert [item.source.removeprefix(f"{folder}/") for item in items] == [
        "a.png",
        "b/x.zip!d/horse.png",
        "b/x.zip!cell.png",
        "c.png",
    ]
    assert [read(item) for item in items] == [
        PICTURES[name] for name in ("moon.png", "horse.png", "cell.png", "moon.png")
    ]


def test_sources_come_in_the_order_in_which_they_are_given(folder: Path) -> None:
    sources: list[Path | str] = [folder / "c.png", "missing", folder / "b" / "x.zip", folder / "a.png"]
    assert errors(find(*sources)) == [None, "cannot be read (No such file or directory)", None, None, None]
    assert [item.source for item in find(*sources)][-1] == str(folder / "a.png")


def test_nothing_is_looked_at_before_it_is_asked_for(folder: Path) -> None:
    def endless() -> Iterator[str]:
        for number in itertools.count():
            (folder / f"new{number}.png").touch()
            yield str(folder / f"new{number}.png")

    found = list(itertools.islice(find_items(endless(), Selection()), 3))
    assert [item.size for item in found] == [0, 0, 0]
    assert len(list(folder.glob("new*"))) == 3


def test_only_members_of_archives_have_to_be_read_at_once(folder: Path) -> None:
    found = list(find_items([str(folder)], Selection()))
    members = [item for item in found if item.member is not None]
    assert [item.source.rpartition("!")[2] for item in members] == ["d/horse.png", "cell.png"]
    assert all(item.size and item.mtime for item in members)
    files = [item for item in found if item.member is None]
    assert files
    assert [item.read() for item in files] == [Path(item.source).read_bytes() for item in files]


@pytest.mark.parametrize(
    "selection", [Selection(), Selection(include=("*l.png",)), Selection(exclude=("b",)), Selection(max_bytes=1000)]
)
def test_count_is_that_of_the_items(folder: Path, selection: Selection) -> None:
    (folder / "dangling.png").symlink_to("nowhere")
    sources = [str(folder), str(folder / "a.png"), "missing"]
    assert count_items(sources, selection) == len(list(find_items(sources, selection)))


def test_count_is_unknown_with_an_archive_that_has_to_be_read(folder: Path) -> None:
    pack(folder / "y.tar")
    assert count_items([str(folder)], Selection()) is None
    assert count_items([str(folder)], Selection(exclude=("*.tar",))) == 4
