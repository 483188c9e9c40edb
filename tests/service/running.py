"""The service as users run it: `nsfw-caffe serve` in a process, asked over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BOUNDARY = "a-boundary"

FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def reason(self) -> str:
        """The reason of an error, whose form is looked at too."""
        error = self.json["error"]
        assert list(self.json) == ["error"]
        assert list(error) == ["reason", "message"]
        assert error["message"]
        return str(error["reason"])


@dataclass(frozen=True)
class Service:
    """A service that runs."""

    port: int
    process: subprocess.Popen[str]
    log: Path
    key: str | None = None
    """What every request carries that says nothing else."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        """Ask, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {**self._key(), **(headers or {})})
            response = connection.getresponse()
            return Reply(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
        finally:
            connection.close()

    def _key(self) -> dict[str, str]:
        return {} if self.key is None else {"X-API-Key": self.key}

    def get(self, path: str) -> Reply:
        return self.ask("GET", path)

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        return self.ask("POST", path, body, headers)

    def post_json(self, path: str, value: object) -> Reply:
        return self.post(path, json.dumps(value).encode(), JSON)

    def connect(self) -> socket.socket:
        """Return a connection of which every byte is the test's own."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def head(self, *lines: str, path: str = "/v1/score") -> bytes:
        """Return the beginning of a request, for a score unless a path says otherwise, with further headers."""
        own = [f"{name}: {value}" for name, value in self._key().items()]
        return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *own, *lines, "", ""]).encode()

    def begin(self, body: bytes, path: str = "/v1/score") -> socket.socket:
        """Ask for a picture's score, or what the path says, and do not wait for the answer."""
        connection = self.connect()
        connection.sendall(self.head(f"Content-Length: {len(body)}", path=path) + body)
        return connection

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric's value; 0 where there is none with these labels."""
        text = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
        found = re.search(
            rf"^{re.escape(name + (f'{{{text}}}' if text else ''))} (\S+)$",
            self.get("/metrics").content.decode(),
            re.MULTILINE,
        )
        return float(found[1]) if found else 0.0

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of the log, each of which is JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def memory(self) -> int:
        """Return the most bytes that the process in front has had in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


@contextmanager
def running(folder: Path, *arguments: str | Path, key: str | None = None) -> Iterator[Service]:
    """Run the service with these arguments, from a folder in which its log is; it has to end well."""
    log = folder / "log"
    command = [sys.executable, "-m", "nsfw_caffe", "serve", "--port", "0", "--engine", "onnxruntime"]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder
        ) as process,
    ):
        try:
            assert process.stdout is not None
            found = re.fullmatch(r"serving at http://127\.0\.0\.1:(\d+)/\n", process.stdout.readline())
            assert found, log.read_text()
            yield Service(int(found[1]), process, log, key)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)


def form(*files: tuple[str, bytes], boundary: str = BOUNDARY) -> bytes:
    """Return a form with files of these names."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode() + content
        for name, content in files
    ]
    return b"\r\n".join([*parts, f"--{boundary}--\r\n".encode()])


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not come to hold"
        time.sleep(0.02)
