"""The mean of the solvers' gradients, through sockets from each to each.

Every rank is the master of its part of the buffer: it takes this part from all others, adds them up in the order of the
ranks, and gives the mean back to all. So all have the same bits, each sends and receives twice the buffer at most,
however many there are, and no receive waits longer than the time-out.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from typing import Any

import numpy as np

from nsfw_caffe.errors import SolverLost
from nsfw_caffe.spark.connections import Deadline, accept, dial, receive, send, set_time_out
from nsfw_caffe.training.averaging import Buffer

_RANK_BYTES = 4


@dataclass(frozen=True)
class Group:
    """The solvers that train together, as one of them sees them."""

    rank: int
    addresses: tuple[tuple[str, int], ...]
    """Host and port of each."""
    key: str
    """In hexadecimal digits."""
    listener: int
    """The descriptor of this rank's listening socket."""
    timeout: float
    """Seconds."""

    def name(self, rank: int) -> str:
        """Name a rank for a message."""
        host, port = self.addresses[rank]
        return f"solver {rank} of {len(self.addresses)} ({host}:{port})"


class Exchange:
    """Connections to all other ranks."""

    def __init__(self, group: Group, connected: dict[int, socket.socket]) -> None:
        self._group, self._connected = group, connected
        self._sender = ThreadPoolExecutor(1, "exchange")
        self._received = np.empty((0, 0), np.float32)
        for connection in connected.values():
            set_time_out(connection, group.timeout)

    def allreduce(self, buffer: Buffer) -> Buffer:
        """Replace a buffer by the mean of all ranks'; SolverLost where one sends nothing any more."""
        rank, ranks = self._group.rank, len(self._group.addresses)
        edges = [len(buffer) * number // ranks for number in range(ranks + 1)]
        parts = [buffer[start:stop] for start, stop in itertools.pairwise(edges)]
        if self._received.shape != (ranks, len(parts[rank])):
            self._received = np.empty((ranks, len(parts[rank])), np.float32)
        mine = self._received
        mine[rank] = parts[rank]
        self._with_each(parts, mine)
        total = parts[rank]
        total[...] = mine[0]
        for part in mine[1:]:
            total += part
        total /= ranks
        self._with_each([total] * ranks, parts)
        return buffer

    def _with_each(self, outgoing: Sequence[Buffer], incoming: Sequence[Buffer] | Buffer) -> None:
        """Send to one rank while another's is received, so that nobody waits for who waits for him."""
        rank, ranks = self._group.rank, len(self._group.addresses)
        for step in range(1, ranks):
            after, before = (rank + step) % ranks, (rank - step) % ranks
            sent: Future[None] = self._sender.submit(self._send, after, outgoing[after])
            try:
                receive(self._connected[before], _bytes_of(incoming[before]))
            except OSError as error:
                raise self._lost(before, error) from None
            sent.result()

    def _send(self, rank: int, part: Buffer) -> None:
        try:
            send(self._connected[rank], _bytes_of(part))
        except OSError as error:
            raise self._lost(rank, error) from None

    def _lost(self, rank: int, error: OSError) -> SolverLost:
        who = self._group.name(rank)
        if isinstance(error, (TimeoutError, BlockingIOError)):
            return SolverLost(f"{who} has sent nothing for {self._group.timeout:g} s")
        return SolverLost(f"{who} has gone ({error.strerror or error})")

    def close(self) -> None:
        """Let go of the connections."""
        self._sender.shutdown(wait=False)
        for connection in self._connected.values():
            connection.close()


def _bytes_of(part: Buffer) -> memoryview:
    return part.view(np.uint8).data


def join(fields: dict[str, Any]) -> Callable[[Buffer], Buffer]:
    """Connect to all others, and give what averages; SolverLost names who cannot be reached, or has not come."""
    addresses = tuple((host, port) for host, port in fields.pop("addresses"))
    return connect(Group(addresses=addresses, **fields)).allreduce


def connect(group: Group) -> Exchange:
    """Connect to the ranks before, and wait for those after."""
    key, deadline = bytes.fromhex(group.key), Deadline(group.timeout)
    connected: dict[int, socket.socket] = {}
    with contextlib.ExitStack() as on_error:
        try:
            with socket.socket(fileno=group.listener) as listener:
                for rank in range(group.rank):
                    connected[rank] = on_error.enter_context(_reach(group, rank, key, deadline))
                    send(connected[rank], group.rank.to_bytes(_RANK_BYTES, "big"))
                while len(connected) < len(group.addresses) - 1:
                    connection = on_error.enter_context(accept(listener, key, deadline))
                    number = bytearray(_RANK_BYTES)
                    receive(connection, memoryview(number))
                    connected[int.from_bytes(number, "big")] = connection
        except TimeoutError:
            ranks = set(range(len(group.addresses))) - {group.rank, *connected}
            missing = ", ".join(group.name(rank) for rank in sorted(ranks))
            raise SolverLost(f"{group.name(group.rank)} has waited {group.timeout:g} s in vain for {missing}") from None
        exchange = Exchange(group, connected)
        on_error.pop_all()
    return exchange


def _reach(group: Group, rank: int, key: bytes, deadline: Deadline) -> socket.socket:
    host, port = group.addresses[rank]
    here = f"{group.name(group.rank)} cannot reach {group.name(rank)}"
    try:
        return dial(host, port, key, deadline.left)
    except AuthenticationError:
        raise SolverLost(f"{here}: what answers there does not know this training's key") from None
    except OSError as error:
        what = f"no answer in {deadline.seconds:g} s" if isinstance(error, TimeoutError) else error.strerror or error
        raise SolverLost(
            f"{here}: {what}; the executors have to reach one another: open their ports, or one of them (port=)"
        ) from None
