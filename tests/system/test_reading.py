from __future__ import annotations

import base64
import errno
import gzip
import http.client
import io
import itertools
import mmap
import os
import signal
import socket
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nsfw_caffe import Classifier, ImageError
from nsfw_caffe.preprocessing.steps import describe
from nsfw_caffe.system.reading import UnreadableError, open_file, read_file, read_source
from tests.support import PHOTOS

PHOTO = PHOTOS / "rocket.jpg"
DATA = PHOTO.read_bytes()


@pytest.fixture
def in_time() -> Iterator[None]:
    """Break off what waits, in place of hanging."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def waited(*_: object) -> None:
        raise AssertionError("it waited")

    before = signal.signal(signal.SIGALRM, waited)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


class Reading:
    """A file object of somebody else's."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read

    def read(self, size: int = -1) -> Any:  # noqa: ARG002 - pays no heed to it
        return self._read()


class ReadingAll:
    def __init__(self, content: Any) -> None:
        self._content = content

    def read(self) -> Any:
        return self._content


class ClientError(Exception):
    """What a client library raises: no OSError, and it cannot even be shown."""

    def __str__(self) -> str:
        raise KeyError("Error")


class NoPath:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __fspath__(self) -> str:
        if isinstance(self._answer, Exception):
            raise self._answer
        answer: str = self._answer
        return answer


class Lazy:
    """Fetches when its attributes are looked at."""

    @property
    def read(self) -> object:
        raise ConnectionError("the server has gone")

    name = read


class NotCallable:
    read = b"content"


def raising(error: BaseException) -> Reading:
    def read() -> None:
        raise error

    return Reading(read)


def asynchronous() -> Reading:
    async def read() -> bytes:
        return DATA

    return Reading(read)


def read_to_its_end() -> io.BytesIO:
    file = io.BytesIO(DATA)
    file.read()
    return file


def released() -> memoryview:
    view = memoryview(bytearray(DATA))
    view.release()
    return view


def cut_gzip() -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(DATA)[:-9000]))


def damaged_member() -> Any:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpg", DATA)
    content = bytearray(buffer.getvalue())
    content[1000] ^= 1
    return zipfile.ZipFile(io.BytesIO(content)).open("a.jpg")


TEXT = base64.b64encode(DATA).decode()

BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "cut gzip": (cut_gzip, "cannot be read (Compressed file ended before"),
    "damaged member": (damaged_member, "cannot be read (BadZipFile: Bad CRC-32 for file 'a.jpg')"),
    "cut HTTP": (lambda: raising(http.client.IncompleteRead(b"abc", 9)), "cannot be read (IncompleteRead"),
    "client library": (lambda: raising(ClientError()), "cannot be read (ClientError)"),
    "no words": (lambda: raising(StopIteration()), "cannot be read (StopIteration)"),
    "many lines": (lambda: raising(OSError("one\n two")), "cannot be read (one two)"),
    "many words": (lambda: raising(RuntimeError("x" * 9999)), f"cannot be read (RuntimeError: {'x' * 200}...)"),
    "memory": (lambda: raising(MemoryError()), "cannot be read (MemoryError)"),
    "an attribute is missing inside": (lambda: raising(AttributeError("inner")), "cannot be read (AttributeError: "),
    "a wrong type inside": (lambda: raising(TypeError("inner")), "cannot be read (TypeError: inner)"),
    "attributes raise": (Lazy, "cannot be read (the server has gone)"),
    "read is no function": (NotCallable, "not a source: give a path, "),
    "a class": (lambda: io.BytesIO, "cannot be read (TypeError"),
    "path raises": (lambda: NoPath(RuntimeError("no path")), "cannot be read (RuntimeError: no path)"),
    "path is none": (lambda: NoPath(5), "cannot be read (TypeError: "),
    "released": (released, "cannot be read (operation forbidden on released memoryview object)"),
    "asynchronous": (asynchronous, "the file is asynchronous: await its read, and give the bytes"),
    "text": (lambda: io.StringIO("text"), "the file gives str, not bytes; open it in binary mode"),
    "nothing yet": (lambda: Reading(lambda: None), "cannot be read (nothing can be read without waiting)"),
    "exhausted": (read_to_its_end, "nothing left to read: rewind it"),
    "empty": (io.BytesIO, "the file is empty"),
    "empty, or exhausted": (lambda: Reading(lambda: b""), "the file is empty, or has been read already"),
    "empty text": (lambda: "", "expected a path, found an empty text"),
    "base64": (lambda: TEXT, "expected a path, found base64: decode it to bytes"),
    "short base64": (lambda: TEXT[:200], "expected a path, found base64: decode it to bytes"),
    "other base64": (lambda: "QUJD" * 2000, "expected a path, found base64: decode it to bytes"),
    "data:": (lambda: f"data:image/jpeg;base64,{TEXT}", "expected a path, found a data: URL: decode it to bytes"),
    "short data:": (lambda: "data:image/gif;base64,R0lGODlhAQABAAAAACw=" * 3, "expected a path, found a data: URL"),
    "over-long": (lambda: "a " * 5000, "cannot be read (File name too long)"),
    "URL": (lambda: "https://example.com/a.jpg", "expected a path, found a URL: download it first"),
    "file: URL": (lambda: "file:///a.jpg", "expected a path, found a file: URL: give the path in it"),
    "home": (lambda: "~/a.jpg", "expected a path, found ~, which a shell would replace: give the whole path"),
    "NUL": (lambda: "a\0b", "cannot be read ("),  # in words that are Python's own
    "lone surrogate": (lambda: "\ud800", "cannot be read ('utf-8' codec can't encode"),
    "missing": (lambda: "/missing/a.jpg", "cannot be read (No such file or directory)"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("workers", [1, 2])
def test_one_bad_source_is_one_error_and_no_more(name: str, workers: int, portable: Classifier) -> None:
    make, message = BAD[name]
    with pytest.raises(ImageError) as caught:
        portable.classify(make())
    assert len(str(caught.value)) < 400
    if "cannot be read" in message and name != "nothing yet":
        assert caught.value.__cause__ is not None
    bad = make()
    results = list(portable.scan([PHOTO, bad, PHOTO], workers=workers))
    assert [result.score is None for result in results] == [False, True, False]
    assert results[0].score == results[2].score
    assert results[1].error == f"{describe(bad)}: {results[1].reason}"
    assert (results[1].reason or "").startswith(message)


def test_it_is_one_error_in_caffes_workers_too(classifier: Classifier) -> None:
    names = ("cut gzip", "client library", "path raises", "released", "data:", "asynchronous")
    sources = [PHOTO, *(BAD[name][0]() for name in names), PHOTO]
    results = list(classifier.scan(sources, workers=2))
    assert all((result.reason or "").startswith(BAD[name][1]) for name, result in zip(names, results[1:], strict=False))
    assert results[0].score == results[-1].score is not None
    assert all(result.score is None for result in results[1:-1])


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_ends_it(error: type[BaseException], portable: Classifier) -> None:
    with pytest.raises(error):
        list(portable.scan([raising(error())], workers=1))  # type: ignore[list-item]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_iterable_that_raises_is_not_a_sources_fault(workers: int, portable: Classifier) -> None:
    def sources() -> Iterator[Path]:
        yield PHOTO
        raise ConnectionError("the queue has gone")

    with pytest.raises(ConnectionError, match="the queue has gone"):
        list(portable.scan(sources(), workers=workers))


@pytest.mark.parametrize(
    "make",
    [
        lambda: bytearray(DATA),
        lambda: memoryview(b"".join(bytes([byte, 0]) for byte in DATA))[::2],
        lambda: ReadingAll(DATA),
        lambda: ReadingAll(bytearray(DATA)),
        lambda: ReadingAll(memoryview(DATA)),
        lambda: Reading(lambda: DATA),
        lambda: Reading(iter([DATA[:9], bytearray(DATA[9:99]), memoryview(DATA[99:]), b""]).__next__),
        lambda: gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(DATA))),
        lambda: {entry.name: entry for entry in os.scandir(os.fsencode(PHOTOS))}[b"rocket.jpg"],
        lambda: PHOTO.open("rb", buffering=0),
    ],
)
def test_whatever_gives_the_bytes_is_read(make: Callable[[], Any], portable: Classifier) -> None:
    score = portable.classify(PHOTO)
    one, *others = sources = [make() for _ in range(3)]
    assert portable.classify(one) == score
    assert [result.score for result in portable.scan(others, workers=2)] == [score] * 2
    for source in sources:
        if hasattr(source, "close"):
            source.close()


def test_a_pipe_that_gives_little_at_a_time_is_read_to_its_end() -> None:
    with subprocess.Popen(["cat", PHOTO], stdout=subprocess.PIPE, bufsize=0) as child:
        assert read_source(child.stdout) == DATA
    with PHOTO.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert read_source(mapped) == DATA


@pytest.mark.parametrize("length", [0, 1, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_all_of_a_file_and_no_more_than_there_may_be(length: int, tmp_path: Path) -> None:
    content = os.urandom(length)
    path = tmp_path / "file"
    path.write_bytes(content)
    assert read_file(path) == read_file(str(path), length) == content
    if not length:
        return
    makers: tuple[Callable[[Any], Any], ...] = (Path, bytearray, memoryview, io.BytesIO, ReadingAll)
    for make in makers:
        given: Any = path if make is Path else content
        assert read_source(make(given), length) == content
        with pytest.raises(UnreadableError, match=rf"^larger than the limit of {length - 1} bytes"):
            read_source(make(given), length - 1)


def test_an_endless_file_object_is_left_at_the_limit(in_time: None) -> None:  # noqa: ARG001
    given = itertools.count()

    def read() -> bytes:
        return bytes([next(given) % 256]) * 1000

    with pytest.raises(UnreadableError, match="larger than the limit of 50000 bytes"):
        read_source(Reading(read), 50_000)
    assert next(given) < 60


def make_fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def make_socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(path))
    return path


def make_link(path: Path) -> Path:
    path.symlink_to(make_fifo(path.with_name("pipe")))
    return path


@pytest.mark.linux
@pytest.mark.parametrize(
    ("make", "number"),
    [
        (make_fifo, errno.EINVAL),
        (make_link, errno.EINVAL),
        (make_socket, errno.ENXIO),
        (lambda _: Path("/dev/zero"), errno.EINVAL),
        (lambda _: Path("/dev/tty0"), None),
        (lambda path: path.parent, errno.EISDIR),
    ],
    ids=["pipe", "link to a pipe", "socket", "/dev/zero", "terminal", "folder"],
)
def test_what_is_no_regular_file_is_not_waited_for(
    make: Callable[[Path], Path],
    number: int | None,
    tmp_path: Path,
    portable: Classifier,
    in_time: None,  # noqa: ARG001
) -> None:
    path = make(tmp_path / "entry.jpg")
    opened = len(list(Path("/proc/self/fd").iterdir()))
    for read in (open_file, read_file):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - by its number
            read(path)
        assert number in (None, caught.value.errno)
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
    (result,) = portable.scan([path])
    assert (result.reason or "").startswith("cannot be read (")


@pytest.mark.linux
def test_a_file_of_the_systems_that_has_nothing_yet(in_time: None) -> None:  # noqa: ARG001
    """It says that it is a regular one, and a read of it waits for the kernel's next message."""
    with pytest.raises(UnreadableError, match="cannot be read"):
        read_source("/proc/kmsg", 1 << 24)


@pytest.mark.linux
def test_a_file_of_the_systems_without_a_length() -> None:
    assert read_file("/proc/self/status").startswith(b"Name:")
