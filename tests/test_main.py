"""Signals from the program's first moment on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nsfw_caffe.results.formats import write_results
from tests.records import scored
from tests.support import PHOTOS, REPOSITORY, heed_interrupts, run

BEGIN = "import os, sys; from nsfw_caffe.__main__ import main; os.write(2, b'.'); sys.exit(main())"
"""What the installed script does, and says when: before, there is Python alone, which nothing here can change."""

DELAYS = [number / 20 for number in range(1, 21)]

COMMANDS = {
    "classify": ["classify", "a.png", "a.png", "--engine", "onnxruntime"],
    "classify with Caffe": ["classify", "a.png", "--engine", "caffe"],
    "scan": ["scan", "a.png", "-o", "out.csv", "--rescore", "--engine", "onnxruntime"],
    "rank": ["rank", "r.csv"],
    "report": ["report", "r.csv", "--html", "report.html"],
    "sort": ["sort", "r.csv", "--threshold", "0", "--copy", "to"],
    "evaluate": ["evaluate", "d.csv", "--html", "evaluation.html"],
    "compare": ["compare", "r.csv", "r.csv", "--labels", "d.csv"],
    "model": ["model", "verify"],
    "verify": ["verify"],
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(PHOTOS / "coffee.png", "a.png")
    write_results(Path("r.csv"), [scored(f"{number}", number / 10) for number in range(10)])
    lines = [f"{number},{int(number > 4)},{number / 10}" for number in range(10)]
    Path("d.csv").write_text("\n".join(["source,label,score", *lines, ""]))
    return tmp_path


def end(command: list[str], send: signal.Signals, delay: float, prepare: Callable[[], None]) -> tuple[int, str]:
    """Start a command, send a signal so many seconds after its begin, and return its status and what it complains."""
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        preexec_fn=prepare,
    ) as child:
        assert child.stderr is not None
        assert child.stderr.read(1) == b"."
        time.sleep(delay)
        child.send_signal(send)
        errors = child.stderr.read().decode()
    return child.returncode, errors


@pytest.mark.linux
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.usefixtures("here")
def test_an_interrupt_at_any_moment_ends_without_a_traceback(name: str) -> None:
    statuses = set()
    for delay in DELAYS[:: 1 if name in ("classify", "scan", "evaluate") else 4]:
        status, errors = end(COMMANDS[name], signal.SIGINT, delay, heed_interrupts)
        assert "Traceback" not in errors
        statuses.add(status)
    # A scan that has begun is stopped; one that is over, as it was; and Python's own end knows no handler.
    assert statuses <= {130, 0, -signal.SIGINT} | ({4} if name == "scan" else set())
    assert 130 in statuses


@pytest.mark.linux
@pytest.mark.usefixtures("here")
def test_a_scan_is_terminated_at_any_moment_with_one_status() -> None:
    statuses = set()
    for delay in DELAYS:
        Path("out.csv").unlink(missing_ok=True)
        status, errors = end(COMMANDS["scan"], signal.SIGTERM, delay, heed_interrupts)
        assert "Traceback" not in errors
        if status == -signal.SIGTERM:  # Python's own end knows no handler: all is done by then
            assert len(Path("out.csv").read_text().splitlines()) == 2
        else:
            statuses.add(status)
    assert 4 in statuses
    assert statuses <= {4, 0}


@pytest.mark.linux
@pytest.mark.usefixtures("here")
def test_an_ignored_interrupt_stays_ignored() -> None:
    """As of a program that a shell's script has started in the background."""
    ignore = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)  # noqa: E731
    assert end(COMMANDS["rank"], signal.SIGINT, 0.1, ignore) == (0, "")  # type: ignore[arg-type]


IN_A_FINALIZER = """
import signal, time
from nsfw_caffe.__main__ import interrupt
signal.signal(signal.SIGINT, interrupt)
class Kept:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
kept = Kept()
try:
    del kept
    for _ in range(1000):
        time.sleep(0.01)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("without", ["", "import signal; del signal.setitimer"], ids=["timer", "no timer"])
def test_an_interrupt_in_a_finalizer_comes_a_moment_later(without: str) -> None:
    child = run("-c", without + IN_A_FINALIZER)
    assert (child.stdout, child.stderr) == ("interrupted\n", "")


def test_the_package_is_imported_in_a_moment() -> None:
    code = (
        "import sys; before = set(sys.modules); import nsfw_caffe.__main__\n"
        "print(sorted({'numpy', 'PIL', 'typing', 'argparse'} & (set(sys.modules) - before)))"
    )
    assert run("-c", code).stdout == "[]\n"
