from __future__ import annotations

import itertools
import threading
import time

import pytest

from nsfw_caffe.parallel.ordered_map import WINDOW, ordered_map


def slow_square(number: int) -> int:
    time.sleep(0.001 * (number % 5))
    return number * number


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_order_and_results(threads: int) -> None:
    assert list(ordered_map(slow_square, range(100), threads)) == [(number, number * number) for number in range(100)]
    assert list(ordered_map(slow_square, [], threads)) == []


@pytest.mark.parametrize(("threads", "window"), [(1, WINDOW), (3, WINDOW), (3, 2)])
def test_endless_items_are_read_no_further_than_the_window(threads: int, window: int) -> None:
    items = itertools.count()
    results = ordered_map(slow_square, items, threads, window)
    assert [next(results)[0] for _ in range(50)] == list(range(50))
    assert next(items) <= 50 + window * threads
    results.close()


def test_threads_work_side_by_side() -> None:
    meeting = threading.Barrier(3, timeout=30)
    assert len(list(ordered_map(lambda _: meeting.wait(), range(3), 3))) == 3


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_is_raised_in_its_place(threads: int) -> None:
    results = ordered_map(lambda number: 1 // (3 - number), range(10), threads)
    assert [number for number, _ in itertools.islice(results, 3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_leaving_early_ends_the_threads_and_begins_nothing_more() -> None:
    before = set(threading.enumerate())
    begun, ended = [], []
    gate = threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        assert number == 0 or gate.wait(30)
        ended.append(number)

    results = ordered_map(work, itertools.count(), 2)
    next(results)
    assert set(threading.enumerate()) > before
    threading.Timer(0.2, gate.set).start()
    results.close()
    assert gate.is_set()
    assert sorted(ended) == sorted(begun)
    assert set(begun) <= {0, 1, 2}
    assert {thread for thread in threading.enumerate() if not isinstance(thread, threading.Timer)} == before


def test_one_thread_is_the_callers() -> None:
    assert {thread for _, thread in ordered_map(lambda _: threading.current_thread(), range(3), 1)} == {
        threading.current_thread()
    }
