"""The socket that the service listens on, which can be closed without a client that waits in it being lost.

A socket that is closed resets the connections that nobody has accepted yet, and those whose clients are just about to
be told that they have one. So first it takes no new ones, then those that are there are accepted, then it is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import struct
import time

from nsfw_caffe.errors import NsfwCaffeError
from nsfw_caffe.system.reading import reason

BACKLOG = 1024
"""Connections that the kernel keeps until they are accepted."""

_ATTACH_FILTER = 26  # SO_ATTACH_FILTER of asm-generic/socket.h
_TCP_INFO = 11  # of linux/tcp.h

_FLAGS = 13  # the byte of TCP's header that has them, RFC 9293
_SYN = 0x02

# Classic BPF (linux/bpf_common.h): load the flags; with SYN among them, keep nothing of the packet, else all of it.
_NO_NEW_CONNECTIONS = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in ((0x30, 0, 0, _FLAGS), (0x45, 0, 1, _SYN), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
)

_ACCEPTABLE = struct.Struct("24xI")  # where TCP_INFO of a listening socket has the length of its queue

_HANDSHAKE_SECONDS = 0.5
"""How long a client may take for the last step of opening a connection."""


class Listening:
    """A bound socket; NsfwCaffeError where there cannot be one.

    Parameters
    ----------
    host : str
        The address, or a name of it.
    port : int
        The port; 0 for any that is free.
    """

    def __init__(self, host: str, port: int) -> None:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
                0
            ]
            self._socket = socket.socket(family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NsfwCaffeError(f"--host {host}: {reason(error)}") from error
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.bind(address)
        except OSError as error:
            self._socket.close()
            raise NsfwCaffeError(f"--host {host} --port {port}: {reason(error)}") from error
        except BaseException:
            self._socket.close()
            raise
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}/"

    def listen(self) -> int:
        """Begin to listen, and return a descriptor of the socket for the server, which owns it from here on."""
        try:
            self._socket.listen(BACKLOG)
        except OSError as error:
            raise NsfwCaffeError(f"{self.url}: {reason(error)}") from error
        self._accepting = os.dup(self._socket.fileno())
        return self._accepting

    async def stop(self) -> None:
        """Take no new connections, wait until those that are there are accepted, then refuse all."""
        code = ctypes.create_string_buffer(_NO_NEW_CONNECTIONS)
        program = struct.pack("HP", len(_NO_NEW_CONNECTIONS) // 8, ctypes.addressof(code))
        with contextlib.suppress(OSError):  # a kernel without such filters: a few may be lost
            self._socket.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
        end = time.monotonic() + _HANDSHAKE_SECONDS
        while time.monotonic() < end or self._acceptable():
            await asyncio.sleep(0.01)
        # The descriptor is the server's, who fails on one that is closed. So it gets a socket that nobody connects to.
        with socket.socket(socket.AddressFamily["AF_UNIX"]) as other:
            other.setblocking(False)
            other.bind("")  # any name
            other.listen()
            os.dup2(other.fileno(), self._accepting, inheritable=False)
        self._socket.close()

    def _acceptable(self) -> int:
        """Return how many connections wait to be accepted; 0 where that is not told, as by an emulated kernel."""
        count = 0
        with contextlib.suppress(OSError, struct.error):
            (count,) = _ACCEPTABLE.unpack(self._socket.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _ACCEPTABLE.size))
        return count

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
