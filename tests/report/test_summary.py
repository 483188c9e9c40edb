from __future__ import annotations

import dataclasses
import random
import tracemalloc

import numpy as np
import pytest

from nsfw_caffe.report.summary import BINS, EDGES, TopK, highest_first, lowest_first, summarise
from tests.records import RECORD, failed, scored


def test_counts() -> None:
    rows = [scored("a", 0.1), scored("b", 0.5), scored("c", 0.95), failed("d", "the file is empty")]
    summary = summarise(rows, (0.8, 0.5))
    assert (summary.rows, summary.scored, summary.failed) == (4, 3, 1)
    assert summary.reached == ((0.5, 2), (0.8, 1))
    assert summary.bytes == 3000
    assert summary.seconds == pytest.approx(0.03)
    assert summary.mean == pytest.approx(1.55 / 3)
    assert [row.source for row in summary.highest] == ["c", "b", "a"]
    assert (summary.formats, summary.reasons) == ((("JPEG", 3),), (("the file is empty", 1),))
    assert (summary.set_ups, summary.versions) == ((RECORD.set_up,), ("0.1.0",))


def test_the_histogram_is_numpys() -> None:
    # Between the edges, on them, and one float32 above and below, where a product by 20 would round to the next bin.
    scores = np.random.default_rng(3).random(2000).tolist()
    for edge in EDGES:
        near = (np.nextafter(edge, 0), edge, np.nextafter(edge, 1))
        scores += [float(value) for value in near if 0 <= value <= 1]
    counted = summarise(scored("a", score) for score in scores).histogram
    assert counted == tuple(np.histogram(scores, bins=EDGES)[0])
    assert len(counted) == BINS
    assert sum(counted) == len(scores)


def test_no_rows_at_all() -> None:
    summary = summarise([])
    assert (summary.rows, summary.mean, summary.first, summary.last) == (0, None, None, None)
    assert summary.reached == ((0.2, 0), (0.5, 0), (0.8, 0))


def test_reasons_beyond_the_top_are_added_up() -> None:
    rows = [failed(f"{number}", f"reason {number % 5}") for number in range(12)]
    summary = summarise(rows, top=2)
    assert summary.reasons == (("reason 0", 3), ("reason 1", 3), ("others", 6))
    assert [row.source for row in summary.failures] == ["0", "1"]


def test_the_slowest_first_and_none_that_took_no_time() -> None:
    rows = [dataclasses.replace(RECORD, source=str(time), seconds=time) for time in (1.0, 3.0, 0.0, None, 2.0)]
    summary = summarise(rows, top=5)
    assert [row.seconds for row in summary.slowest] == [3.0, 2.0, 1.0]
    assert summary.repeated == 1


def test_more_than_one_set_up_and_the_time_between() -> None:
    later = dataclasses.replace(RECORD, engine="caffe", version="0.2.0", scored_at="2026-11-24T00:00:00Z")
    summary = summarise([later, RECORD])
    assert summary.set_ups == (later.set_up, RECORD.set_up)
    assert summary.versions == ("0.1.0", "0.2.0")
    assert (summary.first, summary.last) == (RECORD.scored_at, later.scored_at)


def test_memory_does_not_grow_with_the_rows() -> None:
    def peak(count: int) -> int:
        rows = (failed(f"{n}", f"odd {n}") if n % 2 else scored(f"{n}", n % 1000 / 1000) for n in range(count))
        tracemalloc.start()
        summarise(rows)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    # The least of some: now and then one is higher by 0.7 MB, whatever the count.
    assert min(peak(40_000) for _ in range(3)) < 1.3 * min(peak(8_000) for _ in range(3))


def test_ties_are_in_the_order_of_names() -> None:
    rows = [scored("b", 0.5), scored("c", 0.7), scored("a", 0.5), scored("d", 0.1)]
    highest, lowest = TopK(3, highest_first), TopK(3, lowest_first)
    for row in rows:
        highest.add(row)
        lowest.add(row)
    assert [row.source for row in highest.entries()] == ["c", "a", "b"]
    assert [row.source for row in lowest.entries()] == ["d", "a", "b"]


@pytest.mark.parametrize("count", [0, 1, 7, 5000])
def test_same_as_sorting_them_all(count: int) -> None:
    rng = random.Random(5)
    numbers = [rng.randrange(3000) for _ in range(4000)]
    best = TopK[int](count, lambda number: (number,))
    for number in numbers:
        best.add(number)
    assert best.entries() == tuple(sorted(numbers)[:count])


def test_it_keeps_few() -> None:
    best = TopK[int](3, lambda number: (number,))
    for number in range(100_000):
        best.add(number)
    assert len(best._kept) < 2000


def test_a_row_without_a_score_has_no_rank() -> None:
    with pytest.raises(ValueError, match=r"a\.jpg has no score"):
        highest_first(failed("a.jpg", "the file is empty"))
