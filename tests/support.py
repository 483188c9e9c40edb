"""What several test modules share."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import skimage

from nsfw_caffe.system.locks import locked

Child = subprocess.CompletedProcess[str]

LINUX = sys.platform == "linux" and not hasattr(sys.modules.get("sitecustomize"), "LACKING")
"""Whether all is there that Linux has, and nothing of it is taken away (tests/without_linux)."""

ATLAS = any(Path("/usr/lib").glob("*/atlas/libblas.so.3"))
needs_atlas = pytest.mark.skipif(not ATLAS, reason="there is no ATLAS here: Debian 12 has it, newer releases do not")

REPOSITORY = Path(__file__).resolve().parent.parent
PHOTOS = Path(skimage.__file__).parent / "data"
"""The pictures in scikit-image's wheel."""


PEAK_MEMORY = "next(int(line.split()[1]) * 1024 for line in open('/proc/self/status') if line.startswith('VmHWM'))"
"""An expression: the most memory that this program has had, in bytes. What getrusage says counts its parent's too."""


def run(*command: str | Path, stdin: bytes = b"", environment: dict[str, str] | None = None) -> Child:
    """Run this Python with these arguments in a child process; nothing is checked."""
    child = subprocess.run(
        [sys.executable, *map(str, command)],
        input=stdin,
        capture_output=True,
        env=os.environ | (environment or {}),
        timeout=600,
    )
    output, errors = (stream.decode(errors="replace") for stream in (child.stdout, child.stderr))
    return Child(child.args, child.returncode, output, errors)


def nsfw_caffe(*arguments: str | Path, stdin: bytes = b"", environment: dict[str, str] | None = None) -> Child:
    """Run the command line in a child process; nothing is checked."""
    return run("-m", "nsfw_caffe", *arguments, stdin=stdin, environment=environment)


def heed_interrupts() -> None:
    """Let a child end on SIGINT even where this process was started in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that `make` has filled: the first of pytest-xdist's processes to ask for it does that for all."""
    run_folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run_folder = run_folder.parent  # each process has a folder of its own in the whole run's
    folder, unfinished = run_folder / name, run_folder / f"{name}.unfinished"
    with locked(run_folder / f"{name}.lock", seconds=600):
        if not folder.exists():
            shutil.rmtree(unfinished, ignore_errors=True)  # of a process that failed
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder
