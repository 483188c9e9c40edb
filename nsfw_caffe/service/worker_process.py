"""A worker as the service sees it: a process, and the connection to it."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import struct
import subprocess
from collections.abc import Callable
from typing import Any, cast

from nsfw_caffe.system import processes

_LENGTH = struct.Struct("!i")
"""What stands before a message: multiprocessing's connections, of which the worker has one, have it so."""


class WorkerProcess(asyncio.Protocol):
    """A worker's process.

    Parameters
    ----------
    received : callable
        Called with each of its messages.
    lost : callable
        Called once, when it can send no more, with whether it had taken what was sent to it.
    """

    def __init__(self, received: Callable[[Any], None], lost: Callable[[bool], None]) -> None:
        self._received = received
        self._lost = lost
        self._buffer = bytearray()
        self._transport: asyncio.Transport
        self._process: subprocess.Popen[bytes]

    async def start(self) -> None:
        """Start the process; OSError where there can be no more."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    processes.command("service.worker", str(theirs.fileno()), str(os.getpid())),
                    env=processes.environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
            except OSError:
                ours.close()
                raise
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def send(self, message: object) -> None:
        """Send a message; what cannot take it has `lost` called."""
        content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        self._transport.write(_LENGTH.pack(len(content)) + content)

    def kill(self) -> None:
        """End the process, whatever it is at; nothing is received from here on."""
        self._process.kill()
        self._transport.abort()

    async def ended(self) -> str:
        """Wait for the process's end and say how it came."""
        return processes.describe_end(await asyncio.to_thread(self._process.wait))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a piece of a message."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size and not self._transport.is_closing():
            end = _LENGTH.size + _LENGTH.unpack_from(self._buffer)[0]
            if len(self._buffer) < end:
                return
            message = pickle.loads(bytes(self._buffer[_LENGTH.size : end]))
            del self._buffer[:end]
            self._received(message)

    def connection_lost(self, error: Exception | None) -> None:
        """Take note of the end."""
        self._process.kill()  # nothing can be asked of it any more
        # Linux resets the connection of one that dies and leaves something unread, and closes any other.
        self._lost(error is None)
