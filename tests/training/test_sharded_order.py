"""The pictures that solvers see that train together: those that one would see, and each its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.training.feeding import ShardedOrder, shard_of
from nsfw_caffe.training.solver_job import Share, SolverJob

LANES = 8


def order(rank: int, ranks: int, rows: int, iter_size: int = 1) -> tuple[ShardedOrder, np.ndarray[Any, Any]]:
    """Give a rank's order, and its rows by their numbers among all."""
    mine = np.flatnonzero(shard_of(np.arange(rows), LANES, ranks) == rank)
    job = SolverJob("", "", batch_size=LANES // ranks // iter_size, iter_size=iter_size, seed=4)
    return ShardedOrder(job, Share(rank, ranks, rows), len(mine)), mine


def batch(number: int, ranks: int, rows: int) -> list[int]:
    parts = [order(rank, ranks, rows) for rank in range(ranks)]
    return [int(row) for found, mine in parts for row in mine[found.rows(number)]]


@pytest.mark.parametrize("rows", [8, 9, 40, 83])
@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_the_batches_are_the_same_for_any_number_of_solvers(rows: int, ranks: int) -> None:
    for number in (0, 1, 5, 23, 24, 100):
        assert batch(number, ranks, rows) == batch(number, 1, rows)


def test_an_epoch_has_every_row() -> None:
    length = 11  # of 83 rows in 8 lanes
    for epoch in range(3):
        seen = [row for number in range(epoch * length, (epoch + 1) * length) for row in batch(number, 2, 83)]
        assert set(seen) == set(range(83))
        assert len(seen) - 83 == length * LANES - 83
    assert batch(0, 1, 83) != batch(length, 1, 83)


def test_parts_of_an_update_are_as_the_whole() -> None:
    whole, mine = order(1, 2, 40)
    parts, _ = order(1, 2, 40, iter_size=2)
    assert np.array_equal(whole.rows(7), np.concatenate([parts.rows(14), parts.rows(15)]))
    assert whole.draw(7) == parts.draw(14) == (7, 4)
    assert parts.draw(15) == (7, 6)
    assert set(mine) == {row for row in range(40) if row % LANES >= 4}


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(TrainingError, match="a batch of 8 is more than the 7 pictures there are"):
        order(0, 1, 7)
    with pytest.raises(TrainingError, match="solver 0 of 2 has 3 pictures; it should have 20"):
        ShardedOrder(SolverJob("", "", batch_size=4), Share(0, 2, 40), 3)
