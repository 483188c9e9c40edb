"""The mean over ranks: its bits, and what is said of ranks that are not there."""

from __future__ import annotations

import dataclasses
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import pytest

from nsfw_caffe.errors import SolverLost
from nsfw_caffe.spark.connections import listen
from nsfw_caffe.spark.exchange import Exchange, Group, connect

SIZE = 1_000_003

_Result = TypeVar("_Result")


def groups(ranks: int, timeout: float = 20.0) -> list[Group]:
    listeners = [listen("127.0.0.1") for _ in range(ranks)]
    addresses = tuple(("127.0.0.1", listener.getsockname()[1]) for listener in listeners)
    key = secrets.token_hex(32)
    return [Group(rank, addresses, key, listener.detach(), timeout) for rank, listener in enumerate(listeners)]


@contextmanager
def connected(found: list[Group]) -> Iterator[list[Exchange]]:
    with ThreadPoolExecutor(len(found)) as pool:
        exchanges = list(pool.map(connect, found))
    try:
        yield exchanges
    finally:
        for exchange in exchanges:
            exchange.close()


def at_once(work: Callable[[int], _Result], ranks: int) -> list[_Result]:
    with ThreadPoolExecutor(ranks) as pool:
        return list(pool.map(work, range(ranks)))


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_all_get_the_bits_of_the_mean(ranks: int) -> None:
    values = [np.random.default_rng(rank).normal(size=SIZE).astype(np.float32) for rank in range(ranks)]
    expected = values[0].copy()
    for value in values[1:]:
        expected += value
    expected /= ranks
    with connected(groups(ranks)) as exchanges:
        for _ in range(2):
            found = at_once(lambda rank: exchanges[rank].allreduce(values[rank].copy()), ranks)
            assert all(np.array_equal(mean, expected) for mean in found)


def test_fewer_values_than_ranks() -> None:
    with connected(groups(3)) as exchanges:
        found = at_once(lambda rank: exchanges[rank].allreduce(np.full(1, rank, np.float32)), 3)
    assert found == [1.0, 1.0, 1.0]


def test_a_rank_that_never_comes_is_named() -> None:
    first, second, missing = groups(3, timeout=1.0)
    start = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(connect, group) for group in (first, second)]
    for rank, future in enumerate(waiting):
        port = missing.addresses[2][1]
        with pytest.raises(
            SolverLost, match=rf"^solver {rank} of 3 .* has waited 1 s in vain for solver 2 of 3 .*{port}"
        ):
            future.result()
    assert time.monotonic() - start < 3


def test_a_port_that_is_blocked_is_named() -> None:
    first, second = groups(2)
    socket.socket(fileno=first.listener).close()
    message = rf"solver 1 of 2 .* cannot reach solver 0 of 2 \(127.0.0.1:{first.addresses[0][1]}\): Connection refused"
    with pytest.raises(SolverLost, match=f"{message}; the executors have to reach one another"):
        connect(second)


def test_a_port_that_swallows_all_is_named() -> None:
    """As a firewall does it: here, what listens takes no more connections."""
    _, second = groups(2, timeout=1.0)
    with pytest.raises(SolverLost, match=r"cannot reach solver 0 of 2 .*: no answer in 1 s"):
        connect(second)


def test_who_does_not_know_the_key_is_kept_out() -> None:
    first, second = groups(2, timeout=1.0)
    stranger = dataclasses.replace(second, key=secrets.token_hex(32))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(connect, first)
        with pytest.raises(SolverLost, match="does not know this training's key"):
            connect(stranger)
    with pytest.raises(SolverLost, match="in vain for solver 1"):
        waiting.result()


def test_a_rank_that_is_silent_or_gone_is_named() -> None:
    with connected(groups(2, timeout=1.0)) as (first, second):
        with pytest.raises(SolverLost, match=r"solver 1 of 2 .* has sent nothing for 1 s"):
            first.allreduce(np.zeros(8, np.float32))
        second.close()
        with pytest.raises(SolverLost, match=r"solver 1 of 2 .* has gone"):
            first.allreduce(np.zeros(8, np.float32))
