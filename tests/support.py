"""What several test modules share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import skimage

Child = subprocess.CompletedProcess[str]

REPOSITORY = Path(__file__).resolve().parent.parent
PHOTOS = Path(skimage.__file__).parent / "data"
"""The pictures in scikit-image's wheel."""


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
