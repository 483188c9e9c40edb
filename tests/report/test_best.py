from __future__ import annotations

import random

import pytest

from nsfw_caffe.report.best import Best, highest_first, lowest_first
from tests.records import failed, scored


def test_ties_are_in_the_order_of_names() -> None:
    rows = [scored("b", 0.5), scored("c", 0.7), scored("a", 0.5), scored("d", 0.1)]
    highest, lowest = Best(3, highest_first), Best(3, lowest_first)
    for row in rows:
        highest.add(row)
        lowest.add(row)
    assert [row.source for row in highest.entries()] == ["c", "a", "b"]
    assert [row.source for row in lowest.entries()] == ["d", "a", "b"]


@pytest.mark.parametrize("count", [0, 1, 7, 5000])
def test_same_as_sorting_them_all(count: int) -> None:
    rng = random.Random(5)
    numbers = [rng.randrange(3000) for _ in range(4000)]
    best = Best[int](count, lambda number: (number,))
    for number in numbers:
        best.add(number)
    assert best.entries() == tuple(sorted(numbers)[:count])


def test_it_keeps_few() -> None:
    best = Best[int](3, lambda number: (number,))
    for number in range(100_000):
        best.add(number)
    assert len(best._kept) < 2000


def test_a_row_without_a_score_has_no_rank() -> None:
    with pytest.raises(ValueError, match=r"a\.jpg has no score"):
        highest_first(failed("a.jpg", "the file is empty"))
