"""Connections between the driver and the executors, and among these: each side shows that it knows a key."""

from __future__ import annotations

import os
import socket
import struct
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge

_HANDSHAKE_SECONDS = 10.0
"""How long whoever connects may take to show that he knows the key; he keeps the others waiting."""


class Deadline:
    """A moment until which something has to be there."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """The seconds that are left; TimeoutError if there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


def listen(host: str, port: int = 0) -> socket.socket:
    """Listen on an address of this machine, or on all of them where its name is another's; `port` 0 is any."""
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError:
        return socket.create_server(("", port), backlog=1024)


def dial(host: str, port: int, key: bytes, seconds: float) -> socket.socket:
    """Connect to a listener; OSError or AuthenticationError."""
    connected = socket.create_connection((host, port), seconds)
    try:
        _shake_hands(connected, key, seconds, first=False)
    except BaseException:
        connected.close()
        raise
    return connected


def accept(listener: socket.socket, key: bytes, deadline: Deadline) -> socket.socket:
    """Wait for the next who knows the key; TimeoutError."""
    while True:
        listener.settimeout(deadline.left)
        connected, _ = listener.accept()
        try:
            _shake_hands(connected, key, min(_HANDSHAKE_SECONDS, deadline.left), first=True)
        except (OSError, EOFError, AuthenticationError):
            connected.close()
        except BaseException:
            connected.close()
            raise
        else:
            return connected


def _shake_hands(connected: socket.socket, key: bytes, seconds: float, *, first: bool) -> None:
    connected.settimeout(None)
    set_time_out(connected, seconds)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with Connection(os.dup(connected.fileno())) as connection:
        try:
            for deliver in (first, not first):
                (deliver_challenge if deliver else answer_challenge)(connection, key)
        except EOFError:
            raise ConnectionResetError("the other side has closed the connection") from None
        except BlockingIOError:
            raise TimeoutError("timed out") from None


def set_time_out(connected: socket.socket, seconds: float) -> None:
    """Bound each wait for the other side, those in other objects of the same socket too."""
    value = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)


def send(connected: socket.socket, content: bytes | memoryview) -> None:
    """Send all of it."""
    connected.sendall(content)


def receive(connected: socket.socket, view: memoryview) -> None:
    """Fill a view of bytes; TimeoutError, or ConnectionError where the other side has gone."""
    got = 0
    while got < len(view):
        try:
            count = connected.recv_into(view[got:])
        except BlockingIOError:
            raise TimeoutError("timed out") from None
        if not count:
            raise ConnectionResetError("the other side has closed the connection")
        got += count
