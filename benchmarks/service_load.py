"""A load generator for the service, to be a process of its own: see `benchmarks.service`.

It sends requests from threads, each with a connection of its own, and prints the answers' statuses and seconds as JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sys
import threading
import time
from pathlib import Path

_BOUNDARY = "a-boundary-that-no-picture-has"

Answers = list[tuple[int, float]]
"""Status and seconds of each; 0 in place of the status where there was no answer."""


def main() -> None:
    """Send requests until the time is over."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("host")
    parser.add_argument("path")
    parser.add_argument("--clients", type=int, default=8, help="connections at a time")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, help="requests a second; else one after the other")
    parser.add_argument("--multipart", action="store_true")
    parser.add_argument("--pictures", nargs="*", default=[], help="files to post; without them it is a GET request")
    options = parser.parse_args()
    bodies = [_body(Path(path), multipart=options.multipart) for path in options.pictures]
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}" if options.multipart else "image/jpeg"}
    start = time.monotonic()
    end = start + options.seconds
    found: list[Answers] = [[] for _ in range(options.clients)]

    def client(number: int) -> None:
        connection = http.client.HTTPConnection(options.host, timeout=120)
        chance = random.Random(number)
        pause = options.clients / options.rate if options.rate else 0.0
        due = start + pause * number / options.clients
        while (now := time.monotonic()) < end:
            if due > now:
                time.sleep(min(due, end) - now)
                continue
            due += pause
            body = chance.choice(bodies) if bodies else None
            found[number].append(_request(connection, options.path, body, headers))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(options.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - start
    json.dump({"all": [answer for answers in found for answer in answers], "seconds": seconds}, sys.stdout)


def _request(
    connection: http.client.HTTPConnection, path: str, body: bytes | None, headers: dict[str, str]
) -> tuple[int, float]:
    start = time.perf_counter()
    try:
        connection.request("GET" if body is None else "POST", path, body, headers)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0, time.perf_counter() - start
    return response.status, time.perf_counter() - start


def _body(path: Path, *, multipart: bool) -> bytes:
    content = path.read_bytes()
    if not multipart:
        return content
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="picture"; filename="a.jpg"\r\n\r\n'
    return head.encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()


if __name__ == "__main__":
    main()
