#!/usr/bin/env python3
"""A file hook for tusd, which asks the gate of `nsfw-caffe serve` whether a finished upload may stay.

Copy it, executable and without its ending, to tusd's folder of hooks:

    install -m 755 examples/tusd_pre_finish.py hooks/pre-finish
    GATE='http://127.0.0.1:8000/v1/gate?block=0.9' tusd -hooks-dir hooks -upload-dir uploads

tusd tells a hook where the file is and sends none of it, so the hook and tusd's file store are on one machine. It
needs nothing but Python. What the gate refuses is deleted: a client that asks for it again then learns that it is gone.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

GATE = os.environ.get("GATE", "http://127.0.0.1:8000/v1/gate?block=0.9")
SECONDS = 30


def ask_gate(path: Path) -> int:
    """Return the gate's status code for a picture; 503 where it has none."""
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
    try:
        with path.open("rb") as file:
            request = urllib.request.Request(GATE, file, headers)
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 503


def main() -> None:
    """Read tusd's request, and print what it is to answer its client with."""
    upload = json.load(sys.stdin)["Event"]["Upload"]
    if upload["IsPartial"]:  # a part of a file, which tusd puts together later
        return
    path = Path(upload["Storage"]["Path"])
    status = ask_gate(path)
    if 200 <= status < 300:
        return
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}.info").unlink(missing_ok=True)
    status = 422 if status in (409, 413, 415, 422) else 503
    json.dump({"HTTPResponse": {"StatusCode": status, "Body": "this picture is not accepted\n"}}, sys.stdout)


if __name__ == "__main__":
    main()
