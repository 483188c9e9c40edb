"""Which of what a scan comes across is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from nsfw_caffe.sources.selection import Selection


@pytest.mark.parametrize(
    ("pattern", "path", "taken"),
    [
        ("*.jpg", "a/b.JPG", True),
        ("*.JPG", "a/b.jpg", True),
        ("*.jpg", "a/b.jpg.txt", False),
        ("b.*", "b/a.jpg", False),
        ("a/*.jpg", "a/b.jpg", True),
        ("a/*.jpg", "a/b/c.jpg", True),
        ("a/*.jpg", "b/a/c.jpg", False),
        ("*/a/*", "b/a/c.jpg", True),
        ("[ab].jpg", "b.jpg", True),
        ("*.jpg", "new\nline.jpg", True),
        ("*.jpg", "not utf-8 \udcff.jpg", True),
    ],
)
def test_pattern_is_for_the_name_or_with_a_slash_for_the_path(pattern: str, path: str, taken: bool) -> None:
    assert Selection(include=(pattern,)).takes(path) is taken
    assert Selection(exclude=(pattern,)).enters(path) is not taken


def test_any_of_several_patterns_will_do() -> None:
    selection = Selection(include=("*.jpg", "*.png", "raw/*"))
    assert [selection.takes(path) for path in ("a.jpg", "a.png", "raw/a.cr2", "a.cr2")] == [True, True, True, False]


def test_pattern_of_a_folder_may_end_with_a_slash() -> None:
    assert not Selection(exclude=("thumbs/",)).enters("a/thumbs")


def test_leading_dot_hides() -> None:
    assert not Selection().enters("a/.b")
    assert Selection(hidden=True).enters("a/.b")


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("a.jpg", True),
        ("./a.jpg", True),
        ("x/a.jpg", True),
        ("a.png", False),
        ("thumbs/a.jpg", False),
        ("x/Thumbs/y/a.jpg", False),
        (".x/a.jpg", False),
        ("x/._a.jpg", False),
    ],
)
def test_member_is_judged_with_the_folders_that_it_is_in(name: str, taken: bool) -> None:
    assert Selection(include=("*.jpg",), exclude=("thumbs",)).takes_member(name) is taken


def test_address_ends_where_its_query_begins_and_cannot_be_hidden() -> None:
    selection = Selection(include=("*.jpg",), exclude=("*://ads.*",))
    assert selection.takes_address("http://example.com/.x/a.jpg?w=3/4#top")
    assert not selection.takes_address("http://example.com/a.png?b.jpg")
    assert not selection.takes_address("http://ads.example.com/a.jpg")
    assert Selection().takes_address("http://example.com/a")


def test_file_is_left_out_by_any_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "real" / "results.csv")
    selection = Selection(leave_out=frozenset({str(tmp_path / "link.csv")}))
    # Before and after there is such a file: the scan makes it.
    for _ in range(2):
        assert selection.leaves_out(str(tmp_path / "link.csv"))
        assert selection.leaves_out(f"{tmp_path}/real/../real/results.csv")
        assert not selection.leaves_out(str(tmp_path / "results.csv"))
        (tmp_path / "real" / "results.csv").touch()
