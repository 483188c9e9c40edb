from __future__ import annotations

import errno
import json
import math
import os
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.results.formats import check_path, read_columns, read_results, write_results
from nsfw_caffe.results.record import Record
from tests.records import RECORD, failed, scored
from tests.results.records import ENDINGS, names, there_and_back
from tests.support import run

_ONE = 0x3FF0000000000000
"""The bits of 1.0."""
_FILL_THE_DISK = """
import json, os, random, subprocess, sys
from pathlib import Path
from nsfw_caffe.results.formats import read_results, write_results
from tests.records import scored
from tests.results.records import ENDINGS

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
numbers = random.Random(3)
found = {}
for ending in ENDINGS:
    path = folder / f"results{ending}"
    write_results(path, [scored("before")])
    try:
        write_results(path, (scored(f"{numbers.random()}", sha256=numbers.randbytes(32).hex()) for _ in range(9000)))
    except OSError as error:
        sources = [record.source for record in read_results(path)]
        found[ending] = [error.errno, sources, os.listdir(folder)]
    path.unlink()
print(json.dumps(found))
"""


@pytest.mark.parametrize("ending", [*ENDINGS, ".CSV"])
def test_records_come_back_in_their_order(tmp_path: Path, ending: str) -> None:
    records = [scored("b"), failed("a"), scored("c", score=0.0), scored("d", score=1.0), scored("e", mtime=-1.5)]
    assert there_and_back(tmp_path / f"results{ending}", records) == records
    assert names(tmp_path) == [f"results{ending}"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_records_come_back_as_none(tmp_path: Path, ending: str) -> None:
    assert there_and_back(tmp_path / f"results{ending}", []) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_double_comes_back(tmp_path: Path, ending: str) -> None:
    choices = random.Random(11)
    records = []
    edges = [0, 1, 2**52 - 1, 2**52, _ONE - 1, _ONE]
    # Random bits, not random numbers: nearly all of these are far smaller than any that random.random() gives.
    for index, bits in enumerate(edges + [choices.randrange(_ONE) for _ in range(2000)]):
        score = _double(bits)
        mtime = math.nan
        while not math.isfinite(mtime):
            mtime = _double(choices.getrandbits(64))
        subnormal = _double(choices.randrange(2**52))
        records.append(scored(str(index), score=score, mtime=mtime, seconds=subnormal))
    assert there_and_back(tmp_path / f"results{ending}", records) == records


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_name_and_every_error_comes_back(tmp_path: Path, ending: str) -> None:
    choices = random.Random(13)
    texts = [os.fsdecode(choices.randbytes(30).replace(b"\0", b"")) for _ in range(300)]
    texts += [
        "a\nb",
        "a\rb",
        "a\r\nb",
        "\r",
        'quote".jpg',
        "'",
        "a,b",
        "tab\t",
        " ",
        "😀.png",
        "\u2028",
        "=1+1",
        "null",
    ]
    texts += [r"\udc80", r"\udc5c", "\\", "archive.zip!a\\b", *map(chr, range(1, 32)), "\x7f", "\ufeff", "x" * 200_000]
    records = [scored(name) for name in dict.fromkeys(texts)]
    records += [failed(f"{index}", error) for index, error in enumerate([*texts, "NUL \0 and \0"])]
    assert there_and_back(tmp_path / f"results{ending}", records) == records


@pytest.mark.parametrize("ending", ENDINGS)
def test_text_that_no_name_can_hold_does_not_stop_the_writing(tmp_path: Path, ending: str) -> None:
    assert there_and_back(tmp_path / f"results{ending}", [failed("a", "half \ud800")]) == [failed("a", "half \ufffd")]


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_error_among_the_records_leaves_what_was_there(tmp_path: Path, ending: str) -> None:
    def records() -> Iterator[Record]:
        for index in range(100):
            yield scored(str(index))
        raise KeyError("an error of the caller's")

    path = tmp_path / f"results{ending}"
    write_results(path, [scored("before")])
    with pytest.raises(KeyError, match="an error of the caller's"):
        write_results(path, records())
    assert list(read_results(path)) == [scored("before")]
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_a_killed_process_left_does_not_stop_the_next(tmp_path: Path, ending: str) -> None:
    (tmp_path / f".results{ending}.part").write_bytes(b"SQLite format 3\0 or anything else")
    assert there_and_back(tmp_path / f"results{ending}", [RECORD]) == [RECORD]
    assert names(tmp_path) == [f"results{ending}"]


@pytest.mark.linux
def test_a_full_disk_is_said_to_be_one_and_leaves_what_was_there(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    # As root of a namespace of its own, any user may mount a small disk, unless the machine forbids it.
    alone = [unshare or "", "--map-root-user", "--mount"]
    if unshare is None or subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here: unshare --map-root-user --mount is refused")
    command = [*alone, sys.executable, "-c", _FILL_THE_DISK, str(tmp_path)]
    child = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(child.stdout) == {ending: [errno.ENOSPC, ["before"], [f"results{ending}"]] for ending in ENDINGS}


@pytest.mark.linux
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_may_not_grow_is_an_os_error(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"results{ending}"
    child = run(
        "-c",
        "import resource, sys; from pathlib import Path\n"
        "from nsfw_caffe.results.formats import write_results; from tests.records import scored\n"
        "_, most = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, most))\n"
        "try: write_results(Path(sys.argv[1]), (scored(f'{n} {n * n:x}') for n in range(5000)))\n"
        "except OSError as error: print('errno', error.errno)\n"
        # What measures coverage writes a file of its own when the program ends.
        "resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))\n",
        path,
    )
    assert child.stdout == f"errno {errno.EIO if ending == '.sqlite' else errno.EFBIG}\n", child.stderr
    assert names(tmp_path) == []


def test_a_path_for_results_is_checked(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name, message in {
        "results.txt": "its ending says no format: use .csv, .jsonl, .parquet or .sqlite",
        "results": "its ending says no format: use .csv, .jsonl, .parquet or .sqlite",
        "folder.csv": "a folder: give the name of a file in it",
        "missing/results.csv": f"there is no folder {tmp_path / 'missing'}: make it first",
    }.items():
        for attempt in (check_path, lambda path: write_results(path, [RECORD])):
            with pytest.raises(ResultsError) as caught:
                attempt(tmp_path / name)
            assert str(caught.value) == f"{tmp_path / name}: {message}"
    for ending in ENDINGS:
        check_path(tmp_path / f"results{ending}")
    check_path(Path("results.csv"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_cannot_be_read_is_named(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"results{ending}"
    with pytest.raises(ResultsError, match=f"results{ending}: cannot be read: No such file or directory"):
        list(read_results(path))
    path.mkdir()
    with pytest.raises(ResultsError, match=f"results{ending}: cannot be read: Is a directory"):
        list(read_results(path))
    with pytest.raises(ResultsError, match="its ending says no format"):
        list(read_results(tmp_path / "results.xlsx"))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("other", [*ENDINGS, ".bin"])
def test_a_file_of_another_format_is_refused(tmp_path: Path, ending: str, other: str) -> None:
    path = tmp_path / f"results{ending}"
    if other == ".bin":
        path.write_bytes(random.Random(5).randbytes(20_000))
    else:
        write_results(tmp_path / f"other{other}", [RECORD, failed("b")])
        path.write_bytes((tmp_path / f"other{other}").read_bytes())
    if ending == other:
        assert list(read_results(path)) == [RECORD, failed("b")]
    else:
        with pytest.raises(ResultsError, match=f"results{ending}: "):
            list(read_results(path))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_cut_anywhere_is_refused_or_read_up_to_there(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"results{ending}"
    records = [scored("a"), failed("b"), scored("ü\n")]
    write_results(path, records)
    whole = path.read_bytes()
    for length in range(0, len(whole), 1 if len(whole) < 4000 else 37):
        path.write_bytes(whole[:length])
        read, complaint = [], str(path)
        try:
            for record in read_results(path):
                read.append(record)
        except ResultsError as error:
            complaint = str(error)
        assert complaint.startswith(str(path))
        assert read == records[: len(read)]
        if ending in (".parquet", ".sqlite"):
            assert read == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_not_asked_for_is_not_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"results{ending}"
    write_results(path, (scored(str(index)) for index in range(20_000)))
    records = read_results(path)
    assert next(records) == scored("0")
    records.close()  # type: ignore[attr-defined]  # a generator
    assert sum(1 for _ in read_results(path)) == 20_000


def _double(bits: int) -> float:
    (number,) = struct.unpack("<d", struct.pack("<Q", bits))
    return float(number)


@pytest.mark.linux
def test_a_folder_that_cannot_be_written_is_found_out_before_the_work() -> None:
    """Root may write everywhere but in /proc, which nobody can make a file in."""
    with pytest.raises(ResultsError, match=r"^/proc/r\.csv: the folder /proc cannot be written \(.+\)$"):
        check_path(Path("/proc/r.csv"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_columns_of_any_table(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"results{ending}"
    write_results(path, [scored("a", 1 / 3, width=7), failed('b\n,"', "the file is empty")])
    table = read_columns(path, {"source": str, "score": float, "width": str, "error": str, "label": str})
    assert table.to_pydict() == {
        "source": ["a", 'b\n,"'],
        "score": [1 / 3, None],
        "error": [None, "the file is empty"],
        "width": ["7", None],
    }
    assert read_columns(path, {"label": str}).num_columns == 0


@pytest.mark.linux
@pytest.mark.parametrize("ending", ENDINGS)
def test_columns_of_no_table(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"results{ending}"
    with pytest.raises(ResultsError, match=f"results{ending}: cannot be read: No such file or directory"):
        read_columns(path, {"source": str})
    os.mkfifo(path)
    with pytest.raises(ResultsError, match=f"results{ending}: cannot be read: not a regular file"):
        read_columns(path, {"source": str})


def test_columns_of_a_database_that_was_cut_off_or_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    write_results(path, (scored(str(number)) for number in range(1000)))
    os.truncate(path, path.stat().st_size - 100)
    with pytest.raises(ResultsError, match=r"r\.sqlite: no whole number of pages: it was cut off"):
        read_columns(path, {"source": str})
    path.write_bytes(b"")
    with pytest.raises(ResultsError, match=r"r\.sqlite: no file of results: it has no table results"):
        read_columns(path, {"source": str})


def test_columns_of_a_folder_of_parquet_files(tmp_path: Path) -> None:
    folder = tmp_path / "all.parquet"
    folder.mkdir()
    for name in "ab":
        write_results(folder / f"{name}.parquet", [scored(name, 0.5)])
    assert read_columns(folder, {"source": str}).to_pydict() == {"source": ["a", "b"]}
