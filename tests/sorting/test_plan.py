from __future__ import annotations

from pathlib import Path

import pytest

from nsfw_caffe.sorting.plan import Plan, target_of
from tests.records import failed, scored

ROWS = [scored("low", 0.1), scored("even", 0.5), scored("high", 0.9), failed("bad", "the file is empty")]


def test_the_threshold_itself_is_above() -> None:
    above, below = (Plan("copy", Path("to"), 0.5, is_below).targets(ROWS) for is_below in (False, True))
    assert [(row.source, str(target)) for row, target in above] == [("even", "to/even"), ("high", "to/high")]
    assert [row.source for row, _ in below] == ["low"]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("a.jpg", "to/a.jpg"),
        ("in/a.jpg", "to/in/a.jpg"),
        ("/abs/in/a.jpg", "to/abs/in/a.jpg"),
        ("./in//./a.jpg", "to/in/a.jpg"),
        ("../../etc/passwd", "to/__/__/etc/passwd"),
        ("in/../a.jpg", "to/in/__/a.jpg"),
        ("in/..a.jpg", "to/in/..a.jpg"),
        ("p/a.zip!in/b.jpg", "to/p/a.zip!/in/b.jpg"),
        ("a.tar.gz!../b.jpg", "to/a.tar.gz!/__/b.jpg"),
        ("a.TGZ!/b.jpg", "to/a.TGZ!/b.jpg"),
        ("a.zip!b.zip!c", "to/a.zip!/b.zip!c"),
        ("wow!.jpg", "to/wow!.jpg"),
    ],
)
def test_targets_are_below_the_folder(source: str, target: str) -> None:
    assert str(target_of(source, Path("to"))) == target
