"""The service on the command line; that its address cannot be had is told before the model is loaded."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import nsfw_caffe
from benchmarks.memory import resident_megabytes
from nsfw_caffe.cli.main import main
from nsfw_caffe.model.spec import ModelFiles
from tests import support
from tests.service.pools import kill, workers_of
from tests.service.running import Service, running, until
from tests.support import PHOTOS, heed_interrupts

PHOTO = (PHOTOS / "rocket.jpg").read_bytes()


def test_it_serves_until_it_is_interrupted(tmp_path: Path, portable: nsfw_caffe.Classifier) -> None:
    """Ctrl-C reaches its workers too; nothing is printed but where it serves, and logged but what was asked."""
    command = [sys.executable, "-m", "nsfw_caffe", "serve", "--port", "0", "--engine", "onnxruntime"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("serving at ").strip()
        address = url.removeprefix("http://").rstrip("/")
        with contextlib.closing(http.client.HTTPConnection(address, timeout=30)) as connection:
            connection.request("POST", "/v1/score", PHOTO)
            assert json.load(connection.getresponse())["score"] == portable.classify(PHOTO)
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "")
    assert [json.loads(line)["route"] for line in errors.splitlines()] == ["/v1/score"]
    assert list(tmp_path.iterdir()) == []


def test_a_killed_worker_costs_no_answer_and_memory_stays(tmp_path: Path, portable: nsfw_caffe.Classifier) -> None:
    score = portable.classify(PHOTO)
    with running(tmp_path, "--workers", "2") as service, ThreadPoolExecutor(8) as clients:

        def ask(_: object) -> float:
            reply = service.post("/v1/score", PHOTO)
            assert reply.status == 200, reply
            return float(reply.json["score"])

        assert set(clients.map(ask, range(40))) == {score}
        before = _memory(service)
        assert set(clients.map(ask, range(160))) == {score}
        assert _memory(service) < before + 20
        asked = [clients.submit(ask, None) for _ in range(40)]
        until(lambda: asked[10].done())
        for worker in workers_of(service.process.pid):
            kill(worker)
        assert {each.result() for each in asked} == {score}
        until(lambda: service.metric("nsfw_caffe_workers_replaced_total") == 2)
        assert service.get("/readyz").status == 200


def _memory(service: Service) -> float:
    return resident_megabytes(service.process.pid)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("--max-size none", 2, "--max-size: requests need a limit"),
        ("--allow-host example.org", 2, "--allow-host goes with --allow-url"),
        ("--port 65536", 2, "65536 is not between 0 and 65535"),
        ("--seconds 0", 2, "0 is no time"),
        ("--host 192.0.2.1 --port 0", 2, "--host 192.0.2.1 --port 0: Cannot assign requested address"),
        ("--port 0 --model nowhere", 3, "nowhere"),
        ("--port 0 --engine onnxruntime --api-key-file nowhere", 2, "--api-key-file: No such file or directory"),
    ],
)
def test_what_cannot_be_served_is_told(
    arguments: str,
    status: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    model_files: ModelFiles,  # noqa: ARG001 - fetched first
) -> None:
    try:
        found = main(["serve", *arguments.split()])
    except SystemExit as stop:  # argparse's
        found = stop.code  # type: ignore[assignment]
    output, errors = capsys.readouterr()
    assert (found, output) == (status, "")
    assert message in errors
    assert workers_of() == []


def test_a_port_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        child = support.nsfw_caffe("serve", "--port", str(port))
    assert child.returncode == 2
    assert child.stderr == f"nsfw-caffe: --host 127.0.0.1 --port {port}: Address already in use\n"
