"""Standard streams that are closed, full, of odd encodings, or replaced."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nsfw_caffe.cli import main as cli
from nsfw_caffe.results.formats import read_results, write_results
from nsfw_caffe.results.names import decode_name
from tests.records import failed, of_file, scored
from tests.support import PHOTOS

ENGINE = "--engine onnxruntime"
COMMANDS = {
    "classify": f"classify {ENGINE} a.png",
    "classify --csv": f"classify --csv {ENGINE} a.png",
    "scan": f"scan a.png -o out.csv {ENGINE}",
    "rank": "rank r.csv",
    "report": "report r.csv",
    "sort": "sort s.csv --threshold 0 --copy to",
    "evaluate": "evaluate d.csv",
    "compare": "compare r.csv r.csv --labels d.csv",
    "model": "model path",
    "help": "--help",
    "a command's help": "scan --help",
    "version": "--version",
    "completion": "--print-completion bash",
}
"""Commands that all end with status 0, and print."""

ODD = [b"esc\x1b[31m.png", b"new\nline.png", b"tab\t.png", b"c1\xc2\x9b.png", b"rlo\xe2\x80\xaegnp.exe",
       b"bad\xff\x9b.png", b"back\\slash\\udcff.png", "名é.png".encode()]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(PHOTOS / "coffee.png", "a.png")
    write_results(Path("r.csv"), [scored(f"{number}", number / 10) for number in range(10)])
    write_results(Path("s.csv"), [of_file(Path("a.png"))])
    lines = [f"{number},{int(number > 4)},{number / 10}" for number in range(10)]
    Path("d.csv").write_text("\n".join(["source,label,score", *lines, ""]))
    return tmp_path


def shell(command: str, **variables: str) -> tuple[int, bytes, bytes]:
    """Run the command line with a shell's redirections."""
    line = f"{sys.executable} -m nsfw_caffe {command}"
    child = subprocess.run(["sh", "-c", line], capture_output=True, env=os.environ | variables, timeout=120)
    assert b"Traceback" not in child.stderr
    assert b"Exception ignored" not in child.stderr
    return child.returncode, child.stdout, child.stderr


@pytest.mark.linux
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("to", "why", "unbuffered"),
    [
        (">&-", b"Bad file descriptor", ""),  # where there is no stream, nothing is buffered
        (">/dev/full", b"No space left on device", ""),
        (">/dev/full", b"No space left on device", "1"),
    ],
)
@pytest.mark.usefixtures("here")
def test_output_that_is_lost_is_no_success(name: str, to: str, why: bytes, unbuffered: str) -> None:
    status, _, errors = shell(f"{COMMANDS[name]} {to}", PYTHONUNBUFFERED=unbuffered)
    assert (status, errors) == (1, b"nsfw-caffe: standard output cannot be written: " + why + b"\n")


@pytest.mark.linux
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.usefixtures("here")
def test_standard_input_and_error_need_not_be_there(name: str) -> None:
    for closed in ("<&-", "2>&-", "2>/dev/full"):
        status, output, errors = shell(f"{COMMANDS[name]} {closed}")
        assert (status, errors) == (0, b"")
        assert output
    assert shell(f"{COMMANDS[name]} <&- >&- 2>&-") == (1, b"", b"")


@pytest.mark.linux
@pytest.mark.usefixtures("here")
def test_complaints_that_are_lost_are_no_success() -> None:
    write_results(Path("r.csv"), [scored("gone.png", 0.9)])
    for unbuffered in ("", "1"):
        assert shell("sort r.csv --threshold 0 --copy to")[0] == 0  # a skipped picture is told of
        assert shell("sort r.csv --threshold 0 --copy to 2>/dev/full", PYTHONUNBUFFERED=unbuffered)[0] == 1
    assert shell(f"classify gone.png {ENGINE} 2>&-")[0] == 1
    assert shell("frobnicate 2>&-")[0] == 2


@pytest.mark.usefixtures("here")
def test_standard_input_that_is_closed_is_a_message() -> None:
    status, _, errors = shell(f"classify - {ENGINE} <&-")
    assert (status, b"cannot be read (Bad file descriptor)" in errors) == (1, True)
    status, _, errors = shell(f"scan --list - -o out.csv {ENGINE} <&-")
    assert (status, errors) == (2, b"nsfw-caffe: -: cannot be read (Bad file descriptor)\n")


@pytest.fixture
def odd(here: Path) -> Path:
    """Return a folder of pictures with odd names, and one that is none."""
    folder = here / "odd"
    folder.mkdir()
    for name in ODD:
        (folder / os.fsdecode(name)).symlink_to(here / "a.png")
    (folder / os.fsdecode(b"broken\x1b\n\xff")).write_bytes(b"broken")
    return folder


LOCALES = [{}, {"PYTHONIOENCODING": "latin1"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0", "LC_ALL": "C"}]


@pytest.mark.parametrize("variables", LOCALES, ids=str)
@pytest.mark.usefixtures("odd")
def test_no_name_writes_anything_but_itself(variables: dict[str, str]) -> None:
    scan = shell(f"scan odd -o odd.csv {ENGINE}", **variables)
    Path("new\nline\x1b").mkdir()
    outputs = {
        "scan": scan,
        "scan into": shell(f"scan odd -o 'new\nline\x1b/r.csv' {ENGINE}", **variables),
        "classify": shell(f"classify {ENGINE} odd/*", **variables),
        "rank": shell("rank odd.csv --top 100", **variables),
        "report": shell("report odd.csv", **variables),
        "sort": shell("sort odd.csv --threshold 0 --copy 't\x1bo'", **variables),
        "sort --yes": shell("sort odd.csv --threshold 0 --copy 't\x1bo' --yes", **variables),
        "evaluate": shell(f"evaluate --nsfw odd --sfw odd/../a.png {ENGINE}", **variables),
        "usage": shell("scan 'no\x1b\nsuch' -o r.csv", **variables),
        "no results": shell("rank 'no\x1b\nsuch.csv'", **variables),
        "no command": shell("'odd/../esc\x1b\n.png'", **variables),
        "model": shell("model export 'no\x1b\nsuch/m.onnx'", **variables),
        "verify": shell("verify --against 'no\x1b\nsuch.json'", **variables),
    }
    for command, (status, output, errors) in outputs.items():
        assert status in (0, 1, 2, 3, 5), command
        for text in (output, errors):
            shown = text.decode("latin1" if variables.get("PYTHONIOENCODING") == "latin1" else "utf-8")
            assert all(character in "\n\t" or character.isprintable() for character in shown), command
    lines = outputs["classify"][1].splitlines()
    assert len(lines) == len(ODD)
    assert all(len(line.split(b"\t")) == 2 for line in lines)
    assert len(outputs["classify"][2].splitlines()) == 1


@pytest.mark.parametrize("variables", LOCALES, ids=str)
@pytest.mark.usefixtures("odd")
def test_json_and_csv_give_the_names_again(variables: dict[str, str]) -> None:
    shell(f"scan odd -o odd.csv {ENGINE}", **variables)
    for command in ("classify {} " + ENGINE + " odd/*", "rank {} odd.csv --top 100"):
        for form in ("--json", "--csv"):
            _, output, _ = shell(command.format(form), **variables)
            text = output.decode("utf-8")  # and nothing else
            if form == "--json":
                rows = [json.loads(line) for line in text.splitlines()]
            else:
                rows = list(csv.DictReader(io.StringIO(text, newline="")))
            names = {_bytes(decode_name(row["source"])) for row in rows if row["score"] not in (None, "")}
            assert names == {b"odd/" + name for name in ODD}


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


@pytest.mark.usefixtures("here")
def test_main_in_a_program_of_its_own_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    output, errors = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setattr(sys, "stdin", io.StringIO("text"))
    assert cli.main(["rank", "r.csv", "--csv", "--top", "1"]) == 0
    assert len(output.getvalue().splitlines()) == 2
    assert cli.main(["rank", "missing.csv"]) == 5
    assert errors.getvalue() == "nsfw-caffe: missing.csv: cannot be read: No such file or directory\n"
    assert cli.main(["classify", "-", *ENGINE.split()]) == 1
    assert "the file gives str, not bytes; open it in binary mode" in errors.getvalue()
    monkeypatch.setattr(sys, "stdin", io.StringIO("text"))
    assert cli.main(["scan", "--list", "-", "-o", "out.csv", *ENGINE.split()]) == 2
    output.close()
    assert cli.main(["rank", "r.csv"]) == 1
    assert cli.main(["scan", ".", "-o", "late.csv", *ENGINE.split()]) == 1
    assert not Path("late.csv").exists()


def test_main_leaves_the_streams_as_they_were(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(here / "out.txt", "w", encoding="latin1", errors="strict") as stream:  # noqa: PTH123 - as a shell opens it
        monkeypatch.setattr(sys, "stdout", stream)
        assert cli.main(["rank", "r.csv", "--csv"]) == 0
        assert (stream.encoding, stream.errors) == ("latin1", "strict")


@pytest.mark.usefixtures("here")
def test_a_scan_in_a_thread() -> None:
    statuses: list[int] = []
    scan = ["scan", "a.png", "-o", "out.csv", *ENGINE.split()]
    thread = threading.Thread(target=lambda: statuses.append(cli.main(scan)))
    thread.start()
    thread.join(60)
    assert statuses == [0]
    assert len(list(read_results(Path("out.csv")))) == 1


@pytest.mark.usefixtures("here")
def test_report_of_odd_errors() -> None:
    """An error's text may be a stranger's, too."""
    write_results(Path("r.csv"), [failed("a", "said \x1b[31m\nnsfw-caffe: all is well\u202e\x9b")])
    for command in ("report r.csv", "rank r.csv"):
        _, output, _ = shell(command)
        assert not set(itertools.chain(range(0x20), (0x7F,))) - {0x0A} & set(output)
        assert b"\nnsfw-caffe" not in output
