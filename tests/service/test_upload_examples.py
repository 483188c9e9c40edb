"""What asks the gate in examples/: an upload form, and a hook of tusd's, against a real service."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from nsfw_caffe.model.spec import ModelFiles
from tests.support import PHOTOS, REPOSITORY, Child, run

PHOTO = PHOTOS / "rocket.jpg"  # whose score is 0.0004
EXAMPLES = REPOSITORY / "examples"
BOUNDARY = "the-boundary"


@contextmanager
def running(
    command: Sequence[str | Path], environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the block ends."""
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def gate(model_files: ModelFiles) -> Iterator[str]:  # noqa: ARG001 - fetched first
    """Return the URL of a real service's gate."""
    command = [sys.executable, "-m", "nsfw_caffe", "serve", "--port", "0", "--engine", "onnxruntime", "--workers", "1"]
    with running(command) as service:
        assert service.stdout is not None
        yield service.stdout.readline().split()[-1] + "v1/gate"


# ---- the upload form ----


class Form:
    """The example's application, and the folder of what it has kept."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder

    def upload(self, content: bytes) -> int:
        """Return the status code for a file."""
        part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="picture"; filename="../../etc/passwd"\r\n\r\n'
        body = part.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
        request = urllib.request.Request(
            f"{self.url}upload", body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def kept(self) -> dict[str, bytes]:
        """Return what has been kept, by the folder that it is in."""
        return {
            str(path.parent.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }


@contextmanager
def upload_form(gate: str, folder: Path) -> Iterator[Form]:
    """Run the example."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host, port = free.getsockname()
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port), "--no-log"]
    environment = {"GATE": gate, "UPLOADS": str(folder), "PATH": "/usr/bin"}
    with running([*command, "--working-dir", EXAMPLES, "upload_form:app"], environment):
        url = f"http://{host}:{port}/"
        for _ in range(300):
            try:
                with urllib.request.urlopen(url, timeout=10) as page:
                    assert b'action="/upload"' in page.read()
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        yield Form(url, folder)


@pytest.mark.parametrize(
    ("thresholds", "status", "folder"),
    [("block=0.9&review=0.5", 200, "."), ("block=0.9&review=0.0001", 202, "held"), ("block=0.0001", 422, None)],
)
def test_the_form_keeps_what_the_gate_lets_pass(
    thresholds: str, status: int, folder: str | None, gate: str, tmp_path: Path
) -> None:
    with upload_form(f"{gate}?{thresholds}", tmp_path) as form:
        assert form.upload(PHOTO.read_bytes()) == status
        assert form.upload(b"no picture") == 422
        assert form.kept() == ({} if folder is None else {folder: PHOTO.read_bytes()})


def test_the_form_keeps_nothing_without_a_gate(tmp_path: Path) -> None:
    with upload_form("http://127.0.0.1:1/v1/gate?block=0.9", tmp_path) as form:
        assert form.upload(PHOTO.read_bytes()) == 503
        assert form.kept() == {}


# ---- tusd's hook ----


def finished(gate: str, path: Path, partial: bool = False) -> Child:
    """Run the hook as tusd does when an upload is finished."""
    path.with_name(f"{path.name}.info").touch()
    storage = {"Type": "filestore", "Path": str(path)}
    upload = {"ID": path.name, "IsPartial": partial, "IsFinal": False, "MetaData": {}, "Storage": storage}
    request = json.dumps({"Type": "pre-finish", "Event": {"Upload": upload}})
    return run(EXAMPLES / "tusd_pre_finish.py", stdin=request.encode(), environment={"GATE": gate})


@pytest.mark.parametrize("partial", [False, True])
def test_the_hook_leaves_what_passes_and_parts_of_files(partial: bool, gate: str, tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    shutil.copy(PHOTO, upload)
    child = finished(f"{gate}?block={0.0001 if partial else 0.9}", upload, partial)
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")
    assert upload.read_bytes() == PHOTO.read_bytes()


@pytest.mark.parametrize(("threshold", "content"), [("0.0001", PHOTO.read_bytes()), ("0.9", b"no picture")])
def test_the_hook_deletes_what_does_not_pass(threshold: str, content: bytes, gate: str, tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(content)
    child = finished(f"{gate}?block={threshold}", upload)
    assert (child.returncode, child.stderr) == (0, "")
    assert json.loads(child.stdout)["HTTPResponse"]["StatusCode"] == 422
    assert list(tmp_path.iterdir()) == []


def test_the_hook_keeps_nothing_without_a_gate(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    shutil.copy(PHOTO, upload)
    child = finished("http://127.0.0.1:1/v1/gate?block=0.9", upload)
    assert json.loads(child.stdout)["HTTPResponse"]["StatusCode"] == 503
    assert list(tmp_path.iterdir()) == []
