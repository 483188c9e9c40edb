"""What the ranks tell the driver while they train, and what it keeps for them: who has come, iterations, snapshots.

Both sides send JSON, and files as they are. Nothing that comes is executed.
"""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nsfw_caffe.errors import SolverLost, TrainingError
from nsfw_caffe.spark.connections import Deadline, accept, dial, listen, set_time_out
from nsfw_caffe.training.snapshots import KEPT, newest

_WAIT = 10.0
"""Seconds after which the driver looks whether it is still wanted."""

_PART = ".received.part"


@dataclass(frozen=True)
class Place:
    """Where the driver listens."""

    host: str
    port: int
    key: str
    """In hexadecimal digits."""
    timeout: float
    """Seconds."""


class Coordinator:
    """The driver's side: a thread that waits for ranks, and one for each of them."""

    def __init__(self, place: Place, bind: str, folder: Path, ranks: int) -> None:
        self._listener = listen(bind, place.port)
        self.place = Place(place.host, self._listener.getsockname()[1], place.key, place.timeout)
        self._folder, self._ranks = folder, ranks
        self._lock = threading.Lock()
        self._ready: dict[int, int] = {}
        self._vanished = False
        self._closed = False
        self.errors: list[str] = []
        """What ranks have said was wrong, in the order in which it came."""
        self.fatal: str | None = None
        """What no further attempt would mend."""
        self.iterations: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._wait, name="nsfw_caffe coordinator", daemon=True).start()

    def _wait(self) -> None:
        while not self._closed:
            with contextlib.suppress(TimeoutError, OSError):
                connected = accept(self._listener, bytes.fromhex(self.place.key), Deadline(_WAIT))
                # A rank may be silent for as long as an iteration takes; if its machine goes, keep-alive ends this.
                set_time_out(connected, 0)
                threading.Thread(target=self._serve, args=(connected,), daemon=True).start()

    def _serve(self, connected: socket.socket) -> None:
        rank = None
        with Connection(connected.detach()) as connection:
            try:
                while True:
                    message = json.loads(connection.recv_bytes())
                    if message["what"] == "ready":
                        rank = int(message["rank"])
                        with self._lock:
                            self._ready[rank] = self._ready.get(rank, 0) + 1
                    elif message["what"] == "bye":
                        return
                    self._answer(connection, message)
            except (OSError, EOFError):
                self._vanished = True
            finally:
                with self._lock:
                    if rank is not None:
                        self._ready[rank] -= 1

    def _answer(self, connection: Connection, message: dict[str, Any]) -> None:
        what = message["what"]
        if what == "hello":
            _send(connection, {"stop": self.fatal})
        elif what == "ready":
            _send(connection, {})
        elif what == "missing":
            with self._lock:
                _send(connection, {"ranks": [rank for rank in range(self._ranks) if not self._ready.get(rank)]})
        elif what == "iteration":
            self.iterations.put(message["iteration"])
        elif what == "error":
            self._note(message)
            _send(connection, {})
        elif what == "newest":
            snapshot = newest(self._folder)
            _send(connection, {"name": None if snapshot is None else snapshot.folder.name})
        elif what == "fetch":
            _send_files(connection, _files(self._folder / Path(message["name"]).name))
        elif what == "snapshot":
            self._keep_snapshot(connection, Path(message["name"]).name)
        elif what == "weights":
            _receive_files(connection, self._folder / KEPT)
            _send(connection, {})

    def _note(self, message: dict[str, Any]) -> None:
        self.errors.append(message["error"])
        # A rank that was killed says nothing, and who could not reach it then is no reason to give up.
        if self.fatal is None and not message["again"] and not (message["start"] and self._vanished):
            self.fatal = message["error"]

    def _keep_snapshot(self, connection: Connection, name: str) -> None:
        part = self._folder / _PART
        shutil.rmtree(part, ignore_errors=True)
        _receive_files(connection, part)
        target = self._folder / name
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
        for path in self._folder.glob("snapshot-*"):
            if path != target:
                shutil.rmtree(path, ignore_errors=True)
        _send(connection, {})

    def close(self) -> None:
        """Wait for nobody any more."""
        self._closed = True
        self._listener.close()


class Link:
    """A rank's side."""

    def __init__(self, place: Place, rank: int) -> None:
        try:
            connected = dial(place.host, place.port, bytes.fromhex(place.key), place.timeout)
        except (OSError, AuthenticationError) as error:
            raise TrainingError(
                f"solver {rank} cannot reach the driver at {place.host}:{place.port} ({error}): open a port for it "
                "and name it (driver_port=), or set spark.driver.host"
            ) from None
        set_time_out(connected, place.timeout)
        self._connection = Connection(connected.detach())
        self._lock = threading.Lock()
        self._rank = rank
        stop = self._ask(what="hello")["stop"]
        if stop is not None:
            raise TrainingError(stop)

    def _ask(self, **message: Any) -> dict[str, Any]:  # noqa: ANN401 - what JSON can hold
        with self._lock, _told():
            _send(self._connection, message)
            return _receive(self._connection)

    def ready(self) -> None:
        """Tell that this rank only waits for the others."""
        self._ask(what="ready", rank=self._rank)

    def missing(self) -> list[int]:
        """Ask which ranks are not ready."""
        ranks: list[int] = self._ask(what="missing")["ranks"]
        return ranks

    def iteration(self, iteration: dict[str, Any]) -> None:
        """Tell of an iteration."""
        with self._lock, _told():
            _send(self._connection, {"what": "iteration", "iteration": iteration})

    def error(self, text: str, *, again: bool, start: bool) -> None:
        """Tell what is wrong; `again` says whether another attempt may help, `start` whether it was at the start."""
        self._ask(what="error", error=text, again=again, start=start)

    def newest(self) -> str | None:
        """Ask for the newest snapshot's name."""
        name: str | None = self._ask(what="newest")["name"]
        return name

    def fetch(self, name: str, folder: Path) -> None:
        """Get a snapshot."""
        with self._lock, _told():
            _send(self._connection, {"what": "fetch", "name": name})
            _receive_files(self._connection, folder / name)

    def keep_snapshot(self, snapshot: Path) -> None:
        """Have a snapshot kept."""
        self._keep("snapshot", snapshot.name, _files(snapshot))

    def keep_weights(self, path: Path) -> None:
        """Have weights kept."""
        self._keep("weights", path.name, [path])

    def _keep(self, what: str, name: str, files: list[Path]) -> None:
        with self._lock, _told():
            _send(self._connection, {"what": what, "name": name})
            _send_files(self._connection, files)
            _receive(self._connection)

    def close(self) -> None:
        """Say that this was all."""
        with contextlib.suppress(OSError), self._connection:
            _send(self._connection, {"what": "bye"})


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError) as error:
        raise SolverLost(f"the driver has gone ({error or 'it has closed the connection'})") from None


def _send(connection: Connection, message: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(message).encode())


def _receive(connection: Connection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(connection.recv_bytes())
    return message


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_file())


def _send_files(connection: Connection, files: list[Path]) -> None:
    contents = [(path.name, path.read_bytes()) for path in files]
    _send(connection, {"files": [name for name, _ in contents]})
    for _, content in contents:
        connection.send_bytes(content)


def _receive_files(connection: Connection, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in _receive(connection)["files"]:
        path = folder / Path(name).name
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(connection.recv_bytes())
        part.replace(path)
