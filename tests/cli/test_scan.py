from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.results.formats import read_results
from nsfw_caffe.results.record import Record
from nsfw_caffe.scanning.locking import locked
from nsfw_caffe.system.extras import install_hint
from tests.cli.running import call, run_on_terminal
from tests.conftest import BROKEN, PICTURES
from tests.support import PHOTOS, Child, heed_interrupts, needs_atlas, nsfw_caffe, run

ENGINE = ("--engine", "onnxruntime")
SLOW = ("--workers", "1", "--threads", "1")
ENDINGS = ("csv", "jsonl", "parquet", "sqlite")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("chelsea.png", "rocket.jpg"):
        shutil.copy(PHOTOS / name, folder)
    return folder


@pytest.fixture(scope="module")
def unbroken(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    results = tmp_path_factory.mktemp("unbroken") / "r.jsonl"
    child = nsfw_caffe("scan", pictures, "-o", results, *ENGINE)
    assert child.returncode == 1, child.stderr
    assert child.stdout == f"{results}: {PICTURES} sources, {PICTURES - BROKEN} scored, {BROKEN} errors\n"
    return list(read_results(results))


def facts(records: list[Record]) -> list[tuple[str, float | None, str | None]]:
    return [(record.source, record.score, record.error) for record in records]


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start a scan that takes its time."""
    return subprocess.Popen(
        [sys.executable, "-m", "nsfw_caffe", "scan", *map(str, arguments), *ENGINE, *SLOW],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )


def await_journal(results: Path) -> None:
    """Wait until a scan is at work on its pictures."""
    journal = results.with_name(f".{results.name}.journal-wal")
    deadline = time.monotonic() + 60
    while not journal.exists() or not journal.stat().st_size:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_exit_status_tells_whether_all_is_scored(folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "r.csv"
    child = nsfw_caffe("scan", folder, "-o", results, *ENGINE)
    assert (child.returncode, child.stderr) == (0, "")
    assert child.stdout == f"{results}: 2 sources, 2 scored, 0 errors\n"
    (folder / "broken.jpg").write_bytes(b"broken")
    for known in (2, 3):  # an error that is known is one still
        child = nsfw_caffe("scan", folder, "-o", results, *ENGINE)
        assert child.returncode == 1
        assert child.stdout == f"{results}: 3 sources, 2 scored, 1 errors, {known} of them known before\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "r.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "what shall be scanned? Give a SOURCE, or --list FILE"),
        (("missing.jpg",), "missing.jpg: cannot be read (no such file or folder)"),
        (("--list", "missing.txt"), "missing.txt: cannot be read (no such file or folder)"),
        ((".", "-o", "r.txt"), "r.txt: "),
        ((".", "-o", "missing/r.csv"), "missing/r.csv: "),
        ((".", "--frames", "0"), "0 is not 1 or more"),
        ((".", "--every", "2"), "--every goes with --videos"),
        ((".", "--videos", "--frames", "2"), "--frames and --videos exclude each other"),
        ((".", "--videos", "--every", "0.0001"), "--every=0.0001: expected seconds"),
        ((".", "--prototxt", "x"), "--prototxt and --caffemodel go together"),
    ],
    ids=str,
)
def test_wrong_usage(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = call(capsys, "scan", "-o", "r.csv", *arguments)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert not list(tmp_path.iterdir())


def test_no_engine_is_status_3_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    child = nsfw_caffe("scan", folder, "-o", tmp_path / "r.csv", "--engine", "onnxruntime", "--device", "gpu:0")
    assert child.returncode == 3
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.linux
@pytest.mark.slow
def test_another_engine_is_refused(folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "r.csv"
    assert nsfw_caffe("scan", folder, "-o", results, *ENGINE).returncode == 0
    child = nsfw_caffe("scan", folder, "-o", results, "--engine", "caffe")
    assert child.returncode == 2
    assert f"{results} was made with engine=onnxruntime, and this scan is with engine=caffe" in child.stderr
    assert nsfw_caffe("scan", folder, "-o", results, "--engine", "caffe", "--rescore").returncode == 0
    assert {record.engine for record in read_results(results)} == {"caffe"}


@pytest.mark.linux
@needs_atlas
@pytest.mark.slow
def test_published_scores_have_an_engine_of_their_own(folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "r.csv"
    assert nsfw_caffe("scan", folder, "-o", results, "--published").returncode == 0
    assert {(record.engine, record.jpeg, record.blas) for record in read_results(results)} == {
        ("caffe", "ijg9d", "atlas")
    }


@pytest.mark.parametrize(("options", "separator"), [((), b"\n"), (("-0",), b"\0")], ids=["lines", "null"])
@pytest.mark.parametrize("by", ["file", "standard input"])
def test_lists(folder: Path, tmp_path: Path, options: tuple[str, ...], separator: bytes, by: str) -> None:
    shutil.copy(PHOTOS / "page.png", folder / "caf\udce9.png")  # a name that is no UTF-8
    names = [*sorted(os.fsencode(path) for path in folder.iterdir()), b"/missing.jpg"]
    listed = separator.join(names) + separator
    (tmp_path / "list").write_bytes(listed)
    results = tmp_path / "r.parquet"
    path, stdin = (tmp_path / "list", b"") if by == "file" else ("-", listed)
    child = nsfw_caffe("scan", "--list", path, *options, "-o", results, *ENGINE, stdin=stdin)
    assert child.returncode == 1, child.stderr
    records = list(read_results(results))
    assert [os.fsencode(record.source) for record in records] == names
    assert [record.score is not None for record in records] == [True, True, True, False]


def test_results_among_the_sources_are_no_source(folder: Path) -> None:
    results = folder / "r.csv"
    for _ in range(2):
        assert nsfw_caffe("scan", folder, "-o", results, "--hidden", *ENGINE).returncode == 0
    assert len(list(read_results(results))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_stopped_politely(pictures: Path, unbroken: list[Record], tmp_path: Path, stop: signal.Signals) -> None:
    results = tmp_path / "r.csv"
    so_far: list[Record] = []
    for pause in (0.3, 1, 3, 10):  # where others use the machine, it may have scored nothing yet
        with start(pictures, "-o", results) as child:
            await_journal(results)
            time.sleep(pause)
            child.send_signal(stop)
            _, errors = child.communicate(timeout=60)
        assert child.returncode == 4
        assert errors == "nsfw-caffe: stopped; what was scored is kept: run the same command again to go on\n"
        so_far = list(read_results(results))
        if so_far:
            break
    assert 0 < len(so_far) < PICTURES
    child_again = nsfw_caffe("scan", pictures, "-o", results, *ENGINE)
    assert child_again.stdout.endswith(f"{BROKEN} errors, {len(so_far)} of them known before\n")
    assert facts(list(read_results(results))) == facts(unbroken)


@pytest.mark.linux
@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
def test_killed_at_any_moment(pictures: Path, unbroken: list[Record], tmp_path: Path, ending: str) -> None:
    """`benchmarks/kill_scan.py` does this with thousands of pictures and ten kills."""
    results = tmp_path / f"r.{ending}"
    moments = random.Random(ending)
    statuses = []
    for _ in range(3):
        with start(pictures, "-o", results) as child:
            await_journal(results)
            time.sleep(moments.uniform(0, 0.5))
            child.kill()
            child.communicate()
        statuses.append(child.returncode)
        assert not results.exists() or list(read_results(results))
    assert statuses[0] == -signal.SIGKILL
    assert nsfw_caffe("scan", pictures, "-o", results, *ENGINE).returncode == 1
    assert facts(list(read_results(results))) == facts(unbroken)
    assert [path.name for path in tmp_path.iterdir()] == [results.name]


@pytest.mark.linux
@pytest.mark.slow
def test_a_second_scan_at_once_is_refused(pictures: Path, unbroken: list[Record], tmp_path: Path) -> None:
    results = tmp_path / "r.sqlite"
    with start(pictures, "-o", results) as child:
        await_journal(results)
        child.send_signal(signal.SIGSTOP)
        second = nsfw_caffe("scan", pictures, "-o", results, *ENGINE)
        child.send_signal(signal.SIGCONT)
        child.communicate(timeout=60)
    assert second.returncode == 4
    assert f"another scan is at work on {results}: wait for it, or stop it" in second.stderr
    assert child.returncode == 1
    assert facts(list(read_results(results))) == facts(unbroken)


@contextlib.contextmanager
def small_disk(path: Path, kilobytes: int) -> Iterator[None]:
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a tmpfs cannot be mounted here; it takes root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.mark.linux
@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk(pictures: Path, unbroken: list[Record], tmp_path: Path, ending: str) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, 1500):
        results, ballast = disk / f"r.{ending}", disk / "ballast"
        ballast.write_bytes(b"x" * 300_000)
        child = nsfw_caffe("scan", pictures, "-o", results, *ENGINE, *SLOW)
        assert child.returncode == 4, child.stderr
        assert child.stderr == (
            f"nsfw-caffe: the disk of {results} is full; what was scored is kept: "
            "make room and run the same command again\n"
        )
        so_far = list(read_results(results))
        assert 0 < len(so_far) < PICTURES
        assert facts(so_far) == facts(unbroken)[: len(so_far)]
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
        assert nsfw_caffe("scan", pictures, "-o", results, *ENGINE).returncode == 1
        assert facts(list(read_results(results))) == facts(unbroken)
        assert [path.name for path in disk.iterdir()] == [results.name]


@pytest.mark.linux
def test_a_terminal_sees_progress(pictures: Path, tmp_path: Path) -> None:
    status, shown = run_on_terminal("scan", pictures, "-o", tmp_path / "r.csv", *ENGINE)
    assert status == 1
    assert re.search(rb"%d/%d .* pictures/s, %d errors" % (PICTURES, PICTURES, BROKEN), shown), shown


def test_sqlite_results_are_one_table(folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "r.sqlite"
    nsfw_caffe("scan", folder, "-o", results, *ENGINE)
    with contextlib.closing(sqlite3.connect(results)) as database:
        assert database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [("results",)]
        rows = database.execute("SELECT source FROM results WHERE score < 0.5 ORDER BY source").fetchall()
    assert rows == [(str(folder / "chelsea.png"),), (str(folder / "rocket.jpg"),)]


@pytest.mark.linux
def test_caffe_scores_the_same_in_a_scan(folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"

    def scores(child: Child) -> list[str]:
        return [line.split("\t")[0] for line in child.stdout.splitlines()]

    assert nsfw_caffe("scan", folder, "-o", results, "--engine", "caffe", "--workers", "2").returncode == 0
    single = nsfw_caffe("classify", "--engine", "caffe", folder / "chelsea.png", folder / "rocket.jpg")
    assert [repr(record.score) for record in read_results(results)] == scores(single)


def write_warc(path: Path, files: list[Path]) -> None:
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        for file in files:
            headers = StatusAndHeaders("200 OK", [("Content-Type", "image/jpeg")], protocol="HTTP/1.1")
            with file.open("rb") as payload:
                record = writer.create_warc_record(
                    f"http://example.org/{file.name}", "response", payload=payload, http_headers=headers
                )
                writer.write_record(record)


@pytest.mark.slow
def test_archives_give_the_scores_of_their_files(pictures: Path, unbroken: list[Record], tmp_path: Path) -> None:
    files = sorted(path for path in pictures.rglob("*") if path.is_file())[:30]
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in files:
            zipped.write(file, f"folder/{file.name}")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tarred:
        for file in files:
            tarred.add(file, f"folder/{file.name}")
    write_warc(tmp_path / "a.warc.gz", files)
    expected = [(record.score, record.error, record.sha256) for record in unbroken[:30]]
    for archive, prefix in (("a.zip", "folder/"), ("a.tar.gz", "folder/"), ("a.warc.gz", "http://example.org/")):
        results = tmp_path / f"{archive}.csv"  # one each, so that nothing is known from another
        child = nsfw_caffe("scan", tmp_path / archive, "-o", results, *ENGINE)
        assert child.returncode in (0, 1), child.stderr
        records = list(read_results(results))
        assert [record.source for record in records] == [f"{tmp_path / archive}!{prefix}{file.name}" for file in files]
        assert [(record.score, record.error, record.sha256) for record in records] == expected
        again = nsfw_caffe("scan", tmp_path / archive, "-o", results, *ENGINE)
        assert "30 of them known before" in again.stdout


@pytest.mark.linux
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_folder_that_cannot_be_written_is_said_to_be_one(
    ending: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """/sys takes no files, not from root either."""
    results = Path(f"/sys/r.{ending}")
    ended = call(capsys, "scan", folder, "-o", results, *ENGINE)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(rf"nsfw-caffe: {results}: the folder /sys cannot be written( \(.*\))?\n", ended.stderr)
    (tmp_path / "file").touch()
    for path, message in (
        (tmp_path / f"file/r.{ending}", f"{tmp_path / 'file'} is a file and no folder"),
        (tmp_path / f"none/r.{ending}", f"there is no folder {tmp_path / 'none'}: make it first"),
    ):
        ended = call(capsys, "scan", folder, "-o", path, *ENGINE)
        assert (ended.returncode, ended.stderr) == (2, f"nsfw-caffe: {path}: {message}\n")


@pytest.mark.linux
def test_a_folder_that_says_that_it_can_be_written_and_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: True)
    with (
        pytest.raises(ResultsError, match=r"^/sys/r\.csv: the folder /sys cannot be written \("),
        locked(Path("/sys/r.csv")),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_warc_without_warcio_is_refused_before_anything_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(b"")
    code = (
        "import sys; sys.modules['warcio'] = None\nfrom nsfw_caffe.cli import main\nsys.exit(main.main(sys.argv[1:]))"
    )
    child = run("-c", code, "scan", tmp_path / "a.warc.gz", "-o", tmp_path / "r.csv", *ENGINE)
    assert (child.returncode, child.stdout) == (2, "")
    assert child.stderr == f"nsfw-caffe: WARC files need warcio: {install_hint('scan')}\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.warc.gz"]
